//! `jsonb` values as text: numbers keep all their digits.

use pgrx::pg_sys;

use super::{datetime, ffi, relation};

/// The text of a jsonb.
///
/// # Safety
/// A jsonb Datum.
pub unsafe fn text(json: pg_sys::Datum) -> String {
    // SAFETY: the caller's promise; the result is a palloc'd C string.
    unsafe { relation::optional_string(ffi::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_JSONB_OUT), json)) }.unwrap_or_default()
}

/// The jsonb that a text says; an ERROR if it is none.
pub fn datum(text: &str) -> pg_sys::Datum {
    datetime::read(pg_sys::JSONBOID, text)
}
