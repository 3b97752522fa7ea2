//! The first step of a refresh: what is to be computed is made known to all who read and write, then cut into batches.

use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::buckets::{self, BatchSize, Known, claim, widen_all};
use tsc_kernel::ranges::{Range, Ranges};

use super::ledger;
use super::window::Options;
use crate::cagg::bucket::Bucket;
use crate::cagg::valid::{self, Reader};
use crate::catalog::cache;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::continuous_agg_range::{self, Kind, State};
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result};
use crate::pg::relation::{Relation, qualified_name, quote_identifier};
use crate::pg::{axis, context, datetime, partition, partition_change, spi, table};

/// A hypertable that a continuous aggregate reads or writes.
pub fn hypertable(relid: pg_sys::Oid) -> Result<(Rc<Hypertable>, Axis)> {
    let hypertable = cache::find(relid).ok_or_else(|| Error::internal("a continuous aggregate without its hypertables"))?;
    let axis = hypertable.time().axis().ok_or_else(|| Error::internal("a range dimension without an axis"))?;
    Ok((hypertable, axis))
}

/// The chunks of a hypertable, divided by hash or not, in order.
pub fn slices(relid: pg_sys::Oid) -> Result<Vec<(Range, pg_sys::Oid)>> {
    let (_, axis) = hypertable(relid)?;
    let root = Relation::open(relid, pg_sys::AccessShareLock);
    let found = partition::partitions(&root, axis);
    Ok(found.into_iter().filter_map(|part| Some((part.slice.range()?, part.oid))).collect())
}

/// The position of the last row of a hypertable; None if it has none.
fn last_row(relid: pg_sys::Oid) -> Result<Option<i64>> {
    let (hypertable, axis) = hypertable(relid)?;
    let owner = Relation::open(relid, pg_sys::AccessShareLock).class().relowner;
    let column = quote_identifier(&hypertable.time().column);
    for (_, part) in slices(relid)?.into_iter().rev() {
        partition_change::lock(part, pg_sys::AccessShareLock);
        let Some(name) = qualified_name(part) else { continue };
        let sql = format!("SELECT {column} FROM {name} ORDER BY {column} DESC LIMIT 1");
        let found = context::as_user(owner, || context::with_portable_text(|| spi::query(&sql)))?;
        if let Some(text) = found.first().and_then(|row| row.first()).and_then(Option::as_deref) {
            let value = datetime::read(hypertable.time().type_oid, text);
            // SAFETY: a value of the column's type.
            return Ok(Some(unsafe { axis::position(axis, value) }));
        }
    }
    Ok(None)
}

/// The hypertables whose rows an aggregate is computed from: its source, and what that is real-time over.
fn sources(agg: &ContinuousAgg) -> Vec<pg_sys::Oid> {
    let mut found = vec![agg.source];
    let mut above = valid::parent(agg);
    while let Some(parent) = above.filter(|parent| !parent.materialized_only) {
        found.push(parent.source);
        above = valid::parent(&parent);
    }
    found
}

/// Where the aggregate that another one is defined over shows what it computes when it is asked. Changes there are not logged for it, so
/// nothing tells which of them storage has.
fn live(agg: &ContinuousAgg) -> Result<Ranges> {
    let Some(parent) = valid::parent(agg).filter(|parent| !parent.materialized_only) else { return Ok(Ranges::EMPTY) };
    // SAFETY: the caller has a snapshot; nothing is remembered.
    let sound = unsafe { valid::usable(std::ptr::null_mut(), parent.storage, Reader::View) }?;
    Ok(sound.buckets.complement())
}

/// What is known, in whole buckets.
fn known(bucket: &Bucket, state: &State, live: &Ranges) -> Known {
    Known {
        materialized: state.materialized.clone(),
        invalid: widen_all(bucket, &state.invalid.clone().union(live)),
        kept: widen_all(bucket, &state.kept),
    }
}

