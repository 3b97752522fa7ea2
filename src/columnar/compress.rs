//! Moving a chunk's rows into batches.
//!
//! Writers of the chunk wait from the beginning (ExclusiveLock), readers only for the swap (AccessExclusiveLock). If every snapshot sees
//! the same rows, they go into a new batch table, frozen, and the heap is emptied at once: an older snapshot, which learns of the batch
//! table from the current catalog, finds there what it would have found in the heap. Otherwise rows are deleted and batches inserted
//! like any other rows, and each snapshot finds them in one place.

use std::rc::Rc;

use pgrx::pg_sys;

use super::batch_table::{self, Plan};
use super::batch_writer::{BatchWriter, Mode};
use super::builder::{Batch, Builder, Cut};
use super::layout::{self, Column, Layout};
use super::part::{LockedChunk, already, check_indexes, delete_rows, drop_batches, indexed_columns, scan_batches};
use super::settings::{self, Settings};
use crate::catalog::columnar_chunk::{self, ColumnarChunk, OrderBy};
use crate::error::{Error, Result, SqlState};
use crate::pg::guard::guard;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::size::{self, Size};
use crate::pg::sort::{SortKey, Sorter};
use crate::pg::{context, ffi, live, table};

/// `compress_chunk`: compresses a chunk, or folds in the rows that came since.
pub fn compress(relid: pg_sys::Oid, if_not_compressed: bool, recompress: bool) -> Result<()> {
    let chunk = LockedChunk::lock(relid)?;
    let settings = settings::resolve(&chunk.located.hypertable, relid)?.ok_or_else(|| not_enabled(&chunk))?;
    check_indexes(&chunk.relation)?;
    if chunk.is_compressed() && !recompress && is_empty(&chunk.relation) {
        return already(relid, "columnstore", !if_not_compressed);
    }
    context::with_temporary(|| rewrite(&chunk, &settings))
}

fn not_enabled(chunk: &LockedChunk) -> Error {
    let name = relation_name(chunk.located.hypertable.relid);
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("columnstore not enabled on \"{name}\""))
        .detail("It is not possible to convert chunks to columnstore on a hypertable that does not have columnstore enabled.")
        .hint("Enable columnstore using ALTER TABLE with the timescaledb.columnstore option.")
}

/// True if a heap has no row that anybody could see.
fn is_empty(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    pages == 0 || live::scan(relation, |_| {}).rows == 0
}

/// What batches are made of, and in which order.
struct Shape {
    columns: Vec<Column>,
    segmentby: Vec<usize>,
    orderby: Vec<OrderBy>,
}

impl Shape {
    fn new(relation: &Relation, settings: &Settings) -> Result<Self> {
        let columns = layout::columns_of(relation);
        let find = |name: &str| {
            columns.iter().position(|column| column.name == name).ok_or_else(|| {
                Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of the columnstore's settings does not exist"))
                    .hint("Set timescaledb.segmentby and timescaledb.orderby anew.")
            })
        };
        let segmentby = settings.segmentby.iter().map(|name| find(name)).collect::<Result<_>>()?;
        let order = |order: &settings::OrderColumn| {
            Ok(OrderBy { column: find(&order.name)?, descending: order.descending, nulls_first: order.nulls_first })
        };
        let orderby = settings.orderby.iter().map(order).collect::<Result<_>>()?;
        Ok(Self { columns, segmentby, orderby })
    }

    fn keys(&self) -> Vec<usize> {
        self.segmentby.iter().copied().chain(self.orderby.iter().map(|order| order.column)).collect()
    }

    fn sort_keys(&self) -> Vec<SortKey> {
        let key = |column: usize, descending, nulls_first| SortKey { attribute: self.columns[column].attribute, descending, nulls_first };
        let segments = self.segmentby.iter().map(|column| key(*column, false, false));
        segments.chain(self.orderby.iter().map(|order| key(order.column, order.descending, order.nulls_first))).collect()
    }
}

