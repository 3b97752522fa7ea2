//! SQL from inside: for DDL and small queries off the hot path.

use pgrx::pg_sys;

use super::relation::{c_string, optional_string};
use super::{context, ffi};
use crate::error::{Error, Result};

/// Runs one or more statements with the current role's privileges.
pub fn execute(sql: &str) -> Result<()> {
    query(sql).map(drop)
}

/// Runs a query and returns its rows as the columns' text, None for NULL.
///
/// The search path is pg_catalog's meanwhile: an operator of the user's making can't take the place of PostgreSQL's.
pub fn query(sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    run(sql).map(|(rows, _)| rows)
}

/// The same for a statement that changes rows: how many.
pub fn change(sql: &str) -> Result<u64> {
    run(sql).map(|(_, count)| count)
}

fn run(sql: &str) -> Result<(Vec<Vec<Option<String>>>, u64)> {
    let text = c_string(sql);
    // SAFETY: SPI_connect and SPI_finish pair up; on an error the transaction's abort cleans SPI up.
    unsafe {
        if ffi::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
            return Err(Error::internal("could not connect to SPI"));
        }
        let code = context::with_catalog_path(|| ffi::SPI_execute(text.as_ptr(), false, 0));
        if code < 0 {
            ffi::SPI_finish();
            return Err(Error::internal(format!("SPI_execute returned {code}")));
        }
        let count = pg_sys::SPI_processed;
        let rows = if pg_sys::SPI_tuptable.is_null() { Vec::new() } else { read_table(pg_sys::SPI_tuptable) };
        ffi::SPI_finish();
        Ok((rows, count))
    }
}

/// Runs one statement as the session would: with its search path, and, if `non_atomic`, so that a procedure may end transactions. What
/// it returns is dropped.
pub fn call(sql: &str, non_atomic: bool) -> Result<()> {
    let text = c_string(sql);
    let options = pg_sys::SPIExecuteOptions { allow_nonatomic: non_atomic, ..Default::default() };
    // SAFETY: SPI_connect_ext and SPI_finish pair up; on an error the transaction's abort cleans SPI up. The options and the text outlive
    // the call; nothing else is kept across transactions that end in it.
    let code = unsafe {
        if ffi::SPI_connect_ext(if non_atomic { pg_sys::SPI_OPT_NONATOMIC as i32 } else { 0 }) != pg_sys::SPI_OK_CONNECT as i32 {
            return Err(Error::internal("could not connect to SPI"));
        }
        let code = ffi::SPI_execute_extended(text.as_ptr(), &options);
        ffi::SPI_finish();
        code
    };
    if code < 0 { Err(Error::internal(format!("SPI_execute_extended returned {code}"))) } else { Ok(()) }
}

/// The right to end transactions, of a procedure that was called where it may. Nothing that belongs to a transaction outlives
/// [`Transactions::commit`]; memory contexts and Rust's own memory do.
pub struct Transactions(());

impl Transactions {
    /// Runs `f` with that right. Only in the CALL of a procedure that is not atomic.
    pub fn with<T>(f: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        // SAFETY: SPI_connect_ext and SPI_finish pair up; on an error the transaction's abort cleans SPI up. The context that is current
        // meanwhile lives until SPI_finish, whatever becomes of transactions.
        unsafe {
            if ffi::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) != pg_sys::SPI_OK_CONNECT as i32 {
                return Err(Error::internal("could not connect to SPI"));
            }
            let result = f(&Self(()));
            if !pg_sys::FirstSnapshotSet {
                // What the caller does next in the last transaction is to be as isolated as the session asks for.
                pg_sys::XactIsoLevel = pg_sys::DefaultXactIsoLevel;
            }
            ffi::SPI_finish();
            result
        }
    }

    /// Commits, and begins a transaction that sees what others commit: no setting of the session's keeps it from that.
    pub fn commit(&self) {
        // SAFETY: connected, by `with`. The new transaction has no snapshot yet.
        unsafe {
            ffi::SPI_commit();
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        }
    }

    /// Runs `f` with a snapshot of this moment.
    pub fn with_snapshot<T>(&self, f: impl FnOnce() -> T) -> T {
        // SAFETY: pushed and popped in pairs; on an error the transaction's abort pops it.
        unsafe {
            ffi::PushActiveSnapshot(ffi::GetTransactionSnapshot());
            let result = f();
            ffi::PopActiveSnapshot();
            result
        }
    }
}

/// A text as a literal of SQL.
pub fn quote_literal(text: &str) -> String {
    let text = c_string(text);
    // SAFETY: a NUL-terminated string in, a palloc'd one out.
    unsafe { optional_string(ffi::quote_literal_cstr(text.as_ptr())) }.unwrap_or_default()
}

/// # Safety
/// `table` is SPI's current result.
unsafe fn read_table(table: *mut pg_sys::SPITupleTable) -> Vec<Vec<Option<String>>> {
    // SAFETY: vals holds numvals tuples of the descriptor; SPI_getvalue returns a palloc'd string or NULL.
    unsafe {
        let columns = (*(*table).tupdesc).natts;
        let tuples = std::slice::from_raw_parts((*table).vals, (*table).numvals as usize);
        tuples
            .iter()
            .map(|tuple| (1..=columns).map(|column| optional_string(ffi::SPI_getvalue(*tuple, (*table).tupdesc, column))).collect())
            .collect()
    }
}
