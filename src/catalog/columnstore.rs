//! `_timescaledb_config.columnstore`: what was said of how a hypertable's chunks are compressed.

use pgrx::{IntoDatum, pg_sys};

use crate::pg::array;
use crate::pg::table::{self, Definition, Key, Row, Table, datum};

const TABLE: Definition = Definition { name: "columnstore", columns: 8 };
const BY_ID: Option<&str> = Some("columnstore_pkey");

/// A column that rows are sorted by within a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderColumn {
    /// Its name.
    pub name: String,
    /// Largest first.
    pub descending: bool,
    /// NULL before all values.
    pub nulls_first: bool,
}

/// What was said. A hypertable with a row may be compressed; what is None is chosen when a chunk is compressed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columnstore {
    /// The columns by which rows are kept apart; an empty list stands for none.
    pub segmentby: Option<Vec<String>>,
    /// The order of rows within a segment.
    pub orderby: Option<Vec<OrderColumn>>,
    /// Sparse indexes, in the grammar of the option.
    pub sparse_index: Option<String>,
    /// Chunks are merged up to this length when they are compressed.
    pub compress_interval: Option<i64>,
    /// COPY and large INSERT statements write straight into columns, whatever the session's settings.
    pub direct_compress: bool,
}

fn flags(row: &Row, index: usize) -> Vec<bool> {
    let flags: Vec<Option<bool>> = row.get(index).unwrap_or_default();
    flags.into_iter().map(|flag| flag.unwrap_or(false)).collect()
}

fn from_row(row: &Row) -> Columnstore {
    // SAFETY: the columns' type is name[].
    let names = |index| row.datum(index).map(|datum| unsafe { array::names(datum) });
    let order = |((name, descending), nulls_first)| OrderColumn { name, descending, nulls_first };
    Columnstore {
        segmentby: names(1),
        orderby: names(2).map(|names| names.into_iter().zip(flags(row, 3)).zip(flags(row, 4)).map(order).collect()),
        sparse_index: row.get(5),
        compress_interval: row.get(6),
        direct_compress: row.get(7).unwrap_or(false),
    }
}

fn to_values(hypertable_id: i32, settings: &Columnstore) -> [Option<pg_sys::Datum>; 8] {
    let orderby = settings.orderby.as_deref();
    let names = orderby.map(|columns| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>());
    let flags = |flag: fn(&OrderColumn) -> bool| orderby.and_then(|columns| columns.iter().map(flag).collect::<Vec<bool>>().into_datum());
    [
        datum(hypertable_id),
        settings.segmentby.as_ref().map(|names| array::from_names(names)),
        names.map(|names| array::from_names(&names)),
        flags(|column| column.descending),
        flags(|column| column.nulls_first),
        settings.sparse_index.as_deref().and_then(datum),
        settings.compress_interval.and_then(datum),
        datum(settings.direct_compress),
    ]
}

/// What was said for a hypertable; None if it is not to be compressed.
pub fn find(hypertable_id: i32) -> Option<Columnstore> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(BY_ID, &[Key::Int(1, hypertable_id)]).first().map(from_row)
}

/// Enters or replaces what was said for a hypertable, which the caller has locked against others that do so.
pub fn put(hypertable_id: i32, settings: &Columnstore) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let values = to_values(hypertable_id, settings);
    match table.scan(BY_ID, &[Key::Int(1, hypertable_id)]).first() {
        None => table.insert(&values),
        Some(row) => table.update(row, &values.into_iter().enumerate().collect::<Vec<_>>()),
    }
    table::command_counter_increment();
}

/// Removes what was said for a hypertable; also when it is dropped.
pub fn delete(hypertable_id: i32) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.scan(BY_ID, &[Key::Int(1, hypertable_id)]).iter().for_each(|row| table.delete(row));
}