/// Writes all rows of a chunk anew as batches.
fn rewrite(chunk: &LockedChunk, settings: &Settings) -> Result<()> {
    let relid = chunk.relation.oid();
    let before = match &chunk.layout {
        Some(layout) if layout.compressed => columnar_chunk::find(relid).map(|entry| entry.before).unwrap_or_default(),
        _ => size::of_table(relid).unwrap_or_default(),
    };
    let shape = Shape::new(&chunk.relation, settings)?;
    let mut sorter = Sorter::new(&chunk.relation, &shape.sort_keys())?;
    let rows = collect(chunk, &mut sorter);
    sorter.sort();
    // A new table for batches that every snapshot may see, or if there is none yet; else the old one.
    let (target, mode) = match &chunk.layout {
        Some(old) if !rows.visible_to_all && same_shape(old, &shape) => (Rc::clone(old), Mode::Indexed),
        Some(_) if !rows.visible_to_all => return Err(old_snapshots(relid)),
        _ => (create(chunk, &shape, before)?, if rows.visible_to_all { Mode::Frozen } else { Mode::Unindexed }),
    };
    let mut writer = BatchWriter::open(&target, mode);
    let blooms = blooms(&chunk.relation, &shape);
    write(&mut sorter, &mut Builder::new(&target.columns, &shape.keys(), shape.segmentby.len(), &blooms), &mut writer);
    sorter.end();
    let (batches, count) = (writer.batches, writer.rows);
    let batch_table = writer.finish();
    if mode != Mode::Indexed {
        batch_table::create_index(&batch_table, shape.segmentby.len(), shape.keys().len());
        update_statistics(&batch_table, batches);
    }
    drop(batch_table);
    if mode != Mode::Indexed {
        chunk.lock_out_readers(c"compress_chunk");
    }
    if rows.visible_to_all {
        chunk.empty_heap();
        chunk.reindex();
        if let Some(old) = &chunk.layout {
            drop_batches(old);
        }
    } else {
        delete_rows(&chunk.relation, &rows.row_tids);
        if let Some(old) = &chunk.layout {
            delete_rows(&Relation::open(old.batches, pg_sys::RowExclusiveLock), &rows.batch_tids);
        }
    }
    columnar_chunk::put(&entry(relid, &target, &shape, batches, count, before));
    table::command_counter_increment();
    Ok(())
}

/// What [`collect`] found.
struct Collected {
    visible_to_all: bool,
    row_tids: Vec<pg_sys::ItemPointerData>,
    batch_tids: Vec<pg_sys::ItemPointerData>,
}

/// Gives all rows of both parts to the sorter.
fn collect(chunk: &LockedChunk, sorter: &mut Sorter) -> Collected {
    let mut collected = Collected { visible_to_all: true, row_tids: Vec::new(), batch_tids: Vec::new() };
    let tids = &mut collected.row_tids;
    let found = live::scan(&chunk.relation, |slot| {
        // SAFETY: a row of the chunk.
        unsafe {
            tids.push((*slot).tts_tid);
            sorter.push(slot);
        }
    });
    collected.visible_to_all = found.visible_to_all;
    if let Some(layout) = &chunk.layout {
        let slot = crate::pg::slot::Virtual::new(&chunk.relation);
        let tids = &mut collected.batch_tids;
        let found = scan_batches(layout, |batch| {
            tids.push(batch.tid());
            for row in 0..batch.rows() {
                // SAFETY: the slot has an element for each attribute of the chunk.
                unsafe {
                    let (values, nulls) = slot.arrays();
                    batch.row(row, values, nulls);
                    sorter.push(slot.stored());
                }
            }
        });
        slot.end();
        collected.visible_to_all &= found.visible_to_all;
    }
    collected
}

fn write(sorter: &mut Sorter, builder: &mut Builder, writer: &mut BatchWriter) {
    let mut batch = Batch::default();
    loop {
        // SAFETY: references only on the frames that an ERROR jumps over; scraps go with the temporary context.
        let rows = unsafe { guard(|| fill(sorter, builder)) };
        if rows == 0 {
            return;
        }
        context::with_temporary(|| {
            // SAFETY: as above; the bounds live until the batch is written.
            unsafe { guard(|| builder.take(rows, &mut batch)) };
            writer.write(&batch);
        });
    }
}

