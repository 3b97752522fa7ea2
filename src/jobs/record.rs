//! What is written down of runs: their start and end, and when the job is due next.
//!
//! A job's process records its own run. If it can't (it was ended, or the server crashed), its scheduler does.

use std::time::Duration;

use super::define::next_start;
use crate::catalog::job::{self, Job, Tables};
use crate::catalog::job_history::{self, Failure, Run};
use crate::catalog::job_stat::{self, JobStat};
use crate::error::{Error, SqlState};
use crate::pg::guard::{self, Caught};
use crate::pg::{datetime, process, xact};

/// Between two tries to get a lock.
pub const MOMENT: Duration = Duration::from_millis(50);

/// Runs `f` in a transaction that may read and write the tables of jobs. None if they are not there.
pub fn transaction<T>(f: impl Fn() -> T) -> Option<T> {
    loop {
        let done = xact::transaction(|| match job::lock_tables() {
            Tables::Locked => Some(Some(f())),
            Tables::Busy => None,
            Tables::Missing => Some(None),
        });
        match done {
            Some(result) => return result,
            None => process::sleep(MOMENT),
        }
    }
}

/// The same where an error concerns one job only: it is rolled back and said, and the others go on.
pub fn attempt<T>(id: i32, f: impl Fn() -> T) -> Result<Option<T>, ()> {
    guard::attempt(|| Ok(transaction(&f))).map_err(|caught| {
        xact::abort();
        if caught.sqlstate == "57014" {
            // Not the job's fault: this process was told to leave off. Its successor does what is left.
            Error::new(SqlState("57014"), caught.message).throw()
        }
        warn(id, caught);
    })
}

/// Says that something could not be recorded of a job.
pub fn warn(id: i32, caught: Caught) {
    let Caught { sqlstate, message, hint, .. } = caught;
    let mut warning = Error::new(SqlState("01000"), format!("the run of job {id} could not be recorded: {message}"));
    warning = warning.detail(format!("SQLSTATE {sqlstate}."));
    if let Some(hint) = hint {
        warning = warning.hint(hint);
    }
    warning.report(pgrx::PgLogLevel::WARNING);
}

/// A run that has begun.
#[derive(Debug, Clone)]
pub struct Started {
    /// The job as it is run.
    pub job: Job,
    /// When the run began.
    pub at: i64,
    /// When it was due.
    due: i64,
}

/// What became of a wish to begin a run.
#[derive(Debug, Clone)]
pub enum Start {
    /// It has begun.
    Begun(Box<Started>),
    /// Somebody is changing the job: later.
    Busy,
    /// The job is gone, was changed, or is not due any more.
    Outdated,
}

/// Records the start of a run by this process, as `role`.
pub fn start(id: i32, role: pgrx::pg_sys::Oid) -> Start {
    if !job::try_lock(id) {
        return Start::Busy;
    }
    let now = datetime::now();
    let (Some(job), Some(stat)) = (job::find(id), job_stat::find(id)) else { return Start::Outdated };
    if job.owner != role || !job.scheduled || stat.next_start > now {
        return Start::Outdated;
    }
    job_stat::put(&JobStat { last_start: Some(now), last_finish: None, total_runs: stat.total_runs + 1, ..stat });
    Start::Begun(Box::new(Started { job, at: now, due: stat.next_start }))
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Success,
    /// With an error.
    Failure(Failure),
    /// With the server.
    Crash(Failure),
    /// It was told to, through no fault of its own: it is due at once.
    Stopped(Failure),
}

impl End {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Success => None,
            Self::Failure(failure) | Self::Crash(failure) | Self::Stopped(failure) => Some(failure),
        }
    }
}

