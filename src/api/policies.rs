//! Policies: adding and removing them, and what their procedures call.

use pgrx::{IntoDatum, JsonB, pg_sys};
use serde_json::{Map, Value};

use super::chunk::any_arg;
use crate::cagg::refresh as cagg_refresh;
use crate::catalog::cache;
use crate::chunk::{health, list};
use crate::error::{Error, Result, SqlState};
use crate::jobs::policy::age::Age;
use crate::jobs::policy::config::Kind;
use crate::jobs::policy::{self, When, family, refresh, run};
use crate::pg::fcinfo::Args;
use crate::pg::relation::{c_string, name_string};
use crate::pg::srf::ResultSet;
use crate::pg::{datetime, ffi, json};
use crate::sql_function;

/// On a replica, and in a read-only transaction, this is the error.
fn require_writable(args: Args) {
    let function = args.function_name();
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(c_string(&format!("{function}()")).as_ptr()) };
}

/// The table whose policies are to change.
fn relation_arg(args: Args) -> Result<pg_sys::Oid> {
    require_writable(args);
    args.get(0).map(crate::cagg::ddl::storage_of).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid hypertable or continuous aggregate")
            .hint("Specify a hypertable or continuous aggregate.")
    })
}

/// An argument of type timestamptz, in microseconds since 2000-01-01 UTC.
fn instant_arg(args: Args, index: usize) -> Option<i64> {
    args.datum(index).map(|datum| datum.value() as i64)
}

/// An argument of type jsonb.
fn json_arg(args: Args, index: usize) -> Option<String> {
    // SAFETY: the SQL declaration gives the argument the type jsonb.
    args.datum(index).map(|datum| unsafe { json::text(datum) })
}

/// The ages by which a policy goes, as its config has them.
fn ages(args: Args, kind: Kind, relid: pg_sys::Oid, after: usize, created_before: usize) -> Result<Map<String, Value>> {
    let (after_key, created_key) = kind.keys();
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let mut config = Map::new();
    if let Some(given) = any_arg(args, after) {
        config.insert(after_key.to_owned(), Age::from_argument(&hypertable, after_key, given)?.to_json());
    }
    if let Some(span) = args.span(created_before) {
        config.insert(created_key.to_owned(), Value::String(datetime::span_text(span)));
    }
    Ok(config)
}

fn when(args: Args, interval: usize) -> When {
    When { interval: args.span(interval), initial_start: instant_arg(args, interval + 1), timezone: args.get(interval + 2) }
}

/// A function returns the job's id; a procedure nothing.
fn result<T: IntoDatum>(args: Args, value: T) -> Option<pg_sys::Datum> {
    // SAFETY: looks the running function up.
    let kind = unsafe { ffi::get_func_prokind(args.function_oid()) } as u8;
    if kind == b'p' { None } else { value.into_datum() }
}

sql_function!(
    /// `add_compression_policy(hypertable, compress_after, ...)`, `add_columnstore_policy`
    tsc_add_compression_policy,
    |args| -> pg_sys::Datum {
        let relid = relation_arg(args)?;
        let config = ages(args, Kind::Compression, relid, 1, 6)?;
        let id = policy::add(relid, Kind::Compression, config, when(args, 3), args.get_or(2, false))?;
        Ok(result(args, id))
    }
);

sql_function!(
    /// `remove_compression_policy(hypertable, if_exists)`, `remove_columnstore_policy`
    tsc_remove_compression_policy,
    |args| -> pg_sys::Datum {
        let removed = policy::remove(relation_arg(args)?, Kind::Compression, args.get_or(1, false))?;
        Ok(result(args, removed))
    }
);

sql_function!(
    /// `add_retention_policy(relation, drop_after, ..., drop_after_size, drop_after_by)`
    tsc_add_retention_policy,
    |args| -> i32 {
        let relid = relation_arg(args)?;
        let mut config = ages(args, Kind::Retention, relid, 1, 6)?;
        if let Some(size) = args.get::<String>(7) {
            config.insert("drop_after_size".to_owned(), Value::String(size));
        }
        if let Some(JsonB(by)) = args.get::<JsonB>(8) {
            config.insert("drop_after_by".to_owned(), by);
        }
        policy::add(relid, Kind::Retention, config, when(args, 3), args.get_or(2, false)).map(Some)
    }
);

