//! The options `tsdb.*` and `timescaledb.*` of CREATE TABLE and ALTER TABLE.

use pgrx::{PgLogLevel, pg_sys};

use super::create::{self, Request};
use super::interval::Given;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, name_string, optional_string};
use crate::pg::{datetime, ffi, guard, list};

/// What `CREATE TABLE ... WITH (tsdb.hypertable, ...)` says.
#[derive(Default)]
pub struct TableOptions {
    hypertable: bool,
    partition_column: Option<String>,
    chunk_interval: Option<String>,
    default_indexes: Option<bool>,
    associated_schema: Option<String>,
    associated_prefix: Option<String>,
    /// Options of the columnstore that were given.
    columnar: Vec<String>,
}

/// An option by its canonical name.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Name {
    Hypertable,
    PartitionColumn,
    ChunkInterval,
    DefaultIndexes,
    AssociatedSchema,
    AssociatedPrefix,
    Columnar,
}

fn canonical(name: &str) -> Option<Name> {
    Some(match name {
        "hypertable" => Name::Hypertable,
        "partition_column" | "partitioning_column" => Name::PartitionColumn,
        "chunk_interval" | "chunk_time_interval" => Name::ChunkInterval,
        "create_default_indexes" => Name::DefaultIndexes,
        "associated_schema" => Name::AssociatedSchema,
        "associated_table_prefix" => Name::AssociatedPrefix,
        "columnstore"
        | "enable_columnstore"
        | "compress"
        | "segmentby"
        | "segment_by"
        | "compress_segmentby"
        | "orderby"
        | "order_by"
        | "compress_orderby"
        | "index"
        | "sparse_index"
        | "compress_index"
        | "compress_sparse_index"
        | "compress_chunk_interval"
        | "compress_chunk_time_interval" => Name::Columnar,
        _ => return None,
    })
}

/// Takes the options of our namespaces out of a list of DefElem nodes; returns them and the rest.
///
/// # Safety
/// `options` is a list of DefElem nodes.
pub unsafe fn split(options: *mut pg_sys::List) -> (Vec<*mut pg_sys::DefElem>, *mut pg_sys::List) {
    // SAFETY: the caller's promise.
    let (ours, rest): (Vec<_>, Vec<_>) = unsafe {
        list::pointers::<pg_sys::DefElem>(options)
            .into_iter()
            .partition(|option| matches!(optional_string((**option).defnamespace).as_deref(), Some("tsdb" | "timescaledb")))
    };
    (ours, list::from_pointers(rest))
}

/// # Safety
/// `option` is a DefElem.
unsafe fn full_name(option: *mut pg_sys::DefElem) -> String {
    // SAFETY: the caller's promise.
    unsafe {
        let namespace = optional_string((*option).defnamespace).unwrap_or_default();
        format!("{namespace}.{}", optional_string((*option).defname).unwrap_or_default())
    }
}

/// # Safety
/// `option` is a DefElem.
unsafe fn name_of(option: *mut pg_sys::DefElem) -> Result<Name> {
    // SAFETY: the caller's promise.
    let name = unsafe { optional_string((*option).defname) }.unwrap_or_default();
    canonical(&name).ok_or_else(|| {
        // SAFETY: as above.
        Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{}\"", unsafe { full_name(option) }))
    })
}

/// # Safety
/// `option` is a DefElem. An option without a value is an ERROR.
unsafe fn text(option: *mut pg_sys::DefElem) -> Option<String> {
    // SAFETY: the caller's promise.
    unsafe { optional_string(ffi::defGetString(option)) }
}