/// Between -1 and 1.
fn jitter() -> f64 {
    let bytes = datetime::strong_random::<4>().unwrap_or([0, 0, 0, 128]);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Records the end of a run by this process. False if somebody is changing the job: later.
pub fn finish(started: &Started, end: &End) -> bool {
    if !job::try_lock(started.job.id) {
        return false;
    }
    let Some(stat) = job_stat::find(started.job.id) else { return true };
    if stat.last_start == Some(started.at) && stat.last_finish.is_none() {
        // Somebody may have said meanwhile when it is due next.
        let said = (stat.next_start != started.due).then_some(stat.next_start);
        write_end(&started.job, stat, Some(process::own_pid()), end, said);
    }
    true
}

/// Records the end of a run that another process began and did not record. False if somebody is changing the job: later.
pub fn finish_other(id: i32, pid: Option<i32>, end: &End) -> bool {
    if !job::try_lock(id) {
        return false;
    }
    if let (Some(job), Some(stat)) = (job::find(id), job_stat::find(id))
        && stat.is_unfinished()
    {
        write_end(&job, stat, pid, end, None);
    }
    true
}

/// Records that a job could not even be started. False if somebody is changing the job: later.
pub fn refuse(id: i32, failure: Failure) -> bool {
    if !job::try_lock(id) {
        return false;
    }
    if let (Some(job), Some(stat)) = (job::find(id), job_stat::find(id)) {
        let now = datetime::now();
        let begun = JobStat { last_start: Some(now), last_finish: None, total_runs: stat.total_runs + 1, ..stat };
        write_end(&job, begun, None, &End::Failure(failure), None);
    }
    true
}

/// Closes a run whose end could not be recorded as it should, with no more than whether it succeeded. False if somebody is changing the job.
pub fn close(id: i32, next_start: i64, succeeded: bool) -> bool {
    if !job::try_lock(id) {
        return false;
    }
    if let Some(stat) = job_stat::find(id) {
        let now = datetime::now();
        let mut new = JobStat { next_start, ..stat };
        if stat.is_unfinished() {
            new.last_finish = Some(now);
            new.last_run_success = Some(succeeded);
            if succeeded {
                new.last_successful_finish = Some(now);
                new.total_successes += 1;
                (new.consecutive_failures, new.consecutive_crashes) = (0, 0);
            } else {
                new.total_failures += 1;
                new.consecutive_failures = stat.consecutive_failures.saturating_add(1);
            }
        }
        job_stat::put(&new);
    }
    true
}

fn write_end(run: &Job, stat: JobStat, pid: Option<i32>, end: &End, said: Option<i64>) {
    let now = datetime::now();
    let start = stat.last_start.unwrap_or(now);
    let Some(job) = job::find(run.id) else { return };
    let mut new = JobStat {
        last_finish: Some(now),
        last_run_success: Some(*end == End::Success),
        total_duration: stat.total_duration.saturating_add(now.saturating_sub(start).max(0)),
        ..stat
    };
    if *end == End::Success {
        new.last_successful_finish = Some(now);
        new.total_successes += 1;
    } else {
        new.total_failures += 1;
    }
    (new.consecutive_failures, new.consecutive_crashes) = match end {
        End::Success => (0, 0),
        End::Failure(_) => (stat.consecutive_failures.saturating_add(1), 0),
        End::Crash(_) => (stat.consecutive_failures.saturating_add(1), stat.consecutive_crashes.saturating_add(1)),
        End::Stopped(_) => (stat.consecutive_failures, stat.consecutive_crashes),
    };
    new.total_crashes += i64::from(matches!(end, End::Crash(_)));
    let (failures, jitter) = (new.consecutive_failures, jitter());
    new.next_start = said.unwrap_or_else(|| match end {
        End::Success => next_start(&job, |clock, schedule| schedule.after_success(clock, now)),
        End::Failure(_) => next_start(&job, |clock, schedule| schedule.after_failure(clock, now, failures, jitter)),
        End::Crash(_) => next_start(&job, |clock, schedule| schedule.after_crash(clock, now, failures, jitter)),
        End::Stopped(_) => now,
    });
    job_stat::put(&new);
    if end.failure().is_some() || crate::guc::enable_job_execution_logging() {
        job_history::insert(Run { job: run, pid, start, finish: now, failure: end.failure() });
    }
    let failed = matches!(end, End::Failure(_) | End::Crash(_));
    if failed && job.max_retries >= 0 && new.consecutive_failures >= job.max_retries.max(1) {
        give_up(&job, new.consecutive_failures);
    }
}

/// Takes a job off the schedule.
fn give_up(job: &Job, failures: i32) {
    job::update(&Job { scheduled: false, ..job.clone() });
    Error::new(SqlState("01000"), format!("job {} reached max_retries after {failures} consecutive failures", job.id))
        .detail(format!("Job {} ({}) is not scheduled any more.", job.id, job.application_name))
        .hint(format!("Use SELECT alter_job({}, scheduled => true) to schedule it again.", job.id))
        .report(pgrx::PgLogLevel::WARNING);
}

/// Brings back what the clock has run away from: after it was set back, a job would wait for the time that it had shown before.
pub fn heed_clock(id: i32) -> bool {
    if !job::try_lock(id) {
        return false;
    }
    if let (Some(job), Some(stat)) = (job::find(id), job_stat::find(id)) {
        let now = datetime::now();
        let next_start = next_start(&job, |clock, schedule| schedule.after_success(clock, now)).min(stat.next_start);
        let back = |at: Option<i64>| at.map(|at| at.min(now));
        job_stat::put(&JobStat { next_start, last_start: back(stat.last_start), last_finish: back(stat.last_finish), ..stat });
    }
    true
}
