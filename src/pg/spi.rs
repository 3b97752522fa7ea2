//! SQL from inside: for DDL and small queries off the hot path.

use pgrx::pg_sys;

use super::ffi;
use super::relation::{c_string, optional_string};
use crate::error::{Error, Result};

/// Runs one or more statements with the current role's privileges.
pub fn execute(sql: &str) -> Result<()> {
    query(sql).map(drop)
}

/// Runs a query and returns its rows as the columns' text, None for NULL.
///
/// The search path is pg_catalog's meanwhile: an operator of the user's making can't take the place of PostgreSQL's.
pub fn query(sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let text = c_string(sql);
    // SAFETY: SPI_connect and SPI_finish pair up; on an error the transaction's abort cleans SPI up.
    unsafe {
        if ffi::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
            return Err(Error::internal("could not connect to SPI"));
        }
        let level = ffi::NewGUCNestLevel();
        ffi::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let code = ffi::SPI_execute(text.as_ptr(), false, 0);
        if code < 0 {
            ffi::SPI_finish();
            return Err(Error::internal(format!("SPI_execute returned {code}")));
        }
        ffi::AtEOXact_GUC(true, level);
        let rows = if pg_sys::SPI_tuptable.is_null() { Vec::new() } else { read_table(pg_sys::SPI_tuptable) };
        ffi::SPI_finish();
        Ok(rows)
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
