//! Policies: jobs that look after a hypertable's chunks. [`docs/policies.md`](../../../docs/policies.md) says what they do.

use pgrx::PgLogLevel;
use pgrx::pg_sys;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::rc::Rc;
use tsc_kernel::axis::Axis;
use tsc_kernel::span::Span;

use crate::cagg::growing;
use crate::catalog::hypertable::Hypertable;
use crate::catalog::job::{self, Job};
use crate::catalog::naming::{self, Known};
use crate::catalog::{cache, columnstore};
use crate::chunk::list;
use crate::error::{Error, Result, SqlState};
use crate::jobs::define::{self, NewJob};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::{datetime, guard, json, role, table};

pub mod age;
mod by_value;
pub mod config;
pub mod family;
pub mod refresh;
pub mod run;

use config::{Config, Kind};

/// The schema of the policies' procedures.
const SCHEMA: &str = "_timescaledb_functions";
/// Twelve hours.
const HALF_DAY: i64 = 43_200_000_000;

/// When a policy is to run; what is not said is chosen.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// From one start, or from the end of a run, to the next start.
    pub interval: Option<Span>,
    /// The first start. If it is given, all starts are counted from it.
    pub initial_start: Option<i64>,
    /// The zone on whose clocks days and months are counted.
    pub timezone: Option<String>,
}

/// The hypertable of a relation whose policies the current role may change. It can't be dropped, nor change its owner, until the transaction
/// ends; nobody else adds or removes policies of it meanwhile.
pub fn require(relid: pg_sys::Oid) -> Result<Rc<Hypertable>> {
    cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    naming::require_owner(relid)?;
    let name = relation_name(relid);
    if Relation::try_open(relid, pg_sys::AccessShareLock).is_none() {
        return Err(Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .detail("It was dropped while its lock was waited for."));
    }
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    // The table may have changed hands while the lock was waited for.
    naming::require_owner(relid)?;
    if let Some(policies) = table::oid("hypertable") {
        table::lock_row(policies, hypertable.id);
    }
    Ok(hypertable)
}

/// The policy of a hypertable of one kind: of refreshing, the first.
pub fn find(hypertable_id: i32, kind: Kind) -> Option<Job> {
    find_all(hypertable_id, kind).into_iter().next()
}

/// The policies of a hypertable of one kind, of which only that of refreshing has several.
fn find_all(hypertable_id: i32, kind: Kind) -> Vec<Job> {
    job::of_hypertable(hypertable_id).into_iter().filter(|job| kind_of(job) == Some(kind)).collect()
}

/// What a job that is a policy does.
pub fn kind_of(job: &Job) -> Option<Kind> {
    if job.proc.0 == SCHEMA { Kind::of_proc(&job.proc.1) } else { None }
}

/// Adds a policy and returns its job's id. If there is one of its kind: an error, or, with `if_not_exists`, -1.
pub fn add(relid: pg_sys::Oid, kind: Kind, mut config: Map<String, Value>, when: When, if_not_exists: bool) -> Result<i32> {
    let hypertable = require(relid)?;
    config.insert("hypertable_id".to_owned(), Value::from(hypertable.id));
    if let Some(existing) = find(hypertable.id, kind) {
        return if if_not_exists { note_existing(&hypertable, kind, &existing, &config) } else { Err(exists(&hypertable, kind)) };
    }
    let new = Config::read(kind, &config)?;
    check_others(&new)?;
    note_other_column(&new);
    warn_of_long_buckets(&new);
    let owner = Relation::open(relid, pg_sys::NoLock).class().relowner;
    let (name, interval, retry, longest) = defaults(&hypertable, &new, kind);
    define::add(NewJob {
        max_runtime: longest,
        retry_period: retry,
        fixed_schedule: when.initial_start.is_some(),
        initial_start: when.initial_start,
        timezone: when.timezone,
        hypertable_id: Some(hypertable.id),
        config: Some(Value::Object(config).to_string()),
        check: Some((SCHEMA.to_owned(), format!("{}_check", kind.proc()))),
        ..NewJob::of(name, (SCHEMA.to_owned(), kind.proc().to_owned()), when.interval.unwrap_or(interval), owner)
    })
}

