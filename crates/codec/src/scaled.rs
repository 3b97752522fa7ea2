//! The integers of a block: divided by what they have in common, with a code that its vectors share if that pays.
//!
//! In the block's header stand, as [`flags`] say, the base (signed) and the factor, and the code. A value is `base + factor * integer`.

use crate::huffman::{Code, skip_code};
use crate::ints::{self, Flat, Form, Plan, deltas};
use crate::scheme::{Ranges, flags};
use crate::wire::{Reader, put_signed, put_varint, signed_len, varint_len};
use crate::{Corrupt, VECTOR_ROWS};
use std::borrow::Cow;
use std::ops::Range;

/// Integers of a block and how to write them.
#[derive(Debug)]
pub(crate) struct Integers<'a> {
    values: Cow<'a, [i64]>,
    /// What the integers are multiplied by and what is added then, unless that is 1 and 0.
    scale: Option<(i64, u64)>,
    code: Option<Code>,
    /// Which integers each vector has and how it is written.
    vectors: Vec<(Range<usize>, Plan)>,
    /// Bytes of the header and of all vectors.
    pub(crate) cost: usize,
}

impl<'a> Integers<'a> {
    /// The cheapest way for these values, of which each vector holds a range.
    pub(crate) fn choose(values: impl Into<Cow<'a, [i64]>>, ranges: &Ranges) -> Self {
        let mut values = values.into();
        let scale = common_factor(&values);
        if let Some((base, factor)) = scale {
            let divisor = Divisor::new(factor);
            values.to_mut().iter_mut().for_each(|value| *value = divisor.divide(value.wrapping_sub(base) as u64) as i64);
        }
        let vectors: Vec<_> = ranges.iter().map(|range| (range.clone(), ints::plan(&values[range.clone()]))).collect();
        let cost =
            scale.map_or(0, |(base, factor)| signed_len(base) + varint_len(factor)) + vectors.iter().map(|v| v.1.cost).sum::<usize>();
        let mut this = Self { values, scale, code: None, vectors, cost };
        this.consider_code();
        this
    }

    /// Takes a code if it saves a tenth: it is slower to read than packed integers.
    fn consider_code(&mut self) {
        let count = self.values.len();
        let bits = self.cost * 8 / count.max(1);
        if count < 256 || !(1..=8).contains(&bits) {
            return;
        }
        let differ = self.vectors.iter().filter(|(_, plan)| matches!(plan.form, Form::Flat(Flat::Delta | Flat::DeltaDelta, _))).count();
        let by_delta = differ * 2 > self.vectors.len();
        let differences = if by_delta { deltas(&self.values) } else { Vec::new() };
        let symbols = |range: &Range<usize>| match by_delta {
            true => differences.get(range.start..range.end.saturating_sub(1)).unwrap_or_default(),
            false => &self.values[range.clone()],
        };
        let vectors: Vec<&[i64]> = self.vectors.iter().map(|(range, _)| symbols(range)).collect();
        let Some((code, costs)) = Code::choose(&vectors) else { return };
        let mut plans: Vec<Plan> = self.vectors.iter().map(|(_, plan)| *plan).collect();
        let mut saved = 0;
        for ((plan, cost), (range, _)) in plans.iter_mut().zip(costs).zip(&self.vectors) {
            let Some(&first) = self.values[range.clone()].first() else { continue };
            let (form, first_cost) = if by_delta { (Form::CodedDelta, signed_len(first)) } else { (Form::Coded, 0) };
            let cost = 1 + first_cost + cost;
            if cost < plan.cost {
                saved += plan.cost - cost;
                *plan = Plan { form, cost };
            }
        }
        if saved > code.len() + self.cost / 10 {
            self.cost = self.cost + code.len() - saved;
            self.code = Some(code);
            self.vectors.iter_mut().zip(plans).for_each(|(vector, plan)| vector.1 = plan);
        }
    }

    /// The flags of the header.
    pub(crate) fn flags(&self) -> u8 {
        (if self.scale.is_some() { flags::SCALED } else { 0 }) | if self.code.is_some() { flags::CODE } else { 0 }
    }

    /// Appends what belongs in the header.
    pub(crate) fn write_header(&self, out: &mut Vec<u8>) {
        if let Some((base, factor)) = self.scale {
            put_signed(base, out);
            put_varint(factor, out);
        }
        if let Some(code) = &self.code {
            code.put(out);
        }
    }

