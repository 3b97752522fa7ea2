//! `timescaledb_experimental.add_policies` and its family: several policies of a table at once.

use pgrx::pg_sys;
use serde_json::{Map, Value, json};

use super::config::{self, Config, Kind};
use super::{When, add, age, find, find_all, missing, refresh, remove, require};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::naming::Known;
use crate::catalog::{continuous_agg, job};
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::jobs::define::{self, Changes};
use crate::pg::relation::relation_name;
use crate::pg::{datetime, guard};

/// What is said of the policies of a relation.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The age at which the window begins that is refreshed.
    pub refresh_start: Given,
    /// The age at which it ends.
    pub refresh_end: Given,
    /// The age at which chunks are moved to the columnstore.
    pub compress_after: Given,
    /// The age at which they are dropped.
    pub drop_after: Given,
}

impl Asked {
    /// Kinds with what their configs say.
    fn configs(self, hypertable: &Hypertable) -> Result<Vec<(Kind, Map<String, Value>)>> {
        let mut configs = Vec::new();
        if self.refresh_start.is_some() || self.refresh_end.is_some() {
            let agg = continuous_agg::of_storage(hypertable.relid).ok_or_else(|| {
                Error::new(SqlState::FEATURE_NOT_SUPPORTED, "a hypertable has no refresh policy")
                    .detail(format!("\"{}\" is no continuous aggregate.", relation_name(hypertable.relid)))
                    .hint("Leave out refresh_start_offset and refresh_end_offset.")
            })?;
            let offset = |key: &str, given| refresh::offset(&agg, key, given).map(|value| (key.to_owned(), value));
            configs.push((
                Kind::Refresh,
                Map::from_iter([offset("start_offset", self.refresh_start)?, offset("end_offset", self.refresh_end)?]),
            ));
        }
        for (kind, given) in [(Kind::Compression, self.compress_after), (Kind::Retention, self.drop_after)] {
            if let Some(given) = given {
                let key = kind.keys().0;
                configs.push((kind, Map::from_iter([(key.to_owned(), age::Age::from_argument(hypertable, key, given)?.to_json())])));
            }
        }
        if configs.is_empty() {
            return Err(
                Error::new(SqlState::INVALID_PARAMETER_VALUE, "no policy is named").hint("Give compress_after, drop_after, or both.")
            );
        }
        Ok(configs)
    }
}

/// Adds policies. Returns whether one was added.
pub fn add_policies(relid: pg_sys::Oid, if_not_exists: bool, asked: Asked) -> Result<bool> {
    let hypertable = require(relid)?;
    let mut added = false;
    for (kind, config) in asked.configs(&hypertable)? {
        added |= match continuous_agg::of_storage(relid).filter(|_| kind == Kind::Refresh) {
            Some(agg) => {
                let when = When { interval: Some(refresh::usual_interval(&agg)?), ..When::default() };
                refresh::add(agg.user_view, config, when, if_not_exists)?
            }
            None => add(relid, kind, config, When::default(), if_not_exists)?,
        } >= 0;
    }
    Ok(added)
}

/// Changes the ages of policies. Returns whether one was changed.
pub fn alter_policies(relid: pg_sys::Oid, if_exists: bool, asked: Asked) -> Result<bool> {
    let hypertable = require(relid)?;
    let mut changed = false;
    for (kind, said) in asked.configs(&hypertable)? {
        let Some(policy) = find(hypertable.id, kind) else {
            missing(hypertable.relid, kind, if_exists)?;
            continue;
        };
        if find_all(hypertable.id, kind).len() > 1 {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("there are several {} policies", kind.noun()))
                .hint("Use alter_job() to say which one is to change."));
        }
        let mut config = config::parse(policy.config.as_deref())?;
        if kind != Kind::Refresh {
            config.remove(kind.keys().1);
        }
        config.extend(said.into_iter().filter(|(_, value)| !value.is_null()));
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
    require(relid)?;
    if names.is_empty() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "no policy is named").hint(known_names()));
    }
    let mut removed = false;
    for name in names {
        match Kind::of_proc(name) {
            Some(kind) => removed |= remove(relid, kind, if_exists)?,
            None => {
                let message = format!("there is no policy of the name \"{name}\"");
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message).hint(known_names()));
            }
        }
    }
    Ok(removed)
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
        let message = format!("no policies found for hypertable \"{}\"", Known::of(relid).name());
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
        object.extend(config.into_iter().filter(|(key, _)| key != "hypertable_id" && key != "mat_hypertable_id").map(|(key, value)| {
            // Only here they are called so.
            let is_offset = kind == Kind::Refresh && key.ends_with("_offset");
            (if is_offset { format!("refresh_{key}") } else { key }, value)
        }));
        let interval = match kind {
            Kind::Compression => "compress_interval",
            Kind::Retention => "retention_interval",
            Kind::Reorder => "reorder_interval",
            Kind::Refresh => "refresh_interval",
        };
        object.insert(interval.to_owned(), json!(datetime::span_text(policy.schedule_interval)));
        shown.push(Value::Object(object));
    }
    Ok(shown)
}
