//! The axis of a range dimension: which slice of it a value falls into.
//!
//! A position is an `i64` in the column's own units: an integer as it is, a date in days since 2000-01-01, timestamps and
//! UUIDs of version 7 in microseconds since 2000-01-01 00:00 (UTC). Slices are aligned to multiples of the interval since the
//! Unix epoch (1970-01-01), as TimescaleDB aligns its chunks.

use crate::ranges::Range;

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Days from the Unix epoch to PostgreSQL's (2000-01-01).
pub const EPOCH_DAYS: i64 = 10_957;
/// Microseconds from the Unix epoch to PostgreSQL's.
pub const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY_MICROS;
/// The first finite timestamp, 4714-11-24 BC (`MIN_TIMESTAMP`).
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The end of the timestamps, 294277-01-01 (`END_TIMESTAMP`), itself no timestamp.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// The first finite date, 4714-11-24 BC (`DATETIME_MIN_JULIAN` - `POSTGRES_EPOCH_JDATE`).
pub const MIN_DATE: i64 = -2_451_545;
/// The end of the dates, 5874898-06-04 (`DATE_END_JULIAN` - `POSTGRES_EPOCH_JDATE`), itself no date.
pub const END_DATE: i64 = 2_145_031_949;
/// The end of what a UUID of version 7 can say: 48 bits of milliseconds since the Unix epoch, in microseconds since 2000.
pub const END_UUID: i64 = (1 << 48) * 1000 - EPOCH_MICROS;

/// The type of a range dimension's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Axis {
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// date
    Date,
    /// timestamp or timestamptz
    Timestamp,
    /// uuid of version 7
    Uuid,
}

/// A slice `[start, end)`; None is an open end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The first position inside.
    pub start: Option<i64>,
    /// The first position outside.
    pub end: Option<i64>,
}

impl Slice {
    /// True if the position lies inside.
    pub fn contains(self, position: i64) -> bool {
        self.start.is_none_or(|start| start <= position) && self.end.is_none_or(|end| position < end)
    }

    /// The positions inside; None if there are none.
    pub fn range(self) -> Option<Range> {
        let high = match self.end {
            Some(end) => end.checked_sub(1)?,
            None => i64::MAX,
        };
        Range::new(self.start.unwrap_or(i64::MIN), high)
    }