    /// Appends a vector.
    pub(crate) fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        let (range, plan) = &self.vectors[index];
        let values = &self.values[range.clone()];
        if !values.is_empty() {
            ints::write(values, &plan.form, self.code.as_ref(), out);
        }
    }
}

/// What the header says of the integers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Header<'a> {
    scale: Option<(i64, u64)>,
    code: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Reads what [`Integers::write_header`] wrote.
    pub(crate) fn read(reader: &mut Reader<'a>, tag: u8) -> Result<Self, Corrupt> {
        let scale = if tag & flags::SCALED != 0 { Some((reader.signed()?, reader.varint()?)) } else { None };
        let code = if tag & flags::CODE != 0 { Some(skip_code(reader)?) } else { None };
        Ok(Self { scale, code })
    }

    /// Reads a vector of `count` values to the front of `out`; what follows them there is overwritten.
    pub(crate) fn read_vector(&self, reader: &mut Reader, count: usize, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
        self.read_part(reader, count, 0..count, out)
    }

    /// As [`Self::read_vector`], but only those of the `count` values that are `wanted` are sure to be there.
    pub(crate) fn read_part(
        &self,
        reader: &mut Reader,
        count: usize,
        wanted: Range<usize>,
        out: &mut [i64; VECTOR_ROWS],
    ) -> Result<(), Corrupt> {
        ints::read_part(reader, count, wanted.clone(), self.code, out)?;
        if let Some((base, factor)) = self.scale {
            out[wanted].iter_mut().for_each(|value| *value = base.wrapping_add(value.wrapping_mul(factor as i64)));
        }
        Ok(())
    }

    /// True if the vectors share a code.
    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some()
    }
}

/// The least value, and the greatest common divisor of all distances from it if that is more than 1.
fn common_factor(values: &[i64]) -> Option<(i64, u64)> {
    // Distances from any value have the same divisors as those from the least.
    let first = *values.first()?;
    let mut divisor = Divisor::new(0);
    for some in values.chunks(64) {
        let distances = || some.iter().map(|value| value.abs_diff(first));
        if distances().fold(true, |all, distance| all & divisor.divides(distance)) {
            continue;
        }
        for distance in distances() {
            if !divisor.divides(distance) {
                divisor = Divisor::new(greatest_common_divisor(divisor.factor, distance));
                if divisor.factor == 1 {
                    return None;
                }
            }
        }
    }
    (divisor.factor > 1).then_some((*values.iter().min()?, divisor.factor))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Division without remainder by multiplication: `factor` is `odd << shift`, and `inverse * odd` is 1.
struct Divisor {
    factor: u64,
    shift: u32,
    inverse: u64,
    /// The greatest quotient.
    limit: u64,
}

impl Divisor {
    fn new(factor: u64) -> Self {
        let shift = factor.trailing_zeros() % 64;
        let odd = (factor >> shift).max(1);
        // Each step doubles the bits that are right; three are to begin with.
        let inverse = (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Self { factor, shift, inverse, limit: if factor == 0 { 0 } else { u64::MAX / odd } }
    }

    fn divides(&self, value: u64) -> bool {
        let quotient = (value >> self.shift).wrapping_mul(self.inverse);
        (value >> self.shift << self.shift == value) & (quotient <= self.limit)
    }

    fn divide(&self, value: u64) -> u64 {
        (value >> self.shift).wrapping_mul(self.inverse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_found() {
        assert_eq!(common_factor(&[7, 7]), None);
        assert_eq!(common_factor(&[10, 20, 40]), Some((10, 10)));
        assert_eq!(common_factor(&[-5, 1_000_001 * 6 - 5, -5 + 18]), Some((-5, 6)));
        assert_eq!(common_factor(&[i64::MIN, i64::MAX, -1]), None);
        assert_eq!(common_factor(&[i64::MIN, i64::MAX]), Some((i64::MIN, u64::MAX)));
        assert_eq!(common_factor(&[i64::MIN, 0]), Some((i64::MIN, 1 << 63)));
        assert_eq!(common_factor(&[1, 2, 4]), None);
        for factor in [1, 2, 3, 10, 1_000_000, u64::MAX, 1 << 63, 12_345_678_910] {
            let divisor = Divisor::new(factor);
            for quotient in 0..(u64::MAX / factor).min(100) {
                assert!(divisor.divides(factor * quotient));
                assert_eq!(divisor.divide(factor * quotient), quotient);
                assert_eq!(divisor.divides(factor * quotient + 1), factor == 1);
            }
        }
    }
}
