//! Ranges of positions, rounded.

use tsc_kernel::ranges::Range;

/// A range widened to multiples of `grain` since `origin`. What would lie beyond the axis is unbounded.
pub fn outward(range: Range, grain: i64, origin: i64) -> Range {
    let grain = grain.max(1);
    // 128 bits are needed near the ends of the axis only.
    let floor = |at: i64| at.checked_sub(origin).and_then(|since| at.checked_sub(since.rem_euclid(grain)));
    if range.low == range.high
        && let Some(low) = floor(range.low)
        && let Some(high) = low.checked_add(grain - 1)
    {
        return Range { low, high };
    }
    let grain = i128::from(grain);
    let floor = |at: i64| (i128::from(at) - i128::from(origin)).div_euclid(grain) * grain + i128::from(origin);
    let low = i64::try_from(floor(range.low)).unwrap_or(i64::MIN);
    let high = i64::try_from(floor(range.high) + grain - 1).unwrap_or(i64::MAX);
    Range { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_outward_reaches_whole_grains() {
        assert_eq!(outward(Range { low: 12, high: 12 }, 10, 0), Range { low: 10, high: 19 });
        assert_eq!(outward(Range { low: -1, high: 10 }, 10, 0), Range { low: -10, high: 19 });
        assert_eq!(outward(Range { low: 12, high: 12 }, 10, 3), Range { low: 3, high: 12 });
    }

    #[test]
    fn test_outward_ends_where_the_axis_does() {
        assert_eq!(outward(Range::ALL, 10, 3), Range::ALL);
        assert_eq!(outward(Range { low: i64::MAX, high: i64::MAX }, 10, 0), Range { low: i64::MAX - 7, high: i64::MAX });
        assert_eq!(outward(Range { low: i64::MAX, high: i64::MAX }, i64::MAX, 2), Range { low: 2, high: i64::MAX });
        assert_eq!(outward(Range { low: i64::MIN, high: i64::MIN }, 7, 2).low, i64::MIN);
    }
}
