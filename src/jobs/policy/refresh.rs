//! Policies that refresh continuous aggregates. Of these there may be several for one, for windows that don't overlap.

use std::rc::Rc;

use pgrx::{PgLogLevel, pg_sys};
use serde_json::{Map, Value};
use tsc_kernel::axis::Axis;
use tsc_kernel::buckets::{BatchSize, shrink};
use tsc_kernel::ranges::Range;
use tsc_kernel::span::{MICROS_PER_DAY, Span};

use super::age::{self, Age};
use super::config::{self, Kind};
use super::{SCHEMA, When, find_all, require, run};
use crate::cagg::refresh::{self, window};
use crate::cagg::valid;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::job::Job;
use crate::catalog::naming::Known;
use crate::catalog::{cache, hypertable};
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::jobs::define::{self, NewJob};
use crate::pg::relation::{Relation, type_name};
use crate::pg::{datetime, guard};

/// How many buckets are computed in a transaction, unless said.
const USUAL_BATCH: u32 = 10;
const MAT_ID: &str = "mat_hypertable_id";

/// What such a policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The continuous aggregate.
    pub agg: ContinuousAgg,
    /// The age at which its window begins; None: with the first bucket.
    pub start: Option<Age>,
    /// The age at which it ends, which may be negative; None: with the last one.
    pub end: Option<Age>,
    options: window::Options,
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The hypertable at the bottom, of whose times the ages are.
fn raw(agg: &ContinuousAgg) -> Result<Rc<Hypertable>> {
    let mut source = agg.source;
    while let Some(below) = continuous_agg::of_storage(source) {
        source = below.source;
    }
    cache::find(source).ok_or_else(|| Error::internal("a continuous aggregate without its hypertable"))
}

fn wrong_type(hypertable: &Hypertable, name: &str, given: &str) -> Error {
    let hint = if age::counts_integers(hypertable.time()) {
        "Use an integer with a continuous aggregate over an integer column."
    } else {
        "Use an interval with a continuous aggregate over a column that holds times."
    };
    invalid(format!("invalid parameter value for {name}")).detail(format!("It is of type {given}.")).hint(hint)
}

/// An offset as an argument of any type; as JSON, for a config.
pub fn offset(agg: &ContinuousAgg, name: &str, given: Given) -> Result<Value> {
    let Some((type_oid, datum)) = given else { return Ok(Value::Null) };
    let raw = raw(agg)?;
    let integers = age::counts_integers(raw.time());
    let is_text = type_oid == pg_sys::UNKNOWNOID || type_oid == pg_sys::TEXTOID;
    let age = match type_oid {
        pg_sys::INT2OID if integers => Age::Integer(i64::from(datum.value() as i16)),
        pg_sys::INT4OID if integers => Age::Integer(i64::from(datum.value() as i32)),
        pg_sys::INT8OID if integers => Age::Integer(datum.value() as i64),
        // SAFETY: the Datum is an interval.
        pg_sys::INTERVALOID if !integers => Age::Interval(unsafe { datetime::span_of(datum) }),
        _ if is_text && integers => Age::Integer(datetime::read_text(type_oid, datum, pg_sys::INT8OID).value() as i64),
        // SAFETY: the input function of interval returns one.
        _ if is_text => Age::Interval(unsafe { datetime::span_of(datetime::read_text(type_oid, datum, pg_sys::INTERVALOID)) }),
        _ => return Err(wrong_type(&raw, name, &type_name(type_oid))),
    };
    Ok(age.to_json())
}

fn read_offset(raw: &Hypertable, name: &str, value: Option<&Value>) -> Result<Option<Age>> {
    let integers = age::counts_integers(raw.time());
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if integers => {
            number.as_i64().map(|number| Some(Age::Integer(number))).ok_or_else(|| wrong_type(raw, name, "number"))
        }
        Some(Value::String(text)) if integers => {
            text.trim().parse().map(|number| Some(Age::Integer(number))).map_err(|_| wrong_type(raw, name, "text"))
        }
        // SAFETY: the input function of interval returns one.
        Some(Value::String(text)) => Ok(Some(Age::Interval(unsafe { datetime::span_of(datetime::read(pg_sys::INTERVALOID, text)) }))),
        Some(_) => Err(wrong_type(raw, name, "number")),
    }
}

