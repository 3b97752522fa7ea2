//! Dates, times and intervals through PostgreSQL's own input functions.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::ffi;

/// Reads an interval; its months count 30 days. An ERROR if the text is no interval.
pub fn parse_interval_micros(text: &CStr) -> Option<i64> {
    // SAFETY: the input function of interval takes a C string and returns a palloc'd Interval.
    let interval = unsafe {
        let datum = ffi::OidInputFunctionCall(pg_sys::Oid::from(pg_sys::F_INTERVAL_IN), text.as_ptr().cast_mut(), pg_sys::INTERVALOID, -1);
        &*datum.cast_mut_ptr::<pg_sys::Interval>()
    };
    let days = i64::from(interval.month) * 30 + i64::from(interval.day);
    days.checked_mul(tsc_kernel::axis::DAY_MICROS)?.checked_add(interval.time)
}

/// A text (of type text, or a literal of no type yet) as a C string.
fn c_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> *mut std::ffi::c_char {
    if type_oid == pg_sys::UNKNOWNOID {
        return datum.cast_mut_ptr();
    }
    // SAFETY: a text Datum.
    unsafe { ffi::text_to_cstring(datum.cast_mut_ptr()) }
}

/// Reads a text as a value of `target`, by the type's input function.
pub fn read_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum, target: pg_sys::Oid) -> pg_sys::Datum {
    // SAFETY: a NUL-terminated string.
    read_c_text(unsafe { CStr::from_ptr(c_text(type_oid, datum)) }, target)
}

/// Reads a C string as a value of `target`, by the type's input function.
pub fn read_c_text(text: &CStr, target: pg_sys::Oid) -> pg_sys::Datum {
    let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: the type exists; an ERROR if the text is no value of it.
    unsafe {
        ffi::getTypeInputInfo(target, &mut input, &mut parameter);
        ffi::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1)
    }
}

/// True for a text with the digits and hyphens of a UUID.
pub fn looks_like_uuid(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> bool {
    // SAFETY: a NUL-terminated string.
    let text = unsafe { CStr::from_ptr(c_text(type_oid, datum)) }.to_bytes();
    text.len() == 36 && text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

/// Converts between date, timestamp and timestamptz as a cast does, by the session's time zone. A `target` of date is not offered.
pub fn convert(from: pg_sys::Oid, datum: pg_sys::Datum, target: pg_sys::Oid) -> pg_sys::Datum {
    let function = match (from, target) {
        (pg_sys::DATEOID, pg_sys::TIMESTAMPTZOID) => pg_sys::F_TIMESTAMPTZ_DATE,
        (pg_sys::TIMESTAMPOID, pg_sys::TIMESTAMPTZOID) => pg_sys::F_TIMESTAMPTZ_TIMESTAMP,
        (pg_sys::DATEOID, pg_sys::TIMESTAMPOID) => pg_sys::F_TIMESTAMP_DATE,
        (pg_sys::TIMESTAMPTZOID, pg_sys::TIMESTAMPOID) => pg_sys::F_TIMESTAMP_TIMESTAMPTZ,
        _ => return datum,
    };
    // SAFETY: the function takes a value of the type.
    unsafe { ffi::OidFunctionCall1Coll(pg_sys::Oid::from(function), pg_sys::InvalidOid, datum) }
}

/// The start of the transaction less an interval, as a timestamp or timestamptz.
pub fn before_now(target: pg_sys::Oid, interval: pg_sys::Datum) -> pg_sys::Datum {
    // SAFETY: reads a variable.
    let now = pg_sys::Datum::from(unsafe { ffi::raw::GetCurrentTransactionStartTimestamp() });
    let minus = if target == pg_sys::TIMESTAMPTZOID { pg_sys::F_TIMESTAMPTZ_MI_INTERVAL } else { pg_sys::F_TIMESTAMP_MI_INTERVAL };
    let now = convert(pg_sys::TIMESTAMPTZOID, now, target);
    // SAFETY: a value of the target type and an interval.
    unsafe { ffi::OidFunctionCall2Coll(pg_sys::Oid::from(minus), pg_sys::InvalidOid, now, interval) }
}
