//! Adding, altering and deleting jobs.

use pgrx::pg_sys;
use tsc_kernel::span::Span;
use tsc_kernel::zoned::Clock;

use super::function;
use super::schedule::{self, Schedule};
use super::{stop, wake};
use crate::catalog::job::{self, Job};
use crate::catalog::job_stat::{self, JobStat};
use crate::error::{Error, Result, SqlState};
use crate::pg::datetime::{self, NamedZone};
use crate::pg::function::FunctionName;
use crate::pg::{guard, role, table, xact};

/// The longest name that a job can have, in bytes.
const LONGEST_NAME: usize = pg_sys::NAMEDATALEN as usize - 1;
/// What users' jobs are called.
pub const USER_DEFINED: &str = "User-Defined Action";

/// A job to be added. [`NewJob::of`] gives what is not said the values that `add_job` gives it.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its name; the id is put behind it.
    pub name: String,
    /// From one start, or from the end of a run, to the next start.
    pub schedule_interval: Span,
    /// A run that takes longer is cancelled; zero: no limit.
    pub max_runtime: Span,
    /// After so many failures in a row it is not scheduled any more; -1: no limit.
    pub max_retries: i32,
    /// From a failure to the next try.
    pub retry_period: Span,
    /// The function or procedure `(int, jsonb)`.
    pub proc: FunctionName,
    /// The role as which it runs.
    pub owner: pg_sys::Oid,
    /// Whether it runs by itself.
    pub scheduled: bool,
    /// Whether starts are counted from `initial_start`.
    pub fixed_schedule: bool,
    /// The first start; None: now.
    pub initial_start: Option<i64>,
    /// The hypertable that it serves.
    pub hypertable_id: Option<i32>,
    /// The text of a jsonb.
    pub config: Option<String>,
    /// The function `(jsonb)` that accepts or refuses a config.
    pub check: Option<FunctionName>,
    /// The zone on whose clocks days and months are counted; None: UTC.
    pub timezone: Option<String>,
}

impl NewJob {
    /// A job of a role that runs a function at an interval, on a fixed schedule.
    pub fn of(name: &str, proc: FunctionName, schedule_interval: Span, owner: pg_sys::Oid) -> Self {
        Self {
            name: name.to_owned(),
            schedule_interval,
            max_runtime: Span::default(),
            max_retries: -1,
            retry_period: Span::from_micros(300_000_000),
            proc,
            owner,
            scheduled: true,
            fixed_schedule: true,
            initial_start: None,
            hypertable_id: None,
            config: None,
            check: None,
            timezone: None,
        }
    }
}

/// When a job is due next, as `choose` says by its schedule and the clocks of its time zone. A zone that is not there any more, or has no
/// time for an instant at the end of the calendar, must neither stop a job nor keep a table of jobs from being restored: UTC stands in.
pub fn next_start(job: &Job, choose: impl Fn(&NamedZone, &Schedule) -> i64) -> i64 {
    let slots_from = job.initial_start.filter(|_| job.fixed_schedule);
    let schedule = Schedule { interval: job.schedule_interval, slots_from, retry_period: job.retry_period };
    let utc = NamedZone::new(None);
    let Some(zone) = job.timezone.as_deref() else { return choose(&utc, &schedule) };
    xact::attempt(|| choose(&NamedZone::new(Some(zone)), &schedule)).unwrap_or_else(|caught| {
        Error::new(SqlState("01000"), format!("the next start of job {} is computed in UTC instead of time zone \"{zone}\"", job.id))
            .detail(caught.message)
            .hint(format!("Use SELECT alter_job({}, timezone => ...) to give the job another time zone.", job.id))
            .report(pgrx::PgLogLevel::WARNING);
        choose(&utc, &schedule)
    })
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn application_name(name: &str, id: i32) -> Result<String> {
    let full = format!("{name} [{id}]");
    if full.len() > LONGEST_NAME {
        return Err(Error::new(SqlState("42622"), format!("job name \"{name}\" is too long"))
            .detail(format!("With the job's id it has {} bytes; {LONGEST_NAME} are possible.", full.len())));
    }
    Ok(full)
}

/// What must hold of every job.
fn validate(job: &Job) -> Result<()> {
    if !schedule::is_positive(job.schedule_interval) {
        return Err(
            invalid("schedule interval must be positive").hint("Give the time from one start to the next, such as interval '1 hour'.")
        );
    }
    for (value, name) in [(job.max_runtime, "max_runtime"), (job.retry_period, "retry_period")] {
        if !schedule::is_not_negative(value) {
            return Err(invalid(format!("{name} must not be negative")));
        }
    }
    if job.max_retries < -1 {
        return Err(invalid("max_retries must not be less than -1").hint("-1 stands for no limit."));
    }
    if job.initial_start == Some(i64::MIN) {
        return Err(invalid("initial_start must not be -infinity"));
    }
    Ok(())
}

/// A name that PostgreSQL does not know is its error.
fn require_zone(job: &Job) {
    NamedZone::new(job.timezone.as_deref()).to_local(0);
}

/// Asked when a job is to run, not when it is taken off the schedule.
fn require_login(job: &Job) -> Result<()> {
    match role::can_login(job.owner) {
        Some(true) => Ok(()),
        _ => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied to start background process as role \"{}\"", role::name(job.owner)),
        )
        .detail("A job runs in a session of its owner's.")
        .hint("The owner of a job must have the LOGIN attribute.")),
    }
}

