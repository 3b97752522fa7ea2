//! How far this session has come with a chunk, for others to see: in the shared memory that `pg_stat_progress_*` views read.

use std::ffi::c_int;

use pgrx::pg_sys;

use super::ffi;

/// A kind of command that PostgreSQL does not use (`ProgressCommandType`).
const OURS: pg_sys::ProgressCommandType::Type = 0x7463;

const PHASE: c_int = 0;
const DONE: c_int = 1;
const TOTAL: c_int = 2;
const COMMAND: c_int = 3;

/// What is done with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Its rows become batches.
    Compress = 1,
    /// Its batches become rows.
    Decompress = 2,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are read and sorted.
    Reading = 1,
    /// They are written to their new place.
    Writing = 2,
    /// Indexes are built.
    Indexing = 3,
    /// Readers are waited for.
    Waiting = 4,
    /// The new place takes the place of the old one.
    Swapping = 5,
}

impl Phase {
    fn name(number: i64) -> &'static str {
        match number {
            1 => "reading rows",
            2 => "writing rows",
            3 => "building indexes",
            4 => "waiting for readers",
            5 => "swapping storage",
            _ => "initializing",
        }
    }
}

/// Begins with a chunk. An error, or [`end`], ends it.
pub fn start(relid: pg_sys::Oid, command: Command) {
    // SAFETY: writes to this session's own entry.
    unsafe {
        ffi::pgstat_progress_start_command(OURS, relid);
        ffi::pgstat_progress_update_param(COMMAND, command as i64);
    }
    phase(Phase::Reading);
}

/// Enters a phase.
pub fn phase(phase: Phase) {
    // SAFETY: as above.
    unsafe { ffi::pgstat_progress_update_param(PHASE, phase as i64) }
}

/// How many rows there are to be written.
pub fn total(rows: i64) {
    // SAFETY: as above.
    unsafe { ffi::pgstat_progress_update_param(TOTAL, rows) }
}

/// How many rows have been written. May be called where errors jump, and while another command (COPY) reports progress of its own.
pub fn done(rows: i64) {
    // SAFETY: reads and writes this session's own entry; no error is raised.
    unsafe {
        if pg_sys::MyBEEntry.as_ref().is_some_and(|entry| entry.st_progress_command == OURS) {
            ffi::raw::pgstat_progress_update_param(DONE, rows);
        }
    }
}

/// Ends.
pub fn end() {
    // SAFETY: as above.
    unsafe { ffi::pgstat_progress_end_command() }
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its process.
    pub pid: i32,
    /// Its database.
    pub database: pg_sys::Oid,
    /// The chunk.
    pub relid: pg_sys::Oid,
    /// `compress` or `decompress`
    pub command: &'static str,
    /// The phase.
    pub phase: &'static str,
    /// Rows written.
    pub done: i64,
    /// Rows to be written; 0 as long as that is not known.
    pub total: i64,
}

/// All sessions that are at it, as far as the role may know.
pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    // SAFETY: the entries are a copy of this transaction's.
    unsafe {
        for number in 1..=ffi::pgstat_fetch_stat_numbackends() {
            let Some(local) = ffi::pgstat_fetch_stat_local_beentry(number).as_ref() else { continue };
            let status = &local.backendStatus;
            if status.st_progress_command != OURS || !may_know(status.st_userid) {
                continue;
            }
            let parameter = |index: c_int| status.st_progress_param[index as usize];
            entries.push(Entry {
                pid: status.st_procpid,
                database: status.st_databaseid,
                relid: status.st_progress_command_target,
                command: if parameter(COMMAND) == Command::Decompress as i64 { "decompress" } else { "compress" },
                phase: Phase::name(parameter(PHASE)),
                done: parameter(DONE),
                total: parameter(TOTAL),
            });
        }
    }
    entries
}

/// As for PostgreSQL's own views (`HAS_PGSTAT_PERMISSIONS`).
fn may_know(role: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe {
        let own = ffi::GetUserId();
        ffi::has_privs_of_role(own, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS)) || ffi::has_privs_of_role(own, role)
    }
}
