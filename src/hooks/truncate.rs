//! TRUNCATE: a chunk's batches go with the rows of its heap.
//!
//! `TRUNCATE ONLY chunk` empties the heap alone, as ONLY means the heap everywhere: so a restore by several sessions begins with a table,
//! when batches may be there already.
//!
//! What was materialized of the rows has to be computed anew; but not in a restore, which empties what it has just created.
//!
//! PostgreSQL names each table that it will truncate (children, and what CASCADE reaches, included) to the object access hook.

use std::cell::RefCell;

use pgrx::pg_sys;

use super::partitions::{Restore, is_untouched, restore_by, restore_of};
use crate::cagg::guard as storage;
use crate::catalog::columnar_chunk;
use crate::change::kept;
use crate::chunk::row_form;
use crate::error::Result;
use crate::pg::guard::on_error;
use crate::pg::{ffi, list};

thread_local! {
    /// The tables of the statements that run now, and what is known of a restore: a trigger may truncate while TRUNCATE runs.
    static NOTED: RefCell<Vec<Vec<(pg_sys::Oid, Restore)>>> = const { RefCell::new(Vec::new()) };
}

/// A table is about to be truncated. It may not be locked yet.
pub fn note(relid: pg_sys::Oid) -> Result<()> {
    storage::check_batches(relid)?;
    let restore = match restore_of(relid) {
        Restore::Pending if !is_untouched(relid) => Restore::Over,
        known => known,
    };
    NOTED.with_borrow_mut(|noted| {
        if let Some(statement) = noted.last_mut() {
            statement.push((relid, restore));
        }
    });
    Ok(())
}

/// Runs a TRUNCATE, and drops the batches of the chunks that it emptied. Their locks are held to the end of the transaction.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn run(statement: *mut pg_sys::TruncateStmt, forward: impl FnOnce()) {
    // SAFETY: the caller's promise.
    let spared = unsafe { named_only(statement) };
    NOTED.with_borrow_mut(|noted| noted.push(Vec::new()));
    on_error(forward, || drop(NOTED.with_borrow_mut(Vec::pop)));
    for (relid, restore) in NOTED.with_borrow_mut(Vec::pop).unwrap_or_default() {
        if let Some(part) = columnar_chunk::find(relid).filter(|_| !spared.contains(&relid)) {
            row_form::drop_part(&part);
        }
        if restore != Restore::Pending {
            // Another session may have restored the catalog since.
            kept::after_truncate_unless(relid, |now| restore == Restore::Unknown && restore_by(now) == Restore::Pending);
        }
    }
}

/// The tables of a statement that says ONLY of all its tables.
///
/// # Safety
/// A statement of the parser's.
unsafe fn named_only(statement: *mut pg_sys::TruncateStmt) -> Vec<pg_sys::Oid> {
    // SAFETY: the caller's promise; InvalidOid if there is none.
    unsafe {
        let tables = list::pointers::<pg_sys::RangeVar>((*statement).relations);
        if tables.iter().any(|table| (**table).inh) {
            return Vec::new();
        }
        let missing = pg_sys::RVROption::RVR_MISSING_OK;
        let resolve =
            |table: *mut pg_sys::RangeVar| ffi::RangeVarGetRelidExtended(table, pg_sys::NoLock as i32, missing, None, std::ptr::null_mut());
        tables.into_iter().map(resolve).collect()
    }
}