impl TableOptions {
    /// Reads the options of CREATE TABLE.
    ///
    /// # Safety
    /// DefElem nodes of our namespaces.
    pub unsafe fn read(options: &[*mut pg_sys::DefElem]) -> Result<Self> {
        let mut read = Self::default();
        for option in options {
            // SAFETY: the caller's promise.
            unsafe {
                match name_of(*option)? {
                    Name::Hypertable => read.hypertable = ffi::defGetBoolean(*option),
                    Name::PartitionColumn => read.partition_column = text(*option),
                    Name::ChunkInterval => read.chunk_interval = text(*option),
                    Name::DefaultIndexes => read.default_indexes = Some(ffi::defGetBoolean(*option)),
                    Name::AssociatedSchema => read.associated_schema = text(*option),
                    Name::AssociatedPrefix => read.associated_prefix = text(*option),
                    Name::Columnar => read.columnar.push(full_name(*option)),
                }
            }
        }
        if !read.hypertable {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "timescaledb options requires hypertable option")
                .hint("Use \"timescaledb.hypertable\" to enable creating a hypertable."));
        }
        Ok(read)
    }

    /// Makes the table that CREATE TABLE made a hypertable.
    pub fn apply(self, relid: pg_sys::Oid) -> Result<()> {
        let relation = Relation::open(relid, pg_sys::NoLock);
        let time_column = self.partition_column.map_or_else(|| default_column(&relation), Ok)?;
        let interval = self.chunk_interval.map(|text| read_interval(&relation, &time_column, &text)).transpose()?;
        drop(relation);
        if !self.columnar.is_empty() {
            Error::new(SqlState("01000"), format!("option {} has no effect", self.columnar.join(", ")))
                .detail("This version keeps all chunks in row form: there is no columnstore yet.")
                .report(PgLogLevel::WARNING);
        }
        create::create(&Request {
            relid,
            time_column,
            interval,
            time_function: None,
            hash: None,
            associated_schema: self.associated_schema,
            associated_prefix: self.associated_prefix,
            default_indexes: self.default_indexes.unwrap_or(true),
            if_not_exists: false,
            migrate_data: false,
        })?;
        Ok(())
    }
}

/// The first column that holds a timestamp.
fn default_column(relation: &Relation) -> Result<String> {
    let is_time = |column: &&pg_sys::FormData_pg_attribute| {
        !column.attisdropped && matches!(column.atttypid, pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID)
    };
    let column = relation.attributes().iter().find(is_time).map(|column| name_string(&column.attname)).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, "partition column could not be determined")
            .hint("Use \"timescaledb.partition_column\" to specify the column to use as partitioning column.")
    })?;
    guard::notice(format!("using column \"{column}\" as partitioning column"));
    Ok(column)
}

/// An interval, or an integer for a column of an integer type.
fn read_interval(relation: &Relation, column: &str, text: &str) -> Result<(pg_sys::Oid, pg_sys::Datum)> {
    let type_oid = relation.require_attribute(column)?.atttypid;
    let is_integer = matches!(type_oid, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID);
    let type_oid = if is_integer { pg_sys::INT8OID } else { pg_sys::INTERVALOID };
    Ok((type_oid, datetime::read(type_oid, text)))
}

/// `ALTER TABLE hypertable SET (timescaledb.chunk_interval = ...)`; options of the columnstore are refused.
///
/// # Safety
/// DefElem nodes of our namespaces.
pub unsafe fn alter(relid: pg_sys::Oid, options: &[*mut pg_sys::DefElem], reset: bool) -> Result<()> {
    for option in options {
        // SAFETY: the caller's promise.
        unsafe {
            match name_of(*option)? {
                Name::ChunkInterval if !reset => {
                    let value = text(*option).unwrap_or_default();
                    let relation = Relation::open(relid, pg_sys::AccessShareLock);
                    let column = super::dimensions::require(relid)?.time().column.clone();
                    let interval: Given = Some(read_interval(&relation, &column, &value)?);
                    super::dimensions::set_interval(relid, interval, None)?;
                }
                Name::Columnar => {
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("option {} is not supported", full_name(*option)))
                        .detail("This version keeps all chunks in row form: there is no columnstore yet.")
                        .hint("Leave the option out; the hypertable works without it."));
                }
                _ => {
                    return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("option {} can't be changed", full_name(*option))));
                }
            }
        }
    }
    Ok(())
}
