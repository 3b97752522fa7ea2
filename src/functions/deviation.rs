//! Variance and standard deviation of groups that are made of smaller ones: what `cagg::parts` merges them with.
//!
//! Floats: the state is that of PostgreSQL's aggregates (count, sum, sum of squared deviations from the mean), so that its own functions
//! combine and finish. Integers: from exact sums, in the steps of `numeric_stddev_internal`, so that each digit and the scale are those
//! of PostgreSQL's aggregates. Numeric: the sums may have more digits than a value of the type can have, so the state of PostgreSQL's
//! aggregates is kept, as the bytes that workers of a parallel query hand over.

use std::cmp::Ordering;

use pgrx::pg_sys;

use crate::error::{Error, SqlState};
use crate::pg::aggregate::put_bytes;
use crate::pg::numeric::Numeric;

/// The first byte of what is kept of numeric's aggregates: PostgreSQL 14 to 18 give the same bytes for a state, and another version's
/// would have to be told apart.
const MOMENTS_OF_14: u8 = 1;

sql_function!(
    /// The sum of squared deviations of a state of float8's aggregates; NULL without values.
    tsc_squared_deviations_final,
    |args| -> f64 {
        args.state_context()?;
        Ok(args.float8_state(0)?.and_then(|[count, _, squares]| (count > 0.0).then_some(squares)))
    }
);

sql_function!(
    /// Takes in a group: (state, count, sum, sum of squared deviations).
    tsc_deviation_merge,
    |args| -> pg_sys::Datum {
        args.state_context()?;
        match (args.get::<i64>(1), args.get(2), args.get(3)) {
            (Some(count), Some(sum), Some(squares)) => Ok(args.combine_float8_state(0, [count as f64, sum, squares])),
            // A group without values.
            _ => Ok(args.datum(0)),
        }
    }
);

sql_function!(
    /// (count, sum, sum of squares, of a sample?, its root?)
    tsc_numeric_deviation,
    |args| -> pg_sys::Datum {
        let number = |index| args.datum(index).map(Numeric::from_datum);
        let (Some(count), Some(sum), Some(squares)) = (number(0), number(1), number(2)) else { return Ok(None) };
        let (sample, root) = (args.get_or(3, true), args.get_or(4, false));
        if count.compare(Numeric::from_integer(i64::from(sample))) != Ordering::Greater {
            return Ok(None);
        }
        let numerator = count.times(squares).minus(sum.times(sum));
        if numerator.is_nan() {
            return Ok(Some(numerator.datum()));
        }
        if numerator.compare(Numeric::from_integer(0)) != Ordering::Greater {
            return Ok(Some(Numeric::from_integer(0).datum()));
        }
        let others = if sample { count.minus(Numeric::from_integer(1)) } else { count };
        let variance = numerator.over(count.times(others));
        if !root {
            return Ok(Some(variance.datum()));
        }
        // The root of a number is no closer to the middle between two neighbours than the square of the middle is to the number: with
        // these digits rounding twice gives what rounding once does.
        let scale = variance.scale();
        Ok(Some(variance.round(2 * scale + 20).sqrt().round(scale).datum()))
    }
);

sql_function!(
    /// What is kept of a state of numeric's aggregates; NULL without rows.
    tsc_numeric_moments_final,
    |args| -> pg_sys::Datum {
        let Some(bytes) = args.numeric_state_bytes(0)? else { return Ok(None) };
        let (kept, start) = put_bytes(bytes.len() + 1);
        // SAFETY: as many bytes were allocated.
        unsafe {
            start.write(MOMENTS_OF_14);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(1), bytes.len());
        }
        Ok(Some(kept))
    }
);

sql_function!(
    /// Takes in what is kept of a group: (state, bytes).
    tsc_numeric_moments_merge,
    |args| -> pg_sys::Datum {
        args.state_context()?;
        let Some(kept) = args.bytes(1) else { return Ok(args.datum(0)) };
        match kept.split_first() {
            // SAFETY: they have been looked through.
            Some((&MOMENTS_OF_14, bytes)) if are_moments(bytes) => unsafe { args.combine_numeric_state(0, bytes) },
            _ => Err(Error::new(SqlState("22P03"), "these bytes are not the moments of a group of numeric values")),
        }
    }
);

