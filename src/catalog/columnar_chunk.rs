//! `_timescaledb_config.columnar_chunk`: the columnar parts of chunks.

use pgrx::{IntoDatum, pg_sys};

use super::cache;
use crate::pg::relation::{Relation, c_string};
use crate::pg::size::Size;
use crate::pg::table::{self, Definition, Key, Row, Table, datum};
use crate::pg::{array, ffi, rows};

const TABLE: Definition = Definition { name: "columnar_chunk", columns: 14 };
const BY_RELID: Option<&str> = Some("columnar_chunk_pkey");
const BY_BATCHES: Option<&str> = Some("columnar_chunk_batches_key");

/// The column of a table of batches that says how many rows each has. No rename may take it away.
pub const COUNT: &str = "_ts_meta_count";

/// A column that batches are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// Its position in [`ColumnarChunk::columns`], from 0.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// NULL before all values.
    pub nulls_first: bool,
}

/// A chunk's columnar part.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnarChunk {
    /// The chunk.
    pub relid: pg_sys::Oid,
    /// The table of its batches.
    pub batches: pg_sys::Oid,
    /// False if only snapshots from before its decompression may find batches.
    pub compressed: bool,
    /// Names of the chunk's columns by position of their blocks; empty for one that was dropped.
    pub columns: Vec<String>,
    /// Positions in `columns`, from 0.
    pub segmentby: Vec<usize>,
    /// What batches are sorted by after `segmentby`.
    pub orderby: Vec<OrderBy>,
    /// Columns with a bloom filter: positions in `columns`, from 0.
    pub blooms: Vec<usize>,
    /// Rows when it was last compressed as a whole.
    pub rows: i64,
    /// Batches then.
    pub batch_count: i64,
    /// The size of the chunk before it was compressed.
    pub before: Size,
}

fn positions(row: &Row, index: usize) -> Vec<usize> {
    let numbers: Vec<Option<i16>> = row.get(index).unwrap_or_default();
    numbers.into_iter().flatten().map(|number| (number.max(1) - 1) as usize).collect()
}

fn flags(row: &Row, index: usize) -> Vec<bool> {
    let flags: Vec<Option<bool>> = row.get(index).unwrap_or_default();
    flags.into_iter().map(|flag| flag.unwrap_or(false)).collect()
}

fn from_row(row: &Row) -> Option<ColumnarChunk> {
    let (descending, nulls_first) = (flags(row, 6), flags(row, 7));
    let orderby = positions(row, 5).into_iter().zip(descending).zip(nulls_first);
    Some(ColumnarChunk {
        relid: row.get(0)?,
        batches: row.get(1)?,
        compressed: row.get(2)?,
        // SAFETY: the column's type is name[].
        columns: unsafe { array::names(row.datum(3)?) },
        segmentby: positions(row, 4),
        orderby: orderby.map(|((column, descending), nulls_first)| OrderBy { column, descending, nulls_first }).collect(),
        blooms: positions(row, 8),
        rows: row.get(9)?,
        batch_count: row.get(10)?,
        before: size(row.get(11)?, row.get(12)?, row.get(13)?),
    })
}

fn size(table: i64, index: i64, toast: i64) -> Size {
    Size { table, index, toast, total: table + index + toast }
}

fn to_numbers(positions: impl Iterator<Item = usize>) -> Option<pg_sys::Datum> {
    positions.map(|position| position as i16 + 1).collect::<Vec<i16>>().into_datum()
}

fn to_values(chunk: &ColumnarChunk) -> [Option<pg_sys::Datum>; 14] {
    [
        datum(chunk.relid),
        datum(chunk.batches),
        datum(chunk.compressed),
        Some(array::from_names(&chunk.columns)),
        to_numbers(chunk.segmentby.iter().copied()),
        to_numbers(chunk.orderby.iter().map(|key| key.column)),
        chunk.orderby.iter().map(|key| key.descending).collect::<Vec<bool>>().into_datum(),
        chunk.orderby.iter().map(|key| key.nulls_first).collect::<Vec<bool>>().into_datum(),
        to_numbers(chunk.blooms.iter().copied()),
        datum(chunk.rows),
        datum(chunk.batch_count),
        datum(chunk.before.table),
        datum(chunk.before.index),
        datum(chunk.before.toast),
    ]
}

