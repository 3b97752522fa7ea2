//! `_timescaledb_config.bgw_job_stat_history`: runs that failed, and, if asked for, those that succeeded.

use pgrx::pg_sys;

use super::job::Job;
use crate::pg::json;
use crate::pg::table::{self, Definition, Table, datum, name_datum};

const TABLE: Definition = Definition { name: "bgw_job_stat_history", columns: 15 };

/// What was wrong, as PostgreSQL says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: Option<String>,
    /// The hint.
    pub hint: Option<String>,
    /// Where it happened.
    pub context: Option<String>,
}

/// A run. Instants are microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The job as it was run.
    pub job: &'a Job,
    /// The process that ran it; None if that is not known any more.
    pub pid: Option<i32>,
    /// When it started.
    pub start: i64,
    /// When it ended.
    pub finish: i64,
    /// Why it failed; None if it succeeded.
    pub failure: Option<&'a Failure>,
}

/// Adds a run.
pub fn insert(run: Run<'_>) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let failure = |field: fn(&Failure) -> Option<&str>| run.failure.and_then(field).and_then(datum);
    table.insert(&[
        datum(table::next_number("bgw_job_stat_history_id_seq")),
        datum(run.job.id),
        datum(run.job.owner),
        name_datum(&run.job.proc.0),
        name_datum(&run.job.proc.1),
        run.job.config.as_deref().map(json::datum),
        run.pid.and_then(datum),
        Some(pg_sys::Datum::from(run.start)),
        Some(pg_sys::Datum::from(run.finish)),
        datum(run.failure.is_none()),
        failure(|failure| Some(&failure.sqlstate)),
        failure(|failure| Some(&failure.message)),
        failure(|failure| failure.detail.as_deref()),
        failure(|failure| failure.hint.as_deref()),
        failure(|failure| failure.context.as_deref()),
    ]);
}
