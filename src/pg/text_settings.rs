//! Settings under which the text of any value can be read back as the same value, whatever the session's are: those of pg_dump.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;

use super::ffi::raw;

const SETTINGS: [(&CStr, &CStr); 7] = [
    (c"datestyle", c"ISO, YMD"),
    (c"intervalstyle", c"postgres"),
    (c"extra_float_digits", c"3"),
    (c"array_nulls", c"on"),
    (c"xmloption", c"content"),
    (c"lc_monetary", c"C"),
    // Names of objects are qualified.
    (c"search_path", c"pg_catalog"),
];

/// Runs `f` under these settings; an ERROR restores the session's, too.
///
/// # Safety
/// May jump; `f` returns nothing with a destructor.
pub unsafe fn with<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: the caller's promise.
    unsafe {
        let level = set();
        let result = f();
        reset(level);
        result
    }
}

/// Sets them, until [`reset`] or the end of the (sub)transaction.
///
/// # Safety
/// May jump.
pub unsafe fn set() -> Option<i32> {
    // SAFETY: settings that any role may change, for this scope: as a function's SET clause does.
    unsafe {
        if are_set() {
            return None;
        }
        let level = raw::NewGUCNestLevel();
        for (name, value) in SETTINGS {
            raw::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        Some(level)
    }
}

/// Restores what was before [`set`], whose result is given.
///
/// # Safety
/// Called once, in the same (sub)transaction. May jump.
pub unsafe fn reset(level: Option<i32>) {
    if let Some(level) = level {
        // SAFETY: the level that was begun.
        unsafe { raw::AtEOXact_GUC(true, level) };
    }
}

/// Whether they are in force: a scope may lie within another one.
///
/// # Safety
/// Reads variables of PostgreSQL's.
unsafe fn are_set() -> bool {
    unsafe extern "C" {
        static locale_monetary: *const c_char;
        static xmloption: std::ffi::c_int;
    }
    // SAFETY: the caller's promise; string settings are C strings, never NULL once the server has started.
    unsafe {
        let is = |setting: *const c_char, value: &CStr| !setting.is_null() && CStr::from_ptr(setting) == value;
        pg_sys::DateStyle == pg_sys::USE_ISO_DATES as i32
            && pg_sys::DateOrder == pg_sys::DATEORDER_YMD as i32
            && pg_sys::IntervalStyle == pg_sys::INTSTYLE_POSTGRES as i32
            && pg_sys::extra_float_digits > 0
            && pg_sys::Array_nulls
            && xmloption == pg_sys::XmlOptionType::XMLOPTION_CONTENT as i32
            && is(locale_monetary, c"C")
            && is(pg_sys::namespace_search_path, c"pg_catalog")
    }
}
