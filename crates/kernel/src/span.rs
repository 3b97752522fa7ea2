//! An interval of months, days and microseconds, and moving a time by it.

use crate::civil::Civil;
use crate::{Error, Result};

/// Microseconds in a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The first timestamp: 4714-11-24 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The first instant that is no timestamp any more: 294277-01-01.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// The first date: 4714-11-24 BC.
pub const MIN_DATE: i64 = -2_451_545;
/// The first day that is no date any more: 5874898-01-01.
pub const END_DATE: i64 = 2_145_031_949;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_SHIFT: i64 = 946_684_800_000_000;

/// A span of time as PostgreSQL's `interval`: its parts are kept apart since months and days have no fixed length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Span {
    /// A span of microseconds.
    pub fn from_micros(micros: i64) -> Self {
        Self { micros, ..Self::default() }
    }

    /// A span of days.
    pub fn from_days(days: i32) -> Self {
        Self { days, ..Self::default() }
    }

    /// A span of months.
    pub fn from_months(months: i32) -> Self {
        Self { months, ..Self::default() }
    }

    /// Days and microseconds together, a day being 24 hours.
    pub fn fixed_micros(self) -> i128 {
        i128::from(self.days) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }

    /// Days and microseconds together in days, if that is a whole number.
    pub fn whole_days(self) -> Result<i64> {
        if self.micros % MICROS_PER_DAY != 0 {
            return Err(Error::SubDay);
        }
        Ok(i64::from(self.days) + self.micros / MICROS_PER_DAY)
    }

    /// The timestamp `times` spans after `ts` (before it, if `times` is negative): months first, then the rest.
    pub fn move_timestamp(self, ts: i64, times: i64) -> Result<i64> {
        let mut moved = i128::from(ts);
        if self.months != 0 {
            let day = ts.div_euclid(MICROS_PER_DAY);
            let of_day = ts.rem_euclid(MICROS_PER_DAY);
            let day = Civil::from_days(day).plus_months(i64::from(self.months) * times).days();
            moved = i128::from(day) * i128::from(MICROS_PER_DAY) + i128::from(of_day);
        }
        moved += self.fixed_micros() * i128::from(times);
        check_timestamp(i64::try_from(moved).map_err(|_| Error::OutOfRange)?)
    }

    /// The date `times` spans after `date`, for a span of months and whole days.
    pub fn move_date(self, date: i32, times: i64) -> Result<i32> {
        let mut day = i64::from(date);
        if self.months != 0 {
            day = Civil::from_days(day).plus_months(i64::from(self.months) * times).days();
        }
        check_date(day + self.whole_days()? * times)
    }
}

/// `ts` if it is in the range of a finite timestamp.
pub fn check_timestamp(ts: i64) -> Result<i64> {
    if (MIN_TIMESTAMP..END_TIMESTAMP).contains(&ts) { Ok(ts) } else { Err(Error::OutOfRange) }
}

/// `day` as a date if it is in the range of a finite date.
pub fn check_date(day: i64) -> Result<i32> {
    if (MIN_DATE..END_DATE).contains(&day) { i32::try_from(day).map_err(|_| Error::OutOfRange) } else { Err(Error::OutOfRange) }
}

/// Whether a timestamp is `-infinity` or `infinity`.
pub fn is_infinite(ts: i64) -> bool {
    ts == i64::MIN || ts == i64::MAX
}

#[cfg(test)]
mod tests {
    use super::{END_DATE, END_TIMESTAMP, Error, MICROS_PER_DAY, MIN_DATE, MIN_TIMESTAMP, Span};

    #[test]
    fn test_limits_agree() {
        assert_eq!(MIN_DATE * MICROS_PER_DAY, MIN_TIMESTAMP);
        assert_eq!(crate::civil::Civil { year: 294_277, month: 1, day: 1 }.days() * MICROS_PER_DAY, END_TIMESTAMP);
        assert_eq!(crate::civil::Civil { year: 5_874_898, month: 1, day: 1 }.days(), END_DATE);
    }

    #[test]
    fn test_move_timestamp_adds_months_before_days() {
        // 2000-01-31 12:00 + 1 month 1 day = 2000-02-29 12:00 + 1 day = 2000-03-01 12:00
        let noon = MICROS_PER_DAY / 2;
        let span = Span { months: 1, days: 1, micros: 0 };
        assert_eq!(span.move_timestamp(30 * MICROS_PER_DAY + noon, 1), Ok(60 * MICROS_PER_DAY + noon));
        // 2000-03-31 - 1 month 1 day = 2000-02-29 - 1 day = 2000-02-28
        assert_eq!(span.move_timestamp(90 * MICROS_PER_DAY, -1), Ok(58 * MICROS_PER_DAY));
    }

    #[test]
    fn test_move_timestamp_refuses_to_leave_the_range() {
        assert_eq!(Span::from_micros(1).move_timestamp(END_TIMESTAMP - 1, 1), Err(Error::OutOfRange));
        assert_eq!(Span::from_micros(1).move_timestamp(MIN_TIMESTAMP, -1), Err(Error::OutOfRange));
        assert_eq!(Span::from_months(i32::MAX).move_timestamp(0, 1), Err(Error::OutOfRange));
        assert_eq!(Span { months: 0, days: i32::MAX, micros: i64::MAX }.move_timestamp(0, -1), Err(Error::OutOfRange));
    }

    #[test]
    fn test_move_date() {
        assert_eq!(Span::from_months(1).move_date(30, 1), Ok(59));
        assert_eq!(Span::from_micros(MICROS_PER_DAY * 2).move_date(0, 1), Ok(2));
        assert_eq!(Span::from_micros(1).move_date(0, 1), Err(Error::SubDay));
        assert_eq!(Span::from_days(-1).move_date(MIN_DATE as i32, 1), Err(Error::OutOfRange));
    }
}
