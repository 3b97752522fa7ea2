//! `_timescaledb_config.continuous_agg_range`: what is known of the buckets of continuous aggregates.
//!
//! What a query sees of it must fit what it sees of the data, so it is read with the query's snapshot where a query depends on it.

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

use crate::pg::table::{self, Definition, Key, Row, Table, datum};

const TABLE: Definition = Definition { name: "continuous_agg_range", columns: 4 };
const BY_STORAGE: Option<&str> = Some("continuous_agg_range_storage_idx");

/// What is known of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has been materialized, so changes to it are logged.
    Materialized,
    /// Storage may differ from the source.
    Invalid,
    /// Chunks of the source or of the storage were dropped: the view shows what storage holds, and nothing else reads it.
    Kept,
}

impl Kind {
    fn letter(self) -> u8 {
        match self {
            Self::Materialized => b'm',
            Self::Invalid => b'i',
            Self::Kept => b'k',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Materialized, Self::Invalid, Self::Kept].into_iter().find(|kind| kind.letter() == letter)
    }
}

/// What is known of the buckets of a continuous aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Has been materialized.
    pub materialized: Ranges,
    /// Storage may differ from the source. What is only logged as changed is not in it.
    pub invalid: Ranges,
    /// Kept.
    pub kept: Ranges,
}

fn from_row(row: &Row) -> Option<(Kind, Range)> {
    let kind = Kind::of_letter(row.datum(1)?.value() as u8)?;
    Some((kind, Range::new(row.get(2)?, row.get(3)?)?))
}

/// What `snapshot` sees; NULL: what is committed now, and this transaction's.
///
/// # Safety
/// NULL or a registered or active snapshot.
pub unsafe fn read(storage: pg_sys::Oid, snapshot: pg_sys::Snapshot) -> State {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return State::default() };
    // SAFETY: the caller's promise.
    let rows = unsafe { table.scan_as_of(BY_STORAGE, &[Key::Oid(1, storage)], snapshot) };
    let of = |wanted: Kind| rows.iter().filter_map(from_row).filter(|(kind, _)| *kind == wanted).map(|(_, range)| range).collect();
    State { materialized: of(Kind::Materialized), invalid: of(Kind::Invalid), kept: of(Kind::Kept) }
}

/// Adds a range.
pub fn insert(storage: pg_sys::Oid, kind: Kind, range: Range) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.insert(&[datum(storage), datum(kind.letter() as i8), datum(range.low), datum(range.high)]);
    table::command_counter_increment();
}

/// Makes `ranges` all that is known of a kind. The caller has the lock under which that is changed.
pub fn replace(storage: pg_sys::Oid, kind: Kind, ranges: &Ranges) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    let rows = table.scan(BY_STORAGE, &[Key::Oid(1, storage)]);
    for row in rows.iter().filter(|row| from_row(row).is_some_and(|(found, _)| found == kind)) {
        table.delete(row);
    }
    for range in ranges.as_slice() {
        table.insert(&[datum(storage), datum(kind.letter() as i8), datum(range.low), datum(range.high)]);
    }
    table::command_counter_increment();
}

/// Removes all that is known of a continuous aggregate that is being dropped.
pub fn delete_all(storage: pg_sys::Oid) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    table.scan(BY_STORAGE, &[Key::Oid(1, storage)]).iter().for_each(|row| table.delete(row));
}
