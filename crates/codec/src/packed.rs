//! Integers as small distances from a base, packed to the same width, but for a few exceptions that are kept apart.
//!
//! Bytes: base (signed), width (one byte; [`PATCHED`] is set if there are exceptions), the packed distances, then the exceptions:
//! their count - 1, the width of their values, their positions in ten bits each, their zigzag distances from the base.
//! All arithmetic wraps, so any 64-bit values will do.

use std::ops::Range;

use crate::bits::{pack, packed_len, unpack, unpack_part};
use crate::wire::{Reader, bit_width, put_signed, put_varint, signed_len, unzigzag, varint_len, zigzag};
use crate::{Corrupt, VECTOR_ROWS};

/// Bit of the width's byte that says that exceptions follow.
const PATCHED: u8 = 0x80;
/// Bits of an exception's position.
const POSITION_BITS: u32 = 10;
/// One of so many values is looked at first.
const SOME: usize = 8;

/// How to pack certain values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packing {
    base: i64,
    width: u32,
    exceptions: usize,
    exception_width: u32,
    /// Bytes that [`Packing::write`] will append.
    pub(crate) cost: usize,
}

impl Packing {
    /// The cheapest way for these values, at most [`VECTOR_ROWS`] of them.
    pub(crate) fn choose(values: &[i64]) -> Self {
        let Some(&first) = values.first() else { return Self { cost: 2, ..Self::default() } };
        let (mut min, mut max) = (first, first);
        for &value in values {
            min = min.min(value);
            max = max.max(value);
        }
        let full = bit_width(max.wrapping_sub(min) as u64);
        let mut best = Self::costed(values.len(), min, full, 0, 0);
        if full == 0 {
            return best;
        }
        let centre = middle(values);
        let mut around = true;
        let mut above = true;
        // Most vectors have no outliers: a look at some values tells, and on which side they are.
        if values.len() > 16 * SOME {
            let mut sample = [0; VECTOR_ROWS / SOME];
            let sample = &mut sample[..values.len().div_ceil(SOME)];
            sample.iter_mut().zip(values.chunks(SOME)).for_each(|(place, some)| *place = some[0]);
            let low = Histogram::above(sample, min).guess(values.len(), full);
            let wide = Histogram::around(sample, centre).guess(values.len(), full);
            above = low < best.cost && low <= wide;
            around = wide < best.cost && wide < low;
        }
        if above {
            best = best.cheaper(&Histogram::above(values, min), values.len(), (min, max), full, |_| min);
        }
        if around {
            let base = |width| centre.wrapping_sub(half(width));
            best = best.cheaper(&Histogram::around(values, centre), values.len(), (min, max), full, base);
        }
        best
    }

    /// This, or a narrower width with exceptions if that is cheaper.
    fn cheaper(self, histogram: &Histogram, count: usize, (min, max): (i64, i64), full: u32, base: impl Fn(u32) -> i64) -> Self {
        let mut best = self;
        let mut exceptions = histogram.wider(full);
        for width in (0..full).rev() {
            exceptions += histogram.count(width + 1);
            // What is kept apart takes more than `width` bits each: so far is the greatest value from the base.
            if packed_len(count, width) + packed_len(exceptions, POSITION_BITS + width) >= best.cost {
                continue;
            }
            let base = base(width);
            let far = |value: i64| value.checked_sub(base).map_or(64, |distance| bit_width(zigzag(distance)));
            let plan = Self::costed(count, base, width, exceptions, far(min).max(far(max)));
            if plan.cost < best.cost {
                best = plan;
            }
        }
        best
    }

    fn costed(count: usize, base: i64, width: u32, exceptions: usize, exception_width: u32) -> Self {
        let cost = signed_len(base) + 1 + packed_len(count, width) + exceptions_cost(exceptions, exception_width);
        Self { base, width, exceptions, exception_width, cost }
    }

