//! `_timescaledb_config.continuous_agg`: one row per continuous aggregate.

use pgrx::pg_sys;

use super::{cache, continuous_agg_range, hypertable_change};
use crate::pg::table::{self, Definition, Key, Row, Table, datum};
use crate::pg::{ffi, list};

const TABLE: Definition = Definition { name: "continuous_agg", columns: 9 };

/// A continuous aggregate as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinuousAgg {
    /// The id of the materialization hypertable.
    pub id: i32,
    /// The materialization hypertable.
    pub storage: pg_sys::Oid,
    /// The hypertable whose changes concern it: the raw one, or the storage of the continuous aggregate that it is defined over.
    pub source: pg_sys::Oid,
    /// The user's view.
    pub user_view: pg_sys::Oid,
    /// The view of all groups with the hidden parts: from storage where that is valid, from the source where not.
    pub partial_view: pg_sys::Oid,
    /// The view that is the defining query.
    pub direct_view: pg_sys::Oid,
    /// The user's view shows what is in storage and no more.
    pub materialized_only: bool,
    /// The least length of a bucket, in positions of the source's time dimension.
    pub grain: i64,
    /// It came with a dump, and the rows of its chunks may be loaded just now.
    pub is_restored: bool,
}

/// True for the table itself.
pub fn is_catalog(relid: pg_sys::Oid) -> bool {
    table::oid(TABLE.name) == Some(relid)
}

fn from_row(row: &Row) -> Option<ContinuousAgg> {
    Some(ContinuousAgg {
        id: row.get(0)?,
        storage: row.get(1)?,
        source: row.get(2)?,
        user_view: row.get(3)?,
        partial_view: row.get(4)?,
        direct_view: row.get(5)?,
        materialized_only: row.get(6)?,
        grain: row.get(7)?,
        is_restored: row.get::<pg_sys::Oid>(8)? != row.get(1)?,
    })
}

fn select(index: Option<&str>, keys: &[Key]) -> Vec<ContinuousAgg> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    table.scan(index, keys).iter().filter_map(from_row).collect()
}

/// The continuous aggregate whose storage is a relation.
pub fn of_storage(storage: pg_sys::Oid) -> Option<ContinuousAgg> {
    select(Some("continuous_agg_storage_key"), &[Key::Oid(2, storage)]).pop()
}

/// The continuous aggregate of an id.
pub fn find(id: i32) -> Option<ContinuousAgg> {
    select(Some("continuous_agg_pkey"), &[Key::Int(1, id)]).pop()
}

/// The continuous aggregate whose view is a relation.
pub fn of_view(view: pg_sys::Oid) -> Option<ContinuousAgg> {
    select(Some("continuous_agg_user_view_key"), &[Key::Oid(4, view)]).pop()
}

/// The continuous aggregate that one of the three views belongs to.
pub fn of_any_view(view: pg_sys::Oid) -> Option<ContinuousAgg> {
    of_view(view)
        .or_else(|| select(Some("continuous_agg_partial_view_key"), &[Key::Oid(5, view)]).pop())
        .or_else(|| select(Some("continuous_agg_direct_view_key"), &[Key::Oid(6, view)]).pop())
}

/// The continuous aggregates that changes to a hypertable concern.
pub fn of_source(source: pg_sys::Oid) -> Vec<ContinuousAgg> {
    select(Some("continuous_agg_source_idx"), &[Key::Oid(3, source)])
}

/// All continuous aggregates of the database.
pub fn all() -> Vec<ContinuousAgg> {
    select(None, &[])
}

/// Adds a continuous aggregate. Waits for those who are changing the source, by the hypertable or by a chunk's name, and keeps others out
/// until the transaction ends, so that none of them misses it.
pub fn insert(agg: &ContinuousAgg) {
    tree_of(agg.source, pg_sys::ShareRowExclusiveLock);
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.insert(&[
        datum(agg.id),
        datum(agg.storage),
        datum(agg.source),
        datum(agg.user_view),
        datum(agg.partial_view),
        datum(agg.direct_view),
        datum(agg.materialized_only),
        datum(agg.grain),
        datum(agg.storage),
    ]);
    table::command_counter_increment();
    invalidate_source(agg.source);
    cache::invalidate(agg.storage);
}

/// Continuous aggregates over a hypertable are in use: what COPY loads from now on is new, and no longer what a dump brings back.
pub fn adopt(source: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let restored = |row: &Row| from_row(row).filter(|agg| agg.is_restored);
    for agg in table.scan(Some("continuous_agg_source_idx"), &[Key::Oid(3, source)]).iter().filter_map(restored) {
        // Who has it is about to use it as well.
        if table::oid(TABLE.name).is_some_and(|table| table::try_lock_row(table, agg.id)) {
            for row in table.scan(Some("continuous_agg_pkey"), &[Key::Int(1, agg.id)]).iter().filter(|row| restored(row).is_some()) {
                table.update(row, &[(8, datum(agg.storage))]);
            }
        }
    }
    table::command_counter_increment();
}

/// A hypertable and the tables below it, locked.
fn tree_of(relid: pg_sys::Oid, lock: u32) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalog scan; the list holds OIDs. The root comes first, and is locked before the others are looked for.
    unsafe {
        if lock != pg_sys::NoLock {
            ffi::LockRelationOid(relid, lock as i32);
        }
        list::oids(ffi::find_all_inheritors(relid, lock as i32, std::ptr::null_mut()))
    }
}

/// Plans of statements on the hypertable or on a chunk of it learn that it has other continuous aggregates.
fn invalidate_source(source: pg_sys::Oid) {
    cache::forget(source);
    // SAFETY: a syscache look-up. The command may have dropped the hypertable before storage.
    if unsafe { ffi::get_rel_relkind(source) } == 0 {
        return;
    }
    for relid in tree_of(source, pg_sys::NoLock) {
        // SAFETY: a syscache look-up; one that is being dropped needs no message of ours.
        unsafe {
            if ffi::get_rel_relkind(relid) != 0 {
                ffi::CacheInvalidateRelcacheByRelid(relid);
            }
        }
    }
}

/// Sets whether the user's view shows what is in storage and no more.
pub fn set_materialized_only(agg: &ContinuousAgg, materialized_only: bool) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(Some("continuous_agg_pkey"), &[Key::Int(1, agg.id)]) {
        table.update(&row, &[(6, datum(materialized_only))]);
    }
    table::command_counter_increment();
    cache::invalidate(agg.source);
    cache::invalidate(agg.storage);
}

/// Removes what the catalog holds of the continuous aggregate with a storage that is being dropped; also what was logged for it.
pub fn delete(storage: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(Some("continuous_agg_storage_key"), &[Key::Oid(2, storage)]) {
        if let Some(agg) = from_row(&row) {
            invalidate_source(agg.source);
            continuous_agg_range::delete_all(storage);
            table.delete(&row);
            table::command_counter_increment();
            if of_source(agg.source).is_empty() {
                hypertable_change::delete_all(agg.source);
            }
        }
    }
}
