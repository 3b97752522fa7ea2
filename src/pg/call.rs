//! Calling one function many times.

use pgrx::pg_sys;

use super::ffi;

/// A function of one argument, looked up once.
pub struct FunctionCall(Box<pg_sys::FmgrInfo>);

impl FunctionCall {
    /// Looks the function up; what it caches lives in the current memory context.
    pub fn new(oid: pg_sys::Oid) -> Self {
        let mut info = Box::new(pg_sys::FmgrInfo::default());
        // SAFETY: fills the struct, which does not move while it is used.
        unsafe { ffi::fmgr_info(oid, &mut *info) };
        Self(info)
    }

    /// Calls it with an argument that is not NULL; an ERROR if it returns NULL.
    pub fn call(&self, argument: pg_sys::Datum) -> pg_sys::Datum {
        let info = std::ptr::from_ref(&*self.0).cast_mut();
        // SAFETY: the function takes one argument.
        unsafe { ffi::FunctionCall1Coll(info, pg_sys::InvalidOid, argument) }
    }
}

/// Calls a function or procedure of one argument, which may be NULL, for what it does. A strict one is not called with NULL.
pub fn call_for_effect(oid: pg_sys::Oid, argument: Option<pg_sys::Datum>) {
    let mut info = Box::new(pg_sys::FmgrInfo::default());
    let size = size_of::<pg_sys::FunctionCallInfoBaseData>() + size_of::<pg_sys::NullableDatum>();
    // SAFETY: zeroed memory with room for one argument; the function was looked up and takes one. `info` outlives the call.
    unsafe {
        ffi::fmgr_info(oid, &mut *info);
        if info.fn_strict && argument.is_none() {
            return;
        }
        let call = ffi::palloc0(size).cast::<pg_sys::FunctionCallInfoBaseData>();
        (*call).flinfo = &raw mut *info;
        (*call).nargs = 1;
        (*call)
            .args
            .as_mut_ptr()
            .write(pg_sys::NullableDatum { value: argument.unwrap_or(pg_sys::Datum::null()), isnull: argument.is_none() });
        if let Some(function) = info.fn_addr {
            super::guard::guard(|| function(call));
        }
        ffi::pfree(call.cast());
    }
}

/// Calls a function of no arguments; None if it returns NULL.
pub fn call_without_arguments(oid: pg_sys::Oid) -> Option<pg_sys::Datum> {
    let mut info = Box::new(pg_sys::FmgrInfo::default());
    // SAFETY: zeroed memory for a call without arguments; the function was looked up and takes none. `info` outlives the call.
    unsafe {
        ffi::fmgr_info(oid, &mut *info);
        let call = ffi::palloc0(size_of::<pg_sys::FunctionCallInfoBaseData>()).cast::<pg_sys::FunctionCallInfoBaseData>();
        (*call).flinfo = &raw mut *info;
        let function = info.fn_addr?;
        let result = super::guard::guard(|| function(call));
        (!(*call).isnull).then_some(result)
    }
}
