//! The configs of policies: what their jobs are told to do, as clients read and write it.

use std::rc::Rc;

use pgrx::pg_sys;
use serde_json::{Map, Value};
use tsc_kernel::span::Span;

use super::age::{Age, read_span};
use super::by_value::ByValue;
use super::refresh;
use crate::catalog::hypertable::{self, Hypertable};
use crate::catalog::naming::{self, Known};
use crate::catalog::{cache, columnstore};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::Relation;
use crate::pg::{ffi, size};

/// What a policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Moves chunks into the columnstore.
    Compression,
    /// Drops what is old, or too much.
    Retention,
    /// Puts chunks in the order of an index.
    Reorder,
    /// Refreshes a continuous aggregate.
    Refresh,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Compression, Self::Retention, Self::Reorder, Self::Refresh];

    /// The name of its procedure.
    pub fn proc(self) -> &'static str {
        match self {
            Self::Compression => "policy_compression",
            Self::Retention => "policy_retention",
            Self::Reorder => "policy_reorder",
            Self::Refresh => "policy_refresh_continuous_aggregate",
        }
    }

    /// What messages call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Compression => "columnstore",
            Self::Retention => "retention",
            Self::Reorder => "reorder",
            Self::Refresh => "continuous aggregate",
        }
    }

    /// The kind whose procedure has this name.
    pub fn of_proc(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.proc() == name)
    }

    /// The keys of its config for the age of data and for the age of chunks.
    pub fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Retention => ("drop_after", "drop_created_before"),
            _ => ("compress_after", "compress_created_before"),
        }
    }
}

/// From when on chunks are taken up. At most one is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// The age of their data.
    pub after: Option<Age>,
    /// Their own age.
    pub created_before: Option<Span>,
}

/// What a job is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// See [`Kind::Compression`].
    Compress {
        /// Which chunks.
        due: Due,
        /// At most so many in a run.
        most: Option<usize>,
        /// Whether rows that came after a chunk was compressed are folded in.
        recompress: bool,
        /// Whether the log is told of each chunk.
        verbose: bool,
    },
    /// See [`Kind::Retention`].
    Drop {
        /// Which chunks.
        due: Due,
        /// The hypertable is to be no larger, in bytes.
        size: Option<i64>,
        /// Values whose rows live longer or shorter.
        by: Option<ByValue>,
    },
    /// See [`Kind::Reorder`].
    Reorder {
        /// An index of the hypertable.
        index: pg_sys::Oid,
    },
    /// See [`Kind::Refresh`].
    Refresh(refresh::Plan),
}

/// A config that was read: it fits its hypertable.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom it is about.
    pub hypertable: Rc<Hypertable>,
    /// What is to be done.
    pub work: Work,
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A key that is there and not null.
fn get<'a>(config: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    config.get(key).filter(|value| !value.is_null())
}

fn flag(config: &Map<String, Value>, key: &str, default: bool) -> Result<bool> {
    get(config, key)
        .map_or(Ok(default), |value| value.as_bool().ok_or_else(|| invalid(format!("{key} in a policy's config must be true or false"))))
}

/// The object that the text of a config is.
pub fn parse(text: Option<&str>) -> Result<Map<String, Value>> {
    match text.map(serde_json::from_str::<Value>) {
        Some(Ok(Value::Object(map))) => Ok(map),
        _ => {
            Err(invalid("the config of a policy must be a JSON object").hint("It has the keys hypertable_id and, for example, drop_after."))
        }
    }
}

impl Config {
    /// Reads the config of a job of a kind, and checks it against the hypertable, which the current role must own.
    pub fn read(kind: Kind, config: &Map<String, Value>) -> Result<Self> {
        let hypertable = if kind == Kind::Refresh { refresh::storage_of(config) } else { read_hypertable(config) }?;
        naming::require_owner(hypertable.relid)?;
        let work = match kind {
            Kind::Compression => read_compression(&hypertable, config)?,
            Kind::Retention => read_retention(&hypertable, config)?,
            Kind::Reorder => read_reorder(&hypertable, config)?,
            Kind::Refresh => Work::Refresh(refresh::read(&hypertable, config)?),
        };
        Ok(Self { hypertable, work })
    }

    /// From when on it takes chunks up.
    pub fn due(&self) -> Due {
        match &self.work {
            Work::Compress { due, .. } | Work::Drop { due, .. } => *due,
            Work::Reorder { .. } | Work::Refresh(_) => Due::default(),
        }
    }
}

