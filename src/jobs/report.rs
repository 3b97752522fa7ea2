//! What our processes log; above all, that a process can't be had, if that lasts: once, and again only if it goes on for long.

use crate::error::{Error, SqlState};
use crate::pg::process;

/// Not more often than once an hour.
const AGAIN: i64 = 3_600_000_000;
/// What passes sooner is the usual bustle. A process that ended holds its place until the postmaster has noticed.
const LASTING: i64 = 5_000_000;

/// Something that is missing.
#[derive(Debug, Default)]
struct Want {
    since: Option<i64>,
    reported: Option<i64>,
}

impl Want {
    /// It is missing now. True if that is to be said.
    fn note(&mut self, now: i64) -> bool {
        let since = *self.since.get_or_insert(now);
        let due = now - since >= LASTING && self.reported.is_none_or(|at| now < at || now - at > AGAIN);
        if due {
            self.reported = Some(now);
        }
        due
    }
}

/// What is missing, since when, and when that was said.
#[derive(Debug, Default)]
pub struct Reports {
    slot: Want,
    process: Want,
}

impl Reports {
    /// Nothing is missing.
    pub fn all_is_well(&mut self) {
        self.slot.since = None;
        self.process.since = None;
    }

    /// All of `timescaledb.max_background_workers` are in use.
    pub fn no_slot(&mut self, now: i64) {
        if self.slot.note(now) {
            let most = crate::guc::max_background_workers();
            Error::new(SqlState("53000"), "jobs wait because all background workers for them are in use")
                .detail(format!("There may be {most} at a time, one for each database with the extension among them."))
                .hint("Raise timescaledb.max_background_workers, or have jobs run less often.")
                .report(pgrx::PgLogLevel::WARNING);
        }
    }

    /// All of `max_worker_processes` are in use.
    pub fn no_process(&mut self, now: i64) {
        if self.process.note(now) {
            Error::new(SqlState("53400"), "jobs wait because the server has no background worker left")
                .detail("Jobs, their schedulers and parallel queries share what max_worker_processes allows.")
                .hint("Raise max_worker_processes to at least timescaledb.max_background_workers + max_parallel_workers + 1.")
                .report(pgrx::PgLogLevel::WARNING);
        }
    }
}

/// This background worker logs what `timescaledb.bgw_log_level` says.
pub fn set_log_level() {
    if let Some(level) = crate::guc::bgw_log_level() {
        process::set_option(c"log_min_messages", level, false);
    }
}
