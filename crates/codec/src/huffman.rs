//! Small integers as symbols of a Huffman code that all vectors of a block share.
//!
//! Codes have at most [`MAX_BITS`] bits, so one look into a small table yields all the symbols that lie whole in the next byte of the
//! stream: about three for the differences of a measurement that moves by little. The code of a block is its base (signed), the number
//! of symbols - 1, and the length of each symbol's code in four bits, 0 for a symbol that does not occur; codes are canonical, ordered
//! by length, then symbol, and written lowest bit first, the code's highest bit lowest. Symbol `s` means `base + s`. A vector is
//! twice the length of its stream in bytes, plus 1 if exceptions follow, the stream, and the exceptions as in [`packed`].

use crate::packed::{self, Exceptions};
use crate::wire::{Reader, put_signed, put_varint, signed_len, varint_len};
use crate::{Corrupt, VECTOR_ROWS};

/// Bits of a code at most.
const MAX_BITS: usize = 8;
/// Symbols of a code at most.
const MAX_SYMBOLS: usize = 64;
/// Bytes of the stream of a vector at most.
const MAX_STREAM: usize = VECTOR_ROWS * MAX_BITS / 8;

/// A code to write with.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    base: i64,
    /// Length of each symbol's code, 0 if it has none.
    lengths: Vec<u8>,
    /// Each symbol's code, first bit lowest.
    codes: Vec<u8>,
    /// What stands in the stream for an exception: the symbol of the shortest code.
    filler: usize,
}

impl Code {
    /// The best code for all these values together; none if they are not worth one.
    pub(crate) fn choose(vectors: &[Vec<i64>]) -> Option<Self> {
        let mut middles: Vec<i64> = vectors.iter().filter(|values| !values.is_empty()).map(|values| packed::middle(values)).collect();
        middles.sort_unstable();
        let base = middles.get(middles.len() / 2)?.wrapping_sub(MAX_SYMBOLS as i64 / 2);
        let mut counts = [0_u32; MAX_SYMBOLS];
        let mut total = 0;
        for values in vectors {
            total += values.len();
            for value in values {
                if let Some(count) = counts.get_mut(value.wrapping_sub(base) as u64 as usize) {
                    *count += 1;
                }
            }
        }
        // A symbol that is rarer than its code is short costs others more than it saves: it becomes an exception.
        for count in &mut counts {
            if *count as usize * 1024 < total {
                *count = 0;
            }
        }
        let first = counts.iter().position(|&count| count > 0)?;
        let last = counts.iter().rposition(|&count| count > 0)?;
        let coded: u32 = counts.iter().sum();
        if first == last || (coded as usize) < total / 10 * 9 {
            return None;
        }
        let lengths = code_lengths(&counts[first..=last]);
        let codes = canonical(&lengths)?;
        let filler = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).min_by_key(|&symbol| lengths[symbol])?;
        Some(Self { base: base.wrapping_add(first as i64), lengths, codes, filler })
    }

    /// Bytes that [`Self::put`] appends.
    pub(crate) fn len(&self) -> usize {
        signed_len(self.base) + 1 + self.lengths.len().div_ceil(2)
    }

    /// Appends the code itself.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_signed(self.base, out);
        out.push(self.lengths.len() as u8 - 1);
        out.extend(self.lengths.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 4));
    }

    /// The symbol of a value, if it has one.
    #[inline]
    fn symbol(&self, value: i64) -> Option<usize> {
        let symbol = value.wrapping_sub(self.base) as u64;
        (symbol < self.lengths.len() as u64 && self.lengths[symbol as usize] > 0).then_some(symbol as usize)
    }

    /// Bytes that [`write`] appends for these values.
    pub(crate) fn cost(&self, values: &[i64]) -> usize {
        let mut exceptions = Exceptions::new(self.base);
        let mut bits = 0;
        for (at, &value) in values.iter().enumerate() {
            let symbol = self.symbol(value).unwrap_or_else(|| {
                exceptions.push(at, value);
                self.filler
            });
            bits += usize::from(self.lengths[symbol]);
        }
        varint_len(bits.div_ceil(8) as u64 * 2) + bits.div_ceil(8) + exceptions.cost()
    }
}

