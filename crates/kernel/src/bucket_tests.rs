//! Tests of `bucket`, against a slow definition by search.

use proptest::prelude::*;

use super::{TimeBucket, Width, bucket_date, bucket_integer, floor_to};
use crate::Error;
use crate::civil::Civil;
use crate::span::{END_TIMESTAMP, MICROS_PER_DAY as DAY, MIN_TIMESTAMP, Span};

const HOUR: i64 = 3_600_000_000;

fn ymd(year: i64, month: i64, day: i64) -> i64 {
    Civil { year, month, day }.days() * DAY
}

fn start(width: Span, ts: i64) -> crate::Result<i64> {
    TimeBucket::new(width, None, None)?.start(ts)
}

#[test]
fn test_floor_to_negative_values() {
    for (value, expected) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
        assert_eq!(floor_to(10, value, 0), Ok(expected));
    }
    assert_eq!(floor_to(10, 4, 5), Ok(-5));
    assert_eq!(floor_to(10, 4, -15), Ok(-5));
}

#[test]
fn test_floor_to_extremes() {
    assert_eq!(floor_to(i64::MAX, i64::MIN + 1, 0), Ok(-i64::MAX));
    assert_eq!(floor_to(i64::MAX, i64::MIN, 0), Err(Error::OutOfRange));
    assert_eq!(floor_to(i64::MAX, i64::MAX, i64::MIN), Ok(i64::MAX - 1));
    assert_eq!(floor_to(1, i64::MIN, i64::MAX), Ok(i64::MIN));
    assert_eq!(floor_to(10, i64::MIN, 0), Err(Error::OutOfRange));
    assert_eq!(floor_to(0, 1, 0), Err(Error::NotPositive));
    assert_eq!(floor_to(i64::MIN, 1, 0), Err(Error::NotPositive));
}

#[test]
fn test_bucket_integer_narrow() {
    assert_eq!(bucket_integer(10, -32_768, 0, i64::from(i16::MIN)), Err(Error::OutOfRange));
    assert_eq!(bucket_integer(10, -32_768, 2, i64::from(i16::MIN)), Ok(-32_768));
    assert_eq!(bucket_integer(32_767, 32_767, -32_768, i64::from(i16::MIN)), Ok(32_766));
}

#[test]
fn test_width_from_span() {
    assert_eq!(Width::from_span(Span { months: 1, days: 1, micros: 0 }), Err(Error::MixedUnits));
    assert_eq!(Width::from_span(Span { months: 1, days: 0, micros: -1 }), Err(Error::MixedUnits));
    assert_eq!(Width::from_span(Span::from_months(-1)), Err(Error::NotPositive));
    assert_eq!(Width::from_span(Span::default()), Err(Error::NotPositive));
    assert_eq!(Width::from_span(Span { months: 0, days: 1, micros: -DAY }), Err(Error::NotPositive));
    assert_eq!(Width::from_span(Span { months: 0, days: 1, micros: -1 }), Ok(Width::Fixed(DAY - 1)));
    assert_eq!(Width::from_span(Span::from_days(i32::MAX)), Err(Error::SpanOutOfRange));
    assert_eq!(Width::from_span(Span::from_days(i32::MIN)), Err(Error::NotPositive));
}

#[test]
fn test_start_fixed_counts_from_a_monday() {
    // 2000-01-03 is a Monday.
    assert_eq!(start(Span::from_days(7), ymd(2000, 1, 2)), Ok(ymd(1999, 12, 27)));
    assert_eq!(start(Span::from_days(7), ymd(2000, 1, 9) + HOUR), Ok(ymd(2000, 1, 3)));
    assert_eq!(start(Span::from_micros(HOUR), ymd(1969, 7, 20) - 1), Ok(ymd(1969, 7, 20) - HOUR));
}

#[test]
fn test_start_months() {
    assert_eq!(start(Span::from_months(1), ymd(1999, 12, 31) + 1), Ok(ymd(1999, 12, 1)));
    assert_eq!(start(Span::from_months(5), ymd(1999, 12, 31)), Ok(ymd(1999, 8, 1)));
    assert_eq!(start(Span::from_months(1200), ymd(1999, 12, 31)), Ok(ymd(1900, 1, 1)));
    let odd = TimeBucket::new(Span::from_months(12), Some(ymd(2001, 5, 20)), None).expect("a good width");
    assert_eq!(odd.start(ymd(2004, 4, 30)), Ok(ymd(2003, 5, 1)));
    assert_eq!(odd.end(ymd(2004, 4, 30)), Ok(ymd(2004, 5, 1)));
}

#[test]
fn test_start_at_the_ends() {
    for ts in [i64::MIN, i64::MAX] {
        assert_eq!(start(Span::from_days(1), ts), Ok(ts));
        assert_eq!(start(Span::from_months(1), ts), Ok(ts));
    }
    assert_eq!(start(Span::from_days(1), MIN_TIMESTAMP), Ok(MIN_TIMESTAMP));
    assert_eq!(start(Span::from_days(1000), MIN_TIMESTAMP), Err(Error::OutOfRange));
    assert_eq!(start(Span::from_months(1), MIN_TIMESTAMP), Err(Error::OutOfRange));
    assert_eq!(start(Span::from_days(1), END_TIMESTAMP - 1), Ok(END_TIMESTAMP - DAY));
    assert_eq!(start(Span::from_months(1), END_TIMESTAMP - 1), Ok(END_TIMESTAMP - 31 * DAY));
    assert_eq!(start(Span::from_months(i32::MAX), ymd(1999, 1, 1)), Err(Error::OutOfRange));
    assert_eq!(start(Span::from_months(i32::MAX), ymd(2001, 1, 1)), Ok(0));
    let daily = TimeBucket::new(Span::from_days(1), None, None).expect("a good width");
    assert_eq!(daily.end(END_TIMESTAMP - 1), Err(Error::OutOfRange));
    // An offset that moves the timestamp out of the range and back again does no harm.
    let shifted = TimeBucket::new(Span::from_days(1), None, Some(Span::from_days(1000))).expect("a good width");
    assert_eq!(shifted.start(MIN_TIMESTAMP), Ok(MIN_TIMESTAMP));
}

