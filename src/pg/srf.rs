//! Functions that return rows: sets, and composite values.

use pgrx::pg_sys;

use super::fcinfo::Args;
use super::ffi;
use crate::error::{Error, Result, SqlState};

/// The rows that a set-returning function hands back, collected in a tuplestore.
pub struct ResultSet {
    info: *mut pg_sys::ReturnSetInfo,
}

impl ResultSet {
    /// Begins the result of the running call; refused where a set can't be accepted.
    pub fn new(args: Args) -> Self {
        // SAFETY: raises an ERROR unless the caller can take a set, and then fills resultinfo. A scalar result type needs the
        // expected descriptor.
        unsafe {
            let info = (*args.fcinfo()).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let flags = if is_composite(args) { 0 } else { pg_sys::SRF_SINGLE_USE_EXPECTED };
            ffi::InitMaterializedSRF(args.fcinfo(), flags);
            Self { info }
        }
    }

    /// Adds a row.
    pub fn push(&mut self, values: &[Option<pg_sys::Datum>]) {
        let mut datums: Vec<pg_sys::Datum> = values.iter().map(|value| value.unwrap_or(pg_sys::Datum::null())).collect();
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        // SAFETY: one value for each column of the result.
        unsafe {
            ffi::tuplestore_putvalues((*self.info).setResult, (*self.info).setDesc, datums.as_mut_ptr(), nulls.as_mut_ptr());
        }
    }
}

fn is_composite(args: Args) -> bool {
    let mut desc = std::ptr::null_mut();
    // SAFETY: looks the function's result type up.
    let class = unsafe { ffi::get_call_result_type(args.fcinfo(), std::ptr::null_mut(), &mut desc) };
    class == pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE
}

/// A value of the composite type that the running function returns.
pub fn composite(args: Args, values: &[Option<pg_sys::Datum>]) -> Result<pg_sys::Datum> {
    let mut desc = std::ptr::null_mut();
    // SAFETY: the descriptor belongs to the call; one value for each of its columns.
    unsafe {
        let class = ffi::get_call_result_type(args.fcinfo(), std::ptr::null_mut(), &mut desc);
        if class != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE || (*desc).natts as usize != values.len() {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "function returning record called in a context that cannot accept it"));
        }
        let desc = ffi::BlessTupleDesc(desc);
        let mut datums: Vec<pg_sys::Datum> = values.iter().map(|value| value.unwrap_or(pg_sys::Datum::null())).collect();
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let tuple = ffi::heap_form_tuple(desc, datums.as_mut_ptr(), nulls.as_mut_ptr());
        Ok(ffi::HeapTupleHeaderGetDatum((*tuple).t_data))
    }
}

/// A field of a composite value by its number from 1; None if NULL.
///
/// # Safety
/// `value` is a composite Datum.
pub unsafe fn field(value: pg_sys::Datum, number: i16) -> Option<pg_sys::Datum> {
    let mut null = false;
    // SAFETY: the caller's promise; a toasted value is fetched first.
    unsafe {
        let header = ffi::pg_detoast_datum(value.cast_mut_ptr()).cast();
        let datum = ffi::GetAttributeByNum(header, number, &mut null);
        (!null).then_some(datum)
    }
}
