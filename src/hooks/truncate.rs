//! TRUNCATE: a chunk's batches go with the rows of its heap.
//!
//! PostgreSQL names each table that it will truncate (children, and what CASCADE reaches, included) to the object access hook.

use std::cell::RefCell;

use pgrx::pg_sys;

use crate::catalog::columnar_chunk;
use crate::chunk::row_form;
use crate::pg::guard::on_error;

thread_local! {
    /// The tables of the statements that run now: a trigger may truncate while TRUNCATE runs.
    static NOTED: RefCell<Vec<Vec<pg_sys::Oid>>> = const { RefCell::new(Vec::new()) };
}

/// A table is about to be truncated.
pub fn note(relid: pg_sys::Oid) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(statement) = noted.last_mut() {
            statement.push(relid);
        }
    });
}

/// Runs a TRUNCATE, and drops the batches of the chunks that it emptied. Their locks are held to the end of the transaction.
pub fn run(forward: impl FnOnce()) {
    NOTED.with_borrow_mut(|noted| noted.push(Vec::new()));
    on_error(forward, || drop(NOTED.with_borrow_mut(Vec::pop)));
    for relid in NOTED.with_borrow_mut(Vec::pop).unwrap_or_default() {
        if let Some(part) = columnar_chunk::find(relid) {
            row_form::drop_part(&part);
        }
    }
}
