//! `timescaledb_experimental.add_policies` and its family: several policies of a table at once.

use pgrx::pg_sys;
use serde_json::{Map, Value, json};

use super::config::{self, Config, Kind};
use super::{When, add, age, find, remove, require};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::job;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::jobs::define::{self, Changes};
use crate::pg::relation::relation_name;
use crate::pg::{datetime, guard};

/// The name that clients use for the policy that only continuous aggregates have.
const REFRESH: &str = "policy_refresh_continuous_aggregate";

/// What is said of the policies of a relation.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Something about refreshing.
    pub refresh: bool,
    /// The age at which chunks are moved to the columnstore.
    pub compress_after: Given,
    /// The age at which they are dropped.
    pub drop_after: Given,
}

impl Asked {
    /// Kinds with their ages, as configs have them.
    fn ages(self, hypertable: &Hypertable) -> Result<Vec<(Kind, Value)>> {
        if self.refresh {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "a hypertable has no refresh policy")
                .detail(format!("\"{}\" is no continuous aggregate.", relation_name(hypertable.relid)))
                .hint("Leave out refresh_start_offset and refresh_end_offset."));
        }
        let mut ages = Vec::new();
        for (kind, given) in [(Kind::Compression, self.compress_after), (Kind::Retention, self.drop_after)] {
            if let Some(given) = given {
                ages.push((kind, age::Age::from_argument(hypertable, kind.keys().0, given)?.to_json()));
            }
        }
        if ages.is_empty() {
            return Err(
                Error::new(SqlState::INVALID_PARAMETER_VALUE, "no policy is named").hint("Give compress_after, drop_after, or both.")
            );
        }
        Ok(ages)
    }
}

/// Adds policies. Returns whether one was added.
pub fn add_policies(relid: pg_sys::Oid, if_not_exists: bool, asked: Asked) -> Result<bool> {
    let hypertable = require(relid)?;
    let mut added = false;
    for (kind, age) in asked.ages(&hypertable)? {
        let config = Map::from_iter([(kind.keys().0.to_owned(), age)]);
        added |= add(relid, kind, config, When::default(), if_not_exists)? >= 0;
    }
    Ok(added)
}

fn missing(hypertable: &Hypertable, kind: Kind, if_exists: bool) -> Result<()> {
    let message = format!("{} policy not found for hypertable \"{}\"", kind.noun(), relation_name(hypertable.relid));
    if if_exists {
        guard::notice(format!("{message}, skipping"));
        return Ok(());
    }
    Err(Error::new(SqlState::UNDEFINED_OBJECT, message).hint("Set option \"if_exists\" to true to avoid error."))
}

/// Changes the ages of policies. Returns whether one was changed.
pub fn alter_policies(relid: pg_sys::Oid, if_exists: bool, asked: Asked) -> Result<bool> {
    let hypertable = require(relid)?;
    let mut changed = false;
    for (kind, age) in asked.ages(&hypertable)? {
        let Some(policy) = find(hypertable.id, kind) else {
            missing(&hypertable, kind, if_exists)?;
            continue;
        };
        let mut config = config::parse(policy.config.as_deref())?;
        let (after, created_before) = kind.keys();
        config.remove(created_before);
        config.insert(after.to_owned(), age);
        define::alter(policy.id, Changes { config: Some(Value::Object(config).to_string()), ..Changes::default() })?;
        changed = true;
    }
    // Both may have changed, so they are compared when that is done.
    if let Some(policy) = find(hypertable.id, Kind::Compression) {
        super::check_others(&Config::read(Kind::Compression, &config::parse(policy.config.as_deref())?)?)?;
    }
    Ok(changed)
}

/// Removes the policies of these names. Returns whether there was one.
pub fn remove_policies(relid: pg_sys::Oid, if_exists: bool, names: &[String]) -> Result<bool> {
    let hypertable = require(relid)?;
    if names.is_empty() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "no policy is named").hint(known_names()));
    }
    let mut removed = false;
    for name in names {
        match Kind::of_proc(name) {
            Some(kind) => removed |= remove(relid, kind, if_exists)?,
            None if name == REFRESH => missing_refresh(&hypertable, if_exists)?,
            None => {
                let message = format!("there is no policy of the name \"{name}\"");
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message).hint(known_names()));
            }
        }
    }
    Ok(removed)
}

fn missing_refresh(hypertable: &Hypertable, if_exists: bool) -> Result<()> {
    let message = format!("refresh policy not found for hypertable \"{}\"", relation_name(hypertable.relid));
    if if_exists {
        guard::notice(format!("{message}, skipping"));
        return Ok(());
    }
    Err(Error::new(SqlState::UNDEFINED_OBJECT, message).hint("Only continuous aggregates are refreshed."))
}

fn known_names() -> String {
    let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::proc).collect();
    format!("Policies are {}.", names.join(", "))
}

/// Removes all policies of a hypertable. Returns whether there was one.
pub fn remove_all_policies(relid: pg_sys::Oid, if_exists: bool) -> Result<bool> {
    let hypertable = require(relid)?;
    let policies: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| find(hypertable.id, *kind).is_some()).collect();
    if policies.is_empty() {
        let message = format!("no policies found for hypertable \"{}\"", relation_name(relid));
        if !if_exists {
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, message).hint("Set option \"if_exists\" to true to avoid error."));
        }
        guard::notice(format!("{message}, skipping"));
    }
    policies.iter().try_for_each(|kind| remove(relid, *kind, true).map(drop))?;
    Ok(!policies.is_empty())
}

/// The policies of a hypertable as JSON.
pub fn show_policies(relid: pg_sys::Oid) -> Result<Vec<Value>> {
    let hypertable = crate::catalog::cache::find(relid).ok_or_else(|| crate::chunk::list::not_a_hypertable(relid))?;
    let mut shown = Vec::new();
    for policy in job::of_hypertable(hypertable.id) {
        let Some(kind) = super::kind_of(&policy) else { continue };
        let config = config::parse(policy.config.as_deref())?;
        let mut object = Map::from_iter([("policy_name".to_owned(), json!(kind.proc()))]);
        object.extend(config.into_iter().filter(|(key, _)| key != "hypertable_id"));
        let interval = match kind {
            Kind::Compression => "compress_interval",
            Kind::Retention => "retention_interval",
            Kind::Reorder => "reorder_interval",
        };
        object.insert(interval.to_owned(), json!(datetime::span_text(policy.schedule_interval)));
        shown.push(Value::Object(object));
    }
    Ok(shown)
}