/// The hypertable, which is the storage, that the config of a refresh names.
pub fn storage_of(config: &Map<String, Value>) -> Result<Rc<Hypertable>> {
    let id = config
        .get(MAT_ID)
        .and_then(Value::as_i64)
        .and_then(|id| i32::try_from(id).ok())
        .ok_or_else(|| invalid("could not find \"mat_hypertable_id\" in config for job"))?;
    let missing = || Error::new(SqlState::UNDEFINED_OBJECT, format!("configuration materialization hypertable id {id} not found"));
    hypertable::relid_of(id).and_then(cache::find).filter(|found| continuous_agg::of_storage(found.relid).is_some()).ok_or_else(missing)
}

/// Reads a config, and checks it against the continuous aggregate.
pub fn read(storage: &Hypertable, config: &Map<String, Value>) -> Result<Plan> {
    let agg = continuous_agg::of_storage(storage.relid).ok_or_else(|| Error::internal("a storage without a continuous aggregate"))?;
    let raw = raw(&agg)?;
    let start = read_offset(&raw, "start_offset", config.get("start_offset"))?;
    let end = read_offset(&raw, "end_offset", config.get("end_offset"))?;
    // Out of range, or without a function that says what the time is, it is refused at once.
    start.iter().chain(&end).try_for_each(|age| age.position(&raw).map(drop))?;
    let batch = match window::count(config, "buckets_per_batch")? {
        Some(count) => Some(BatchSize::Buckets(count)),
        None if config.get("buckets_per_batch").is_none_or(Value::is_null) => Some(BatchSize::Buckets(USUAL_BATCH)),
        None => None,
    };
    let options = window::Options {
        batch,
        most_batches: window::count(config, "max_batches_per_execution")?.map(|most| most as usize),
        newest_first: window::flag(config, "refresh_newest_first")?.unwrap_or(true),
        quiet: true,
        ..window::Options::default()
    };
    let plan = Plan { agg, start, end, options };
    plan.check_length(&raw)?;
    Ok(plan)
}

/// The length of an age, in positions.
fn length(axis: Axis, age: Age) -> i128 {
    match age {
        Age::Integer(number) => number.into(),
        Age::Interval(span) => {
            let micros = i128::from(span.months) * 30 * i128::from(MICROS_PER_DAY) + span.fixed_micros();
            if axis == Axis::Date { micros / i128::from(MICROS_PER_DAY) } else { micros }
        }
    }
}

impl Plan {
    fn axis(&self) -> Result<Axis> {
        Ok(valid::bucket_of(&self.agg)?.axis)
    }

    fn check_length(&self, raw: &Hypertable) -> Result<()> {
        let bucket = valid::bucket_of(&self.agg)?;
        let (Some(start), Some(end)) = (self.start, self.end) else { return Ok(()) };
        if length(bucket.axis, start) - length(bucket.axis, end) >= 2 * i128::from(bucket.nominal_width()) {
            return Ok(());
        }
        Err(invalid("policy refresh window too small")
            .detail(
                "The start and end offsets must cover at least two buckets in the valid time range of type \"".to_owned()
                    + &type_name(raw.time().type_oid)
                    + "\".",
            )
            .hint("Use a start and end offset that specifies a window of at least two buckets."))
    }

    /// The ages that its window holds, from the least.
    fn ages(&self) -> Result<(i128, i128)> {
        let axis = self.axis()?;
        Ok((self.end.map_or(i128::MIN, |age| length(axis, age)), self.start.map_or(i128::MAX, |age| length(axis, age))))
    }

    fn overlaps(&self, other: &Self) -> Result<bool> {
        let (mine, others) = (self.ages()?, other.ages()?);
        Ok(mine.0 < others.1 && others.0 < mine.1)
    }

    fn window(&self) -> Result<Range> {
        let raw = raw(&self.agg)?;
        let internal = |age: Option<Age>| age.map(|age| age.position(&raw)).transpose();
        window::from_internal(self.axis()?, internal(self.start)?, internal(self.end)?)
    }
}

fn others(storage: &Hypertable, but: Option<i32>) -> Vec<(Job, Plan)> {
    let jobs = find_all(storage.id, Kind::Refresh).into_iter().filter(|job| Some(job.id) != but);
    jobs.filter_map(|job| {
        let plan = config::parse(job.config.as_deref()).and_then(|config| read(storage, &config)).ok()?;
        Some((job, plan))
    })
    .collect()
}

/// Refuses a policy whose window overlaps that of another one.
pub fn check_others(storage: &Hypertable, plan: &Plan, but: Option<i32>) -> Result<()> {
    for (job, other) in others(storage, but) {
        if plan.overlaps(&other)? {
            let name = Known::of(storage.relid).name();
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("continuous aggregate policy already exists for \"{name}\""))
                .detail(format!("The window of the policy with job id {} overlaps with this one.", job.id))
                .hint("Choose offsets for which they don't, or remove the other policy."));
        }
    }
    Ok(())
}

