//! Buckets: which slice of time, counted from an origin, a value falls into.
//!
//! A bucket is half open, `[start, end)`. Fixed widths are arithmetic on one integer; month widths are arithmetic on the
//! number of the month, so of an origin only its month counts. An offset moves every boundary.

use crate::civil::Civil;
use crate::span::{MICROS_PER_DAY, Span, check_date, check_timestamp, is_infinite};
use crate::{Error, Result};

/// Monday 2000-01-03, the origin of widths in days and time, in days.
const DEFAULT_ORIGIN_DAYS: i64 = 2;
/// January 2000, the origin of widths in months.
const DEFAULT_ORIGIN_MONTH: i64 = 2000 * 12;

/// The start of the bucket of `value` in buckets of `width`, one of which begins at `origin`: the largest
/// `origin + n * width` that is not above `value`.
pub fn floor_to(width: i64, value: i64, origin: i64) -> Result<i64> {
    if width <= 0 {
        return Err(Error::NotPositive);
    }
    // Both remainders are in 0..width, so neither this nor the correction can overflow.
    let mut above = value.rem_euclid(width) - origin.rem_euclid(width);
    if above < 0 {
        above += width;
    }
    value.checked_sub(above).ok_or(Error::OutOfRange)
}

/// [`floor_to`] for a narrower integer type whose smallest value is `min`.
pub fn bucket_integer(width: i64, value: i64, offset: i64, min: i64) -> Result<i64> {
    floor_to(width, value, offset).and_then(|start| if start < min { Err(Error::OutOfRange) } else { Ok(start) })
}

/// How long the buckets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// A fixed number of microseconds, above 0.
    Fixed(i64),
    /// A number of months, above 0.
    Months(i64),
}

impl Width {
    /// The width that a span states: months, or days and time (a day being 24 hours), never both.
    pub fn from_span(span: Span) -> Result<Self> {
        if span.months != 0 {
            if span.days != 0 || span.micros != 0 {
                return Err(Error::MixedUnits);
            }
            return if span.months > 0 { Ok(Self::Months(i64::from(span.months))) } else { Err(Error::NotPositive) };
        }
        match i64::try_from(span.fixed_micros()) {
            Ok(micros) if micros > 0 => Ok(Self::Fixed(micros)),
            Ok(_) => Err(Error::NotPositive),
            Err(_) if span.days < 0 => Err(Error::NotPositive),
            Err(_) => Err(Error::SpanOutOfRange),
        }
    }
}

/// A rule that gives each timestamp its bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeBucket {
    width: Width,
    /// The smallest boundary that is not negative (fixed widths), or a month in which a bucket begins.
    phase: i64,
    /// What moves the boundaries and could not be folded into the phase.
    offset: Option<Span>,
}

impl TimeBucket {
    /// Buckets of `width` counted from `origin` (a finite timestamp; None: the default for the width), moved by `offset`.
    #[inline]
    pub fn new(width: Span, origin: Option<i64>, offset: Option<Span>) -> Result<Self> {
        if origin.is_some_and(is_infinite) {
            return Err(Error::InfiniteOrigin);
        }
        let width = Width::from_span(width)?;
        match width {
            Width::Fixed(micros) => {
                let origin = origin.unwrap_or(DEFAULT_ORIGIN_DAYS * MICROS_PER_DAY);
                match offset {
                    None => Ok(Self { width, phase: origin.rem_euclid(micros), offset: None }),
                    Some(offset) if offset.months == 0 => {
                        let phase = (i128::from(origin) + offset.fixed_micros()).rem_euclid(i128::from(micros));
                        Ok(Self { width, phase: phase as i64, offset: None })
                    }
                    Some(_) => Ok(Self { width, phase: origin.rem_euclid(micros), offset }),
                }
            }
            Width::Months(_) => {
                let phase = origin.map_or(DEFAULT_ORIGIN_MONTH, |ts| month_of(ts.div_euclid(MICROS_PER_DAY)));
                Ok(Self { width, phase, offset })
            }
        }
    }

