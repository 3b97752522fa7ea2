//! Statements on continuous aggregates.

use pgrx::pg_sys;

use crate::cagg::definition::create::{self, Outcome};
use crate::cagg::definition::options::{Asked, Options};
use crate::error::Result;
use crate::pg::ffi;

/// `CREATE MATERIALIZED VIEW`. False if it is PostgreSQL's.
///
/// # Safety
/// A statement of the parser's that may be changed. `is_top_level` as in the utility hook's context.
pub unsafe fn create(statement: *mut pg_sys::CreateTableAsStmt, _is_top_level: bool) -> Result<bool> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*statement).objtype != pg_sys::ObjectType::OBJECT_MATVIEW {
            return Ok(false);
        }
        let options = match Options::read((*(*statement).into).options)? {
            Asked::Plain(rest) => {
                (*(*statement).into).options = rest;
                return Ok(false);
            }
            Asked::Continuous(options) => options,
        };
        ffi::PreventCommandIfReadOnly(c"CREATE MATERIALIZED VIEW".as_ptr());
        ffi::PreventCommandIfParallelMode(c"CREATE MATERIALIZED VIEW".as_ptr());
        match create::run(statement, &options)? {
            Outcome::Skipped | Outcome::Created(_) => Ok(true),
        }
    }
}