/// The lengths of an optimal code of at most [`MAX_BITS`] bits (package-merge); 0 where the count is 0.
fn code_lengths(counts: &[u32]) -> Vec<u8> {
    // A package is a weight and the symbols in it.
    let mut coins: Vec<(u32, Vec<usize>)> =
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(symbol, &count)| (count, vec![symbol])).collect();
    coins.sort_by_key(|coin| coin.0);
    let mut packages = coins.clone();
    for _ in 1..MAX_BITS {
        let pairs = packages.chunks_exact(2).map(|pair| (pair[0].0 + pair[1].0, [pair[0].1.as_slice(), &pair[1].1].concat()));
        let mut merged: Vec<(u32, Vec<usize>)> = pairs.chain(coins.iter().cloned()).collect();
        merged.sort_by_key(|package| package.0);
        packages = merged;
    }
    let mut lengths = vec![0; counts.len()];
    for (_, symbols) in packages.iter().take(2 * coins.len() - 2) {
        for &symbol in symbols {
            lengths[symbol] += 1;
        }
    }
    lengths
}

/// The code of each symbol, its first bit lowest; none if the lengths do not make a complete code.
fn canonical(lengths: &[u8]) -> Option<Vec<u8>> {
    let mut codes = vec![0; lengths.len()];
    let mut next = 0_usize;
    for length in 1..=MAX_BITS as u8 {
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, of)| **of == length) {
            // `next` counts in steps of the longest code.
            *code = (next as u8).reverse_bits();
            next += 1 << (MAX_BITS as u8 - length);
            if next > 1 << MAX_BITS {
                return None;
            }
        }
    }
    (next == 1 << MAX_BITS && lengths.iter().all(|&length| usize::from(length) <= MAX_BITS)).then_some(codes)
}

/// Appends a vector.
pub(crate) fn write(values: &[i64], code: Option<&Code>, out: &mut Vec<u8>) {
    let Some(code) = code else { return };
    let mut exceptions = Exceptions::new(code.base);
    let mut stream = Vec::with_capacity(MAX_STREAM + 8);
    let (mut word, mut filled) = (0_u64, 0);
    for (at, &value) in values.iter().enumerate() {
        let symbol = code.symbol(value).unwrap_or_else(|| {
            exceptions.push(at, value);
            code.filler
        });
        word |= u64::from(code.codes[symbol]) << filled;
        filled += usize::from(code.lengths[symbol]);
        if filled > 56 {
            stream.extend_from_slice(&word.to_le_bytes()[..7]);
            word >>= 56;
            filled -= 56;
        }
    }
    stream.extend_from_slice(&word.to_le_bytes()[..filled.div_ceil(8)]);
    put_varint(stream.len() as u64 * 2 + u64::from(!exceptions.is_empty()), out);
    out.extend_from_slice(&stream);
    exceptions.write(out);
}

/// Takes what [`Code::put`] wrote off the front.
pub(crate) fn skip_code<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Corrupt> {
    let whole = reader.rest();
    reader.signed()?;
    let symbols = usize::from(reader.byte()?) + 1;
    reader.take(symbols.div_ceil(2))?;
    Ok(&whole[..whole.len() - reader.rest().len()])
}

/// The symbols that begin and end in certain bits.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// One a byte, the first lowest.
    symbols: u64,
    count: u8,
    bits: u8,
}

/// A code to read with.
struct Table {
    base: i64,
    entries: [Entry; 1 << MAX_BITS],
}

impl Table {
    /// Reads what [`Code::put`] wrote.
    fn read(reader: &mut Reader) -> Result<Self, Corrupt> {
        let base = reader.signed()?;
        let symbols = usize::from(reader.byte()?) + 1;
        if symbols > MAX_SYMBOLS {
            return Err(Corrupt("too many symbols"));
        }
        let mut lengths: Vec<u8> = reader.take(symbols.div_ceil(2))?.iter().flat_map(|pair| [pair & 15, pair >> 4]).collect();
        lengths.truncate(symbols);
        let codes = canonical(&lengths).ok_or(Corrupt("code"))?;
        // The first symbol of each byte.
        let mut first = [(0_u8, 0_u8); 1 << MAX_BITS];
        for (symbol, (&code, &length)) in codes.iter().zip(&lengths).enumerate().filter(|(_, (_, length))| **length > 0) {
            for place in first[usize::from(code)..].iter_mut().step_by(1 << length) {
                *place = (symbol as u8, length);
            }
        }
        // What lies whole in `k` bits is a symbol and what lies whole in the bits after it. Level `k` begins at `1 << k`.
        let mut levels = [Entry::default(); 2 << MAX_BITS];
        for bits in 1..=MAX_BITS {
            for at in 0..1 << bits {
                let (symbol, length) = first[at];
                let Some(left) = bits.checked_sub(length.into()) else { continue };
                let rest = levels[(1 << left) + (at >> length)];
                levels[(1 << bits) + at] =
                    Entry { symbols: rest.symbols << 8 | u64::from(symbol), count: rest.count + 1, bits: rest.bits + length };
            }
        }
        let mut entries = [Entry::default(); 1 << MAX_BITS];
        entries.copy_from_slice(&levels[1 << MAX_BITS..]);
        Ok(Self { base, entries })
    }
}