sql_function!(
    /// `remove_retention_policy(relation, if_exists)`
    tsc_remove_retention_policy,
    |args| -> pg_sys::Datum {
        policy::remove(relation_arg(args)?, Kind::Retention, args.get_or(1, false))?;
        Ok(None)
    }
);

sql_function!(
    /// `add_reorder_policy(hypertable, index_name, if_not_exists, initial_start, timezone)`
    tsc_add_reorder_policy,
    |args| -> i32 {
        let relid = relation_arg(args)?;
        // SAFETY: a name Datum points to a NameData.
        let index = args.datum(1).map(|datum| name_string(unsafe { &*datum.cast_mut_ptr::<pg_sys::NameData>() }));
        let index = index.ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "index_name cannot be NULL"))?;
        let config = Map::from_iter([("index_name".to_owned(), Value::String(index))]);
        let when = When { interval: None, initial_start: instant_arg(args, 3), timezone: args.get(4) };
        policy::add(relid, Kind::Reorder, config, when, args.get_or(2, false)).map(Some)
    }
);

sql_function!(
    /// `remove_reorder_policy(hypertable, if_exists)`
    tsc_remove_reorder_policy,
    |args| -> pg_sys::Datum {
        policy::remove(relation_arg(args)?, Kind::Reorder, args.get_or(1, false))?;
        Ok(None)
    }
);

sql_function!(
    /// `policy_compression_check(config)`
    tsc_policy_compression_check,
    |args| -> pg_sys::Datum { policy::check(Kind::Compression, args.datum(0)).map(|()| None) }
);

sql_function!(
    /// `policy_retention_check(config)`
    tsc_policy_retention_check,
    |args| -> pg_sys::Datum { policy::check(Kind::Retention, args.datum(0)).map(|()| None) }
);

sql_function!(
    /// `policy_reorder_check(config)`
    tsc_policy_reorder_check,
    |args| -> pg_sys::Datum { policy::check(Kind::Reorder, args.datum(0)).map(|()| None) }
);

fn kind_arg(args: Args) -> Result<Kind> {
    let name: String = args.require(0, "policy")?;
    Kind::of_proc(&name).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("there is no policy of the name \"{name}\"")))
}

fn config_arg(args: Args) -> Result<String> {
    json_arg(args, 1).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "config cannot be NULL"))
}

sql_function!(
    /// `_timescaledb_functions.policy_due(policy, config)`
    tsc_policy_due,
    |args| -> Vec<pg_sys::Oid> { run::due(kind_arg(args)?, &config_arg(args)?).map(Some) }
);

sql_function!(
    /// `_timescaledb_functions.policy_watch(policy, job_id)`
    tsc_policy_watch,
    |args| -> bool {
        let kind = kind_arg(args)?;
        Ok(args.get(1).and_then(|job_id| run::is_scheduled(kind, job_id)))
    }
);

sql_function!(
    /// `_timescaledb_functions.policy_step(policy, config, chunk, hurried, job_id, scheduled, done)`
    tsc_policy_step,
    |args| -> i32 {
        require_writable(args);
        let config = config_arg(args)?;
        let job = args.get(4).zip(args.get(5)).map(|(id, was_scheduled)| run::Watched { id, was_scheduled, config: &config });
        run::step(kind_arg(args)?, &config, args.require(2, "chunk")?, args.get_or(3, false), job, args.get_or(6, 0))
    }
);

fn asked(args: Args) -> family::Asked {
    family::Asked {
        refresh_start: any_arg(args, 2),
        refresh_end: any_arg(args, 3),
        compress_after: any_arg(args, 4),
        drop_after: any_arg(args, 5),
    }
}

sql_function!(
    /// `timescaledb_experimental.add_policies(relation, if_not_exists, ...)`
    tsc_add_policies,
    |args| -> bool { family::add_policies(relation_arg(args)?, args.get_or(1, false), asked(args)).map(Some) }
);

