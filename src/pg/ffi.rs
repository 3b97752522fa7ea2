//! PostgreSQL's functions, declared once: `ffi::f` is guarded (an ERROR unwinds), `ffi::raw::f` is not (an ERROR jumps).
//!
//! pgrx's bindings guard every call, but lose parts of the error (see `guard`), and lack functions that PostgreSQL exports
//! without a header that pgrx reads. Signatures are those of PostgreSQL 15; all version differences of functions go here.
#![allow(non_snake_case, clippy::too_many_arguments, missing_docs)]

use std::ffi::{c_char, c_int, c_void};

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
    fn AggCheckCallContext(fcinfo: FunctionCallInfo, aggcontext: *mut MemoryContext) -> c_int;
    fn CopyErrorData() -> *mut ErrorData;
    fn DirectFunctionCall2Coll(func: PGFunction, collation: Oid, arg1: Datum, arg2: Datum) -> Datum;
    fn FlushErrorState();
    fn FunctionCall1Coll(flinfo: *mut FmgrInfo, collation: Oid, arg1: Datum) -> Datum;
    fn FunctionCall2Coll(flinfo: *mut FmgrInfo, collation: Oid, arg1: Datum, arg2: Datum) -> Datum;
    fn MemoryContextAlloc(context: MemoryContext, size: Size) -> *mut c_void;
    fn MemoryContextAllocZero(context: MemoryContext, size: Size) -> *mut c_void;
    fn format_type_be(type_oid: Oid) -> *mut c_char;
    fn getBaseType(typid: Oid) -> Oid;
    fn get_fn_expr_argtype(flinfo: *mut FmgrInfo, argnum: c_int) -> Oid;
    fn lookup_type_cache(type_id: Oid, flags: c_int) -> *mut TypeCacheEntry;
    fn palloc(size: Size) -> *mut c_void;
    fn pfree(pointer: *mut c_void);
    fn pg_detoast_datum_copy(datum: *mut varlena) -> *mut varlena;
    fn pg_detoast_datum_packed(datum: *mut varlena) -> *mut varlena;
    fn pg_strong_random(buf: *mut c_void, len: usize) -> bool;
    fn pnstrdup(in_: *const c_char, len: Size) -> *mut c_char;
    fn timestamp_zone(fcinfo: FunctionCallInfo) -> Datum;
    fn timestamptz_zone(fcinfo: FunctionCallInfo) -> Datum;

    // Exported by PostgreSQL, not in pgrx's bindings.
    fn datumCopy(value: Datum, typByVal: bool, typLen: c_int) -> Datum;
    fn datumEstimateSpace(value: Datum, isnull: bool, typByVal: bool, typLen: c_int) -> Size;
    fn datumRestore(start_address: *mut *mut c_char, isnull: *mut bool) -> Datum;
    fn datumSerialize(value: Datum, isnull: bool, typByVal: bool, typLen: c_int, start_address: *mut *mut c_char);
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
    fn errstart(elevel: c_int, domain: *const c_char) -> bool;
}
