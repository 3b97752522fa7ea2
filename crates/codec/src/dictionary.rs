//! Distinct values, and an index of one of them for each row.
//!
//! In the header: the number of distinct values - 1, then the values: for word kinds as integers in ascending order; for byte
//! kinds in the order of their first row, their lengths as integers (unless the kind has a fixed length) and their bytes (see
//! [`crate::pile`]). Vectors are the indexes (see [`crate::scaled`]).

use std::ops::Range;

use crate::pile::{self, Pile};
use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::{Reader, bit_width, put_varint, varint_len};
use crate::{BATCH_ROWS, Column, Corrupt, Kind, VECTOR_ROWS, arena, ints};

/// Distinct words at most.
const MAX_WORDS: usize = VECTOR_ROWS;

/// The values of a block and their indexes.
#[derive(Debug)]
pub(crate) struct Coded {
    /// The distinct values as they stand in the header.
    values: Vec<u8>,
    pub(crate) distinct: usize,
    codes: Integers<'static>,
}

impl Coded {
    /// None if there are so many distinct words that they and their indexes cannot take less than `cost` bytes.
    pub(crate) fn words(words: &[i64], ranges: &Ranges, cost: usize) -> Option<Self> {
        let dearer = |distinct: usize| distinct + words.len() * bit_width(distinct as u64 - 1) as usize / 8 > cost;
        let (mut limit, mut step) = (0, MAX_WORDS);
        while step > 0 {
            let more = limit + step;
            limit = if more <= words.len() / 2 && more <= MAX_WORDS && !dearer(more) { more } else { limit };
            step /= 2;
        }
        if limit == 0 {
            return None;
        }
        let mut table = Table::new(limit);
        let mut distinct: Vec<i64> = Vec::new();
        let mut codes = Vec::with_capacity(words.len());
        for &word in words {
            let code = table.find(mix(word as u64), |code| distinct[code] == word);
            if code == distinct.len() {
                if code == limit {
                    return None;
                }
                distinct.push(word);
            }
            codes.push(code as i64);
        }
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_unstable_by_key(|&code| distinct[code]);
        let mut ranks = vec![0; distinct.len()];
        order.iter().enumerate().for_each(|(rank, &code)| ranks[code] = rank as i64);
        codes.iter_mut().for_each(|code| *code = ranks[*code as usize]);
        distinct.sort_unstable();
        let mut values = Vec::new();
        ints::write_all(&distinct, &mut values);
        Some(Self { values, distinct: distinct.len(), codes: Integers::choose(codes, ranges) })
    }

    /// None if there are more than `limit` distinct byte strings.
    pub(crate) fn bytes(kind: Kind, column: &Column, ranges: &Ranges, limit: usize) -> Option<Self> {
        let count = column.values();
        let mut table = Table::new(limit);
        let mut firsts: Vec<usize> = Vec::new();
        let mut codes: Vec<i64> = Vec::with_capacity(count);
        for value in 0..count {
            let bytes = column.bytes(value);
            let code = match codes.last() {
                Some(&code) if bytes == column.bytes(value - 1) => code as usize,
                _ => table.find(hash(bytes), |code| column.bytes(firsts[code]) == bytes),
            };
            if code == firsts.len() {
                if code == limit {
                    return None;
                }
                firsts.push(value);
            }
            codes.push(code as i64);
        }
        let mut values = Vec::new();
        if kind.fixed_length().is_none() {
            let lengths: Vec<i64> = firsts.iter().map(|&value| column.bytes(value).len() as i64).collect();
            ints::write_all(&lengths, &mut values);
        }
        let data: Vec<u8> = firsts.iter().flat_map(|&value| column.bytes(value)).copied().collect();
        Pile::new(&data).write(&mut values);
        Some(Self { values, distinct: firsts.len(), codes: Integers::choose(codes, ranges) })
    }
}

impl Scheme for Coded {
    fn encoding(&self) -> Encoding {
        Encoding::Dictionary
    }

    fn flags(&self) -> u8 {
        self.codes.flags()
    }

    fn cost(&self) -> usize {
        varint_len(self.distinct as u64 - 1) + self.values.len() + self.codes.cost
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.codes.write_header(out);
        put_varint(self.distinct as u64 - 1, out);
        out.extend_from_slice(&self.values);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        self.codes.write_vector(index, out);
    }
}