    /// This slice without what lies before `start` and from `end` on.
    #[must_use]
    pub fn cut(self, start: Option<i64>, end: Option<i64>) -> Self {
        Self {
            start: match (self.start, start) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            },
            end: match (self.end, end) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

impl Axis {
    /// The finite positions: the first, and the first beyond the last (which an `i64` may be unable to hold).
    fn limits(self) -> (i64, i128) {
        match self {
            Self::Int2 => (i16::MIN.into(), i128::from(i16::MAX) + 1),
            Self::Int4 => (i32::MIN.into(), i128::from(i32::MAX) + 1),
            Self::Int8 => (i64::MIN, i128::from(i64::MAX) + 1),
            Self::Date => (MIN_DATE, END_DATE.into()),
            Self::Timestamp => (MIN_TIMESTAMP, END_TIMESTAMP.into()),
            Self::Uuid => (-EPOCH_MICROS, END_UUID.into()),
        }
    }

    /// From the Unix epoch to position 0, in positions.
    fn epoch(self) -> i64 {
        match self {
            Self::Int2 | Self::Int4 | Self::Int8 => 0,
            Self::Date => EPOCH_DAYS,
            Self::Timestamp | Self::Uuid => EPOCH_MICROS,
        }
    }

    /// The aligned slice that holds `position`.
    ///
    /// `interval` is in microseconds for dates, timestamps and UUIDs (whole days for dates), in units for integers, and positive.
    /// The first and the last slice are open, so that infinities belong to them.
    pub fn slice(self, position: i64, interval: i64) -> Slice {
        let interval = i128::from(if self == Self::Date { interval / DAY_MICROS } else { interval }.max(1));
        let (first, end) = self.limits();
        let finite = i128::from(position).clamp(first.into(), end - 1);
        let epoch = i128::from(self.epoch());
        let slice_start = (finite + epoch).div_euclid(interval) * interval - epoch;
        let slice_end = slice_start + interval;
        Slice {
            start: (slice_start > first.into()).then(|| i64::try_from(slice_start).ok()).flatten(),
            end: (slice_end < end).then(|| i64::try_from(slice_end).ok()).flatten(),
        }
    }

    /// A position as microseconds since the Unix epoch (integers as they are), which is how TimescaleDB's catalogs and functions
    /// say it. Infinities and what lies beyond an `i64` saturate.
    pub fn to_internal(self, position: i64) -> i64 {
        let (first, end) = self.limits();
        if matches!(self, Self::Int2 | Self::Int4 | Self::Int8) {
            return position;
        }
        if position < first {
            return i64::MIN;
        }
        if i128::from(position) >= end {
            return i64::MAX;
        }
        match self {
            Self::Date => (position + EPOCH_DAYS).saturating_mul(DAY_MICROS),
            _ => position.saturating_add(EPOCH_MICROS),
        }
    }

    /// The reverse of [`Self::to_internal`]: rounds down to a whole day for dates; `i64::MIN` and `MAX` become the infinities.
    pub fn from_internal(self, internal: i64) -> i64 {
        match self {
            Self::Int2 => internal.clamp(i16::MIN.into(), i16::MAX.into()),
            Self::Int4 => internal.clamp(i32::MIN.into(), i32::MAX.into()),
            Self::Int8 => internal,
            Self::Date if internal == i64::MIN => i32::MIN.into(),
            Self::Date if internal == i64::MAX => i32::MAX.into(),
            Self::Date => internal.div_euclid(DAY_MICROS) - EPOCH_DAYS,
            Self::Timestamp | Self::Uuid if internal == i64::MIN || internal == i64::MAX => internal,
            Self::Timestamp | Self::Uuid => internal.saturating_sub(EPOCH_MICROS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WEEK: i64 = 7 * DAY_MICROS;

    #[test]
    fn test_slice_week_starts_on_thursday() {
        // 2000-01-01 was a Saturday; the week since the Unix epoch began on Thursday 1999-12-30.
        let slice = Axis::Timestamp.slice(0, WEEK);
        assert_eq!(slice, Slice { start: Some(-2 * DAY_MICROS), end: Some(5 * DAY_MICROS) });
        assert_eq!(Axis::Date.slice(0, WEEK), Slice { start: Some(-2), end: Some(5) });
    }

    #[test]
    fn test_slice_negative_floors() {
        assert_eq!(Axis::Int4.slice(-1, 10), Slice { start: Some(-10), end: Some(0) });
        assert_eq!(Axis::Int8.slice(-10, 10), Slice { start: Some(-10), end: Some(0) });
    }

    #[test]
    fn test_slice_edges_are_open() {
        assert_eq!(Axis::Int2.slice(i16::MAX.into(), 10_000).end, None);
        assert_eq!(Axis::Int2.slice(i16::MIN.into(), 10_000).start, None);
        assert_eq!(Axis::Int8.slice(i64::MAX, 1_000_000).end, None);
        assert_eq!(Axis::Int8.slice(i64::MIN, i64::MAX).start, None);
        assert_eq!(Axis::Timestamp.slice(i64::MAX, WEEK).end, None);
        assert_eq!(Axis::Timestamp.slice(i64::MIN, WEEK).start, None);
        assert_eq!(Axis::Date.slice(i32::MAX.into(), WEEK).end, None);
    }

    #[test]
    fn test_internal_of_infinity() {
        assert_eq!(Axis::Timestamp.to_internal(i64::MIN), i64::MIN);
        assert_eq!(Axis::Timestamp.to_internal(i64::MAX), i64::MAX);
        assert_eq!(Axis::Date.to_internal(i32::MAX.into()), i64::MAX);
        assert_eq!(Axis::Date.from_internal(i64::MIN), i64::from(i32::MIN));
        assert_eq!(Axis::Timestamp.to_internal(0), EPOCH_MICROS);
    }

    fn axes() -> impl Strategy<Value = Axis> {
        prop::sample::select(vec![Axis::Int2, Axis::Int4, Axis::Int8, Axis::Date, Axis::Timestamp, Axis::Uuid])
    }

    proptest! {
        #[test]
        fn test_slice_contains_and_tiles(axis in axes(), raw in any::<i64>(), interval in 1i64..) {
            let (first, end) = axis.limits();
            let position = i64::try_from(i128::from(raw).clamp(first.into(), end - 1)).unwrap();
            let slice = axis.slice(position, interval);
            prop_assert!(slice.contains(position));
            if let Some(next) = slice.end {
                prop_assert_eq!(axis.slice(next, interval).start, Some(next));
            }
            if let Some(start) = slice.start {
                prop_assert_eq!(axis.slice(start - 1, interval).end, Some(start));
            }
        }

        #[test]
        fn test_internal_round_trip(axis in axes(), raw in any::<i64>()) {
            let (first, end) = axis.limits();
            let position = i64::try_from(i128::from(raw).clamp(first.into(), end - 1)).unwrap();
            let internal = axis.to_internal(position);
            if internal != i64::MAX {
                prop_assert_eq!(axis.from_internal(internal), position);
            }
        }
    }
}
