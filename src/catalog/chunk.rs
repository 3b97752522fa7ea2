//! `_timescaledb_config.chunk`: the ids and birth times of chunks. Which chunks a hypertable has is pg_inherits' to say.

use pgrx::pg_sys;

use crate::pg::table::{self, Definition, Key, Row, Table, datum};

const TABLE: Definition = Definition { name: "chunk", columns: 4 };

/// A chunk's row.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// The id in names and views.
    pub id: i32,
    /// Its hypertable's id.
    pub hypertable_id: i32,
    /// The leaf partition.
    pub relid: pg_sys::Oid,
    /// When it was created, in microseconds since 2000-01-01 UTC.
    pub creation_time: i64,
}

fn from_row(row: &Row) -> Option<Chunk> {
    // a timestamptz Datum is its microseconds
    Some(Chunk { id: row.get(0)?, hypertable_id: row.get(1)?, relid: row.get(2)?, creation_time: row.datum(3)?.value() as i64 })
}

/// The chunk of a relation.
pub fn find(relid: pg_sys::Oid) -> Option<Chunk> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(Some("chunk_relid_key"), &[Key::Oid(3, relid)]).first().and_then(from_row)
}

/// The chunks of a hypertable, in no order.
pub fn of_hypertable(hypertable_id: i32) -> Vec<Chunk> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    table.scan(Some("chunk_hypertable_id_idx"), &[Key::Int(2, hypertable_id)]).iter().filter_map(from_row).collect()
}

/// A fresh id: a chunk's name holds it, so it is drawn before the table is made.
pub fn next_id() -> i32 {
    table::next_id("chunk_id_seq")
}

/// Adds a chunk that was born now.
pub fn insert(id: i32, hypertable_id: i32, relid: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    // SAFETY: reads the clock.
    let now = unsafe { crate::pg::ffi::raw::GetCurrentTimestamp() };
    table.insert(&[datum(id), datum(hypertable_id), datum(relid), Some(pg_sys::Datum::from(now))]);
}

/// Removes the row of a relation, if it is a chunk.
pub fn delete(relid: pg_sys::Oid) -> bool {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return false };
    let rows = table.scan(Some("chunk_relid_key"), &[Key::Oid(3, relid)]);
    rows.iter().for_each(|row| table.delete(row));
    !rows.is_empty()
}

/// Removes the chunks of a hypertable that is dropped.
pub fn delete_of_hypertable(hypertable_id: i32) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(Some("chunk_hypertable_id_idx"), &[Key::Int(2, hypertable_id)]) {
        table.delete(&row);
    }
}
