//! Saying that a process can't be had: once, and again only if it lasts.

use crate::error::{Error, SqlState};

/// Not more often than once an hour.
const AGAIN: i64 = 3_600_000_000;

/// When was what reported.
#[derive(Debug, Default)]
pub struct Reports {
    no_slot: Option<i64>,
    no_process: Option<i64>,
}

fn is_due(last: &mut Option<i64>, now: i64) -> bool {
    let due = last.is_none_or(|at| now < at || now - at > AGAIN);
    if due {
        *last = Some(now);
    }
    due
}

impl Reports {
    /// All of `timescaledb.max_background_workers` are in use.
    pub fn no_slot(&mut self, now: i64) {
        if is_due(&mut self.no_slot, now) {
            let most = crate::guc::max_background_workers();
            Error::new(SqlState("53000"), "jobs wait because all background workers for them are in use")
                .detail(format!("There may be {most} at a time, one for each database with the extension among them."))
                .hint("Raise timescaledb.max_background_workers, or have jobs run less often.")
                .report(pgrx::PgLogLevel::WARNING);
        }
    }

    /// All of `max_worker_processes` are in use.
    pub fn no_process(&mut self, now: i64) {
        if is_due(&mut self.no_process, now) {
            Error::new(SqlState("53400"), "jobs wait because the server has no background worker left")
                .detail("Jobs, their schedulers and parallel queries share what max_worker_processes allows.")
                .hint("Raise max_worker_processes to at least timescaledb.max_background_workers + max_parallel_workers + 1.")
                .report(pgrx::PgLogLevel::WARNING);
        }
    }
}
