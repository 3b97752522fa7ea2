//! The options `tsdb.*` and `timescaledb.*` of CREATE TABLE and ALTER TABLE.

use pgrx::pg_sys;

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
    columnstore: ColumnstoreOptions,
}

/// A setting that an option changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change {
    /// It was not mentioned.
    #[default]
    Keep,
    /// `RESET`
    Reset,
    /// `SET`
    To(String),
}

/// What options say of the columnstore, as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnstoreOptions {
    /// Whether it is to be on.
    pub enable: Option<bool>,
    /// The columns by which rows are kept apart.
    pub segmentby: Change,
    /// The order of rows.
    pub orderby: Change,
    /// Sparse indexes.
    pub index: Change,
    /// The length up to which chunks are merged.
    pub compress_interval: Change,
    /// Whether COPY and large INSERT statements write straight into columns: `true` or `false`.
    pub direct_compress: Change,
}

impl ColumnstoreOptions {
    fn all(&self) -> [&Change; 5] {
        [&self.segmentby, &self.orderby, &self.index, &self.compress_interval, &self.direct_compress]
    }

    /// True if something is set or reset, besides on and off.
    pub fn changes_settings(&self) -> bool {
        self.all().into_iter().any(|change| *change != Change::Keep)
    }

    /// True if something is set.
    pub fn sets(&self) -> bool {
        self.all().into_iter().any(|change| matches!(change, Change::To(_)))
    }

    /// # Safety
    /// `option` is a DefElem of a name of the columnstore's.
    unsafe fn add(&mut self, option: *mut pg_sys::DefElem, name: Name, reset: bool) -> Result<()> {
        let change = match name {
            Name::Columnstore if !reset => {
                // SAFETY: the caller's promise; an ERROR if it is no boolean.
                self.enable = Some(unsafe { ffi::defGetBoolean(option) });
                return Ok(());
            }
            Name::SegmentBy => &mut self.segmentby,
            Name::OrderBy => &mut self.orderby,
            Name::SparseIndex => &mut self.index,
            Name::CompressInterval if !reset => &mut self.compress_interval,
            Name::DirectCompress => &mut self.direct_compress,
            // SAFETY: the caller's promise.
            _ => return Err(unsafe { fixed(option) }),
        };
        if *change != Change::Keep {
            // SAFETY: the caller's promise.
            return Err(Error::new(SqlState::SYNTAX_ERROR, format!("parameter \"{}\" is given twice", unsafe { full_name(option) })));
        }
        // SAFETY: the caller's promise.
        let value = || unsafe { if name == Name::DirectCompress { Some(ffi::defGetBoolean(option).to_string()) } else { text(option) } };
        *change = if reset { Change::Reset } else { value().map_or(Change::Reset, Change::To) };
        Ok(())
    }
}

/// # Safety
/// `option` is a DefElem.
unsafe fn fixed(option: *mut pg_sys::DefElem) -> Error {
    // SAFETY: the caller's promise.
    let name = unsafe { full_name(option) };
    Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("option {name} can't be changed"))
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
    Columnstore,
    SegmentBy,
    OrderBy,
    SparseIndex,
    CompressInterval,
    DirectCompress,
}

fn canonical(name: &str) -> Option<Name> {
    Some(match name {
        "hypertable" => Name::Hypertable,
        "partition_column" | "partitioning_column" => Name::PartitionColumn,
        "chunk_interval" | "chunk_time_interval" => Name::ChunkInterval,
        "create_default_indexes" => Name::DefaultIndexes,
        "associated_schema" => Name::AssociatedSchema,
        "associated_table_prefix" => Name::AssociatedPrefix,
        "columnstore" | "enable_columnstore" | "compress" => Name::Columnstore,
        "segmentby" | "segment_by" | "compress_segmentby" => Name::SegmentBy,
        "orderby" | "order_by" | "compress_orderby" => Name::OrderBy,
        "index" | "sparse_index" | "compress_index" | "compress_sparse_index" => Name::SparseIndex,
        "compress_chunk_interval" | "compress_chunk_time_interval" => Name::CompressInterval,
        "direct_compress" => Name::DirectCompress,
        _ => return None,
    })
}

/// True for the name of an option of the columnstore.
pub fn is_columnstore(name: &str) -> bool {
    matches!(
        canonical(name),
        Some(Name::Columnstore | Name::SegmentBy | Name::OrderBy | Name::SparseIndex | Name::CompressInterval | Name::DirectCompress)
    )
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
                    name => read.columnstore.add(*option, name, false)?,
                }
            }
        }
        if !read.hypertable {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "timescaledb options requires hypertable option")
                .hint("Use \"timescaledb.hypertable\" to enable creating a hypertable."));
        }
        Ok(read)
    }

    /// Makes the table that CREATE TABLE made a hypertable. Returns what is left to do: the columnstore's settings.
    pub fn apply(self, relid: pg_sys::Oid) -> Result<ColumnstoreOptions> {
        let relation = Relation::open(relid, pg_sys::NoLock);
        let time_column = self.partition_column.map_or_else(|| default_column(&relation), Ok)?;
        let interval = self.chunk_interval.map(|text| read_interval(&relation, &time_column, &text)).transpose()?;
        drop(relation);
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
            storage_id: None,
        })?;
        Ok(self.columnstore)
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
pub fn read_interval(relation: &Relation, column: &str, text: &str) -> Result<(pg_sys::Oid, pg_sys::Datum)> {
    let type_oid = relation.require_attribute(column)?.atttypid;
    let is_integer = matches!(type_oid, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID);
    let type_oid = if is_integer { pg_sys::INT8OID } else { pg_sys::INTERVALOID };
    Ok((type_oid, datetime::read(type_oid, text)))
}

/// `ALTER TABLE hypertable SET (timescaledb.chunk_interval = ...)`. Returns what is left to do: the columnstore's settings.
///
/// # Safety
/// DefElem nodes of our namespaces.
pub unsafe fn alter(relid: pg_sys::Oid, options: &[*mut pg_sys::DefElem], reset: bool) -> Result<ColumnstoreOptions> {
    let mut columnstore = ColumnstoreOptions::default();
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
                Name::Hypertable
                | Name::PartitionColumn
                | Name::ChunkInterval
                | Name::DefaultIndexes
                | Name::AssociatedSchema
                | Name::AssociatedPrefix => return Err(fixed(*option)),
                name => columnstore.add(*option, name, reset)?,
            }
        }
    }
    Ok(columnstore)
}
