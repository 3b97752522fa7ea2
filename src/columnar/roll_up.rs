//! `compress_chunk_interval`: a chunk that has been compressed is merged into the one before it, up to a length of time.
//!
//! Batches are moved as they are, into the table of the earlier chunk's batches, which gets a new heap with those of both. Like
//! `merge_chunks`, this keeps the xmin and xmax of each row version (`pg::rewrite`), of batches and of rows, so every snapshot goes on
//! seeing what it saw; the earlier chunk's bound is widened in place.
//!
//! All this needs AccessExclusiveLock on the hypertable, while the chunk is locked already: to wait for it would be the wrong order of
//! locks, and would keep queries waiting as well. So it is taken only if nobody is in the way. Else the chunks stay as they are, and the
//! next call of `compress_chunk` for the later one tries again.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use super::statistics;
use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::catalog::columnstore;
use crate::catalog::hypertable::Hypertable;
use crate::chunk::list::{self, Chunk};
use crate::chunk::merge::drop_slices;
use crate::error::Result;
use crate::hypertable::slice;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::rewrite::Rewrite;
use crate::pg::size::Size;
use crate::pg::{context, guard, partition, partition_change, table};

/// Two neighbours in time that are to become one.
#[derive(PartialEq)]
struct Pair {
    root: pg_sys::Oid,
    /// The range of both.
    merged: Slice,
    /// The partitions of the hypertable.
    earlier: pg_sys::Oid,
    later: pg_sys::Oid,
    /// Their chunks, by hash part.
    parts: Vec<(ColumnarChunk, ColumnarChunk)>,
}

/// Merges a chunk into the one before it if settings, lengths and locks allow it. Returns the chunk that has its rows now.
pub fn run(relid: pg_sys::Oid) -> Result<pg_sys::Oid> {
    context::with_temporary(|| {
        let Some(pair) = find(relid) else { return Ok(relid) };
        let Some(held) = Held::take(&pair) else {
            let (earlier, later) = (relation_name(pair.earlier), relation_name(pair.later));
            guard::notice(format!("\"{later}\" was not merged into \"{earlier}\": the hypertable is in use"));
            return Ok(relid);
        };
        // What was looked up before the locks.
        if find(relid).as_ref() != Some(&pair) {
            held.release();
            return Ok(relid);
        }
        merge(&pair)?;
        let place = pair.parts.iter().position(|(_, later)| later.relid == relid);
        Ok(place.map_or(relid, |place| pair.parts[place].0.relid))
    })
}

fn find(relid: pg_sys::Oid) -> Option<Pair> {
    let located = list::find(relid)?;
    let longest = columnstore::find(located.hypertable.id)?.compress_interval?;
    let chunks = list::of_hypertable(&located.hypertable);
    let slices: Vec<&[Chunk]> = list::by_slice(&chunks).collect();
    let at = slices.iter().position(|slice| slice[0].table == located.chunk.table)?;
    pair_at(&located.hypertable, longest, &slices, at)
}

/// Chunks that could be merged into the ones before them: one of each slice, by time. Somebody may have been in the way until now.
pub fn candidates(hypertable: &Hypertable) -> Vec<pg_sys::Oid> {
    let Some(longest) = columnstore::find(hypertable.id).and_then(|settings| settings.compress_interval) else { return Vec::new() };
    let chunks = list::of_hypertable(hypertable);
    let slices: Vec<&[Chunk]> = list::by_slice(&chunks).collect();
    (1..slices.len()).filter(|at| pair_at(hypertable, longest, &slices, *at).is_some()).map(|at| slices[at][0].relid).collect()
}