/// The columnar part of a chunk, if it has one, be it empty.
pub fn find(relid: pg_sys::Oid) -> Option<ColumnarChunk> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(BY_RELID, &[Key::Oid(1, relid)]).first().and_then(from_row)
}

/// The chunk whose batches a table holds, if it does. Of tables without the columns of such the catalog is not asked: its lock, held to the
/// end of a long transaction, would keep DROP EXTENSION waiting.
pub fn of_batches(batches: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let count = c_string(COUNT);
    // SAFETY: a syscache look-up.
    if unsafe { ffi::get_attnum(batches, count.as_ptr()) } == 0 {
        return None;
    }
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(BY_BATCHES, &[Key::Oid(2, batches)]).first().and_then(|row| row.get(0))
}

/// The columnar parts of a hypertable's chunks, in no order.
pub fn of_hypertable(hypertable_id: i32) -> Vec<ColumnarChunk> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    let chunks = super::chunk::of_hypertable(hypertable_id);
    let find = |relid| table.scan(BY_RELID, &[Key::Oid(1, relid)]).first().and_then(from_row);
    chunks.into_iter().filter_map(|chunk| find(chunk.relid)).collect()
}

/// Enters or replaces the columnar part of a chunk, whose lock the caller holds. Plans that read the chunk are made anew.
pub fn put(chunk: &ColumnarChunk) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let values = to_values(chunk);
    match table.scan(BY_RELID, &[Key::Oid(1, chunk.relid)]).first() {
        None => table.insert(&values),
        Some(row) => table.update(row, &values.into_iter().enumerate().collect::<Vec<_>>()),
    }
    cache::invalidate(chunk.relid);
}

/// Removes the row of a chunk, or of the chunk whose batch table the relation is, if it has one.
pub fn delete(relid: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let mut rows = table.scan(BY_RELID, &[Key::Oid(1, relid)]);
    rows.extend(table.scan(BY_BATCHES, &[Key::Oid(2, relid)]));
    for row in &rows {
        table.delete(row);
        if let Some(chunk) = row.get::<pg_sys::Oid>(0).filter(|chunk| *chunk != relid) {
            cache::invalidate(chunk);
        }
    }
}

/// All chunks that have a columnar part, by OID.
pub fn all() -> Vec<pg_sys::Oid> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    let mut chunks: Vec<pg_sys::Oid> = table.scan(None, &[]).iter().filter_map(|row| row.get(0)).collect();
    chunks.sort_unstable_by_key(|relid| relid.to_u32());
    chunks
}

/// The chunks that were compressed when the running command began; also those that were not, but had batches and were dropped since.
pub fn lost_by_command() -> Vec<pg_sys::Oid> {
    let Some(table) = table::oid(TABLE.name) else { return Vec::new() };
    let table = Relation::open(table, pg_sys::AccessShareLock);
    let mut reader = rows::Reader::open_before_command(&table);
    let mut lost = Vec::new();
    // Wider columns may be out of line, in a table that is gone already.
    while let Some(row) = reader.next(3) {
        let Some(relid) = row.column(1).map(|relid| pg_sys::Oid::from(relid.value() as u32)) else { continue };
        let is_compressed = row.column(3).is_some_and(|compressed| compressed.value() != 0);
        // SAFETY: a syscache look-up; 0 if there is no such relation.
        if is_compressed || unsafe { ffi::get_rel_relkind(relid) } == 0 {
            lost.push(relid);
        }
    }
    lost
}