/// Adds a policy and returns its job's id; -1 if there is one already and that is no error.
pub fn add(view: pg_sys::Oid, mut config: Map<String, Value>, when: When, if_not_exists: bool) -> Result<i32> {
    let agg = refresh::require(view)?;
    let interval = when.interval.ok_or_else(|| invalid("schedule_interval cannot be NULL").hint("Say how often to refresh."))?;
    let storage = require(agg.storage)?;
    config.insert(MAT_ID.to_owned(), Value::from(storage.id));
    let plan = read(&storage, &config)?;
    if if_not_exists && let Some(existing) = overlapping(&storage, &plan)? {
        note_existing(&storage, &plan, &existing);
        return Ok(-1);
    }
    check_others(&storage, &plan, None)?;
    let owner = Relation::open(storage.relid, pg_sys::NoLock).class().relowner;
    let proc = Kind::Refresh.proc();
    define::add(NewJob {
        retry_period: interval,
        fixed_schedule: when.initial_start.is_some(),
        initial_start: when.initial_start,
        timezone: when.timezone,
        hypertable_id: Some(storage.id),
        config: Some(Value::Object(config).to_string()),
        check: Some((SCHEMA.to_owned(), format!("{proc}_check"))),
        ..NewJob::of("Refresh Continuous Aggregate Policy", (SCHEMA.to_owned(), proc.to_owned()), interval, owner)
    })
}

fn overlapping(storage: &Hypertable, plan: &Plan) -> Result<Option<Plan>> {
    for (_, other) in others(storage, None) {
        if plan.overlaps(&other)? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

fn note_existing(storage: &Hypertable, plan: &Plan, existing: &Plan) {
    let name = Known::of(storage.relid).name();
    if plan == existing {
        guard::notice(format!("continuous aggregate policy already exists for \"{name}\", skipping"));
        return;
    }
    Error::new(SqlState("01000"), format!("continuous aggregate policy already exists for \"{name}\""))
        .detail("A policy already exists with different arguments.")
        .hint("Remove the existing policy before adding a new one.")
        .report(PgLogLevel::WARNING);
}

/// Removes all policies that refresh a continuous aggregate; false if there is none and that is no error.
pub fn remove(view: pg_sys::Oid, if_exists: bool) -> Result<bool> {
    let agg = refresh::require(view)?;
    let storage = require(agg.storage)?;
    let jobs = find_all(storage.id, Kind::Refresh);
    jobs.iter().try_for_each(|job| define::delete(job.id))?;
    if jobs.is_empty() {
        super::missing(storage.relid, Kind::Refresh, if_exists)?;
    }
    Ok(!jobs.is_empty())
}

/// A run of a policy. Ends early once its job is changed, paused or gone.
pub fn run_policy(job_id: Option<i32>, config: &str, atomic: bool) -> Result<()> {
    if atomic {
        return Err(run::in_a_block().detail("It commits after each batch."));
    }
    let map = config::parse(Some(config))?;
    let storage = storage_of(&map)?;
    let plan = read(&storage, &map)?;
    refresh::require_owner(&plan.agg)?;
    let watched = job_id.and_then(|id| Some(run::Watched { id, was_scheduled: run::is_scheduled(Kind::Refresh, id)?, config }));
    let window = plan.window()?;
    if shrink(&valid::bucket_of(&plan.agg)?, window).is_none() {
        guard::notice(format!("no whole bucket of continuous aggregate \"{}\" lies between the offsets", Known::of(storage.relid).name()));
        return Ok(());
    }
    refresh::run_while(plan.agg.id, window, &plan.options, false, &|| watched.is_none_or(run::Watched::is_as_it_was))
}

/// How often a policy runs for which nobody said: once a bucket, and once an hour by an integer column.
pub fn usual_interval(agg: &ContinuousAgg) -> Result<Span> {
    let bucket = valid::bucket_of(agg)?;
    Ok(match bucket.axis {
        Axis::Int2 | Axis::Int4 | Axis::Int8 => Span::from_micros(3_600_000_000),
        Axis::Date => Span::from_days(i32::try_from(bucket.nominal_width()).unwrap_or(i32::MAX)),
        Axis::Timestamp | Axis::Uuid => Span::from_micros(bucket.nominal_width()),
    })
}