/// The slice at a place with the one before it.
fn pair_at(hypertable: &Hypertable, longest: i64, slices: &[&[Chunk]], at: usize) -> Option<Pair> {
    let (earlier, later) = (slices[at.checked_sub(1)?], slices[at]);
    let (first, last) = (earlier[0].slice, later[0].slice);
    let is_short = last.end?.checked_sub(first.start?).is_some_and(|length| length <= longest);
    let shape = |slice: &[Chunk]| slice.iter().map(|chunk| chunk.parts.clone()).collect::<Vec<_>>();
    if first.end? != last.start? || !is_short || shape(earlier) != shape(later) {
        return None;
    }
    let part = |chunk: &Chunk| columnar_chunk::find(chunk.relid).filter(|part| part.compressed);
    let parts =
        earlier.iter().zip(later).map(|(earlier, later)| part(earlier).zip(part(later)).filter(|(one, other)| is_alike(one, other)));
    Some(Pair {
        root: hypertable.relid,
        merged: Slice { start: first.start, end: last.end },
        earlier: earlier[0].table,
        later: later[0].table,
        parts: parts.collect::<Option<_>>()?,
    })
}

/// True if the batches of one can be read as those of the other.
fn is_alike(one: &ColumnarChunk, other: &ColumnarChunk) -> bool {
    one.columns == other.columns && one.segmentby == other.segmentby && one.orderby == other.orderby
}

/// AccessExclusiveLock on all tables concerned.
struct Held(Vec<pg_sys::Oid>);

impl Held {
    /// None if somebody, perhaps this session, uses one of them.
    fn take(pair: &Pair) -> Option<Self> {
        let chunks = pair.parts.iter().flat_map(|(earlier, later)| [earlier.relid, later.relid, earlier.batches, later.batches]);
        let slices =
            [pair.earlier, pair.later].into_iter().filter(|table| pair.parts.iter().all(|(a, b)| a.relid != *table && b.relid != *table));
        let mut held = Self(Vec::new());
        for relid in chunks.chain(slices).chain([pair.root]) {
            if !partition_change::lock_at_once(relid) {
                held.release();
                return None;
            }
            held.0.push(relid);
            // The lock keeps it from vanishing.
            if Relation::try_open(relid, pg_sys::NoLock).is_none_or(|relation| partition_change::is_in_use(&relation)) {
                held.release();
                return None;
            }
        }
        Some(held)
    }

    fn release(self) {
        self.0.into_iter().rev().for_each(partition_change::unlock);
    }
}

fn merge(pair: &Pair) -> Result<()> {
    for (earlier, later) in &pair.parts {
        join(earlier.relid, later.relid);
        join(earlier.batches, later.batches);
    }
    drop_slices(&[(pair.later, pair.parts.iter().map(|(_, later)| later.relid).collect())])?;
    {
        let root = Relation::open(pair.root, pg_sys::AccessExclusiveLock);
        let located = list::require(pair.parts[0].0.relid)?;
        let (axis, _) = slice::time_axis(&located.hypertable)?;
        let bound = partition::range_bound(axis, located.hypertable.time().type_oid, pair.merged);
        partition_change::set_bound(&root, pair.earlier, bound);
    }
    for (earlier, later) in &pair.parts {
        columnar_chunk::put(&ColumnarChunk {
            rows: earlier.rows + later.rows,
            batch_count: earlier.batch_count + later.batch_count,
            before: sum(earlier.before, later.before),
            blooms: earlier.blooms.iter().copied().filter(|bloom| later.blooms.contains(bloom)).collect(),
            ..earlier.clone()
        });
        table::command_counter_increment();
        statistics::renew(earlier.relid);
    }
    Ok(())
}

/// Gives a table a new heap with the rows of another one as well.
fn join(table: pg_sys::Oid, other: pg_sys::Oid) {
    let sources = [Relation::open(table, pg_sys::NoLock), Relation::open(other, pg_sys::NoLock)];
    if crate::pg::size::is_without_pages(&sources[1]) {
        return;
    }
    let mut rewrite = Rewrite::begin(&[table], &sources.iter().collect::<Vec<_>>());
    for source in &sources {
        rewrite.copy(source, |_| 0);
    }
    drop(sources);
    rewrite.finish();
}

fn sum(one: Size, other: Size) -> Size {
    Size { table: one.table + other.table, index: one.index + other.index, toast: one.toast + other.toast, total: one.total + other.total }
}
