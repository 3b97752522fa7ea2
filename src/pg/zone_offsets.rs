//! How far the clocks of time zones are from UTC, over all of time.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;
use tsc_kernel::axis::EPOCH_MICROS;

use super::ffi;
use super::relation::{c_string, optional_string};

/// 1700-01-01, before any zone's clocks were changed, in seconds since 1970.
const FIRST: i64 = -8_520_336_000;
/// 2200-01-01: what rules say of a year they say of all that follow.
const LAST: i64 = 7_258_118_400;
/// Clocks that are changed at all are changed within so many seconds: three years.
const CYCLE: i64 = 3 * 366 * 86_400;

thread_local! {
    /// What was found, by zone and unit.
    static FOUND: RefCell<HashMap<(String, i64), i64>> = RefCell::default();
}

/// From when on the clocks of a zone are a multiple of `unit` microseconds from UTC, in microseconds since 2000: `i64::MIN` always, and
/// `i64::MAX` never again. The zone is as `timezone()` takes it; an empty name stands for the session's.
pub fn even_from(zone: &str, unit: i64) -> i64 {
    // SAFETY: the session's zone is always set; its name is a C string of its own.
    let session = || unsafe { optional_string(ffi::pg_get_timezone_name(pg_sys::session_timezone)) }.unwrap_or_default();
    let key = (if zone.is_empty() { session() } else { zone.to_owned() }, unit);
    if let Some(found) = FOUND.with_borrow(|found| found.get(&key).copied()) {
        return found;
    }
    let found = search(zone, unit);
    FOUND.with_borrow_mut(|all| all.insert(key, found));
    found
}

fn is_even(seconds: i64, unit: i64) -> bool {
    (i128::from(seconds) * 1_000_000) % i128::from(unit) == 0
}

fn search(zone: &str, unit: i64) -> i64 {
    let zone = match look_up(zone) {
        Looked::Fixed(offset) => return if is_even(offset, unit) { i64::MIN } else { i64::MAX },
        Looked::Unknown => return i64::MAX,
        Looked::Zone(zone) => zone,
    };
    let (mut at, mut odd_until) = (FIRST, None);
    loop {
        let (mut before, mut after, mut before_dst, mut after_dst, mut boundary) = (0, 0, 0, 0, 0);
        // SAFETY: fills the variables.
        let found =
            unsafe { ffi::pg_next_dst_boundary(&at, &mut before, &mut before_dst, &mut boundary, &mut after, &mut after_dst, zone) };
        // Clocks may also be changed in the middle of a unit: at 00:01 in Newfoundland, for some years.
        let odd = !is_even(before, unit) || found == 1 && !is_even(boundary, unit);
        if found != 1 || boundary >= LAST {
            if odd || odd_until.is_some_and(|until| found == 1 && until > LAST - CYCLE) {
                return i64::MAX;
            }
            break;
        }
        if odd {
            odd_until = Some(boundary);
        }
        at = boundary;
    }
    odd_until.map_or(i64::MIN, |seconds| seconds.saturating_mul(1_000_000).saturating_sub(EPOCH_MICROS))
}

enum Looked {
    Fixed(i64),
    Zone(*mut pg_sys::pg_tz),
    Unknown,
}

/// In the order of `timestamptz_zone`: an abbreviation, then a name.
fn look_up(zone: &str) -> Looked {
    if zone.is_empty() {
        // SAFETY: reads a variable.
        return Looked::Zone(unsafe { pg_sys::session_timezone });
    }
    let name = c_string(zone);
    let (mut offset, mut dynamic) = (0, std::ptr::null_mut());
    // SAFETY: C strings; the variables are filled. An abbreviation whose meaning depends on the time is left alone.
    unsafe {
        let lower = ffi::downcase_truncate_identifier(name.as_ptr(), name.as_bytes().len() as i32, false);
        match ffi::DecodeTimezoneAbbrev(0, lower, &mut offset, &mut dynamic) as u32 {
            pg_sys::TZ | pg_sys::DTZ => Looked::Fixed(offset.into()),
            pg_sys::UNKNOWN_FIELD => match ffi::pg_tzset(name.as_ptr()) {
                zone if zone.is_null() => Looked::Unknown,
                zone => Looked::Zone(zone),
            },
            _ => Looked::Unknown,
        }
    }
}