/// How many positions a chunk of a hypertable is meant to hold.
fn chunk_length(relid: pg_sys::Oid) -> Result<i64> {
    let (source, axis) = hypertable(relid)?;
    let interval = source.time().interval().unwrap_or(1);
    Ok(if axis == Axis::Date { interval / DAY_MICROS } else { interval }.max(1))
}

/// Where a refresh is to be cut into batches, since there may be many rows. Of a chunk that has no end this is the part next to the others:
/// what lies beyond is one batch.
fn busy(chunk: Range, length: i64) -> Option<Range> {
    match (chunk.low, chunk.high) {
        (i64::MIN, i64::MAX) => None,
        (i64::MIN, high) => Range::new(high.saturating_sub(length - 1), high),
        (low, i64::MAX) => Range::new(low, low.saturating_add(length - 1)),
        _ => Some(chunk),
    }
}

/// Claims a window of whole buckets, and returns the batches in which it is to be computed, in their order. A snapshot is active.
pub fn run(agg: &ContinuousAgg, bucket: &Bucket, window: Range, options: &Options) -> Result<Vec<Range>> {
    // One at a time changes what is materialized. Those who compute are not in the way.
    if let Some(aggregates) = table::oid("continuous_agg") {
        table::lock_row(aggregates, agg.id);
    }
    continuous_agg::adopt(agg.source);
    ledger::distribute(agg.source)?;
    let sources = sources(agg);
    let last = sources.iter().map(|source| last_row(*source)).collect::<Result<Vec<_>>>()?.into_iter().flatten().max();
    let live = live(agg)?;
    let look = || {
        let state = ledger::state_now(agg.storage);
        let known = known(bucket, &state, &live);
        let claim = claim(bucket, &known, window, last, options.force);
        (state, known, claim)
    };
    let (_, known, claim) = look();
    if claim.wanted.is_empty() && claim.known == known {
        return Ok(Vec::new());
    }
    let entries = ledger::lock(agg.storage, window)?;
    // While others were waited for they have computed something.
    let (state, _, claim) = look();
    if claim.known.materialized != state.materialized {
        continuous_agg_range::replace(agg.storage, Kind::Materialized, &claim.known.materialized);
    }
    if options.force && !state.kept.intersection(&Ranges::from(Some(window))).is_empty() {
        continuous_agg_range::replace(agg.storage, Kind::Kept, &claim.known.kept);
    }
    // To remove rows takes no time, so it is no matter where storage has some.
    let length = chunk_length(agg.source)?;
    let chunks = sources.iter().map(|source| slices(*source)).collect::<Result<Vec<_>>>()?;
    let occupied: Ranges = chunks.into_iter().flatten().filter_map(|(range, _)| busy(range, length)).collect();
    let size = options.batch.unwrap_or(BatchSize::Length(length));
    let mut batches = buckets::batches(bucket, &claim.wanted, &occupied, size);
    let window = Ranges::from(Some(window));
    let within = batches.iter().flat_map(|batch| claim.wanted.intersection(&Ranges::from(Some(*batch))).as_slice().to_vec());
    let without = entries.iter().flat_map(|entry| Ranges::from(Some(entry.range)).difference(&window).as_slice().to_vec());
    ledger::replace(agg.storage, &entries, &within.chain(without).collect::<Vec<_>>())?;
    if options.newest_first {
        batches.reverse();
    }
    batches.truncate(options.most_batches.unwrap_or(usize::MAX));
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::busy;
    use tsc_kernel::ranges::Range;

    #[test]
    fn test_busy_part_of_chunks_without_an_end() {
        assert_eq!(busy(Range { low: i64::MIN, high: 99 }, 10), Range::new(90, 99));
        assert_eq!(busy(Range { low: 100, high: i64::MAX }, 10), Range::new(100, 109));
        assert_eq!(busy(Range { low: i64::MAX - 3, high: i64::MAX }, 10), Range::new(i64::MAX - 3, i64::MAX));
        assert_eq!(busy(Range { low: 0, high: 9 }, 5), Range::new(0, 9));
        assert_eq!(busy(Range::ALL, 5), None);
    }
}
