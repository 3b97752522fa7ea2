//! Conditions on decoded vectors: which rows meet them, as bits.
//!
//! Bits are words of 64 rows, the first row lowest. Loops have no branches, so that the compiler can use vector instructions.

/// A comparison of a value (left) with a constant (right).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `<>`
    NotEqual,
}

impl Comparison {
    /// Whether it holds, given how the value compares with the constant.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self {
            Self::Less => order == Less,
            Self::LessOrEqual => order != Greater,
            Self::Equal => order == Equal,
            Self::GreaterOrEqual => order != Less,
            Self::Greater => order == Greater,
            Self::NotEqual => order != Equal,
        }
    }

    /// The comparison with both sides exchanged.
    pub fn commuted(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Greater => Self::Less,
            same => same,
        }
    }
}

#[inline(always)]
fn pack(values: &[i64], bits: &mut [u64], holds: impl Fn(i64) -> bool) {
    for (rows, word) in values.chunks(64).zip(bits.iter_mut()) {
        let mut packed = 0;
        for (row, value) in rows.iter().enumerate() {
            packed |= u64::from(holds(*value)) << row;
        }
        *word = packed;
    }
}

/// Compares signed integers; `bits` has a word for each 64 values.
pub fn compare_integers(values: &[i64], comparison: Comparison, constant: i64, bits: &mut [u64]) {
    match comparison {
        Comparison::Less => pack(values, bits, |value| value < constant),
        Comparison::LessOrEqual => pack(values, bits, |value| value <= constant),
        Comparison::Equal => pack(values, bits, |value| value == constant),
        Comparison::GreaterOrEqual => pack(values, bits, |value| value >= constant),
        Comparison::Greater => pack(values, bits, |value| value > constant),
        Comparison::NotEqual => pack(values, bits, |value| value != constant),
    }
}

/// Which integers are among a few constants.
pub fn integers_in(values: &[i64], sorted: &[i64], bits: &mut [u64]) {
    if sorted.len() <= 8 {
        pack(values, bits, |value| sorted.iter().fold(false, |found, constant| found | (value == *constant)));
    } else {
        pack(values, bits, |value| sorted.binary_search(&value).is_ok());
    }
}

/// How PostgreSQL orders floats: NaN equals NaN and is greater than all others (`float8_cmp_internal`).
pub fn order_floats(left: f64, right: f64) -> std::cmp::Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Compares floats, given by `read` from each word, in PostgreSQL's order; `bits` has a word for each 64 values.
#[inline(always)]
fn compare_read(values: &[i64], read: impl Fn(i64) -> f64, comparison: Comparison, constant: f64, bits: &mut [u64]) {
    if constant.is_nan() {
        return pack(values, bits, |value| comparison.holds(order_floats(read(value), constant)));
    }
    // With a constant that is a number, only the comparisons that hold for greater values hold for NaN.
    match comparison {
        Comparison::Less => pack(values, bits, |value| read(value) < constant),
        Comparison::LessOrEqual => pack(values, bits, |value| read(value) <= constant),
        Comparison::Equal => pack(values, bits, |value| read(value) == constant),
        Comparison::GreaterOrEqual => {
            pack(values, bits, |value| !matches!(read(value).partial_cmp(&constant), Some(std::cmp::Ordering::Less)))
        }
        Comparison::Greater => pack(values, bits, |value| {
            let value = read(value);
            (value > constant) | value.is_nan()
        }),
        Comparison::NotEqual => pack(values, bits, |value| read(value) != constant),
    }
}

/// Compares words that are the bits of `f64`.
pub fn compare_doubles(values: &[i64], comparison: Comparison, constant: f64, bits: &mut [u64]) {
    compare_read(values, |word| f64::from_bits(word as u64), comparison, constant, bits);
}

/// Compares words that are the bits of `f32`.
pub fn compare_floats(values: &[i64], comparison: Comparison, constant: f64, bits: &mut [u64]) {
    compare_read(values, |word| f32::from_bits(word as u32).into(), comparison, constant, bits);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Comparison; 6] = [
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Equal,
        Comparison::GreaterOrEqual,
        Comparison::Greater,
        Comparison::NotEqual,
    ];

    #[test]
    fn integers_compare_as_one_by_one() {
        let values: Vec<i64> = (0..130).map(|value| (value * 37) % 11 - 5).collect();
        for comparison in ALL {
            let mut bits = [0; 3];
            compare_integers(&values, comparison, 2, &mut bits);
            for (row, value) in values.iter().enumerate() {
                assert_eq!(bits[row / 64] >> (row % 64) & 1 == 1, comparison.holds(value.cmp(&2)), "{comparison:?} {value}");
            }
        }
        let mut bits = [0; 3];
        integers_in(&values, &[-3, 0, 4], &mut bits);
        assert!(values.iter().enumerate().all(|(row, value)| (bits[row / 64] >> (row % 64) & 1 == 1) == [-3, 0, 4].contains(value)));
    }

    #[test]
    fn floats_compare_in_the_order_of_postgresql() {
        let numbers = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.5, -2.25];
        let doubles: Vec<i64> = numbers.iter().map(|number| number.to_bits() as i64).collect();
        let singles: Vec<i64> = numbers.iter().map(|number| i64::from((*number as f32).to_bits() as i32)).collect();
        for constant in numbers {
            for comparison in ALL {
                let (mut double, mut single) = ([0; 1], [0; 1]);
                compare_doubles(&doubles, comparison, constant, &mut double);
                compare_floats(&singles, comparison, constant, &mut single);
                for (row, number) in numbers.iter().enumerate() {
                    let expected = comparison.holds(order_floats(*number, constant));
                    assert_eq!(double[0] >> row & 1 == 1, expected, "{number} {comparison:?} {constant}");
                    assert_eq!(single[0] >> row & 1 == 1, expected, "{number} {comparison:?} {constant}");
                }
            }
        }
    }

    #[test]
    fn exchanging_sides_twice_changes_nothing() {
        assert!(ALL.iter().all(|comparison| comparison.commuted().commuted() == *comparison));
    }
}
