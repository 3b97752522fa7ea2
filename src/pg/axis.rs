//! Datums of a range dimension as positions on its axis (see `tsc_kernel::axis`), and back.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, EPOCH_MICROS, Slice};

use super::ffi;

/// The position of a value.
///
/// # Safety
/// `datum` is a non-NULL Datum of the axis's type.
#[inline]
pub unsafe fn position(axis: Axis, datum: pg_sys::Datum) -> i64 {
    match axis {
        Axis::Int2 => i64::from(datum.value() as i16),
        Axis::Int4 | Axis::Date => i64::from(datum.value() as i32),
        Axis::Int8 | Axis::Timestamp => datum.value() as i64,
        // SAFETY: a uuid Datum points to 16 bytes.
        Axis::Uuid => unsafe { uuid_position(&*datum.cast_mut_ptr::<[u8; 16]>()) },
    }
}

/// Microseconds since 2000 of a version 7 UUID, rounded down to its millisecond: slices are cut at whole milliseconds.
#[inline]
fn uuid_position(bytes: &[u8; 16]) -> i64 {
    let millis = bytes[..6].iter().fold(0i64, |value, byte| (value << 8) | i64::from(*byte));
    millis * 1000 - EPOCH_MICROS
}

/// A Datum at `position`, palloc'd in the current context if it is a UUID (the smallest of version 7 at its millisecond).
pub fn datum(axis: Axis, position: i64) -> pg_sys::Datum {
    match axis {
        Axis::Int2 => pg_sys::Datum::from(position as i16),
        Axis::Int4 | Axis::Date => pg_sys::Datum::from(position as i32),
        Axis::Int8 | Axis::Timestamp => pg_sys::Datum::from(position),
        Axis::Uuid => {
            let millis = (position + EPOCH_MICROS).div_euclid(1000);
            let mut bytes = [0u8; 16];
            bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
            bytes[6] = 0x70;
            bytes[8] = 0x80;
            // SAFETY: palloc'd memory of 16 bytes.
            unsafe {
                let copy = ffi::palloc(16).cast::<[u8; 16]>();
                copy.write(bytes);
                pg_sys::Datum::from(copy)
            }
        }
    }
}

/// True for a value that its axis can place: any but a UUID that is not of version 7 and of RFC 9562's variant.
///
/// # Safety
/// As [`position`].
pub unsafe fn is_placeable(axis: Axis, datum: pg_sys::Datum) -> bool {
    // SAFETY: a uuid Datum points to 16 bytes.
    axis != Axis::Uuid || unsafe { (*datum.cast_mut_ptr::<[u8; 16]>())[6] >> 4 == 7 && (*datum.cast_mut_ptr::<[u8; 16]>())[8] >> 6 == 2 }
}

/// A point in TimescaleDB's internal form as a timestamptz; None on an axis of integers.
pub fn internal_timestamp(axis: Axis, internal: i64) -> Option<pg_sys::Datum> {
    (!matches!(axis, Axis::Int2 | Axis::Int4 | Axis::Int8)).then(|| pg_sys::Datum::from(Axis::Timestamp.from_internal(internal)))
}

/// A slice as PostgreSQL writes bounds, for messages.
pub fn slice_text(axis: Axis, type_oid: pg_sys::Oid, slice: Slice) -> String {
    let text = |position: Option<i64>, open: &str| position.map_or_else(|| open.to_owned(), |at| value_text(type_oid, datum(axis, at)));
    format!("from {} to {}", text(slice.start, "the beginning"), text(slice.end, "the end"))
}

/// A value as its type's output function writes it.
pub fn value_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> String {
    let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
    // SAFETY: the Datum is of the type; the output is a palloc'd C string.
    unsafe {
        ffi::getTypeOutputInfo(type_oid, &mut output, &mut varlena);
        super::relation::optional_string(ffi::OidOutputFunctionCall(output, datum)).unwrap_or_default()
    }
}