/// Adds a job and returns its id. The config is checked by the job's check function.
pub fn add(new: NewJob) -> Result<i32> {
    let now = datetime::now();
    let id = job::next_id();
    let job = Job {
        id,
        application_name: application_name(&new.name, id)?,
        schedule_interval: new.schedule_interval,
        max_runtime: new.max_runtime,
        max_retries: new.max_retries,
        retry_period: new.retry_period,
        proc: new.proc,
        owner: new.owner,
        scheduled: new.scheduled,
        fixed_schedule: new.fixed_schedule,
        initial_start: if new.fixed_schedule { new.initial_start.or(Some(now)) } else { new.initial_start },
        hypertable_id: new.hypertable_id,
        config: new.config,
        check: new.check,
        timezone: new.timezone,
    };
    validate(&job)?;
    require_zone(&job);
    require_login(&job)?;
    function::check_config(&job)?;
    job::insert(&job);
    job_stat::put(&JobStat::new(id, job.initial_start.unwrap_or(now)));
    wake::at_commit();
    wake::warn_if_nothing_runs();
    Ok(id)
}

/// The job of this id, if the current role may do with it what only its owner may: `verb` says what.
pub fn find_own(id: i32, verb: &str) -> Result<Job> {
    let job = job::find(id).ok_or_else(|| not_found(id))?;
    if !role::has_privileges_of(job.owner) {
        return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("insufficient permissions to {verb} job {id}")).detail(format!(
            "Job {id} is owned by role \"{}\", of which role \"{}\" is no member.",
            role::name(job.owner),
            role::name(crate::pg::context::current_user())
        )));
    }
    Ok(job)
}

/// There is no such job.
pub fn not_found(id: i32) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("job {id} not found")).hint("The view timescaledb_information.jobs shows all jobs.")
}

/// What is to change in a job; None leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// See [`Job`].
    pub schedule_interval: Option<Span>,
    /// See [`Job`].
    pub max_runtime: Option<Span>,
    /// See [`Job`].
    pub max_retries: Option<i32>,
    /// See [`Job`].
    pub retry_period: Option<Span>,
    /// See [`Job`].
    pub scheduled: Option<bool>,
    /// See [`Job`].
    pub config: Option<String>,
    /// When it is due next, once.
    pub next_start: Option<i64>,
    /// Another check function, or none.
    pub check: Option<Option<FunctionName>>,
    /// See [`Job`].
    pub fixed_schedule: Option<bool>,
    /// See [`Job`].
    pub initial_start: Option<i64>,
    /// See [`Job`].
    pub timezone: Option<String>,
    /// Another name; the id is put behind it.
    pub name: Option<String>,
}

/// Changes a job. Returns what it is now, and when it is due.
pub fn alter(id: i32, changes: Changes) -> Result<(Job, i64)> {
    // Rights first: nobody else's job is to be held up.
    find_own(id, "alter")?;
    job::lock(id);
    let old = find_own(id, "alter")?;
    let now = datetime::now();
    let mut job = old.clone();
    let checked = changes.config.is_some() || matches!(changes.check, Some(Some(_)));
    job.schedule_interval = changes.schedule_interval.unwrap_or(job.schedule_interval);
    job.max_runtime = changes.max_runtime.unwrap_or(job.max_runtime);
    job.max_retries = changes.max_retries.unwrap_or(job.max_retries);
    job.retry_period = changes.retry_period.unwrap_or(job.retry_period);
    job.scheduled = changes.scheduled.unwrap_or(job.scheduled);
    job.config = changes.config.or(job.config);
    job.check = changes.check.unwrap_or(job.check);
    job.fixed_schedule = changes.fixed_schedule.unwrap_or(job.fixed_schedule);
    job.initial_start = changes.initial_start.or(job.initial_start);
    job.timezone = changes.timezone.or(job.timezone);
    if let Some(name) = changes.name {
        job.application_name = application_name(&name, id)?;
    }
    if job.fixed_schedule && job.initial_start.is_none() {
        job.initial_start = Some(now);
    }
    validate(&job)?;
    if job.timezone != old.timezone {
        require_zone(&job);
    }
    let scheduled_anew = job.scheduled && !old.scheduled;
    if scheduled_anew {
        require_login(&job)?;
    }
    if checked {
        function::check_config(&job)?;
    }
    job::update(&job);
    let mut stat = job_stat::find(id).unwrap_or_else(|| JobStat::new(id, job.initial_start.unwrap_or(now)));
    if scheduled_anew {
        // Its failures were what took it off: it has its retries again.
        (stat.consecutive_failures, stat.consecutive_crashes) = (0, 0);
    }
    stat.next_start = changes.next_start.unwrap_or_else(|| due_after_change(&old, &job, &stat, now));
    job_stat::put(&stat);
    wake::at_commit();
    Ok((job, stat.next_start))
}

