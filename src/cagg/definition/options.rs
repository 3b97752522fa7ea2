//! The options of `CREATE MATERIALIZED VIEW ... WITH (timescaledb.continuous, ...)`.

use pgrx::pg_sys;

use crate::error::{Error, Result, SqlState};
use crate::hypertable::with_options;
use crate::pg::ffi;
use crate::pg::relation::optional_string;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The view shows what is in storage and no more.
    pub materialized_only: bool,
    /// An index for each grouping column.
    pub group_indexes: bool,
    /// The length of storage's chunks, as text.
    pub chunk_interval: Option<String>,
}

/// What the WITH clause of CREATE MATERIALIZED VIEW asks for.
pub enum Asked {
    /// None of our options, or `timescaledb.continuous = false`: PostgreSQL's own materialized view, with the options that are left.
    Plain(*mut pg_sys::List),
    /// A continuous aggregate.
    Continuous(Options),
}

impl Options {
    /// Reads a WITH clause.
    ///
    /// # Safety
    /// A list of DefElem nodes.
    pub unsafe fn read(list: *mut pg_sys::List) -> Result<Asked> {
        // SAFETY: the caller's promise.
        let (ours, rest) = unsafe { with_options::split(list) };
        let mut continuous = None;
        let mut options = Self { materialized_only: true, group_indexes: true, chunk_interval: None };
        let mut seen: Vec<String> = Vec::new();
        for option in &ours {
            // SAFETY: DefElem nodes; values that are no booleans are ERRORs.
            unsafe {
                let name = optional_string((**option).defname).unwrap_or_default();
                let full = format!("{}.{name}", optional_string((**option).defnamespace).unwrap_or_default());
                match name.as_str() {
                    "continuous" => continuous = Some(ffi::defGetBoolean(*option)),
                    "materialized_only" => options.materialized_only = ffi::defGetBoolean(*option),
                    "create_group_indexes" => options.group_indexes = ffi::defGetBoolean(*option),
                    "chunk_interval" | "chunk_time_interval" => options.chunk_interval = optional_string(ffi::defGetString(*option)),
                    "columnstore" | "enable_columnstore" | "compress" => {
                        if ffi::defGetBoolean(*option) {
                            return Err(later("cannot enable compression while creating a continuous aggregate"));
                        }
                    }
                    _ if with_options::is_columnstore(&name) => {
                        return Err(later("cannot set options of the columnstore while creating a continuous aggregate"));
                    }
                    _ => {
                        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{full}\"")));
                    }
                }
                if seen.contains(&name) {
                    return Err(Error::new(SqlState::SYNTAX_ERROR, format!("parameter \"{full}\" is given twice")));
                }
                seen.push(name);
            }
        }
        match continuous {
            Some(true) if !rest.is_null() => {
                Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "unsupported combination of storage parameters")
                    .detail("A continuous aggregate does not support standard storage parameters.")
                    .hint("Set them with ALTER MATERIALIZED VIEW when it is there."))
            }
            Some(true) => Ok(Asked::Continuous(options)),
            _ if ours.is_empty() || continuous.is_some() && ours.len() == 1 => Ok(Asked::Plain(rest)),
            _ => Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "timescaledb options require a continuous aggregate")
                .hint("Use \"timescaledb.continuous\" to create one.")),
        }
    }
}

fn later(message: &'static str) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).hint("Use ALTER MATERIALIZED VIEW when the continuous aggregate is there.")
}
