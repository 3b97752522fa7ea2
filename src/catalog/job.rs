//! `_timescaledb_config.bgw_job`: what is to run when, as whom.

use pgrx::pg_sys;
use tsc_kernel::span::Span;

use crate::pg::function::FunctionName;
use crate::pg::table::{self, Definition, Key, Row, Table, datum, name_datum};
use crate::pg::{context, datetime, json, role};

const TABLE: Definition = Definition { name: "bgw_job", columns: 17 };
const BY_ID: Option<&str> = Some("bgw_job_pkey");

/// A job. Instants are microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id; users' begin at 1000.
    pub id: i32,
    /// What `pg_stat_activity` shows while it runs.
    pub application_name: String,
    /// From one start, or from the end of a run, to the next start.
    pub schedule_interval: Span,
    /// A run that takes longer is cancelled; zero: no limit.
    pub max_runtime: Span,
    /// After so many failures in a row it is not scheduled any more; -1: no limit.
    pub max_retries: i32,
    /// From a failure to the next try.
    pub retry_period: Span,
    /// The function or procedure.
    pub proc: FunctionName,
    /// The role as which it runs.
    pub owner: pg_sys::Oid,
    /// False: it waits to be scheduled again.
    pub scheduled: bool,
    /// True: its starts are counted from `initial_start`; false: from the end of the last run.
    pub fixed_schedule: bool,
    /// The first start.
    pub initial_start: Option<i64>,
    /// The hypertable that it serves, with which it goes.
    pub hypertable_id: Option<i32>,
    /// Its second argument, as the text of a jsonb.
    pub config: Option<String>,
    /// The function that accepts or refuses a config.
    pub check: Option<FunctionName>,
    /// The zone on whose clocks days and months are counted; None: UTC.
    pub timezone: Option<String>,
}

fn span(row: &Row, index: usize) -> Option<Span> {
    // SAFETY: the column's type is interval.
    row.datum(index).map(|datum| unsafe { datetime::span_of(datum) })
}

fn from_row(row: &Row) -> Option<Job> {
    Some(Job {
        id: row.get(0)?,
        application_name: row.name(1)?,
        schedule_interval: span(row, 2)?,
        max_runtime: span(row, 3)?,
        max_retries: row.get(4)?,
        retry_period: span(row, 5)?,
        proc: (row.name(6)?, row.name(7)?),
        owner: row.get(8)?,
        scheduled: row.get(9)?,
        fixed_schedule: row.get(10)?,
        initial_start: row.instant(11),
        hypertable_id: row.get(12),
        // SAFETY: the column's type is jsonb.
        config: row.datum(13).map(|config| unsafe { json::text(config) }),
        check: row.name(14).zip(row.name(15)),
        timezone: row.get(16),
    })
}

fn to_values(job: &Job) -> Vec<Option<pg_sys::Datum>> {
    let check = job.check.as_ref();
    vec![
        datum(job.id),
        name_datum(&job.application_name),
        Some(datetime::span_datum(job.schedule_interval)),
        Some(datetime::span_datum(job.max_runtime)),
        datum(job.max_retries),
        Some(datetime::span_datum(job.retry_period)),
        name_datum(&job.proc.0),
        name_datum(&job.proc.1),
        datum(job.owner),
        datum(job.scheduled),
        datum(job.fixed_schedule),
        job.initial_start.map(pg_sys::Datum::from),
        job.hypertable_id.and_then(datum),
        job.config.as_deref().map(json::datum),
        check.and_then(|name| name_datum(&name.0)),
        check.and_then(|name| name_datum(&name.1)),
        job.timezone.as_deref().and_then(datum),
    ]
}

fn scan(index: Option<&str>, keys: &[Key]) -> Vec<Job> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    context::with_temporary(|| table.scan(index, keys).iter().filter_map(from_row).collect())
}

/// The job of this id.
pub fn find(id: i32) -> Option<Job> {
    scan(BY_ID, &[Key::Int(1, id)]).pop()
}

/// All jobs, in no order.
pub fn all() -> Vec<Job> {
    scan(None, &[])
}

