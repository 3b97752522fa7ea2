//! Small integers as symbols of a Huffman code that all vectors of a block share.
//!
//! Codes have at most [`MAX_BITS`] bits, so one look into a small table yields all the symbols that lie whole in the next byte of the
//! stream: about three for the differences of a measurement that moves by little. The code of a block is its base (signed), the number
//! of symbols - 1, and the length of each symbol's code in four bits, 0 for a symbol that does not occur; codes are canonical, ordered
//! by length, then symbol, and the stream is read from the highest bit of each byte down. Symbol `s` means `base + s`. A vector is
//! two streams, one for each half of it, so that a processor can read both at once: twice the length of the first in bytes, plus 1 if
//! exceptions follow, the length of the second, the streams, and the exceptions as in [`packed`].

use std::ops::Range;

use crate::packed::{self, Exceptions};
use crate::wire::{Reader, bit_width, put_signed, put_varint, signed_len, varint_len, zigzag};
use crate::{Corrupt, VECTOR_ROWS};

/// Bits of a code at most.
const MAX_BITS: usize = 8;
/// Symbols of a code at most.
const MAX_SYMBOLS: usize = 64;
/// Bytes of a stream at most.
const MAX_STREAM: usize = VECTOR_ROWS / 2 * MAX_BITS / 8;

/// A code to write with.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    base: i64,
    /// Length of each symbol's code, 0 if it has none.
    lengths: Vec<u8>,
    /// What to write for each symbol: its code in the highest bits, its length in the lowest. Where there is no code, and in the last
    /// place, which is for values that are no symbols, stands what fills the place of an exception: [`EXCEPTION`] and the shortest code.
    entries: [u64; MAX_SYMBOLS + 1],
}

/// In an entry: this value is an exception.
const EXCEPTION: u64 = 0x100;
/// In an entry: the length of the code.
const LENGTH: u64 = 0xff;
/// In an entry: the code.
const CODE: u64 = 0xff << 56;
/// Symbols that fit into a word besides the bits of a byte begun.
const AT_ONCE: usize = 7;