sql_function!(
    /// `timescaledb_experimental.alter_policies(relation, if_exists, ...)`
    tsc_alter_policies,
    |args| -> bool { family::alter_policies(relation_arg(args)?, args.get_or(1, false), asked(args)).map(Some) }
);

sql_function!(
    /// `timescaledb_experimental.remove_policies(relation, if_exists, policy_names)`
    tsc_remove_policies,
    |args| -> bool {
        let names: Vec<Option<String>> = args.get(2).unwrap_or_default();
        let names: Vec<String> = names.into_iter().flatten().collect();
        family::remove_policies(relation_arg(args)?, args.get_or(1, false), &names).map(Some)
    }
);

sql_function!(
    /// `timescaledb_experimental.remove_all_policies(relation, if_exists)`
    tsc_remove_all_policies,
    |args| -> bool { family::remove_all_policies(relation_arg(args)?, args.get_or(1, false)).map(Some) }
);

sql_function!(
    /// `timescaledb_experimental.show_policies(relation)`
    tsc_show_policies,
    |args| -> pg_sys::Datum {
        let policies = args.get(0).map(crate::cagg::ddl::storage_of).map(family::show_policies).transpose()?.unwrap_or_default();
        let mut rows = ResultSet::new(args);
        for policy in policies {
            rows.push(&[JsonB(policy).into_datum()]);
        }
        Ok(None)
    }
);

fn cagg_arg(args: Args) -> Result<pg_sys::Oid> {
    require_writable(args);
    args.get(0)
        .ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid continuous aggregate").hint("Name a continuous aggregate."))
}

sql_function!(
    /// `add_continuous_aggregate_policy(continuous_aggregate, start_offset, end_offset, schedule_interval, ...)`
    tsc_add_continuous_aggregate_policy,
    |args| -> i32 {
        let view = cagg_arg(args)?;
        let agg = cagg_refresh::require(view)?;
        let mut config = Map::new();
        for (index, key) in [(1, "start_offset"), (2, "end_offset")] {
            config.insert(key.to_owned(), refresh::offset(&agg, key, any_arg(args, index))?);
        }
        for (index, key) in [(7, "include_tiered_data"), (10, "refresh_newest_first")] {
            config.extend(args.get::<bool>(index).map(|value| (key.to_owned(), Value::Bool(value))));
        }
        for (index, key) in [(8, "buckets_per_batch"), (9, "max_batches_per_execution")] {
            config.extend(args.get::<i32>(index).map(|value| (key.to_owned(), Value::from(value))));
        }
        let when = When { interval: args.span(3), initial_start: instant_arg(args, 5), timezone: args.get(6) };
        refresh::add(view, config, when, args.get_or(4, false)).map(Some)
    }
);

sql_function!(
    /// `remove_continuous_aggregate_policy(continuous_aggregate, if_not_exists, if_exists)`
    tsc_remove_continuous_aggregate_policy,
    |args| -> pg_sys::Datum {
        refresh::remove(cagg_arg(args)?, args.get(2).unwrap_or_else(|| args.get_or(1, false)))?;
        Ok(None)
    }
);

sql_function!(
    /// `policy_refresh_continuous_aggregate(job_id, config)`
    tsc_policy_refresh_continuous_aggregate,
    |args| -> pg_sys::Datum {
        require_writable(args);
        refresh::run_policy(args.get(0), &config_arg(args)?, cagg_refresh::is_atomic(args.is_non_atomic()))?;
        Ok(None)
    }
);

sql_function!(
    /// `policy_refresh_continuous_aggregate_check(config)`
    tsc_policy_refresh_continuous_aggregate_check,
    |args| -> pg_sys::Datum { policy::check(Kind::Refresh, args.datum(0)).map(|()| None) }
);

sql_function!(
    /// `_timescaledb_functions.hypertable_health(hypertable)`
    tsc_hypertable_health,
    |args| -> pg_sys::Datum {
        let found = args.get(0).map(crate::cagg::ddl::storage_of).and_then(health::of_hypertable);
        let mut rows = ResultSet::new(args);
        if let Some(health::Health { chunks, compressed, partial, bytes, before, after }) = found {
            rows.push(&[chunks, compressed, partial, bytes, before, after].map(IntoDatum::into_datum));
        }
        Ok(None)
    }
);