/// The name of a policy's jobs, how often they run, when they are tried again, and how long a run may take.
fn defaults(hypertable: &Hypertable, config: &Config, kind: Kind) -> (&'static str, Span, Span, Span) {
    let hour = Span::from_micros(3_600_000_000);
    let minutes = Span::from_micros(300_000_000);
    let chunk = hypertable.time().interval().filter(|_| !age::counts_integers(hypertable.time()));
    match kind {
        Kind::Compression => {
            let interval = chunk.map_or(HALF_DAY, |chunk| (chunk / 2).clamp(1, HALF_DAY));
            ("Columnstore Policy", Span::from_micros(interval), hour, Span::default())
        }
        Kind::Retention => {
            // To drop chunks takes a moment, to delete rows does not.
            let deletes = matches!(&config.work, config::Work::Drop { by: Some(_), .. });
            ("Retention Policy", Span::from_days(1), minutes, if deletes { Span::default() } else { minutes })
        }
        Kind::Reorder => {
            let interval = chunk.map_or_else(|| Span::from_days(4), |chunk| Span::from_micros((chunk / 2).max(1)));
            ("Reorder Policy", interval, minutes, Span::default())
        }
        // These are added by refresh::add, which is told how often.
        Kind::Refresh => ("Refresh Continuous Aggregate Policy", hour, hour, Span::default()),
    }
}

fn exists(hypertable: &Hypertable, kind: Kind) -> Error {
    let table = Known::of(hypertable.relid).name();
    Error::new(
        SqlState::DUPLICATE_OBJECT,
        format!("{} policy already exists for hypertable or continuous aggregate \"{table}\"", kind.noun()),
    )
    .detail("A hypertable has at most one policy of a kind.")
    .hint("Set option \"if_not_exists\" to true to avoid error, change the policy with alter_job(), or remove it first.")
}

fn note_existing(hypertable: &Hypertable, kind: Kind, existing: &Job, config: &Map<String, Value>) -> Result<i32> {
    let table = Known::of(hypertable.relid).name();
    // What was said is compared, not how.
    let was = config::parse(existing.config.as_deref())?;
    let same = Config::read(kind, &was).ok().zip(Config::read(kind, config).ok()).is_some_and(|(was, new)| was.work == new.work);
    let noun = kind.noun();
    if same {
        guard::notice(format!("{noun} policy already exists for hypertable \"{table}\", skipping"));
    } else {
        Error::new(SqlState("01000"), format!("{noun} policy already exists for hypertable \"{table}\""))
            .detail("A policy already exists with different arguments.")
            .hint("Remove the existing policy before adding a new one, or change it with alter_job().")
            .report(PgLogLevel::WARNING);
    }
    Ok(-1)
}

/// Refuses retention that leaves nothing for the columnstore to do.
fn check_others(new: &Config) -> Result<()> {
    let other_kind = match new.work {
        config::Work::Compress { .. } => Kind::Retention,
        config::Work::Drop { .. } => Kind::Compression,
        config::Work::Reorder { .. } | config::Work::Refresh(_) => return Ok(()),
    };
    let Some(job) = find(new.hypertable.id, other_kind) else { return Ok(()) };
    let Ok(other) = config::parse(job.config.as_deref()).and_then(|config| Config::read(other_kind, &config)) else { return Ok(()) };
    let (compress, keep) = if other_kind == Kind::Retention { (new.due(), other.due()) } else { (other.due(), new.due()) };
    let compared = match (compress.after.zip(keep.after), compress.created_before.zip(keep.created_before)) {
        (Some((compress, keep)), _) => keep.compare(compress),
        (_, Some((compress, keep))) => age::Age::Interval(keep).compare(age::Age::Interval(compress)),
        _ => None,
    };
    if compared != Some(Ordering::Less) {
        return Ok(());
    }
    let error = Error::new(SqlState::INVALID_PARAMETER_VALUE, "retention would drop chunks before they are moved to the columnstore")
        .detail(format!("The {} policy with job id {} says otherwise.", other_kind.noun(), job.id))
        .hint("Let drop_after be greater than compress_after, or remove the policy that is not wanted.");
    if other_kind == Kind::Compression && came_by_itself(&job) {
        error.report(PgLogLevel::WARNING);
        return Ok(());
    }
    Err(error)
}

/// Rows that are deleted by a column that batches are not kept apart by have to be moved out of them.
fn note_other_column(new: &Config) {
    let config::Work::Drop { by: Some(by), .. } = &new.work else { return };
    let segmentby = columnstore::find(new.hypertable.id).and_then(|settings| settings.segmentby);
    if segmentby.is_some_and(|columns| !columns.contains(&by.column)) {
        Error::new(SqlState("00000"), format!("column \"{}\" is not one of the columnstore's segmentby columns", by.column))
            .detail("Rows in batches that hold other values as well have to be moved before they are deleted.")
            .hint("Name the column in timescaledb.segmentby, so that whole batches can go.")
            .report(PgLogLevel::NOTICE);
    }
}

