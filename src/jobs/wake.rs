//! Telling this database's scheduler that jobs changed, when the transaction that changed them commits.

use std::cell::Cell;

use pgrx::pg_sys;

use super::state;
use crate::error::{Error, SqlState};
use crate::pg::{process, xact};

thread_local! {
    static CHANGED: Cell<bool> = const { Cell::new(false) };
    static COPIED: Cell<Option<pg_sys::Oid>> = const { Cell::new(None) };
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// Jobs changed in this transaction.
pub fn at_commit() {
    CHANGED.set(true);
}

/// A database that may have jobs came to be in this transaction.
pub fn for_database_at_commit(database: pg_sys::Oid) {
    COPIED.set(Some(database));
}

/// Installs the callback; once, from `_PG_init`.
pub fn init() {
    xact::at_end(|committed| {
        if CHANGED.take() && committed {
            state::note_change(process::own_database());
        }
        if let Some(database) = COPIED.take().filter(|_| committed) {
            state::note_change(database);
        }
    });
}

/// Says once in a session that a job has been defined that will not run by itself.
pub fn warn_if_nothing_runs() {
    if crate::guc::max_background_workers() == 0 && !WARNED.replace(true) {
        Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "jobs do not run by themselves on this server")
            .detail("timescaledb.max_background_workers is 0.")
            .hint("Raise timescaledb.max_background_workers in postgresql.conf and restart the server, or run jobs with CALL run_job().")
            .report(pgrx::PgLogLevel::WARNING);
    }
}