/// Indexes by hash, open addressing.
struct Table {
    slots: Vec<u32>,
    shift: u32,
    count: u32,
}

impl Table {
    fn new(limit: usize) -> Self {
        let size = (limit * 2 + 16).next_power_of_two();
        Self { slots: vec![0; size], shift: 64 - size.trailing_zeros(), count: 0 }
    }

    /// The index of what `is` recognises, a new one if there is none.
    #[inline]
    fn find(&mut self, hash: u64, is: impl Fn(usize) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (hash >> self.shift) as usize;
        loop {
            match self.slots[slot & mask] {
                0 => {
                    self.count += 1;
                    self.slots[slot & mask] = self.count;
                    return self.count as usize - 1;
                }
                code if is(code as usize - 1) => return code as usize - 1,
                _ => slot += 1,
            }
        }
    }
}

/// A hash whose high bits depend on all bits.
#[inline]
fn mix(word: u64) -> u64 {
    (word ^ (word >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = bytes.len() as u64;
    for word in words {
        hash = mix(hash.rotate_left(23) ^ u64::from_le_bytes(*word));
    }
    for byte in rest {
        hash = (hash.rotate_left(8) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mix(hash)
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodedHeader<'a> {
    codes: Header<'a>,
    distinct: usize,
    /// The distinct values.
    values: &'a [u8],
}

impl<'a> CodedHeader<'a> {
    /// Reads all of the header, which is what is left of it in `reader`.
    pub(crate) fn read(reader: &mut Reader<'a>, tag: u8) -> Result<Self, Corrupt> {
        let codes = Header::read(reader, tag)?;
        let distinct = reader.at_most(BATCH_ROWS - 1)? + 1;
        Ok(Self { codes, distinct, values: reader.rest() })
    }

    /// True if the vectors share a code.
    pub(crate) fn has_code(&self) -> bool {
        self.codes.has_code()
    }

    /// Reads the indexes of a vector, of which only those that are `wanted` are sure to be there.
    pub(crate) fn read_codes(
        &self,
        reader: &mut Reader,
        count: usize,
        wanted: Range<usize>,
        out: &mut [i64; VECTOR_ROWS],
    ) -> Result<(), Corrupt> {
        self.codes.read_part(reader, count, wanted.clone(), out)?;
        // Negative if any is, or is too large; without comparisons, which few processors make for several integers at once.
        let last = self.distinct as i64 - 1;
        let all = out[wanted].iter().fold(0, |all, &code| all | code | last.wrapping_sub(code));
        if all >= 0 { Ok(()) } else { Err(Corrupt("index of a value")) }
    }

    /// Reads a vector of words, of which only those that are `wanted` are sure to be there.
    pub(crate) fn read_words(
        &self,
        reader: &mut Reader,
        count: usize,
        wanted: Range<usize>,
        out: &mut [i64; VECTOR_ROWS],
    ) -> Result<(), Corrupt> {
        if self.distinct > MAX_WORDS {
            return Err(Corrupt("too many distinct values"));
        }
        let mut values = [0; VECTOR_ROWS];
        ints::read(&mut Reader::new(self.values), self.distinct, None, &mut values)?;
        self.read_codes(reader, count, wanted.clone(), out)?;
        // All indexes are below `distinct`; the mask only tells the compiler.
        out[wanted].iter_mut().for_each(|value| *value = values[*value as usize % VECTOR_ROWS]);
        Ok(())
    }

    /// Appends the distinct byte strings to `arena` and their offsets to `offsets`.
    pub(crate) fn read_values(&self, kind: Kind, arena: &mut Vec<u64>, offsets: &mut Vec<u32>) -> Result<(), Corrupt> {
        let mut reader = Reader::new(self.values);
        let lengths = match kind.fixed_length() {
            Some(length) => vec![length as i64; self.distinct],
            None => ints::read_all(&mut reader, self.distinct)?,
        };
        let data = pile::read(&mut reader, arena::total(&lengths)?)?;
        offsets.reserve(self.distinct);
        arena::push_all(arena, &data, &lengths, kind.fixed_length().is_none(), |_, offset| offsets.push(offset as u32))
    }
}