/// Chunks should not go before buckets that they have a part of are complete.
fn warn_of_long_buckets(new: &Config) {
    let (config::Work::Drop { .. }, Some(after)) = (&new.work, new.due().after) else { return };
    growing::warn_of_retention(new.hypertable.relid, |bucket| {
        let width = bucket.nominal_width();
        let width = match bucket.axis {
            Axis::Int2 | Axis::Int4 | Axis::Int8 => age::Age::Integer(width),
            Axis::Date => age::Age::Interval(Span::from_days(i32::try_from(width).unwrap_or(i32::MAX))),
            Axis::Timestamp | Axis::Uuid => age::Age::Interval(Span::from_micros(width)),
        };
        after.compare(width) == Some(Ordering::Less)
    });
}

/// True for the policy that `CREATE TABLE` added: no other has a first start and drifts.
fn came_by_itself(job: &Job) -> bool {
    !job.fixed_schedule && job.initial_start.is_some()
}

/// Removes the policy of a kind; false if there is none and that is no error.
pub fn remove(relid: pg_sys::Oid, kind: Kind, if_exists: bool) -> Result<bool> {
    let hypertable = require(relid)?;
    let jobs = find_all(hypertable.id, kind);
    jobs.iter().try_for_each(|job| define::delete(job.id))?;
    if jobs.is_empty() {
        missing(relid, kind, if_exists)?;
    }
    Ok(!jobs.is_empty())
}

/// There is no policy of a kind: an error, or a notice.
fn missing(relid: pg_sys::Oid, kind: Kind, if_exists: bool) -> Result<()> {
    let of = if kind == Kind::Refresh { "" } else { "hypertable " };
    let message = format!("{} policy not found for {of}\"{}\"", kind.noun(), Known::of(relid).name());
    if if_exists {
        guard::notice(format!("{message}, skipping"));
        return Ok(());
    }
    Err(Error::new(SqlState::UNDEFINED_OBJECT, message).hint("Set option \"if_exists\" to true to avoid error."))
}

/// The columnstore policy of a table that `CREATE TABLE` made a hypertable: chunks are moved when they are as old as they are long.
pub fn add_by_itself(relid: pg_sys::Oid) -> Result<()> {
    let Some(hypertable) = cache::find(relid) else { return Ok(()) };
    let (time, table) = (hypertable.time(), relation_name(relid));
    let Some(interval) = time.interval().filter(|_| columnstore::find(hypertable.id).is_some()) else { return Ok(()) };
    let owner = Relation::open(relid, pg_sys::NoLock).class().relowner;
    let reason = if age::counts_integers(time) && time.integer_now_func.is_none() {
        Some((
            "Nothing says what the time is now by an integer column.",
            "Name a function with set_integer_now_func(), then add the policy.",
        ))
    } else if role::can_login(owner) != Some(true) {
        Some(("A policy runs in a session of the table's owner, who has no LOGIN attribute.", "Give it to the owner, then add the policy."))
    } else {
        None
    };
    if let Some((detail, hint)) = reason {
        Error::new(SqlState("00000"), format!("no columnstore policy was added to hypertable \"{table}\""))
            .detail(detail)
            .hint(hint)
            .report(PgLogLevel::NOTICE);
        return Ok(());
    }
    let after = if age::counts_integers(time) { age::Age::Integer(interval) } else { age::Age::Interval(days_and_time(interval)) };
    let config = Map::from_iter([
        ("hypertable_id".to_owned(), Value::from(hypertable.id)),
        (Kind::Compression.keys().0.to_owned(), after.to_json()),
    ]);
    let kind = Kind::Compression;
    let (name, _, retry, longest) = defaults(&hypertable, &Config::read(kind, &config)?, kind);
    define::add(NewJob {
        max_runtime: longest,
        retry_period: retry,
        fixed_schedule: false,
        initial_start: Some(datetime::now().saturating_add(2 * HALF_DAY)),
        hypertable_id: Some(hypertable.id),
        config: Some(Value::Object(config).to_string()),
        check: Some((SCHEMA.to_owned(), format!("{}_check", kind.proc()))),
        ..NewJob::of(name, (SCHEMA.to_owned(), kind.proc().to_owned()), Span::from_days(1), owner)
    })?;
    Error::new(SqlState("00000"), format!("adding a columnstore policy to hypertable \"{table}\""))
        .detail(format!("Chunks are moved to the columnstore once their rows are older than {}.", text_of(after)))
        .hint("Change it with alter_job(), or remove it with CALL remove_columnstore_policy().")
        .report(PgLogLevel::NOTICE);
    Ok(())
}

