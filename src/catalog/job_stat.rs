//! `_timescaledb_config.bgw_job_stat`: when a job runs next, and how its runs went.

use pgrx::pg_sys;
use tsc_kernel::span::Span;

use crate::pg::datetime;
use crate::pg::table::{self, Definition, Key, Row, Table, datum};

const TABLE: Definition = Definition { name: "bgw_job_stat", columns: 13 };
const BY_ID: Option<&str> = Some("bgw_job_stat_pkey");

/// A job's statistics. Instants are microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobStat {
    /// The job.
    pub job_id: i32,
    /// When it is due.
    pub next_start: i64,
    /// When it started last.
    pub last_start: Option<i64>,
    /// When that run ended; None while it runs.
    pub last_finish: Option<i64>,
    /// When a run last succeeded.
    pub last_successful_finish: Option<i64>,
    /// Whether the last run succeeded.
    pub last_run_success: Option<bool>,
    /// Runs that were started.
    pub total_runs: i64,
    /// Of these, those that succeeded.
    pub total_successes: i64,
    /// Of these, those that failed, by a crash of the server too.
    pub total_failures: i64,
    /// Of these, those that a crash of the server ended.
    pub total_crashes: i64,
    /// How long all of them took, in microseconds.
    pub total_duration: i64,
    /// Failures since the last success.
    pub consecutive_failures: i32,
    /// Crashes since the last run that ended by itself.
    pub consecutive_crashes: i32,
}

impl JobStat {
    /// Of a job that has not run.
    pub fn new(job_id: i32, next_start: i64) -> Self {
        Self { job_id, next_start, ..Self::default() }
    }

    /// A run has started and its end was not recorded.
    pub fn is_unfinished(&self) -> bool {
        self.last_start.is_some() && self.last_finish.is_none()
    }
}

fn from_row(row: &Row) -> Option<JobStat> {
    Some(JobStat {
        job_id: row.get(0)?,
        next_start: row.instant(1)?,
        last_start: row.instant(2),
        last_finish: row.instant(3),
        last_successful_finish: row.instant(4),
        last_run_success: row.get(5),
        total_runs: row.get(6)?,
        total_successes: row.get(7)?,
        total_failures: row.get(8)?,
        total_crashes: row.get(9)?,
        // SAFETY: the column's type is interval.
        total_duration: row.datum(10).map(|datum| unsafe { datetime::span_of(datum) }.micros)?,
        consecutive_failures: row.get(11)?,
        consecutive_crashes: row.get(12)?,
    })
}

fn to_values(stat: &JobStat) -> Vec<Option<pg_sys::Datum>> {
    let instant = |at: Option<i64>| at.map(pg_sys::Datum::from);
    vec![
        datum(stat.job_id),
        instant(Some(stat.next_start)),
        instant(stat.last_start),
        instant(stat.last_finish),
        instant(stat.last_successful_finish),
        stat.last_run_success.and_then(datum),
        datum(stat.total_runs),
        datum(stat.total_successes),
        datum(stat.total_failures),
        datum(stat.total_crashes),
        Some(datetime::span_datum(Span::from_micros(stat.total_duration))),
        datum(stat.consecutive_failures),
        datum(stat.consecutive_crashes),
    ]
}

/// The statistics of a job.
pub fn find(job_id: i32) -> Option<JobStat> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(BY_ID, &[Key::Int(1, job_id)]).first().and_then(from_row)
}

/// Those of all jobs, in no order.
pub fn all() -> Vec<JobStat> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    crate::pg::context::with_temporary(|| table.scan(None, &[]).iter().filter_map(from_row).collect())
}

/// Enters or replaces the statistics of a job whose rows the caller has locked (`job::lock`).
pub fn put(stat: &JobStat) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let values = to_values(stat);
    match table.scan(BY_ID, &[Key::Int(1, stat.job_id)]).first() {
        None => table.insert(&values),
        Some(row) => table.update(row, &values.into_iter().enumerate().collect::<Vec<_>>()),
    }
    table::command_counter_increment();
}

/// Removes the statistics of a job whose rows the caller has locked.
pub fn delete(job_id: i32) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.scan(BY_ID, &[Key::Int(1, job_id)]).iter().for_each(|row| table.delete(row));
    table::command_counter_increment();
}
