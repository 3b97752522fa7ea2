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