fn text_of(age: age::Age) -> String {
    match age.to_json() {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

/// Microseconds as people say them.
fn days_and_time(micros: i64) -> Span {
    Span { days: (micros / (2 * HALF_DAY)) as i32, micros: micros % (2 * HALF_DAY), months: 0 }
}

/// After a hypertable's columnstore was turned off: its policy would only fail.
pub fn follow_columnstore(relid: pg_sys::Oid) -> Result<()> {
    let Some(hypertable) = cache::find(relid) else { return Ok(()) };
    if columnstore::find(hypertable.id).is_some() || find(hypertable.id, Kind::Compression).is_none() {
        return Ok(());
    }
    remove(relid, Kind::Compression, true)?;
    guard::notice(format!("removed the columnstore policy of {}", Known::of(relid).described()));
    Ok(())
}

/// After a hypertable changed its owner: its policies run as the new one.
pub fn follow_owner(relid: pg_sys::Oid) {
    let Some(hypertable) = cache::find(relid) else { return };
    let owner = Relation::open(relid, pg_sys::NoLock).class().relowner;
    let policies = job::of_hypertable(hypertable.id).into_iter().filter(|job| kind_of(job).is_some());
    let mut moved = Vec::new();
    for found in policies {
        job::lock(found.id);
        // It may have been altered or removed while its lock was waited for.
        let Some(policy) = job::find(found.id).filter(|job| job.owner != owner) else { continue };
        moved.push(policy.owner);
        job::update(&Job { owner, ..policy });
    }
    if moved.is_empty() {
        return;
    }
    moved.into_iter().chain([owner]).for_each(job::need_owner);
    crate::jobs::wake::at_commit();
    if role::can_login(owner) != Some(true) {
        Error::new(SqlState("01000"), format!("the policies of {} will not run", Known::of(relid).described()))
            .detail(format!("Their owner is now role \"{}\", which has no LOGIN attribute.", role::name(owner)))
            .hint("Give it to the role, or the table to another one.")
            .report(PgLogLevel::WARNING);
    }
}

/// After a column was renamed: retention by value goes on by its new name.
pub fn rename_column(hypertable_id: i32, from: &str, to: &str) {
    let Some(found) = find(hypertable_id, Kind::Retention) else { return };
    job::lock(found.id);
    // It may have been altered or removed while its lock was waited for.
    let Some(policy) = job::find(found.id) else { return };
    let Ok(mut config) = config::parse(policy.config.as_deref()) else { return };
    let Some(Value::Object(columns)) = config.get_mut("drop_after_by") else { return };
    let Some(values) = columns.remove(from) else { return };
    columns.insert(to.to_owned(), values);
    job::update(&Job { config: Some(Value::Object(config).to_string()), ..policy });
}

/// The check functions of policies: reads a config as the current role.
pub fn check(kind: Kind, config: Option<pg_sys::Datum>) -> Result<()> {
    // SAFETY: the SQL declaration gives the argument the type jsonb.
    let text = config.map(|config| unsafe { json::text(config) });
    Config::read(kind, &config::parse(text.as_deref())?).map(drop)
}

/// After a job got another config: what the check functions can't say, which are given nothing but the config. An ERROR takes it back.
pub fn check_altered(job: &Job) -> Result<()> {
    let Some(kind) = kind_of(job) else { return Ok(()) };
    let new = Config::read(kind, &config::parse(job.config.as_deref())?)?;
    if job.hypertable_id.is_some_and(|id| id != new.hypertable.id) {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "a policy cannot be given to another hypertable")
            .detail(format!("The config of job {} names {}.", job.id, Known::of(new.hypertable.relid).described()))
            .hint("Leave hypertable_id in the config as it is, and add a policy to the other hypertable."));
    }
    if let config::Work::Refresh(plan) = &new.work {
        return refresh::check_others(&new.hypertable, plan, Some(job.id));
    }
    check_others(&new)
}
