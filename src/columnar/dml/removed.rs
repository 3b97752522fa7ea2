//! Batches that a DELETE removes whole, and their rows in its count.

use std::cell::RefCell;

use pgrx::pg_sys;

use super::Removable;
use crate::change::{Recorder, place};
use crate::error::{Error, Result};
use crate::pg::ffi;
use crate::pg::relation::{Relation, relation_name};

/// Rows that a statement deleted before it ran.
struct Removed {
    query: *mut pg_sys::QueryDesc,
    /// The transaction: statements that failed leave their entries behind.
    transaction: pg_sys::LocalTransactionId,
    rows: u64,
}

thread_local! {
    static REMOVED: RefCell<Vec<Removed>> = const { RefCell::new(Vec::new()) };
}

fn transaction() -> pg_sys::LocalTransactionId {
    // SAFETY: a backend in a transaction has its entry.
    unsafe { (*pg_sys::MyProc).lxid }
}

/// Forgets what is known of a statement, which is about to start, and of statements of other transactions.
pub fn forget(query: *mut pg_sys::QueryDesc) {
    REMOVED.with_borrow_mut(|removed| {
        if !removed.is_empty() {
            let transaction = transaction();
            removed.retain(|entry| entry.query != query && entry.transaction == transaction);
        }
    });
}

/// Deletes locked batches by the statement's own command: its snapshot still sees their rows, as it would those of a plain table.
///
/// # Safety
/// `query` is about to be started.
pub unsafe fn remove(query: *mut pg_sys::QueryDesc, removable: impl Iterator<Item = Removable>) -> Result<()> {
    let mut rows = 0;
    for batch in removable {
        let batches = Relation::open(batch.batches, pg_sys::RowExclusiveLock);
        let mut tid = batch.tid;
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: this transaction has the batch locked.
        let result = unsafe {
            let command = ffi::GetCurrentCommandId(true);
            ffi::heap_delete(batches.as_ptr(), &mut tid, command, (*query).crosscheck_snapshot, true, &mut failure, false)
        };
        if result != pg_sys::TM_Result::TM_Ok {
            return Err(Error::internal(format!("a locked batch of chunk \"{}\" can't be deleted", relation_name(batch.chunk))));
        }
        rows += batch.rows;
        note(&batch);
    }
    if rows > 0 {
        REMOVED.with_borrow_mut(|removed| removed.push(Removed { query, transaction: transaction(), rows }));
    }
    Ok(())
}

/// Records the times of a batch: the statement never sees its rows.
fn note(batch: &Removable) {
    match batch.times {
        Some(times) => {
            if let Some(hypertable) = place::hypertable_of(batch.chunk) {
                Recorder::of(&hypertable).note_range(times);
            }
        }
        None => place::note_table(batch.chunk),
    }
}

/// Adds the rows that a statement deleted before it ran to those that it has processed. To be called after `standard_ExecutorRun`.
///
/// # Safety
/// `query` has run.
pub unsafe fn after_run(query: *mut pg_sys::QueryDesc) {
    REMOVED.with_borrow_mut(|removed| {
        removed.retain(|entry| {
            if entry.query != query {
                return true;
            }
            // SAFETY: the caller's promise.
            unsafe { (*(*query).estate).es_processed += entry.rows };
            false
        });
    });
}
