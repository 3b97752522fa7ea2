//! The rows of the catalog that say what is changed and what is invalid: taken by row locks, so that those who refresh the same buckets
//! wait for each other and all others don't.

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

use crate::catalog::continuous_agg_range::{self, Kind, State};
use crate::catalog::{continuous_agg, hypertable_change};
use crate::change;
use crate::error::{Error, Result};
use crate::pg::relation::Relation;
use crate::pg::{context, spi, table};

/// A row that says that a range is invalid, locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    place: String,
    /// The range.
    pub range: Range,
}

/// Runs `f` as the role that owns the extension's catalog: who refreshes may change it only in this way.
fn as_owner_of_catalog<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    let catalog = table::oid("continuous_agg_range").ok_or_else(|| Error::internal("there is no catalog"))?;
    let owner = Relation::open(catalog, pg_sys::AccessShareLock).class().relowner;
    context::as_user(owner, f)
}

fn number(text: Option<&Option<String>>) -> Option<i64> {
    text?.as_deref()?.parse().ok()
}

fn range(row: &[Option<String>], at: usize) -> Option<Range> {
    Range::new(number(row.get(at))?, number(row.get(at + 1))?)
}

/// Takes what is logged for a hypertable, and what the transaction itself has changed so far, and makes it known to all its continuous
/// aggregates. In one transaction: a snapshot sees the log or what came of it. What is changed by a transaction that is still open stays
/// pending as well, since its savepoints may be rolled back.
pub fn distribute(hypertable: pg_sys::Oid) -> Result<()> {
    let mut changes = change::pending(hypertable);
    // SAFETY: without a snapshot, what is committed now is read.
    if !unsafe { hypertable_change::read(hypertable, std::ptr::null_mut()) }.is_empty() {
        let sql = format!(
            "DELETE FROM _timescaledb_config.hypertable_change WHERE hypertable = {}::oid RETURNING low, high",
            hypertable.to_u32()
        );
        let logged: Ranges = as_owner_of_catalog(|| spi::query(&sql))?.iter().filter_map(|row| range(row, 0)).collect();
        changes = changes.union(&logged);
    }
    if changes.is_empty() {
        return Ok(());
    }
    // Also where a continuous aggregate has materialized nothing that is seen from here: a transaction that has may just be open.
    for agg in continuous_agg::of_source(hypertable) {
        forget_within(agg.storage, &changes)?;
        for range in changes.as_slice() {
            continuous_agg_range::insert(agg.storage, Kind::Invalid, *range);
        }
    }
    Ok(())
}

/// Removes the rows that new ones stand for as well: what no refresh takes up would come to be there as often as it was changed. Rows that
/// somebody has locked stay, since they may just be used up for what was there before.
fn forget_within(storage: pg_sys::Oid, changes: &Ranges) -> Result<()> {
    let ends = |end: fn(&Range) -> i64| changes.as_slice().iter().map(|range| end(range).to_string()).collect::<Vec<_>>().join(",");
    let sql = format!(
        "DELETE FROM _timescaledb_config.continuous_agg_range WHERE ctid = ANY (ARRAY(\
         SELECT ctid FROM _timescaledb_config.continuous_agg_range AS known WHERE storage = {}::oid AND kind = 'i' AND EXISTS (\
         SELECT FROM unnest('{{{}}}'::int8[], '{{{}}}'::int8[]) AS changed (low, high) \
         WHERE known.low >= changed.low AND known.high <= changed.high) FOR UPDATE OF known SKIP LOCKED))",
        storage.to_u32(),
        ends(|range| range.low),
        ends(|range| range.high)
    );
    as_owner_of_catalog(|| spi::change(&sql)).map(drop)
}

/// What is known now, whatever the transaction's snapshot is.
pub fn state_now(storage: pg_sys::Oid) -> State {
    // SAFETY: without a snapshot, what is committed now is read.
    unsafe { continuous_agg_range::read(storage, std::ptr::null_mut()) }
}

/// Locks all rows that say that something in a range is invalid. Waits for those who are computing it.
pub fn lock(storage: pg_sys::Oid, within: Range) -> Result<Vec<Entry>> {
    let sql = format!(
        "SELECT ctid, low, high FROM _timescaledb_config.continuous_agg_range \
         WHERE storage = {}::oid AND kind = 'i' AND low <= '{}'::int8 AND high >= '{}'::int8 ORDER BY low, high, ctid FOR UPDATE",
        storage.to_u32(),
        within.high,
        within.low
    );
    loop {
        let rows = as_owner_of_catalog(|| spi::query(&sql))?;
        let entry = |row: &Vec<Option<String>>| Some(Entry { place: row.first()?.clone()?, range: range(row, 1)? });
        let entries: Vec<Entry> = rows.iter().filter_map(entry).collect();
        // While others were waited for, they may have cut rows into smaller ones, which the statement did not see.
        let locked: Ranges = entries.iter().map(|entry| entry.range).collect();
        if state_now(storage).invalid.intersection(&Ranges::from(Some(within))).difference(&locked).is_empty() {
            return Ok(entries);
        }
    }
}

/// Puts ranges into the place of rows that are locked.
pub fn replace(storage: pg_sys::Oid, entries: &[Entry], by: &[Range]) -> Result<()> {
    let mut old: Vec<Range> = entries.iter().map(|entry| entry.range).collect();
    old.sort_unstable();
    let mut new = by.to_vec();
    new.sort_unstable();
    if old == new {
        return Ok(());
    }
    if !entries.is_empty() {
        let places: Vec<String> = entries.iter().map(|entry| format!("\"{}\"", entry.place)).collect();
        let sql = format!("DELETE FROM _timescaledb_config.continuous_agg_range WHERE ctid = ANY ('{{{}}}'::tid[])", places.join(","));
        as_owner_of_catalog(|| spi::change(&sql))?;
    }
    for range in by {
        continuous_agg_range::insert(storage, Kind::Invalid, *range);
    }
    Ok(())
}
