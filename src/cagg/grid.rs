//! Whether each bucket of one rule lies in one bucket of another: the boundaries of both, as distances from a point of time.

use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::bucket::TimeBucket;
use tsc_kernel::civil::Civil;
use tsc_kernel::span::Span;
use tsc_kernel::zoned::Clock;

use super::bucket::{Bucket, Width};
use crate::pg::datetime::NamedZone;

/// Where the boundaries of buckets are, on the clocks that the rule goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// At `phase` and all multiples of `width` from there, in positions.
    Fixed { width: i64, phase: i64 },
    /// At the start of month number `phase` and each `months` months from there.
    Months { months: i64, phase: i64 },
}

/// A day in positions.
pub fn day(axis: Axis) -> i64 {
    if axis == Axis::Date { 1 } else { DAY_MICROS }
}

fn month_at(position: i64, axis: Axis) -> i64 {
    Civil::from_days(position.div_euclid(day(axis))).month_index()
}

impl Grid {
    /// The boundaries of a rule on its own clocks; None if there is no such simple account of them.
    pub fn of(bucket: &Bucket) -> Option<Self> {
        let start = match &bucket.zone {
            None => bucket.start(0),
            Some(zone) => {
                let width = match bucket.width {
                    Width::Fixed(micros) => Span { months: 0, days: 0, micros },
                    Width::Months(months) => Span { months: i32::try_from(months).ok()?, days: 0, micros: 0 },
                };
                let origin = bucket.origin.map(|origin| NamedZone::new(Some(zone)).to_local(origin));
                TimeBucket::new(width, origin, bucket.offset).ok()?.start(0).ok()?
            }
        };
        match bucket.width {
            Width::Fixed(width) => Some(Self::Fixed { width, phase: start.rem_euclid(width) }),
            // Moved by an offset, months don't begin with a day of the calendar's.
            Width::Months(_) if bucket.offset.is_some() => None,
            Width::Months(months) => Some(Self::Months { months, phase: month_at(start, bucket.axis).rem_euclid(months) }),
        }
    }

    /// Whether each bucket of `finer` lies in one of these.
    pub fn is_coarser(self, finer: Self, axis: Axis) -> bool {
        match (self, finer) {
            (Self::Fixed { width, phase }, Self::Fixed { width: small, phase: at }) => width % small == 0 && (phase - at) % small == 0,
            (Self::Months { .. }, Self::Fixed { width, phase }) => day(axis) % width == 0 && phase % width == 0,
            (Self::Months { months, phase }, Self::Months { months: small, phase: at }) => months % small == 0 && (phase - at) % small == 0,
            (Self::Fixed { .. }, Self::Months { .. }) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, DAY_MICROS, Grid};

    #[test]
    fn test_is_coarser() {
        let hours = |hours, phase| Grid::Fixed { width: hours * DAY_MICROS / 24, phase: phase * DAY_MICROS / 24 };
        let months = |months, phase| Grid::Months { months, phase };
        for (coarse, fine, wanted) in [
            (hours(24, 0), hours(1, 0), true),
            (hours(24, 5), hours(1, 0), true),
            (hours(24, 5), hours(2, 0), false),
            (hours(24, 5), hours(2, 1), true),
            (hours(3, 0), hours(2, 0), false),
            (hours(1, 0), hours(2, 0), false),
            (months(1, 0), hours(24, 0), true),
            (months(1, 0), hours(24, 1), false),
            (months(1, 0), hours(48, 0), false),
            (months(12, 0), months(3, 0), true),
            (months(12, 1), months(3, 0), false),
            (months(3, 0), months(12, 0), false),
            (hours(24 * 30, 0), months(1, 0), false),
        ] {
            assert_eq!(coarse.is_coarser(fine, Axis::Timestamp), wanted, "{coarse:?} of {fine:?}");
        }
    }
}