    /// The width.
    pub fn width(&self) -> Width {
        self.width
    }

    /// The start of the bucket of `ts`; infinities are buckets of their own.
    #[inline]
    pub fn start(&self, ts: i64) -> Result<i64> {
        if is_infinite(ts) {
            return Ok(ts);
        }
        match self.offset {
            None => self.plain_start(ts),
            Some(offset) => offset.move_timestamp(self.plain_start(offset.move_timestamp(ts, -1)?)?, 1),
        }
    }

    /// The end of the bucket of `ts`, which is the start of the next one; infinities are buckets of their own.
    pub fn end(&self, ts: i64) -> Result<i64> {
        if is_infinite(ts) {
            return Ok(ts);
        }
        match self.offset {
            None => self.next(self.plain_start(ts)?),
            Some(offset) => offset.move_timestamp(self.next(self.plain_start(offset.move_timestamp(ts, -1)?)?)?, 1),
        }
    }

    #[inline]
    fn plain_start(&self, ts: i64) -> Result<i64> {
        match self.width {
            Width::Fixed(micros) => {
                let mut above = ts.rem_euclid(micros) - self.phase;
                if above < 0 {
                    above += micros;
                }
                check_timestamp(ts.checked_sub(above).ok_or(Error::OutOfRange)?)
            }
            Width::Months(months) => {
                let day = month_start(months, ts.div_euclid(MICROS_PER_DAY), self.phase)?;
                check_timestamp(day.checked_mul(MICROS_PER_DAY).ok_or(Error::OutOfRange)?)
            }
        }
    }

    fn next(&self, start: i64) -> Result<i64> {
        let end = match self.width {
            Width::Fixed(micros) => start.checked_add(micros),
            Width::Months(months) => {
                Civil::from_month_index(month_of(start.div_euclid(MICROS_PER_DAY)) + months).days().checked_mul(MICROS_PER_DAY)
            }
        };
        check_timestamp(end.ok_or(Error::OutOfRange)?)
    }
}

/// The start of the bucket of a finite date, for buckets of months or whole days; infinities are buckets of their own.
pub fn bucket_date(width: Span, date: i32, origin: Option<i32>, offset: Option<Span>) -> Result<i32> {
    let parsed = Width::from_span(width)?;
    if origin.is_some_and(|origin| origin == i32::MIN || origin == i32::MAX) {
        return Err(Error::InfiniteOrigin);
    }
    let days = width.whole_days()?;
    if let Some(offset) = offset {
        offset.whole_days()?;
    }
    if date == i32::MIN || date == i32::MAX {
        return Ok(date);
    }
    let origin = origin.map(i64::from);
    let start_of = |day: i64| match parsed {
        Width::Fixed(_) => floor_to(days, day, origin.unwrap_or(DEFAULT_ORIGIN_DAYS)),
        Width::Months(months) => month_start(months, day, origin.map_or(DEFAULT_ORIGIN_MONTH, month_of)),
    };
    match offset {
        None => check_date(start_of(i64::from(date))?),
        // Moved by a fixed number of days a date may leave its range on the way: only the result is checked.
        Some(offset) if offset.months == 0 => {
            let by = offset.whole_days()?;
            check_date(start_of(i64::from(date) - by)? + by)
        }
        Some(offset) => {
            let moved = offset.move_date(date, -1)?;
            offset.move_date(check_date(start_of(i64::from(moved))?)?, 1)
        }
    }
}

/// The number of the month of a day.
fn month_of(days: i64) -> i64 {
    Civil::from_days(days).month_index()
}

/// The first day of the bucket of `months` months, one of which begins in month `origin`.
fn month_start(months: i64, days: i64, origin: i64) -> Result<i64> {
    floor_to(months, month_of(days), origin).map(|month| Civil::from_month_index(month).days())
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
