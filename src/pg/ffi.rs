//! PostgreSQL's functions, declared once: `ffi::f` is guarded (an ERROR unwinds), `ffi::raw::f` is not (an ERROR jumps).
//!
//! pgrx's bindings guard every call, but lose parts of the error (see `guard`), and lack functions that PostgreSQL exports
//! without a header that pgrx reads. Signatures are those of PostgreSQL 15; all version differences of functions go here.
#![allow(non_snake_case, clippy::too_many_arguments, missing_docs)]

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};

use pgrx::pg_sys::*;

macro_rules! postgres {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        /// Unguarded: an ERROR jumps over the Rust frames in between, which must hold no destructor.
        pub mod raw {
            use super::*;
            unsafe extern "C-unwind" {
                $(pub fn $name($($arg: $ty),*) $(-> $ret)?;)*
                // These take a varying number of arguments or never return, so they have no guarded form.
                pub fn ReThrowError(edata: *mut ErrorData) -> !;
                pub fn errmsg_internal(fmt: *const c_char, ...) -> c_int;
                pub fn errdetail_internal(fmt: *const c_char, ...) -> c_int;
                pub fn errhint(fmt: *const c_char, ...) -> c_int;
                pub fn errcontext_msg(fmt: *const c_char, ...) -> c_int;
            }
        }
        $(
            /// # Safety
            /// As the PostgreSQL function of the same name.
            #[inline]
            pub unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise; the closure holds nothing but plain values.
                unsafe { super::guard::guard(|| raw::$name($($arg),*)) }
            }
        )*
    };
}

postgres! {
    fn CopyErrorData() -> *mut ErrorData;
    fn FlushErrorState();
    fn get_fn_expr_argtype(flinfo: *mut FmgrInfo, argnum: c_int) -> Oid;
    fn pnstrdup(in_: *const c_char, len: Size) -> *mut c_char;

    // Exported by PostgreSQL, not in pgrx's bindings.
    fn errstart(elevel: c_int, domain: *const c_char) -> bool;
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
}
