//! `_timescaledb_config.hypertable`: one row per hypertable.

use pgrx::pg_sys;

use super::dimension::{self, Dimension};
use super::{cache, continuous_agg};
use crate::pg::table::{self, Definition, Key, Row, Table, datum, name_datum};

const TABLE: Definition = Definition { name: "hypertable", columns: 5 };

/// A hypertable as the catalog knows it, with its dimensions.
#[derive(Debug, Clone)]
pub struct Hypertable {
    /// The id in names of chunks and in views.
    pub id: i32,
    /// The partitioned table.
    pub relid: pg_sys::Oid,
    /// The schema of its chunks.
    pub associated_schema: String,
    /// What the names of its chunks begin with.
    pub associated_prefix: String,
    /// Storage parameters of new chunks, as `name=value`.
    pub chunk_options: Vec<String>,
    /// The range dimension, then the hash dimensions.
    pub dimensions: Vec<Dimension>,
    /// What changes are logged in multiples of: the least bucket of its continuous aggregates, in positions of the range dimension.
    /// None if it has none, so that changes need not be logged.
    pub grain: Option<i64>,
    /// It holds what a continuous aggregate has computed.
    pub is_storage: bool,
}

impl Hypertable {
    /// The range dimension that cuts the table into slices.
    pub fn time(&self) -> &Dimension {
        &self.dimensions[0]
    }

    /// The dimensions that divide each slice by hash.
    pub fn hash_dimensions(&self) -> &[Dimension] {
        &self.dimensions[1..]
    }
}

fn from_row(row: &Row) -> Option<Hypertable> {
    let id = row.get(0)?;
    let relid = row.get(1)?;
    Some(Hypertable {
        id,
        relid,
        associated_schema: row.name(2)?,
        associated_prefix: row.name(3)?,
        chunk_options: row.get(4).unwrap_or_default(),
        dimensions: dimension::of_hypertable(id, relid),
        grain: continuous_agg::of_source(relid).iter().map(|agg| agg.grain).min(),
        is_storage: continuous_agg::of_storage(relid).is_some(),
    })
}

/// Reads the hypertable of a relation from the catalog; use [`cache::find`] unless the row may have changed in this command.
pub fn read(relid: pg_sys::Oid) -> Option<Hypertable> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    let hypertable = table.scan(Some("hypertable_relid_key"), &[Key::Oid(2, relid)]).first().and_then(from_row)?;
    (!hypertable.dimensions.is_empty()).then_some(hypertable)
}

/// The relation of a hypertable's id.
pub fn relid_of(id: i32) -> Option<pg_sys::Oid> {
    let table = Table::open(&TABLE, pg_sys::AccessShareLock)?;
    table.scan(Some("hypertable_pkey"), &[Key::Int(1, id)]).first().and_then(|row| row.get(1))
}

/// Adds a hypertable without dimensions and returns its id, a new one unless it is given. `prefix` None stands for `_hyper_<id>`.
pub fn insert(relid: pg_sys::Oid, id: Option<i32>, schema: &str, prefix: Option<&str>, chunk_options: &[String]) -> Option<i32> {
    let table = Table::open(&TABLE, pg_sys::RowExclusiveLock)?;
    let id = id.unwrap_or_else(|| table::next_id("hypertable_id_seq"));
    let prefix = prefix.map_or_else(|| format!("_hyper_{id}"), str::to_owned);
    let options = if chunk_options.is_empty() { None } else { datum(chunk_options.to_vec()) };
    table.insert(&[datum(id), datum(relid), name_datum(schema), name_datum(&prefix), options]);
    table::command_counter_increment();
    cache::invalidate(relid);
    Some(id)
}

/// Sets the storage parameters of new chunks.
pub fn set_chunk_options(relid: pg_sys::Oid, chunk_options: &[String]) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(Some("hypertable_relid_key"), &[Key::Oid(2, relid)]) {
        let options = if chunk_options.is_empty() { None } else { datum(chunk_options.to_vec()) };
        table.update(&row, &[(4, options)]);
    }
    table::command_counter_increment();
    cache::invalidate(relid);
}

/// Follows `ALTER SCHEMA ... RENAME`.
pub fn rename_schema(from: &str, to: &str) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(None, &[]).iter().filter(|row| row.name(2).as_deref() == Some(from)) {
        table.update(row, &[(2, name_datum(to))]);
        if let Some(relid) = row.get(1) {
            cache::invalidate(relid);
        }
    }
    table::command_counter_increment();
}

/// Removes what the catalog holds of a relation that is being dropped, if it is a hypertable. Returns its id.
pub fn delete(relid: pg_sys::Oid) -> Option<i32> {
    let table = Table::open(&TABLE, pg_sys::RowExclusiveLock)?;
    let rows = table.scan(Some("hypertable_relid_key"), &[Key::Oid(2, relid)]);
    for row in &rows {
        if let Some(id) = row.get::<i32>(0) {
            dimension::delete_of_hypertable(id);
            super::chunk::delete_of_hypertable(id);
            super::columnstore::delete(id);
            super::tablespace::delete_of_hypertable(id);
        }
        table.delete(row);
    }
    if !rows.is_empty() {
        cache::forget(relid);
    }
    rows.first().and_then(|row| row.get(0))
}