/// Whether bytes are those of a state of numeric's aggregates, such that PostgreSQL can read it without harm: anyone may call the
/// aggregates with bytes of their own.
fn are_moments(bytes: &[u8]) -> bool {
    let mut rest = Rest(bytes);
    // Count; sum; sum of squares; greatest scale, and of how many; NaNs and infinities.
    let mut read = || -> Option<()> {
        rest.count()?;
        rest.number(&SUM)?;
        rest.number(&SUM_OF_SQUARES)?;
        rest.integer().filter(|scale| (0..=SUM.scale).contains(scale))?;
        (0..4).try_for_each(|_| rest.count().map(drop))
    };
    read().is_some() && rest.0.is_empty()
}

/// What a number may have at most. PostgreSQL multiplies them in a loop over the digits of both that can't be cancelled.
struct Most {
    /// Digits, each of four decimals, and so many before or behind the decimal point.
    digits: i32,
    /// Decimals behind the point.
    scale: i32,
}

/// More than a sum of values has: of a value 131072 decimals are before the point, and 16383 behind it.
const SUM: Most = Most { digits: 40_000, scale: 16_383 };

/// Squares have twice as many.
const SUM_OF_SQUARES: Most = Most { digits: 2 * SUM.digits, scale: 2 * SUM.scale };

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn integer(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn count(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes).filter(|count| *count >= 0)
    }

    /// Its number of digits, each of four decimals; the weight of the first; sign; scale; the digits.
    fn number(&mut self, most: &Most) -> Option<()> {
        let digits = self.integer().filter(|digits| (0..=most.digits).contains(digits))?;
        self.integer().filter(|weight| (-most.digits..=most.digits).contains(weight))?;
        self.integer().filter(|sign| [POSITIVE, NEGATIVE].contains(sign))?;
        self.integer().filter(|scale| (0..=most.scale).contains(scale))?;
        (0..digits).try_for_each(|_| self.take().map(u16::from_be_bytes).filter(|digit| *digit < 10_000).map(drop))
    }
}

const POSITIVE: i32 = 0;
const NEGATIVE: i32 = 0x4000;

#[cfg(test)]
mod tests {
    use super::are_moments;

    /// The state of one value of one digit.
    fn state(digit: u16, sign: i32, weight: i32) -> Vec<u8> {
        let number = |sign: i32| {
            let head = [1, weight, sign, 0].into_iter().flat_map(i32::to_be_bytes);
            head.chain(digit.to_be_bytes()).collect::<Vec<u8>>()
        };
        let counts = [1_i64, 0, 0, 0].into_iter().flat_map(i64::to_be_bytes);
        1_i64.to_be_bytes().into_iter().chain(number(sign)).chain(number(0)).chain([0; 4]).chain(counts).collect()
    }

    #[test]
    fn test_only_numbers_as_long_as_those_of_values_are_taken() {
        let of = |sum: usize, squares: usize| {
            let number = |digits: usize| {
                let head = [digits as i32, 0, 0, 0].into_iter().flat_map(i32::to_be_bytes);
                head.chain((0..digits).flat_map(|_| [0, 1])).collect::<Vec<u8>>()
            };
            let counts = [1_i64, 0, 0, 0].into_iter().flat_map(i64::to_be_bytes);
            1_i64.to_be_bytes().into_iter().chain(number(sum)).chain(number(squares)).chain([0; 4]).chain(counts).collect::<Vec<u8>>()
        };
        assert!(are_moments(&of(40_000, 80_000)));
        assert!(!are_moments(&of(40_001, 1)));
        assert!(!are_moments(&of(1, 80_001)));
    }

    #[test]
    fn test_moments_are_told_from_other_bytes() {
        let good = state(7, 0x4000, -3);
        assert!(are_moments(&good));
        for cut in 0..good.len() {
            assert!(!are_moments(&good[..cut]), "{cut} bytes");
        }
        assert!(!are_moments(&[&good[..], &[0]].concat()));
        assert!(!are_moments(&state(10_000, 0, 0)));
        assert!(!are_moments(&state(7, 0xC000, 0)));
        assert!(!are_moments(&state(7, 0, i32::MIN)));
        assert!(!are_moments(&state(7, 0, 1 << 30)));
    }
}
