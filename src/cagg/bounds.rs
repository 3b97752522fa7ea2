//! Ranges of positions as values of a column: closed, with the infinities or ends of the type where there is no bound.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, END_DATE, END_TIMESTAMP, EPOCH_MICROS, MIN_DATE, MIN_TIMESTAMP};
use tsc_kernel::ranges::Range;

use crate::pg::relation::qualified_type_name;
use crate::pg::spi::quote_literal;
use crate::pg::{axis, context, ffi};

/// The values of an axis's type that are no infinity, where it has infinities.
fn finite(axis: Axis) -> Option<Range> {
    match axis {
        Axis::Date => Range::new(MIN_DATE, END_DATE - 1),
        Axis::Timestamp => Range::new(MIN_TIMESTAMP, END_TIMESTAMP - 1),
        _ => None,
    }
}

/// The range without positions at its ends that no value has: between what is finite and the infinities. None if nothing is left.
fn clamp(axis: Axis, range: Range) -> Option<Range> {
    let ends = ends(axis);
    let within = range.intersection(ends)?;
    let Some(finite) = finite(axis) else { return Some(within) };
    let low = match within.low {
        low if low == ends.low => low,
        low if low > finite.high => ends.high,
        low => low.max(finite.low),
    };
    let high = match within.high {
        high if high == ends.high => high,
        high if high < finite.low => ends.low,
        high => high.min(finite.high),
    };
    Range::new(low, high)
}

/// The first and the last value of an axis's type, as positions.
fn ends(axis: Axis) -> Range {
    let (low, high) = match axis {
        Axis::Int2 => (i16::MIN.into(), i16::MAX.into()),
        Axis::Int4 | Axis::Date => (i32::MIN.into(), i32::MAX.into()),
        Axis::Int8 | Axis::Timestamp => (i64::MIN, i64::MAX),
        Axis::Uuid => (-EPOCH_MICROS, (1 << 48) * 1000 - EPOCH_MICROS - 1),
    };
    Range { low, high }
}

/// The values between which, both included, those at the positions of a range lie; None if no value of the type does. UUIDs are palloc'd.
pub fn values(axis: Axis, range: Range) -> Option<(pg_sys::Datum, pg_sys::Datum)> {
    let ends = ends(axis);
    let within = clamp(axis, range)?;
    if axis != Axis::Uuid {
        return Some((axis::datum(axis, within.low), axis::datum(axis, within.high)));
    }
    // Of all UUIDs of a millisecond; of all whatsoever at the ends.
    let low = if within.low == ends.low { [0; 16] } else { uuid(within.low, 0) };
    let high = if within.high == ends.high { [0xff; 16] } else { uuid(within.high, 0xff) };
    Some((put(low), put(high)))
}

/// The first 48 bits count milliseconds.
fn uuid(position: i64, rest: u8) -> [u8; 16] {
    let mut bytes = [rest; 16];
    bytes[..6].copy_from_slice(&(position + EPOCH_MICROS).div_euclid(1000).to_be_bytes()[2..]);
    bytes
}

fn put(bytes: [u8; 16]) -> pg_sys::Datum {
    // SAFETY: palloc'd memory of 16 bytes.
    unsafe {
        let copy = ffi::palloc(16).cast::<[u8; 16]>();
        copy.write(bytes);
        pg_sys::Datum::from(copy)
    }
}

/// A value as a literal of SQL that means the same to every session.
pub fn literal(type_oid: pg_sys::Oid, value: pg_sys::Datum) -> String {
    let text = context::with_portable_text(|| axis::value_text(type_oid, value));
    format!("{}::{}", quote_literal(&text), qualified_type_name(type_oid))
}

#[cfg(test)]
mod tests {
    use super::{clamp, ends, uuid};
    use tsc_kernel::axis::{Axis, END_TIMESTAMP, MIN_TIMESTAMP};
    use tsc_kernel::ranges::Range;

    #[test]
    fn test_clamp_leaves_infinities_and_what_is_finite() {
        let clamped = |low, high| clamp(Axis::Timestamp, Range { low, high });
        assert_eq!(clamped(i64::MIN, i64::MAX), Some(Range::ALL));
        assert_eq!(clamped(END_TIMESTAMP + 5, i64::MAX), Range::new(i64::MAX, i64::MAX));
        assert_eq!(clamped(i64::MIN, i64::MIN + 5), Range::new(i64::MIN, i64::MIN));
        assert_eq!(clamped(i64::MIN + 1, END_TIMESTAMP), Range::new(MIN_TIMESTAMP, END_TIMESTAMP - 1));
        assert_eq!(clamped(END_TIMESTAMP, END_TIMESTAMP + 5), None);
        assert_eq!(clamp(Axis::Int2, Range { low: 40_000, high: 50_000 }), None);
        assert_eq!(clamp(Axis::Int2, Range::ALL), Range::new(i16::MIN.into(), i16::MAX.into()));
    }

    #[test]
    fn test_uuids_between_two_milliseconds() {
        let ends = ends(Axis::Uuid);
        assert_eq!(uuid(ends.low, 0), [0; 16]);
        assert_eq!(uuid(ends.high, 0xff), [0xff; 16]);
        assert!(uuid(999, 0xff) < uuid(1000, 0));
        assert_eq!(uuid(0, 0), uuid(999, 0));
    }
}
