//! `_timescaledb_config.hypertable_change`: which times transactions changed in hypertables with continuous aggregates.

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

use crate::pg::table::{Definition, Key, Table, datum};

const TABLE: Definition = Definition { name: "hypertable_change", columns: 3 };

/// What `snapshot` sees of the changes to a hypertable; NULL: what is committed now.
///
/// # Safety
/// NULL or a registered or active snapshot.
pub unsafe fn read(hypertable: pg_sys::Oid, snapshot: pg_sys::Snapshot) -> Ranges {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Ranges::EMPTY };
    // SAFETY: the caller's promise.
    let rows = unsafe { table.scan_as_of(None, &[Key::Oid(1, hypertable)], snapshot) };
    rows.iter().filter_map(|row| Range::new(row.get(1)?, row.get(2)?)).collect()
}

/// Logs changes.
pub fn insert(hypertable: pg_sys::Oid, changes: &Ranges) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for range in changes.as_slice() {
        table.insert(&[datum(hypertable), datum(range.low), datum(range.high)]);
    }
}

/// Removes what is logged for a hypertable that nobody wants to know of any more.
pub fn delete_all(hypertable: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.scan(None, &[Key::Oid(1, hypertable)]).iter().for_each(|row| table.delete(row));
}