    /// Appends the values that this was chosen for.
    pub(crate) fn write(&self, values: &[i64], out: &mut Vec<u8>) {
        put_signed(self.base, out);
        out.push(self.width as u8 | if self.exceptions > 0 { PATCHED } else { 0 });
        pack(values, self.base, self.width, out);
        if self.exceptions == 0 {
            return;
        }
        // Without a branch that a processor could not foresee.
        let mut positions = [0; VECTOR_ROWS + 1];
        let mut count = 0;
        for (at, &value) in values.iter().enumerate() {
            positions[count.min(VECTOR_ROWS)] = at;
            count += usize::from(value.wrapping_sub(self.base) as u64 >> self.width != 0);
        }
        let mut exceptions = Exceptions { width: self.exception_width, ..Exceptions::new(self.base) };
        positions[..count].iter().for_each(|&at| exceptions.push(at, values[at]));
        debug_assert_eq!(exceptions.positions.len(), self.exceptions);
        exceptions.write(out);
    }
}

/// Values of a vector that are kept apart.
#[derive(Debug)]
pub(crate) struct Exceptions {
    base: i64,
    /// Bits of the widest distance, or more.
    width: u32,
    positions: Vec<i64>,
    distances: Vec<i64>,
}

impl Exceptions {
    pub(crate) fn new(base: i64) -> Self {
        Self { base, width: 0, positions: Vec::new(), distances: Vec::new() }
    }

    pub(crate) fn push(&mut self, position: usize, value: i64) {
        let distance = zigzag(value.wrapping_sub(self.base));
        self.width = self.width.max(bit_width(distance));
        self.positions.push(position as i64);
        self.distances.push(distance as i64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Appends the exceptions; nothing if there is none.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        put_varint(self.positions.len() as u64 - 1, out);
        out.push(self.width as u8);
        pack(&self.positions, 0, POSITION_BITS, out);
        pack(&self.distances, 0, self.width, out);
    }
}

/// Bytes that so many exceptions take.
pub(crate) fn exceptions_cost(count: usize, width: u32) -> usize {
    match count {
        0 => 0,
        _ => varint_len(count as u64 - 1) + 1 + packed_len(count, POSITION_BITS) + packed_len(count, width),
    }
}

/// Reads `count` values to the front of `out`; what follows them there is overwritten.
pub(crate) fn read(reader: &mut Reader, count: usize, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    read_part(reader, count, 0..count, out)
}

/// As [`read`], but only those of the `count` values that are `wanted` are sure to be there.
pub(crate) fn read_part(reader: &mut Reader, count: usize, wanted: Range<usize>, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    if count > VECTOR_ROWS {
        return Err(Corrupt("too many values"));
    }
    let base = reader.signed()?;
    let header = reader.byte()?;
    let width = u32::from(header & !PATCHED);
    if width > 64 {
        return Err(Corrupt("width"));
    }
    unpack_part(reader.take(packed_len(count, width))?, count, wanted, width, base, out)?;
    if header & PATCHED != 0 { read_exceptions(reader, count, base, out) } else { Ok(()) }
}

/// Reads what [`Exceptions::write`] wrote for `count` values and puts it where it belongs.
#[inline(never)]
pub(crate) fn read_exceptions(reader: &mut Reader, count: usize, base: i64, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    let exceptions = reader.at_most(count.saturating_sub(1))? + 1;
    let width = u32::from(reader.byte()?);
    if width > 64 {
        return Err(Corrupt("width"));
    }
    let mut positions = [0; VECTOR_ROWS];
    let mut distances = [0; VECTOR_ROWS];
    unpack(reader.take(packed_len(exceptions, POSITION_BITS))?, exceptions, POSITION_BITS, 0, &mut positions)?;
    unpack(reader.take(packed_len(exceptions, width))?, exceptions, width, 0, &mut distances)?;
    for (&position, &distance) in positions[..exceptions].iter().zip(&distances) {
        *out.get_mut(position as usize).ok_or(Corrupt("position"))? = base.wrapping_add(unzigzag(distance as u64));
    }
    Ok(())
}

/// Half of what `width` bits can tell apart.
fn half(width: u32) -> i64 {
    1_i64.checked_shl(width.wrapping_sub(1)).unwrap_or(0)
}

/// Bits that a number takes in two's complement, 0 for 0.
#[inline]
fn signed_width(value: i64) -> u32 {
    if value == 0 { 0 } else { bit_width((value ^ (value >> 63)) as u64) + 1 }
}

/// A value with about as many below as above it.
pub(crate) fn middle(values: &[i64]) -> i64 {
    const SAMPLES: usize = 15;
    let mut sample = [0; SAMPLES];
    for (at, sample) in sample.iter_mut().enumerate() {
        *sample = values[(at * 2 + 1) * values.len() / (SAMPLES * 2)];
    }
    sample.sort_unstable();
    sample[SAMPLES / 2]
}

/// How many values have which width.
struct Histogram([u16; 65]);

impl Histogram {
    /// Of the distances from the least value.
    fn above(values: &[i64], min: i64) -> Self {
        Self::new(values, |value| bit_width(value.wrapping_sub(min) as u64))
    }