fn read_hypertable(config: &Map<String, Value>) -> Result<Rc<Hypertable>> {
    let id = get(config, "hypertable_id")
        .and_then(Value::as_i64)
        .and_then(|id| i32::try_from(id).ok())
        .ok_or_else(|| invalid("could not find hypertable_id in config for job"))?;
    hypertable::relid_of(id)
        .and_then(cache::find)
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("configuration hypertable id {id} not found")))
}

fn read_due(kind: Kind, hypertable: &Hypertable, config: &Map<String, Value>) -> Result<Due> {
    let (after_key, created_key) = kind.keys();
    let due = Due {
        after: get(config, after_key).map(|value| Age::from_json(hypertable, after_key, value)).transpose()?,
        created_before: get(config, created_key).map(|value| read_span(created_key, value)).transpose()?,
    };
    if due.after.is_some() && due.created_before.is_some() {
        return Err(invalid(format!("cannot specify both \"{after_key}\" and \"{created_key}\""))
            .hint("The first looks at the times of rows, the second at when chunks were made."));
    }
    // Out of range, or without a function that says what the time is, it is refused at once.
    due.after.map(|age| age.position(hypertable)).transpose()?;
    Ok(due)
}

fn read_compression(hypertable: &Hypertable, config: &Map<String, Value>) -> Result<Work> {
    let due = read_due(Kind::Compression, hypertable, config)?;
    if due == Due::default() {
        return Err(invalid("need to specify one of \"compress_after\" or \"compress_created_before\"")
            .hint("Give the age from which chunks are moved to the columnstore."));
    }
    if columnstore::find(hypertable.id).is_none() {
        let known = Known::of(hypertable.relid);
        let message = format!("columnstore not enabled on {}", known.described());
        return Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
            .hint(format!("Enable it before adding a columnstore policy: {} SET (timescaledb.enable_columnstore).", known.alter())));
    }
    let most = match get(config, "maxchunks_to_compress").map(Value::as_i64) {
        None | Some(Some(0)) => None,
        Some(Some(most @ 1..)) => Some(most as usize),
        Some(_) => return Err(invalid("maxchunks_to_compress must not be negative").hint("0 stands for no limit.")),
    };
    Ok(Work::Compress { due, most, recompress: flag(config, "recompress", true)?, verbose: flag(config, "verbose_log", false)? })
}

fn read_retention(hypertable: &Hypertable, config: &Map<String, Value>) -> Result<Work> {
    let due = read_due(Kind::Retention, hypertable, config)?;
    let size = get(config, "drop_after_size").map(read_size).transpose()?;
    let by = get(config, "drop_after_by").map(|value| ByValue::read(hypertable, value)).transpose()?;
    if due == Due::default() && size.is_none() && by.is_none() {
        return Err(invalid("need to specify one of \"drop_after\" or \"drop_created_before\"")
            .hint("Give the age from which chunks are dropped, or with drop_after_size how large the hypertable may become."));
    }
    if by.is_some() && due.created_before.is_some() {
        return Err(invalid("cannot specify both \"drop_after_by\" and \"drop_created_before\"")
            .hint("Say with drop_after how long the rows live that drop_after_by does not name."));
    }
    Ok(Work::Drop { due, size, by })
}

fn read_size(value: &Value) -> Result<i64> {
    let bytes = match value {
        Value::String(text) => size::parse(text),
        value => value.as_i64().ok_or_else(|| invalid("drop_after_size must be a size such as '500 GB'"))?,
    };
    if bytes > 0 {
        return Ok(bytes);
    }
    Err(invalid("drop_after_size must be greater than zero").hint("Give the size that the hypertable may have, such as '500 GB'."))
}

fn read_reorder(hypertable: &Hypertable, config: &Map<String, Value>) -> Result<Work> {
    let name = get(config, "index_name")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("could not find index_name in config for job").hint("Name an index of the hypertable."))?;
    let text = crate::pg::relation::c_string(name);
    // SAFETY: syscache look-ups; InvalidOid if there is none.
    let index = unsafe { ffi::get_relname_relid(text.as_ptr(), ffi::get_rel_namespace(hypertable.relid)) };
    if index == pg_sys::InvalidOid {
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, "reorder index not found")
            .detail(format!("There is no index \"{name}\" in the schema of the hypertable."))
            .hint("Name an index of the hypertable, without its schema."));
    }
    if !Relation::open(hypertable.relid, pg_sys::AccessShareLock).index_oids().contains(&index) {
        return Err(invalid("invalid reorder index")
            .detail(format!("\"{name}\" is not an index of {}.", Known::of(hypertable.relid).described()))
            .hint("Name an index of the hypertable."));
    }
    Ok(Work::Reorder { index })
}
