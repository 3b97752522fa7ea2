//! `merge_chunks`: neighbours in time become one chunk.
//!
//! The first chunk that was named keeps its identity (OID, name, privileges, settings, what depends on it) and gets a new heap
//! with the rows of all; its bound is widened in place. Nothing is detached, so foreign keys and triggers stay as they are, and
//! snapshots taken before see the same rows as ever (`pg::rewrite`). Readers and writers of the hypertable wait.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use super::list::{self, Located};
use super::locked::{LockedSlice, lock_hypertable_of};
use crate::catalog::chunk as chunk_catalog;
use crate::catalog::naming::Known;
use crate::change::kept;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::slice;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::rewrite::Rewrite;
use crate::pg::{context, guard, partition, partition_change, spi, table};

/// Merges chunks into the first of them.
pub fn merge(relids: &[pg_sys::Oid]) -> Result<()> {
    let [first, others @ ..] = relids else { return Err(too_few()) };
    let first = lock_hypertable_of(*first)?;
    let slices = slices(&first, others)?;
    let merged = check_adjacent(&slices)?;
    let (keep, rest) = slices.split_first().ok_or_else(too_few)?;
    let root = Relation::open(first.hypertable.relid, pg_sys::AccessExclusiveLock);
    partition_change::check_not_in_use(&root, c"merge_chunks");
    let (axis, _) = slice::time_axis(&first.hypertable)?;
    context::with_temporary(|| {
        move_rows(keep, rest);
        let dropped = rest.iter().map(|slice| (slice.table, slice.chunks.iter().map(|chunk| chunk.relid).collect()));
        drop_slices(&dropped.collect::<Vec<_>>())?;
        let bound = partition::range_bound(axis, first.hypertable.time().type_oid, merged);
        partition_change::set_bound(&root, keep.table, bound);
        Ok(())
    })
}

fn too_few() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "must specify at least two chunks to merge")
}

/// The slices in which the chunks lie, in the order of their first mention, locked.
fn slices(first: &Located, others: &[pg_sys::Oid]) -> Result<Vec<LockedSlice>> {
    let mut seen = vec![first.chunk.relid];
    let mut slices = vec![LockedSlice::lock(first, c"merge_chunks", "merge")?];
    for relid in others {
        let located = list::require(*relid)?;
        if located.hypertable.relid != first.hypertable.relid {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "cannot merge chunks across different hypertables").detail(format!(
                "Chunk \"{}\" belongs to {}, and chunk \"{}\" to {}.",
                relation_name(first.chunk.relid),
                Known::of(first.hypertable.relid).described(),
                relation_name(*relid),
                Known::of(located.hypertable.relid).described()
            )));
        }
        if seen.contains(relid) {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "duplicate chunk in the list of chunks to merge")
                .detail(format!("Chunk \"{}\" is named more than once.", relation_name(*relid))));
        }
        seen.push(*relid);
        if !slices.iter().any(|slice| slice.table == located.chunk.table) {
            slices.push(LockedSlice::lock(&located, c"merge_chunks", "merge")?);
        }
    }
    check_shapes(&slices, &seen)?;
    Ok(slices)
}

/// Slices that are divided by hash are merged part by part, so they must be divided in the same way.
fn check_shapes(slices: &[LockedSlice], named: &[pg_sys::Oid]) -> Result<()> {
    let refuse = |message: &'static str| Error::new(SqlState::FEATURE_NOT_SUPPORTED, message);
    let [first, others @ ..] = slices else { return Err(too_few()) };
    if others.is_empty() {
        return Err(if named.len() < 2 {
            too_few()
        } else {
            refuse("cannot merge chunks that differ in a hash dimension").hint("Merge chunks that follow each other in time.")
        });
    }
    if others.iter().any(|slice| slice.shape() != first.shape()) {
        return Err(refuse("cannot merge chunks whose time ranges are divided by hash differently")
            .detail("The number of partitions was changed after the older chunks were created."));
    }
    if slices.iter().flat_map(|slice| &slice.chunks).any(|chunk| !named.contains(&chunk.relid)) {
        guard::notice("merging the other hash partitions of the same time ranges as well");
    }
    Ok(())
}

/// The range of all slices together, if there is no gap.
fn check_adjacent(slices: &[LockedSlice]) -> Result<Slice> {
    let mut sorted: Vec<&LockedSlice> = slices.iter().collect();
    sorted.sort_by_key(|slice| slice.slice.start);
    for pair in sorted.windows(2) {
        if pair[0].slice.end.is_none() || pair[0].slice.end != pair[1].slice.start {
            let name = |slice: &LockedSlice| slice.chunks.first().map_or_else(String::new, |chunk| relation_name(chunk.relid));
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "cannot merge chunks that are not adjacent")
                .detail(format!("There is a gap between chunk \"{}\" and chunk \"{}\".", name(pair[0]), name(pair[1])))
                .hint("Name all chunks in between as well. Ranges without a chunk can't be merged over."));
        }
    }
    match sorted[..] {
        [first, .., last] => Ok(Slice { start: first.slice.start, end: last.slice.end }),
        _ => Err(too_few()),
    }
}

/// Gives each chunk of `keep` a new heap with its rows and those of the chunks in the same place of `rest`.
fn move_rows(keep: &LockedSlice, rest: &[LockedSlice]) {
    for (place, chunk) in keep.chunks.iter().enumerate() {
        let mut sources = vec![Relation::open(chunk.relid, pg_sys::AccessExclusiveLock)];
        sources.extend(rest.iter().map(|slice| Relation::open(slice.chunks[place].relid, pg_sys::AccessExclusiveLock)));
        let mut rewrite = Rewrite::begin(&[chunk.relid], &sources.iter().collect::<Vec<_>>());
        for source in &sources {
            rewrite.copy(source, |_| 0);
        }
        drop(sources);
        rewrite.finish();
    }
}

/// Drops partitions with their chunks, whose rows were moved away. AccessExclusiveLock is held on all of them.
pub fn drop_slices(slices: &[(pg_sys::Oid, Vec<pg_sys::Oid>)]) -> Result<()> {
    for (table, chunks) in slices {
        partition_change::release_references(&references(*table)?);
        for chunk in chunks {
            chunk_catalog::delete(*chunk);
        }
    }
    table::command_counter_increment();
    kept::while_rearranging(|| partition_change::drop_tables(&slices.iter().map(|(table, _)| *table).collect::<Vec<_>>()));
    Ok(())
}

/// The parts of larger foreign keys that refer to a partition.
fn references(relid: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    let oid = relid.to_u32();
    let rows =
        spi::query(&format!("SELECT oid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = {oid} AND conparentid <> 0"))?;
    Ok(rows.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).map(pg_sys::Oid::from_u32).collect())
}
