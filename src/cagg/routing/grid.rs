//! Whether each bucket of one rule lies in one bucket of another: the boundaries of both, as distances from a point of time.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::bucket::TimeBucket;
use tsc_kernel::civil::Civil;
use tsc_kernel::span::Span;
use tsc_kernel::zoned::Clock;

use crate::cagg::bucket::{Bucket, Width};
use crate::catalog::functions::known;
use crate::pg::datetime::{NamedZone, text_of};
use crate::pg::expr::{self, Expr};

/// Where the boundaries of buckets are, on the clocks that the rule goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// At `phase` and all multiples of `width` from there, in positions.
    Fixed { width: i64, phase: i64 },
    /// At the start of month number `phase` and each `months` months from there.
    Months { months: i64, phase: i64 },
}

/// What a query puts times into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its boundaries.
    pub grid: Grid,
    /// The zone whose clocks count; an empty name: the session's.
    pub zone: Option<String>,
    /// The call, with its arguments in their places.
    pub call: Expr,
    /// What is put into buckets.
    pub time: Expr,
    /// None of the buckets is shorter than a day.
    pub wide: bool,
}

fn day(axis: Axis) -> i64 {
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

impl Target {
    /// What a call of `time_bucket` or `date_trunc` with constant arguments puts times into.
    pub fn of(call: Expr, parameters: pg_sys::ParamListInfo) -> Option<Self> {
        let (function, _) = call.as_call()?;
        let truncates =
            [pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMP, pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ, pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT]
                .contains(&function.to_u32());
        if !truncates && known(function).is_none() {
            return None;
        }
        let call = expr::fold(call, parameters);
        if let Ok(Some((bucket, time))) = Bucket::read(call) {
            let wide = bucket.nominal_width() >= day(bucket.axis);
            return Some(Self { grid: Grid::of(&bucket)?, zone: bucket.zone, call, time, wide });
        }
        let (function, args) = call.as_call()?;
        let zone = match (function.to_u32(), args.get(2)) {
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMP, None) => None,
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ, None) => Some(String::new()),
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, Some(zone)) => Some(text_of(zone.as_const()?.1)),
            _ => return None,
        };
        let unit = text_of(args.first()?.as_const()?.1).to_ascii_lowercase();
        let fixed = |width| Grid::Fixed { width, phase: 0 };
        let months = |months| Grid::Months { months, phase: 0 };
        let grid = match unit.as_str() {
            "second" => fixed(1_000_000),
            "minute" => fixed(60_000_000),
            "hour" => fixed(3_600_000_000),
            "day" => fixed(DAY_MICROS),
            // From Monday, such as 2000-01-03.
            "week" => Grid::Fixed { width: 7 * DAY_MICROS, phase: 2 * DAY_MICROS },
            "month" => months(1),
            "quarter" => months(3),
            "year" => months(12),
            _ => return None,
        };
        Some(Self { grid, zone, call, time: *args.get(1)?, wide: !matches!(grid, Grid::Fixed { width, .. } if width < DAY_MICROS) })
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
