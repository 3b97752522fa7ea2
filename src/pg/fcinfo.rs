//! SQL-callable functions: reading arguments, and the boundary where a `Result` becomes a Datum or an ereport.
//!
//! The SQL declarations stand in `sql/`, by hand, since they are a contract; [`sql_function!`](crate::sql_function) makes the
//! C symbol that they name.

use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::ffi;
use crate::error::{Error, Result, SqlState};

/// The arguments of one call.
#[derive(Clone, Copy)]
pub struct Args(pg_sys::FunctionCallInfo);

impl Args {
    /// # Safety
    /// `fcinfo` is that of the running call.
    pub unsafe fn new(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        Self(fcinfo)
    }

    /// The call's own structure, for functions of PostgreSQL that want it.
    pub fn fcinfo(self) -> pg_sys::FunctionCallInfo {
        self.0
    }

    /// Whether this is the CALL of a procedure that may end transactions.
    pub fn is_non_atomic(self) -> bool {
        // SAFETY: the context is NULL or a node.
        unsafe {
            let context = (*self.0).context;
            !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_CallContext && !(*context.cast::<pg_sys::CallContext>()).atomic
        }
    }

    /// The name by which the function was called.
    pub fn function_name(self) -> String {
        // SAFETY: flinfo is NULL in a direct call only; the name is palloc'd.
        unsafe {
            (*self.0).flinfo.as_ref().and_then(|info| super::relation::optional_string(ffi::get_func_name(info.fn_oid))).unwrap_or_default()
        }
    }

    /// The number of arguments passed.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether a call has arguments")]
    pub fn len(self) -> usize {
        // SAFETY: the constructor's promise.
        unsafe { (*self.0).nargs as usize }
    }

    /// The argument at `index` (from 0), None if it is NULL or was not passed.
    pub fn datum(self, index: usize) -> Option<pg_sys::Datum> {
        if index >= self.len() {
            return None;
        }
        // SAFETY: index < nargs, and args has nargs elements.
        let arg = unsafe { (*self.0).args.as_ptr().add(index).read() };
        (!arg.isnull).then_some(arg.value)
    }

    /// The argument as a Rust value, None if NULL.
    pub fn get<T: FromDatum>(self, index: usize) -> Option<T> {
        // SAFETY: the SQL declaration gives the argument the type that the caller asks for.
        self.datum(index).and_then(|datum| unsafe { T::from_datum(datum, false) })
    }

    /// The argument as a Rust value, `default` if NULL.
    pub fn get_or<T: FromDatum>(self, index: usize, default: T) -> T {
        self.get(index).unwrap_or(default)
    }

    /// The argument, which must not be NULL: `name` is what the error calls it.
    pub fn require<T: FromDatum>(self, index: usize, name: &'static str) -> Result<T> {
        self.get(index).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("{name} cannot be NULL")))
    }

    /// The actual type of a polymorphic argument; `InvalidOid` if the call does not say.
    pub fn arg_type(self, index: usize) -> pg_sys::Oid {
        // SAFETY: flinfo belongs to the running call.
        unsafe { ffi::get_fn_expr_argtype((*self.0).flinfo, index as i32) }
    }

    /// The collation of the call.
    pub fn collation(self) -> pg_sys::Oid {
        // SAFETY: the constructor's promise.
        unsafe { (*self.0).fncollation }
    }

    /// The function's own name, as the user called it.
    pub fn function_oid(self) -> pg_sys::Oid {
        // SAFETY: flinfo belongs to the running call.
        unsafe { (*(*self.0).flinfo).fn_oid }
    }
}

/// Runs the body of an SQL function.
///
/// # Safety
/// Only for [`sql_function!`](crate::sql_function).
#[inline]
pub unsafe fn call<T: IntoDatum>(fcinfo: pg_sys::FunctionCallInfo, f: impl FnOnce(Args) -> Result<Option<T>>) -> pg_sys::Datum {
    // SAFETY: called by the extern function that the macro makes, with the call's fcinfo.
    unsafe {
        let datum = super::guard::boundary(|| f(Args::new(fcinfo)).map(|value| value.and_then(IntoDatum::into_datum)));
        (*fcinfo).isnull = datum.is_none();
        datum.unwrap_or(pg_sys::Datum::null())
    }
}

/// Defines the C symbol of an SQL function: `sql_function!(tsc_name, |args| -> T { ... Ok(Some(value)) })`.
#[macro_export]
macro_rules! sql_function {
    ($(#[$meta:meta])* $name:ident, |$args:ident| -> $result:ty $body:block) => {
        $(#[$meta])*
        #[unsafe(export_name = stringify!($name))]
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            #[inline(always)]
            fn body($args: $crate::pg::fcinfo::Args) -> $crate::error::Result<Option<$result>> $body
            // SAFETY: PostgreSQL calls this with a valid fcinfo.
            unsafe { $crate::pg::fcinfo::call::<$result>(fcinfo, body) }
        }

        const _: () = {
            #[unsafe(export_name = concat!("pg_finfo_", stringify!($name)))]
            extern "C" fn finfo() -> &'static pgrx::pg_sys::Pg_finfo_record {
                static RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &RECORD
            }
        };
    };
}