#[test]
fn test_offset_of_months() {
    let fiscal = TimeBucket::new(Span::from_months(12), None, Some(Span::from_months(3))).expect("a good width");
    assert_eq!(fiscal.start(ymd(2020, 3, 31)), Ok(ymd(2019, 4, 1)));
    assert_eq!(fiscal.start(ymd(2020, 4, 1)), Ok(ymd(2020, 4, 1)));
    let mid_month = TimeBucket::new(Span::from_months(1), None, Some(Span::from_days(14))).expect("a good width");
    assert_eq!(mid_month.start(ymd(2020, 2, 14)), Ok(ymd(2020, 1, 15)));
    assert_eq!(mid_month.start(ymd(2020, 2, 15)), Ok(ymd(2020, 2, 15)));
    assert_eq!(mid_month.end(ymd(2020, 2, 15)), Ok(ymd(2020, 3, 15)));
}

#[test]
fn test_bucket_date() {
    assert_eq!(bucket_date(Span::from_days(7), 1, None, None), Ok(-5));
    assert_eq!(bucket_date(Span::from_micros(2 * DAY), 1, None, None), Ok(0));
    assert_eq!(bucket_date(Span::from_micros(HOUR), 1, None, None), Err(Error::SubDay));
    assert_eq!(bucket_date(Span::from_days(1), 1, None, Some(Span::from_micros(HOUR))), Err(Error::SubDay));
    assert_eq!(bucket_date(Span::from_months(1), 59, None, None), Ok(31));
    assert_eq!(bucket_date(Span::from_days(1), i32::MAX, None, None), Ok(i32::MAX));
    assert_eq!(bucket_date(Span::from_days(1), i32::MIN, None, None), Ok(i32::MIN));
    assert_eq!(bucket_date(Span::from_days(1), 0, Some(i32::MIN), None), Err(Error::InfiniteOrigin));
    assert_eq!(bucket_date(Span::from_days(10), 0, Some(5), Some(Span::from_days(1))), Ok(-4));
}

proptest! {
    #[test]
    fn test_floor_to_is_the_largest_boundary(width in 1_i64.., value: i64, origin: i64) {
        let (w, v, o) = (i128::from(width), i128::from(value), i128::from(origin));
        let expected = o + (v - o).div_euclid(w) * w;
        prop_assert_eq!(floor_to(width, value, origin).ok(), i64::try_from(expected).ok());
    }

    #[test]
    fn test_start_fixed_with_offset(width in 1_i64..2000 * DAY, ts in MIN_TIMESTAMP..END_TIMESTAMP, origin in MIN_TIMESTAMP..END_TIMESTAMP, days: i32, micros: i64) {
        let bucket = TimeBucket::new(Span::from_micros(width), Some(origin), Some(Span { months: 0, days, micros })).expect("a good width");
        let boundary = i128::from(origin) + i128::from(days) * i128::from(DAY) + i128::from(micros);
        let w = i128::from(width);
        let expected = boundary + (i128::from(ts) - boundary).div_euclid(w) * w;
        if expected < i128::from(MIN_TIMESTAMP) {
            prop_assert_eq!(bucket.start(ts), Err(Error::OutOfRange));
        } else {
            prop_assert_eq!(bucket.start(ts).map(i128::from), Ok(expected));
        }
    }

    #[test]
    fn test_start_is_monotone_and_idempotent(months in 1_i32..500, a in ymd(-4000, 1, 1)..ymd(200_000, 1, 1), step in 0..400 * DAY, origin in ymd(-4000, 1, 1)..ymd(200_000, 1, 1)) {
        let bucket = TimeBucket::new(Span::from_months(months), Some(origin), None).expect("a good width");
        let first = bucket.start(a).expect("in range");
        let second = bucket.start(a + step).expect("in range");
        prop_assert!(first <= a && first <= second);
        prop_assert_eq!(bucket.start(first), Ok(first));
        let end = bucket.end(a).expect("in range");
        prop_assert!(a < end);
        prop_assert_eq!(bucket.start(end), Ok(end));
        prop_assert_eq!(bucket.start(end - 1), Ok(first));
    }

    #[test]
    fn test_dates_agree_with_timestamps(days in 1_i32..5000, date in -2_000_000_i32..2_000_000, origin: Option<i16>) {
        let origin = origin.map(i32::from);
        let bucket = TimeBucket::new(Span::from_days(days), origin.map(|day| i64::from(day) * DAY), None).expect("a good width");
        let expected = bucket.start(i64::from(date) * DAY).expect("in range");
        prop_assert_eq!(bucket_date(Span::from_days(days), date, origin, None).map(|day| i64::from(day) * DAY), Ok(expected));
    }
}