/// The jobs that serve a hypertable, by their ids.
pub fn of_hypertable(hypertable_id: i32) -> Vec<Job> {
    let mut jobs = scan(Some("bgw_job_hypertable_id_idx"), &[Key::Int(13, hypertable_id)]);
    jobs.sort_by_key(|job| job.id);
    jobs
}

/// A fresh id: a job's name holds it, so it is drawn first.
pub fn next_id() -> i32 {
    table::next_id("bgw_job_id_seq")
}

/// Adds a job.
pub fn insert(job: &Job) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.insert(&to_values(job));
    table::command_counter_increment();
    // Who adds jobs does not wait for one another: at worst the role is noted twice.
    let table = table::oid(TABLE.name).unwrap_or(pg_sys::InvalidOid);
    role::lock(job.owner, pg_sys::RowExclusiveLock);
    if count_of(job.owner) == 1 {
        role::depend(table, job.owner, true);
        table::command_counter_increment();
    }
}

fn count_of(owner: pg_sys::Oid) -> usize {
    all().iter().filter(|job| job.owner == owner).count()
}

/// Sees to it that a role can't be dropped while it owns jobs, and can when it owns none. Until the transaction ends nobody else
/// adds or removes jobs of the role's: what is counted here holds.
pub fn need_owner(owner: pg_sys::Oid) {
    let Some(table) = table::oid(TABLE.name) else { return };
    role::lock(owner, pg_sys::ShareRowExclusiveLock);
    role::depend(table, owner, false);
    table::command_counter_increment();
    if count_of(owner) > 0 {
        role::depend(table, owner, true);
        table::command_counter_increment();
    }
}

/// Replaces a job, whose row the caller has locked (`lock`).
pub fn update(job: &Job) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    if let Some(row) = table.scan(BY_ID, &[Key::Int(1, job.id)]).first() {
        table.update(row, &to_values(job).into_iter().enumerate().collect::<Vec<_>>());
    }
    table::command_counter_increment();
}

/// Removes a job, whose row the caller has locked. Returns whether there was one.
pub fn delete(id: i32) -> bool {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return false };
    let rows = table.scan(BY_ID, &[Key::Int(1, id)]);
    rows.iter().for_each(|row| table.delete(row));
    table::command_counter_increment();
    // Who removes jobs holds nobody up unless they were the role's last. Of two that each remove one of the last two none frees the role;
    // `DROP OWNED` does.
    rows.iter().filter_map(|row| row.get(8)).filter(|owner| count_of(*owner) == 0).for_each(need_owner);
    !rows.is_empty()
}

/// Locks the rows of a job, here and in its statistics, against all others that change them, until the transaction ends.
pub fn lock(id: i32) {
    if let Some(table) = table::oid(TABLE.name) {
        table::lock_row(table, id);
    }
}

/// The same without waiting; false if another transaction has the lock.
pub fn try_lock(id: i32) -> bool {
    table::oid(TABLE.name).is_some_and(|table| table::try_lock_row(table, id))
}

/// The OID of the table of jobs.
pub fn table() -> pg_sys::Oid {
    table::oid(TABLE.name).unwrap_or(pg_sys::InvalidOid)
}

/// Whether the tables of jobs could be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// They are this transaction's to read and write.
    Locked,
    /// Somebody else has one of them for itself.
    Busy,
    /// The extension is not installed in this database.
    Missing,
}

/// Locks the tables of jobs without waiting. Background workers begin with it: they never wait for a table while they have another one,
/// so that they can't be in a deadlock with a DROP EXTENSION, whose lock on one table may wait for theirs on another.
pub fn lock_tables() -> Tables {
    for name in [TABLE.name, "bgw_job_stat", "bgw_job_stat_history"] {
        let Some(oid) = table::oid(name) else { return Tables::Missing };
        if !table::try_lock_table(oid) {
            return Tables::Busy;
        }
        if table::oid(name) != Some(oid) {
            return Tables::Missing;
        }
    }
    Tables::Locked
}
