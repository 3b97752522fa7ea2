//! Moving a chunk's rows into batches.
//!
//! Writers of the chunk wait from the beginning (ExclusiveLock), readers only for the swap (AccessExclusiveLock). If every snapshot sees
//! the same rows, they go into a new batch table, frozen, and the heap is emptied at once: an older snapshot, which learns of the batch
//! table from the current catalog, finds there what it would have found in the heap. Otherwise rows are deleted and batches inserted
//! like any other rows, and each snapshot finds them in one place.

use std::rc::Rc;

use pgrx::pg_sys;

use super::batch_rows::write;
use super::batch_table;
use super::batch_writer::{BatchWriter, Mode};
use super::collect::{Collecting, Sorted};
use super::dml;
use super::fold::fold;
use super::part::{LockedChunk, already, check_indexes, delete_rows, drop_batches, scan_batches};
use super::row_sorter::RowSorter;
use super::settings::{self, Settings};
use super::shape::Shape;
use super::statistics;
use crate::catalog::columnar_chunk;
use crate::catalog::naming::{self, Known};
use crate::chunk::list;
use crate::error::{Error, Result, SqlState};
use crate::pg::ffi::raw;
use crate::pg::partition_change::{check_not_in_use, lock};
use crate::pg::progress::{self, Command, Phase};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::size;
use crate::pg::{context, ffi, live, standby, table};

/// `compress_chunk`: compresses a chunk, or folds in the rows that came since.
pub fn compress(relid: pg_sys::Oid, if_not_compressed: bool, recompress: bool) -> Result<()> {
    let hypertable = list::require(relid)?.hypertable;
    if settings::are_chosen(&hypertable) {
        // Before the chunk, as whoever drops or alters the hypertable.
        naming::require_owner(hypertable.relid)?;
        lock(hypertable.relid, pg_sys::AccessShareLock);
    }
    let chunk = LockedChunk::lock(relid)?;
    let settings = settings::resolve(&chunk.located.hypertable, relid)?.ok_or_else(|| not_enabled(&chunk))?;
    check_indexes(&chunk.relation)?;
    if chunk.is_compressed() && !recompress && is_empty(&chunk.relation) {
        return already(relid, "columnstore", !if_not_compressed);
    }
    // Rows would be taken from under a statement that is changing them, or from triggers that are to fire on them yet.
    check_not_in_use(&chunk.relation, c"compress_chunk");
    context::with_temporary(|| {
        // Expressions of indexes and rules of domains are the owner's code, whoever the caller is.
        context::as_user(chunk.relation.class().relowner, || {
            if recompress || !chunk.is_compressed() || !fold(&chunk, &settings)? {
                rewrite(&chunk, &settings)?;
            }
            Result::Ok(())
        })?;
        dml::unique::trigger::ensure(&chunk.relation)
    })
}

fn not_enabled(chunk: &LockedChunk) -> Error {
    let known = Known::of(chunk.located.hypertable.relid);
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("columnstore not enabled on \"{}\"", known.name()))
        .detail("It is not possible to convert chunks to columnstore on a hypertable that does not have columnstore enabled.")
        .hint(format!("Enable it with {} SET (timescaledb.columnstore).", known.alter()))
}

/// True if a heap has no row that anybody could see.
fn is_empty(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    pages == 0 || live::scan(relation, |_| {}).rows == 0
}

/// Writes all rows of a chunk anew as batches.
fn rewrite(chunk: &LockedChunk, settings: &Settings) -> Result<()> {
    let relid = chunk.relation.oid();
    let before = match &chunk.layout {
        Some(layout) if layout.compressed => columnar_chunk::find(relid).map(|entry| entry.before).unwrap_or_default(),
        _ => size::of_table(relid).unwrap_or_default(),
    };
    let shape = Shape::new(&chunk.relation, settings)?;
    statistics::before_compress(&chunk.relation);
    progress::start(relid, Command::Compress);
    let mut rows = collect(chunk, &shape)?;
    // A new table for batches that every snapshot may see, or if there is none yet; else the old one.
    let (shape, target, mode) = match &chunk.layout {
        Some(old) if !rows.visible_to_all => {
            let shape = Shape::within(&chunk.relation, settings, old).ok_or_else(|| old_snapshots(relid))?;
            (shape, Rc::clone(old), Mode::Indexed)
        }
        _ => {
            let target = shape.create(&chunk.relation, chunk.located.hypertable.id, before)?;
            (shape, target, if rows.visible_to_all { Mode::Frozen } else { Mode::Unindexed })
        }
    };
    progress::phase(Phase::Writing);
    progress::total(rows.count);
    let mut writer = BatchWriter::open(&target, mode);
    write(&mut rows.sorted, &mut shape.builder(&chunk.relation, &target), &mut writer);
    rows.sorted.end();
    let (batches, count) = (writer.batches, writer.rows);
    let batch_table = writer.finish();
    if mode != Mode::Indexed {
        progress::phase(Phase::Indexing);
        batch_table::create_index(&batch_table, shape.segmentby.len(), shape.keys().len());
        update_statistics(&batch_table, batches);
    }
    drop(batch_table);
    if mode != Mode::Indexed {
        progress::phase(Phase::Waiting);
        chunk.lock_out_readers(c"compress_chunk");
    }
    progress::phase(Phase::Swapping);
    if rows.visible_to_all {
        standby::conflict(&chunk.relation, rows.newest);
        chunk.empty_heap();
        chunk.reindex();
        statistics::after_compress(relid);
        if let Some(old) = &chunk.layout {
            drop_batches(old);
        }
    } else {
        delete_rows(&chunk.relation, &live_rows(&chunk.relation));
        if let Some(old) = &chunk.layout {
            delete_rows(&Relation::open(old.batches, pg_sys::RowExclusiveLock), &rows.batch_tids);
        }
    }
    columnar_chunk::put(&shape.entry(relid, target.batches, batches, count, before));
    table::command_counter_increment();
    progress::end();
    Ok(())
}

