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