/// When a job is due whose schedule may have been changed.
fn due_after_change(old: &Job, new: &Job, stat: &JobStat, now: i64) -> i64 {
    let plan = |job: &Job| (job.schedule_interval, job.fixed_schedule, job.initial_start, job.timezone.clone());
    if plan(old) == plan(new) {
        return stat.next_start;
    }
    match (stat.last_finish, new.initial_start) {
        // What is due at once stays so.
        (None, None) => stat.next_start.min(now),
        (None, Some(start)) if start != old.initial_start.unwrap_or(stat.next_start) => start,
        (None, Some(_)) => stat.next_start,
        (Some(finish), _) => {
            let from = if new.fixed_schedule { now } else { finish };
            next_start(new, |clock, schedule| schedule.after_success(clock, from))
        }
    }
}

/// Deletes a job. If it runs, it is stopped first: what it does must not go on behind the back of who deleted it.
pub fn delete(id: i32) -> Result<()> {
    find_own(id, "delete")?;
    job::lock(id);
    find_own(id, "delete")?;
    remove(id);
    Ok(())
}

/// Removes a job whose rows are locked.
fn remove(id: i32) {
    stop::stop_job(id);
    job_stat::delete(id);
    job::delete(id);
    wake::at_commit();
}

/// Removes the jobs of a hypertable that is being dropped. They wait for its lock, if they run, and find it gone.
pub fn delete_of_hypertable(hypertable_id: i32) {
    for job in job::of_hypertable(hypertable_id) {
        job::lock(job.id);
        job_stat::delete(job.id);
        job::delete(job.id);
        wake::at_commit();
    }
}

/// Removes the jobs of roles whose objects are dropped (`DROP OWNED`), as far as the current role may.
pub fn delete_of_roles(roles: &[pg_sys::Oid]) -> Result<()> {
    for job in job::all().into_iter().filter(|job| roles.contains(&job.owner)) {
        delete(job.id)?;
    }
    roles.iter().copied().for_each(job::need_owner);
    Ok(())
}

/// Gives the jobs of roles to another one (`REASSIGN OWNED`), which the current role must have the privileges of, as of the others.
pub fn reassign(roles: &[pg_sys::Oid], new: pg_sys::Oid) -> Result<()> {
    for found in job::all().into_iter().filter(|job| roles.contains(&job.owner)) {
        job::lock(found.id);
        let job = Job { owner: new, ..find_own(found.id, "reassign")? };
        if !role::has_privileges_of(new) {
            return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to reassign objects"));
        }
        require_login(&job)?;
        // A run that is under way must not end as another role's.
        stop::stop_job(job.id);
        job::update(&job);
        wake::at_commit();
    }
    roles.iter().copied().chain([new]).for_each(job::need_owner);
    Ok(())
}

/// After rows came or went by plain SQL: a restore, or a superuser. A job that came so is due as if it had just run: a restore should not
/// find its own tables at work.
pub fn reconcile() {
    // A trigger sees what its statement did.
    table::command_counter_increment();
    // In this order: of a job that comes meanwhile neither is seen, or the job alone.
    let stats = job_stat::all();
    let jobs = job::all();
    let now = datetime::now();
    for job in jobs.iter().filter(|job| stats.iter().all(|stat| stat.job_id != job.id) && job_stat::find(job.id).is_none()) {
        let soonest = now.saturating_add(if job.id >= 1000 { SOONEST_AFTER_RESTORE } else { 0 });
        job_stat::put(&JobStat::new(job.id, next_start(job, |clock, schedule| schedule.after_success(clock, soonest))));
    }
    for stat in stats.iter().filter(|stat| jobs.iter().all(|job| job.id != stat.job_id)) {
        job_stat::delete(stat.job_id);
    }
    let mut owners: Vec<pg_sys::Oid> = jobs.iter().map(|job| job.owner).collect();
    owners.sort_unstable_by_key(|owner| owner.to_u32());
    owners.dedup();
    owners.into_iter().for_each(job::need_owner);
    wake::at_commit();
}

/// Ten minutes.
const SOONEST_AFTER_RESTORE: i64 = 600_000_000;

/// A job that does not exist, where that is no error.
pub fn note_missing(id: i32) {
    guard::notice(format!("job {id} not found, skipping"));
}