/// Reads a vector of `count` values to the front of `out`; `code` is what [`Code::put`] wrote.
pub(crate) fn read(reader: &mut Reader, count: usize, code: Option<&[u8]>, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    /// Looks into the table for each word of the stream.
    const LOOKS: usize = 7;
    let table = Table::read(&mut Reader::new(code.ok_or(Corrupt("no code"))?))?;
    let header = reader.at_most(MAX_STREAM * 2 + 1)?;
    let stream = reader.take(header / 2)?;
    let mut padded = [0; MAX_STREAM + 64];
    padded[..stream.len()].copy_from_slice(stream);
    let mut symbols = [0; VECTOR_ROWS + (LOOKS + 1) * 8];
    let (mut at, mut bit) = (0, 0);
    while at < count {
        // Each look yields at least one symbol and takes at most eight bits.
        let Some(word) = padded.get(bit / 8..).and_then(|rest| rest.first_chunk()) else { return Err(Corrupt("too short")) };
        let mut word = u64::from_le_bytes(*word) >> (bit % 8);
        for _ in 0..LOOKS {
            let entry = &table.entries[(word & 0xff) as usize];
            if let Some(place) = symbols.get_mut(at..at + 8) {
                place.copy_from_slice(&entry.symbols.to_le_bytes());
            }
            at += usize::from(entry.count);
            word >>= entry.bits;
            bit += usize::from(entry.bits);
        }
    }
    for (place, &symbol) in out.iter_mut().zip(&symbols[..count]) {
        *place = table.base.wrapping_add(i64::from(symbol));
    }
    if header & 1 == 1 { packed::read_exceptions(reader, count, table.base, out) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> Option<usize> {
        let code = Code::choose(&[values.to_vec()])?;
        let (mut header, mut bytes) = (Vec::new(), Vec::new());
        code.put(&mut header);
        assert_eq!(header.len(), code.len());
        write(values, Some(&code), &mut bytes);
        assert_eq!(bytes.len(), code.cost(values));
        let mut out = [0; VECTOR_ROWS];
        read(&mut Reader::new(&bytes), values.len(), Some(&header), &mut out).unwrap();
        assert_eq!(&out[..values.len()], values);
        Some(bytes.len() + header.len())
    }

    #[test]
    fn a_skewed_alphabet_takes_little_more_than_its_entropy() {
        // 0 half of the time, 1 a quarter ...: two bits a value.
        let values: Vec<i64> = (1..1024_i64).map(|n| i64::from(n.trailing_zeros()) - 3).collect();
        let bytes = round_trip(&values).unwrap();
        assert!(bytes < 1024 * 2 / 8 + 24, "{bytes}");
    }

    #[test]
    fn lengths_that_make_no_code_are_refused() {
        let mut out = [0; VECTOR_ROWS];
        for lengths in [[0x11, 0x01], [0x01, 0], [0x21, 0], [0xff, 0xff], [0x99, 0x99]] {
            assert!(read(&mut Reader::new(&[2, 0]), 8, Some(&[0, 3, lengths[0], lengths[1]]), &mut out).is_err());
        }
        assert!(read(&mut Reader::new(&[2, 0]), 8, Some(&[0, 1, 0x11]), &mut out).is_ok());
        assert!(read(&mut Reader::new(&[2, 0]), 8, Some(&[0, 64, 0x11]), &mut out).is_err());
        assert!(read(&mut Reader::new(&[2, 0]), 8, None, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn anything_comes_back(values in prop::collection::vec(
            prop_oneof![80 => -2_i64..3, 20 => -10_i64..10, 1 => any::<i64>()], 1..1024)) {
            round_trip(&values);
        }
    }
}