/// The rows of both parts of a chunk.
struct Collected {
    sorted: Sorted,
    count: i64,
    /// Whether every snapshot sees the same rows, and the newest transaction that matters to that (see [`live::Found`]).
    visible_to_all: bool,
    newest: pg_sys::TransactionId,
    batch_tids: Vec<pg_sys::ItemPointerData>,
}

fn collect(chunk: &LockedChunk, shape: &Shape) -> Result<Collected> {
    let mut rows = Collecting::new(&chunk.relation, shape)?;
    let heap = live::scan(&chunk.relation, |slot| {
        // SAFETY: a row of the chunk, with as many columns as are wanted.
        unsafe {
            if (*slot).tts_nvalid < rows.wanted() {
                raw::slot_getsomeattrs_int(slot, rows.wanted().into());
            }
            rows.add((*slot).tts_values, (*slot).tts_isnull);
        }
    });
    let mut batch_tids = Vec::new();
    let batches = each_row_of_batches(
        chunk,
        |tid| batch_tids.push(tid),
        // SAFETY: a row of the chunk.
        |values, nulls| unsafe {
            rows.add(values, nulls);
        },
    );
    let count = rows.count;
    let sorted = rows.sort(&chunk.relation, shape, |sorter| push_all(chunk, sorter))?;
    let (mut visible_to_all, mut newest) = (heap.visible_to_all, heap.newest);
    if let Some(batches) = batches {
        visible_to_all &= batches.visible_to_all;
        newest = live::newer(newest, batches.newest);
    }
    Ok(Collected { sorted, count, visible_to_all, newest, batch_tids })
}

/// Gives all rows of both parts to a sorter. They are those that were found before: nobody else can change the chunk.
fn push_all(chunk: &LockedChunk, sorter: &mut RowSorter) {
    let attributes = chunk.relation.attributes().len() as i16;
    live::scan(&chunk.relation, |slot| {
        // SAFETY: a row of the chunk.
        unsafe {
            if (*slot).tts_nvalid < attributes {
                raw::slot_getsomeattrs_int(slot, attributes.into());
            }
            sorter.push((*slot).tts_values, (*slot).tts_isnull);
        }
    });
    // SAFETY: as above.
    each_row_of_batches(chunk, |_| {}, |values, nulls| unsafe { sorter.push(values, nulls) });
}

/// Calls `batch` with the address of every live batch, if the chunk has such a part, and `row` with each of its rows.
fn each_row_of_batches(
    chunk: &LockedChunk,
    mut batch: impl FnMut(pg_sys::ItemPointerData),
    mut row: impl FnMut(*const pg_sys::Datum, *const bool),
) -> Option<live::Found> {
    let layout = chunk.layout.as_ref()?;
    let slot = crate::pg::slot::Virtual::new(&chunk.relation);
    let found = scan_batches(layout, |reader| {
        batch(reader.tid());
        for index in 0..reader.rows() {
            // SAFETY: the slot has an element for each attribute of the chunk.
            unsafe {
                let (values, nulls) = slot.arrays();
                reader.row(index, values, nulls);
                row(values.as_ptr(), nulls.as_ptr());
            }
        }
    });
    slot.end();
    Some(found)
}

/// Where the live rows of a heap are.
fn live_rows(heap: &Relation) -> Vec<pg_sys::ItemPointerData> {
    let mut tids = Vec::new();
    // SAFETY: the slot holds a row.
    live::scan(heap, |slot| tids.push(unsafe { (*slot).tts_tid }));
    tids
}

fn old_snapshots(relid: pg_sys::Oid) -> Error {
    Error::new(SqlState::OBJECT_IN_USE, format!("chunk \"{}\" can't be given other columns or settings now", relation_name(relid)))
        .detail("Transactions are running that may still need rows of it that were changed or deleted.")
        .hint("Try again when they have ended.")
}

/// Tells the planner how large a new batch table is.
pub fn update_statistics(batches: &Relation, count: i64) {
    // SAFETY: an open relation.
    let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(batches.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    crate::pg::convert::update_class(batches.oid(), |class| {
        class.relpages = pages as i32;
        class.reltuples = count as f32;
    });
    table::command_counter_increment();
}
