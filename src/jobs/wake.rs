//! Telling this database's scheduler that jobs changed, when the transaction that changed them commits.

use std::cell::Cell;

use pgrx::pg_sys;

use super::state;
use crate::error::{Error, SqlState};
use crate::pg::{process, xact};

thread_local! {
    static CHANGED: Cell<bool> = const { Cell::new(false) };
    static COPIED: Cell<Option<pg_sys::Oid>> = const { Cell::new(None) };
    static START: Cell<Option<bool>> = const { Cell::new(None) };
    static STOPPING: Cell<bool> = const { Cell::new(false) };
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

/// This database's processes, which were stopped, are to be started if this transaction commits.
pub fn start_at_commit() {
    START.set(START.get().or(Some(false)));
}

/// They are to be started even if it does not: it stopped them itself.
pub fn start_at_end() {
    START.set(Some(true));
}

/// This transaction has begun to stop them, or is done with it. If it ends before, by whatever way, they may be started again.
pub fn stopping(begun: bool) {
    STOPPING.set(begun);
}

/// Installs the callback; once, from `_PG_init`.
pub fn init() {
    xact::at_end(|committed| {
        if STOPPING.take() {
            state::unhold(process::own_database(), 0);
        }
        if START.take().is_some_and(|anyway| anyway || committed) {
            state::unhold(process::own_database(), 0);
            state::note_change(process::own_database());
        }
        if CHANGED.take() && committed {
            state::note_change(process::own_database());
        }
        if let Some(database) = COPIED.take().filter(|_| committed) {
            state::note_change(database);
            // Whether a database that has a scheduler is still to have one is the launcher's to decide.
            state::wake_launcher();
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
