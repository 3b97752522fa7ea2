//! Floats cut in two: their high bits (exponent, the first of the mantissa, then the sign) change little and go through the integers,
//! their low bits are packed as they are. A `real` is taken as the upper half of 64 bits.
//!
//! The header holds the number of low bits and how many zeros below them are left out. Bytes of a vector: the low bits, the integers.

use std::ops::Range;

use crate::bits::{pack, packed_len, unpack_part};
use crate::ints;
use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::Reader;
use crate::{Corrupt, Kind, VECTOR_ROWS};

/// Floats of a block in two parts.
#[derive(Debug)]
pub(crate) struct Split<'a> {
    words: &'a [i64],
    ranges: &'a Ranges,
    unused: u32,
    low_bits: u32,
    zeros: u32,
    high: Integers<'static>,
    cost: usize,
}

impl<'a> Split<'a> {
    /// None if there is nothing to cut off.
    pub(crate) fn choose(kind: Kind, words: &'a [i64], ranges: &'a Ranges) -> Option<Self> {
        let unused = unused(kind);
        let zeros = words.iter().fold(0, |all, word| all | word << unused).trailing_zeros().min(63);
        let step = words.len().div_ceil(4).max(1);
        let sample: Vec<i64> = words.chunks(step).flat_map(|part| &part[..part.len().min(64)]).map(|word| word << unused).collect();
        let mut room = Vec::with_capacity(sample.len());
        let mut cost = |low_bits: u32| {
            room.clear();
            room.extend(sample.iter().map(|&word| high(word, zeros + low_bits)));
            ints::plan(&room).cost * 8 + sample.len() * low_bits as usize
        };
        // Some cuts first, then those beside the best.
        let mut best = |cuts: &mut dyn Iterator<Item = u32>| cuts.filter(|cut| (1..64 - zeros).contains(cut)).min_by_key(|&cut| cost(cut));
        let coarse = best(&mut (1..64).rev().step_by(5))?;
        let low_bits = best(&mut [coarse, coarse - 1, coarse + 1, coarse.saturating_sub(2), coarse + 2].into_iter())?;
        let high: Vec<i64> = words.iter().map(|&word| high(word << unused, zeros + low_bits)).collect();
        let high = Integers::choose(high, ranges);
        let cost = 2 + high.cost + ranges.iter().map(|range| packed_len(range.len(), low_bits)).sum::<usize>();
        Some(Self { words, ranges, unused, low_bits, zeros, high, cost })
    }
}

/// Bits by which a word is shifted so that its sign is the highest bit.
fn unused(kind: Kind) -> u32 {
    if kind == Kind::Float4 { 32 } else { 0 }
}

/// The bits from `cut` on, the sign moved from their front to their end.
fn high(word: i64, cut: u32) -> i64 {
    (word & i64::MAX) >> cut << 1 | i64::from(word < 0)
}

impl Scheme for Split<'_> {
    fn encoding(&self) -> Encoding {
        Encoding::Split
    }

    fn flags(&self) -> u8 {
        self.high.flags()
    }

    fn cost(&self) -> usize {
        self.cost
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.high.write_header(out);
        out.extend_from_slice(&[self.low_bits as u8, self.zeros as u8]);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        let words = &self.words[self.ranges[index].clone()];
        let mut low = [0; VECTOR_ROWS];
        low.iter_mut().zip(words).for_each(|(low, word)| *low = word << self.unused >> self.zeros);
        pack(&low[..words.len()], 0, self.low_bits, out);
        self.high.write_vector(index, out);
    }
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SplitHeader<'a> {
    high: Header<'a>,
    low_bits: u32,
    zeros: u32,
    unused: u32,
}

impl<'a> SplitHeader<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>, tag: u8, kind: Kind) -> Result<Self, Corrupt> {
        let high = Header::read(reader, tag)?;
        let (low_bits, zeros) = (u32::from(reader.byte()?), u32::from(reader.byte()?));
        if low_bits + zeros > 63 {
            return Err(Corrupt("place of a cut"));
        }
        Ok(Self { high, low_bits, zeros, unused: unused(kind) })
    }

    /// True if the vectors share a code.
    pub(crate) fn has_code(&self) -> bool {
        self.high.has_code()
    }

    /// Reads a vector of `count` values, of which only those that are `wanted` are sure to be there.
    pub(crate) fn read_part(
        &self,
        reader: &mut Reader,
        count: usize,
        wanted: Range<usize>,
        out: &mut [i64; VECTOR_ROWS],
    ) -> Result<(), Corrupt> {
        let mut low = [0; VECTOR_ROWS];
        unpack_part(reader.take(packed_len(count, self.low_bits))?, count, wanted.clone(), self.low_bits, 0, &mut low)?;
        self.high.read_part(reader, count, wanted.clone(), out)?;
        let (low_bits, zeros, unused) = (self.low_bits, self.zeros, self.unused);
        for (value, low) in out[wanted.clone()].iter_mut().zip(&low[wanted]) {
            *value = ((*value >> 1 << low_bits | low) << zeros | *value << 63) >> unused;
        }
        Ok(())
    }
}