impl Code {
    /// The best code for all these vectors together, and the bytes that [`write()`] appends for each; none if they are not worth one.
    pub(crate) fn choose(vectors: &[&[i64]]) -> Option<(Self, Vec<usize>)> {
        let mut middles: Vec<i64> = vectors.iter().filter(|values| !values.is_empty()).map(|values| packed::middle(values)).collect();
        middles.sort_unstable();
        let base = middles.get(middles.len() / 2)?.wrapping_sub(MAX_SYMBOLS as i64 / 2);
        let total: usize = vectors.iter().map(|values| values.len()).sum();
        let most_exceptions = total - total / 10 * 9;
        let mut each = Vec::with_capacity(vectors.len());
        let mut counts = [0_u32; MAX_SYMBOLS + 1];
        for values in vectors {
            let of_vector = Counts::new(values, base);
            of_vector.0.iter().for_each(|half| counts.iter_mut().zip(half).for_each(|(count, of_half)| *count += u32::from(*of_half)));
            if counts[MAX_SYMBOLS] as usize > most_exceptions {
                return None;
            }
            each.push(of_vector);
        }
        let counts = &mut counts[..MAX_SYMBOLS];
        // A symbol that is rarer than its code is short costs others more than it saves: it becomes an exception.
        for count in counts.iter_mut() {
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
        let code = Self::new(base.wrapping_add(first as i64), code_lengths(&counts[first..=last]))?;
        let costs = vectors.iter().zip(&each).map(|(values, counts)| code.cost(values, counts, first)).collect();
        Some((code, costs))
    }

    fn new(base: i64, lengths: Vec<u8>) -> Option<Self> {
        let codes = canonical(&lengths)?;
        let entry = |symbol: usize| u64::from(codes[symbol]) << 56 | u64::from(lengths[symbol]);
        let filler = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).min_by_key(|&symbol| lengths[symbol])?;
        let mut entries = [entry(filler) | EXCEPTION; MAX_SYMBOLS + 1];
        (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).for_each(|symbol| entries[symbol] = entry(symbol));
        Some(Self { base, lengths, entries })
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

    /// What to write for a value.
    #[inline(always)]
    fn entry(&self, value: i64) -> u64 {
        self.entries[symbol(value, self.base)]
    }

    /// Bytes that [`write()`] appends for these values; `counts` are theirs, from `first` symbols below the base on.
    fn cost(&self, values: &[i64], counts: &Counts, first: usize) -> usize {
        let mut exceptions = 0;
        let [low, high] = [0, 1].map(|half| {
            let mut bits = 0;
            for (at, &count) in counts.0[half].iter().enumerate() {
                let entry = self.entries[at.checked_sub(first).unwrap_or(MAX_SYMBOLS)];
                bits += usize::from(count) * (entry & LENGTH) as usize;
                exceptions += if entry & EXCEPTION != 0 { usize::from(count) } else { 0 };
            }
            bits.div_ceil(8)
        });
        let mut cost = varint_len(low as u64 * 2) + varint_len(high as u64) + low + high;
        if exceptions > 0 {
            let is_exception = |value: i64| self.entry(value) & EXCEPTION != 0;
            let distance = |value: i64| if is_exception(value) { zigzag(value.wrapping_sub(self.base)) } else { 0 };
            let distances = values.iter().fold(0, |all, &value| all | distance(value));
            cost += packed::exceptions_cost(exceptions, bit_width(distances));
        }
        cost
    }
}

/// The symbol of a value, [`MAX_SYMBOLS`] if it is none.
#[inline(always)]
fn symbol(value: i64, base: i64) -> usize {
    (value.wrapping_sub(base) as u64).min(MAX_SYMBOLS as u64) as usize
}

/// How often each symbol stands in each half of a vector; the last place is for values that are no symbols.
struct Counts([[u16; MAX_SYMBOLS + 1]; 2]);

impl Counts {
    fn new(values: &[i64], base: i64) -> Self {
        // Neighbours are counted apart, because a processor waits for a counter that it has just written.
        let mut even = [[0; MAX_SYMBOLS + 1]; 2];
        let mut odd = [[0; MAX_SYMBOLS + 1]; 2];
        let (low, high) = values.split_at(half(values.len()));
        for (half, values) in [low, high].into_iter().enumerate() {
            let (pairs, rest) = values.as_chunks::<2>();
            for pair in pairs {
                even[half][symbol(pair[0], base)] += 1;
                odd[half][symbol(pair[1], base)] += 1;
            }
            rest.iter().for_each(|&value| even[half][symbol(value, base)] += 1);
        }
        even.iter_mut().zip(&odd).for_each(|(even, odd)| even.iter_mut().zip(odd).for_each(|(even, odd)| *even += odd));
        Self(even)
    }
}

/// Values of the first stream.
fn half(count: usize) -> usize {
    count.div_ceil(2)
}

/// The lengths of an optimal code of at most [`MAX_BITS`] bits (package-merge); 0 where the count is 0.
fn code_lengths(counts: &[u32]) -> Vec<u8> {
    let mut coins: Vec<usize> = (0..counts.len()).filter(|&symbol| counts[symbol] > 0).collect();
    coins.sort_by_key(|&symbol| counts[symbol]);
    let mut weights: Vec<u32> = coins.iter().map(|&symbol| counts[symbol]).collect();
    // Each round merges pairs of what the round before left, and the coins. A bit for each that is a coin.
    let mut rounds = [0_u128; MAX_BITS];
    rounds[0] = u128::MAX;
    for round in &mut rounds[1..] {
        let mut merged = Vec::with_capacity(coins.len() * 2);
        let mut rest = coins.iter().map(|&symbol| counts[symbol]).peekable();
        for pair in weights.as_chunks::<2>().0 {
            let weight = pair[0] + pair[1];
            while let Some(coin) = rest.next_if(|&coin| coin < weight) {
                *round |= 1 << merged.len();
                merged.push(coin);
            }
            merged.push(weight);
        }
        for coin in rest {
            *round |= 1 << merged.len();
            merged.push(coin);
        }
        weights = merged;
    }
    // A symbol's length is the number of rounds in which its coin is needed.
    let mut lengths = vec![0; counts.len()];
    let mut needed = 2 * coins.len() - 2;
    for round in rounds.iter().rev() {
        let of_coins = (round & ((1 << needed) - 1)).count_ones() as usize;
        coins[..of_coins].iter().for_each(|&symbol| lengths[symbol] += 1);
        needed = (needed - of_coins) * 2;
    }
    lengths
}

/// The code of each symbol, in the highest bits; none if the lengths do not make a complete code.
fn canonical(lengths: &[u8]) -> Option<Vec<u8>> {
    let mut codes = vec![0; lengths.len()];
    let mut next = 0_usize;
    for length in 1..=MAX_BITS as u8 {
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, of)| **of == length) {
            // `next` counts in steps of the longest code.
            *code = next as u8;
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
    let (first, second) = values.split_at(half(values.len()));
    let mut streams = [[0; MAX_STREAM + 8]; 2];
    let first_len = write_stream(first, 0, code, &mut exceptions, &mut streams[0]);
    let second_len = write_stream(second, first.len(), code, &mut exceptions, &mut streams[1]);
    put_varint(first_len as u64 * 2 + u64::from(!exceptions.is_empty()), out);
    put_varint(second_len as u64, out);
    out.extend_from_slice(&streams[0][..first_len]);
    out.extend_from_slice(&streams[1][..second_len]);
    exceptions.write(out);
}

/// Writes at most half a vector; returns how many bytes it takes.
fn write_stream(values: &[i64], position: usize, code: &Code, exceptions: &mut Exceptions, stream: &mut [u8; MAX_STREAM + 8]) -> usize {
    // The stream's next bits are the highest of `word`.
    let (mut word, mut filled, mut end) = (0_u64, 0, 0);
    let mut write = |at: usize, values: &[i64]| {
        let mut seen = 0;
        for &value in values {
            let entry = code.entry(value);
            seen |= entry;
            word |= (entry & CODE) >> filled;
            filled += (entry & LENGTH) as u32;
        }
        if seen & EXCEPTION != 0 {
            let kept = values.iter().enumerate().filter(|(_, value)| code.entry(**value) & EXCEPTION != 0);
            kept.for_each(|(after, &value)| exceptions.push(position + at + after, value));
        }
        stream[end..end + 8].copy_from_slice(&word.to_be_bytes());
        end += (filled / 8) as usize;
        word <<= filled & !7;
        filled &= 7;
    };
    let (groups, rest) = values.as_chunks::<AT_ONCE>();
    groups.iter().enumerate().for_each(|(group, values)| write(group * AT_ONCE, values));
    write(groups.len() * AT_ONCE, rest);
    end + usize::from(filled > 0)
}

/// Takes what [`Code::put`] wrote off the front.
pub(crate) fn skip_code<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Corrupt> {
    let whole = reader.rest();
    reader.signed()?;
    let symbols = usize::from(reader.byte()?) + 1;
    reader.take(symbols.div_ceil(2))?;
    Ok(&whole[..whole.len() - reader.rest().len()])
}

/// A code to read with: the symbols that lie whole in a certain number of bits.
struct Table {
    base: i64,
    /// One symbol a byte, the first lowest. What `k` bits hold stands from `1 << k` on.
    symbols: [u64; 2 << MAX_BITS],
    /// How many bits these symbols take, plus their number times 256.
    sizes: [u16; 2 << MAX_BITS],
}

impl Table {
    /// Reads what [`Code::put`] wrote, into a table of zeros: it is too large to be moved about.
    fn read(&mut self, reader: &mut Reader) -> Result<(), Corrupt> {
        self.base = reader.signed()?;
        let symbols = usize::from(reader.byte()?) + 1;
        if symbols > MAX_SYMBOLS {
            return Err(Corrupt("too many symbols"));
        }
        let mut lengths: Vec<u8> = reader.take(symbols.div_ceil(2))?.iter().flat_map(|pair| [pair & 15, pair >> 4]).collect();
        lengths.truncate(symbols);
        let codes = canonical(&lengths).ok_or(Corrupt("code"))?;
        for bits in 1..=MAX_BITS {
            // `bits` bits that begin with a symbol hold it and what the bits after it hold.
            let (shorter, level) = self.symbols.split_at_mut(1 << bits);
            let (shorter_sizes, level_sizes) = self.sizes.split_at_mut(1 << bits);
            for (symbol, (&code, &length)) in codes.iter().zip(&lengths).enumerate() {
                let length = usize::from(length);
                if length == 0 || length > bits {
                    continue;
                }
                let (from, count) = (usize::from(code) >> (MAX_BITS - bits), 1 << (bits - length));
                let sizes = level_sizes[from..from + count].iter_mut().zip(&shorter_sizes[count..2 * count]);
                sizes.for_each(|(place, rest)| *place = rest + 0x100 + length as u16);
                let symbols = level[from..from + count].iter_mut().zip(&shorter[count..2 * count]);
                symbols.for_each(|(place, rest)| *place = rest << 8 | symbol as u64);
            }
        }
        Ok(())
    }
}

/// Half of a vector while it is read.
struct Stream {
    /// The stream, then zeros.
    bytes: [u8; MAX_STREAM + 16],
    bit: usize,
    symbols: [u8; VECTOR_ROWS / 2 + (LOOKS + 1) * 8],
    count: usize,
}

/// Looks into the table for each word of a stream: each takes at most eight bits and yields at least one symbol.
const LOOKS: usize = 7;

impl Stream {
    fn new(bytes: &[u8]) -> Self {
        let mut padded = [0; MAX_STREAM + 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        Self { bytes: padded, bit: 0, symbols: [0; VECTOR_ROWS / 2 + (LOOKS + 1) * 8], count: 0 }
    }

    /// The bits that come next, in the highest.
    #[inline(always)]
    fn word(&self) -> u64 {
        match self.bytes.get(self.bit / 8..).and_then(|rest| rest.first_chunk()) {
            Some(word) => u64::from_be_bytes(*word) << (self.bit % 8),
            None => 0,
        }
    }

    /// Takes symbols off the front of a word.
    #[inline(always)]
    fn look(&mut self, symbols: &[u64], sizes: &[u16], word: &mut u64) {
        let look = (*word >> 56) as usize;
        let size = sizes[look];
        if let Some(place) = self.symbols.get_mut(self.count..self.count + 8) {
            place.copy_from_slice(&symbols[look].to_le_bytes());
        }
        self.count += usize::from(size >> 8);
        *word <<= size & 0x3f;
        self.bit += usize::from(size & 0x3f);
    }
}

/// Reads a vector of `count` values to the front of `out`, of which only those that are `wanted` are sure to be there; `code` is what
/// [`Code::put`] wrote.
pub(crate) fn read(
    reader: &mut Reader,
    count: usize,
    wanted: Range<usize>,
    code: Option<&[u8]>,
    out: &mut [i64; VECTOR_ROWS],
) -> Result<(), Corrupt> {
    let mut table = Table { base: 0, symbols: [0; 2 << MAX_BITS], sizes: [0; 2 << MAX_BITS] };
    table.read(&mut Reader::new(code.ok_or(Corrupt("no code"))?))?;
    let header = reader.at_most(MAX_STREAM * 2 + 1)?;
    let second_len = reader.at_most(MAX_STREAM)?;
    let mut first = Stream::new(reader.take(header / 2)?);
    let mut second = Stream::new(reader.take(second_len)?);
    let (symbols, sizes) = (&table.symbols[1 << MAX_BITS..], &table.sizes[1 << MAX_BITS..]);
    let split = half(count);
    let end = wanted.end.min(count);
    let of_first = if wanted.start < split { end.min(split) } else { 0 };
    let of_second = end.saturating_sub(split);
    while first.count < of_first && second.count < of_second {
        let (mut a, mut b) = (first.word(), second.word());
        for _ in 0..LOOKS {
            first.look(symbols, sizes, &mut a);
            second.look(symbols, sizes, &mut b);
        }
    }
    for (stream, count) in [(&mut first, of_first), (&mut second, of_second)] {
        while stream.count < count {
            let mut word = stream.word();
            for _ in 0..LOOKS {
                stream.look(symbols, sizes, &mut word);
            }
        }
    }
    let (low, high) = out.split_at_mut(split);
    for (half, stream) in [(&mut low[..of_first], &first), (&mut high[..of_second], &second)] {
        half.iter_mut().zip(&stream.symbols).for_each(|(place, &symbol)| *place = table.base.wrapping_add(i64::from(symbol)));
    }
    if header & 1 == 1 { packed::read_exceptions(reader, count, table.base, out) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> Option<usize> {
        let (code, costs) = Code::choose(&[values])?;
        let (mut header, mut bytes) = (Vec::new(), Vec::new());
        code.put(&mut header);
        assert_eq!(header.len(), code.len());
        write(values, Some(&code), &mut bytes);
        assert_eq!(costs, [bytes.len()]);
        let mut out = [0; VECTOR_ROWS];
        read(&mut Reader::new(&bytes), values.len(), 0..values.len(), Some(&header), &mut out).unwrap();
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
            assert!(read(&mut Reader::new(&[2, 0, 0]), 8, 0..8, Some(&[0, 3, lengths[0], lengths[1]]), &mut out).is_err());
        }
        assert!(read(&mut Reader::new(&[2, 0, 0]), 8, 0..8, Some(&[0, 1, 0x11]), &mut out).is_ok());
        assert!(read(&mut Reader::new(&[2, 0, 0]), 8, 0..8, Some(&[0, 64, 0x11]), &mut out).is_err());
        assert!(read(&mut Reader::new(&[2, 0, 0]), 8, 0..8, None, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn anything_comes_back(values in prop::collection::vec(
            prop_oneof![80 => -2_i64..3, 20 => -10_i64..10, 1 => any::<i64>()], 1..1024)) {
            round_trip(&values);
        }
    }
}