    /// Of the distances from a value in the middle, to either side.
    fn around(values: &[i64], centre: i64) -> Self {
        Self::new(values, |value| signed_width(value.wrapping_sub(centre)))
    }

    /// With four counters for each width in turn, because values of the same width follow each other and a processor waits for a counter
    /// that it has just written.
    #[inline(always)]
    fn new(values: &[i64], width: impl Fn(i64) -> u32) -> Self {
        let mut counts = [[0; 65]; 4];
        let (groups, rest) = values.as_chunks::<4>();
        for group in groups {
            for (counts, &value) in counts.iter_mut().zip(group) {
                counts[width(value) as usize] += 1;
            }
        }
        rest.iter().for_each(|&value| counts[0][width(value) as usize] += 1);
        let [mut sums, others @ ..] = counts;
        others.iter().for_each(|counts| sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count));
        Self(sums)
    }

    fn count(&self, width: u32) -> usize {
        usize::from(self.0[width as usize])
    }

    fn wider(&self, width: u32) -> usize {
        self.0[width as usize + 1..].iter().map(|&count| usize::from(count)).sum()
    }

    /// About the cost of the best width for `count` values, if only one of [`SOME`] was counted.
    fn guess(&self, count: usize, full: u32) -> usize {
        let mut exceptions = self.wider(full);
        let mut best = usize::MAX;
        for width in (0..full).rev() {
            exceptions += self.count(width + 1);
            let apart = exceptions * SOME * (POSITION_BITS as usize + 4) / 8;
            // There will not be fewer.
            if apart >= best {
                break;
            }
            best = best.min(packed_len(count, width) + apart);
        }
        best.saturating_add(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> usize {
        let plan = Packing::choose(values);
        let mut bytes = Vec::new();
        plan.write(values, &mut bytes);
        assert_eq!(bytes.len(), plan.cost);
        let mut out = [7; VECTOR_ROWS];
        let mut reader = Reader::new(&bytes);
        read(&mut reader, values.len(), &mut out).unwrap();
        assert_eq!(&out[..values.len()], values);
        assert!(reader.rest().is_empty());
        bytes.len()
    }

    #[test]
    fn outliers_on_either_side_do_not_widen_the_rest() {
        let mut values: Vec<i64> = (0..1024).map(|n| n % 16 + 1000).collect();
        assert_eq!(round_trip(&values), 2 + 1 + 512);
        values[17] = i64::MAX;
        values[18] = i64::MIN;
        values[600] = -1;
        assert!(round_trip(&values) < 680);
        let mut values = vec![5; 1024];
        values[1000] = 6;
        assert!(round_trip(&values) < 10);
    }

    #[test]
    fn a_constant_takes_two_bytes() {
        assert_eq!(round_trip(&[3; 1024]), 2);
        assert_eq!(round_trip(&[]), 2);
    }

    proptest! {
        #[test]
        fn anything_comes_back(values in prop::collection::vec(prop_oneof![8 => -20_i64..20, 1 => any::<i64>(), 1 => Just(i64::MIN)], 0..1024)) {
            round_trip(&values);
        }

        #[test]
        fn wide_values_come_back(values in prop::collection::vec(any::<i64>(), 0..1024), shift in 0_u32..64) {
            round_trip(&values.iter().map(|value| value >> shift).collect::<Vec<_>>());
        }
    }
}
