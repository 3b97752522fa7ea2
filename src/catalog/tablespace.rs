//! `_timescaledb_config.tablespace`: the tablespaces that a hypertable's new chunks take in turn.

use pgrx::pg_sys;

use crate::pg::table::{self, Definition, Key, Table, datum, name_datum};

const TABLE: Definition = Definition { name: "tablespace", columns: 3 };

/// The attached tablespaces in the order of attachment.
pub fn of_hypertable(hypertable_id: i32) -> Vec<String> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    let mut rows: Vec<(i32, String)> = table
        .scan(Some("tablespace_pkey"), &[Key::Int(1, hypertable_id)])
        .iter()
        .filter_map(|row| Some((row.get(2)?, row.name(1)?)))
        .collect();
    rows.sort();
    rows.into_iter().map(|(_, name)| name).collect()
}

/// The ids of the hypertables to which a tablespace is attached.
pub fn hypertables_of(name: &str) -> Vec<i32> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    table.scan(None, &[]).iter().filter(|row| row.name(1).as_deref() == Some(name)).filter_map(|row| row.get(0)).collect()
}

/// Attaches a tablespace as the last one.
pub fn insert(hypertable_id: i32, name: &str) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let last = table.scan(Some("tablespace_pkey"), &[Key::Int(1, hypertable_id)]).iter().filter_map(|row| row.get::<i32>(2)).max();
    table.insert(&[datum(hypertable_id), name_datum(name), datum(last.map_or(1, |last| last + 1))]);
    table::command_counter_increment();
}

/// Detaches one tablespace, or all of them for None; returns how many were detached.
pub fn delete(hypertable_id: i32, name: Option<&str>) -> usize {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return 0 };
    let rows = table.scan(Some("tablespace_pkey"), &[Key::Int(1, hypertable_id)]);
    let doomed: Vec<_> = rows.iter().filter(|row| name.is_none_or(|name| row.name(1).as_deref() == Some(name))).collect();
    doomed.iter().for_each(|row| table.delete(row));
    table::command_counter_increment();
    doomed.len()
}

/// Removes what is attached to a hypertable that is dropped.
pub fn delete_of_hypertable(hypertable_id: i32) {
    delete(hypertable_id, None);
}