/// Adds rows until a batch is to be taken; returns of how many rows, 0 at the end.
///
/// # Safety
/// May jump.
unsafe fn fill(sorter: &mut Sorter, builder: &mut Builder) -> usize {
    // SAFETY: the sorter's rows are rows of the chunk.
    unsafe {
        loop {
            if pg_sys::InterruptPending != 0 {
                ffi::raw::ProcessInterrupts();
            }
            let Some(slot) = sorter.peek() else { return builder.next_cut() };
            let (values, nulls) = ((*slot).tts_values, (*slot).tts_isnull);
            if let Cut::Rows(rows) = builder.cut_before(values, nulls) {
                return rows;
            }
            builder.push(values, nulls);
            sorter.advance();
        }
    }
}

/// Columns that get a bloom filter: those with an index, but for the keys, which have their bounds in the batch table.
fn blooms(relation: &Relation, shape: &Shape) -> Vec<usize> {
    let indexed = indexed_columns(relation);
    let keys = shape.keys();
    let wants_one = |index: &usize| {
        let column = &shape.columns[*index];
        indexed.contains(&column.attribute) && !keys.contains(index) && column.length != 1 && column.length != 2
    };
    (0..shape.columns.len()).filter(wants_one).collect()
}

fn same_shape(old: &Layout, shape: &Shape) -> bool {
    let columns: Vec<&str> = old.columns.iter().map(|column| column.name.as_str()).collect();
    let keys: Vec<(usize, bool, bool)> = old.keys[old.segments..].iter().map(|key| (key.column, key.descending, key.nulls_first)).collect();
    let segments: Vec<usize> = old.keys[..old.segments].iter().map(|key| key.column).collect();
    columns == shape.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>()
        && segments == shape.segmentby
        && keys == shape.orderby.iter().map(|order| (order.column, order.descending, order.nulls_first)).collect::<Vec<_>>()
}

fn old_snapshots(relid: pg_sys::Oid) -> Error {
    Error::new(SqlState::OBJECT_IN_USE, format!("chunk \"{}\" can't be given other columns or settings now", relation_name(relid)))
        .detail("Transactions are running that may still need rows of it that were changed or deleted.")
        .hint("Try again when they have ended.")
}

/// Creates a batch table, and describes it.
fn create(chunk: &LockedChunk, shape: &Shape, before: Size) -> Result<Rc<Layout>> {
    let keys = shape.keys();
    let name = new_name(chunk);
    let plan = Plan { columns: &shape.columns, keys: &keys, segments: shape.segmentby.len() };
    let batches = batch_table::create(&chunk.relation, &name, &plan);
    let empty = Layout { batches, ..Layout::empty(chunk.relation.oid()) };
    let entry = entry(chunk.relation.oid(), &Rc::new(empty), shape, 0, 0, before);
    layout::describe_part(&entry).map(Rc::new).ok_or_else(|| Error::internal("a batch table vanished"))
}

fn new_name(chunk: &LockedChunk) -> String {
    let schema = chunk.relation.class().relnamespace;
    loop {
        let id = crate::catalog::chunk::next_id();
        let name = format!("compress_hyper_{}_{id}_chunk", chunk.located.hypertable.id);
        if !crate::pg::relation::exists(schema, &name) {
            return name;
        }
    }
}

fn entry(relid: pg_sys::Oid, target: &Rc<Layout>, shape: &Shape, batches: i64, rows: i64, before: Size) -> ColumnarChunk {
    ColumnarChunk {
        relid,
        batches: target.batches,
        compressed: true,
        columns: shape.columns.iter().map(|column| column.name.clone()).collect(),
        segmentby: shape.segmentby.clone(),
        orderby: shape.orderby.clone(),
        rows,
        batch_count: batches,
        before,
    }
}

/// Tells the planner how large a new batch table is.
fn update_statistics(batches: &Relation, count: i64) {
    // SAFETY: an open relation.
    let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(batches.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    crate::pg::convert::update_class(batches.oid(), |class| {
        class.relpages = pages as i32;
        class.reltuples = count as f32;
    });
    table::command_counter_increment();
}
