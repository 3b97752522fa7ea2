//! Straight into columns: rows of a COPY or INSERT .. SELECT that become batches without having been in the chunk's heap.
//!
//! Rows wait, sorted, until the statement ends or too many chunks are being written (a chunk that comes when they are still few is passed
//! over). A chunk qualifies if nothing needs the single row (triggers, foreign keys, unique keys, publications), and if it is compressed
//! already or was made by this (sub)transaction: giving an older chunk its first batches would need a lock that keeps readers out to the
//! end of the transaction. All other rows take the usual way.

use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;

use super::batch_rows::write;
use super::batch_table;
use super::batch_writer::{BatchWriter, Mode};
use super::layout::{self, Layout};
use super::row_sorter::{OrderPart, RowSorter};
use super::segments::Segments;
use super::settings;
use super::shape::Shape;
use super::statistics;
use crate::catalog::columnar_chunk;
use crate::chunk::list::{self, Located};
use crate::error::Result;
use crate::pg::ffi::raw;
use crate::pg::relation::Relation;
use crate::pg::size::Size;
use crate::pg::{axis, context, ffi, table};

/// Chunks that are written at once.
const MOST_CHUNKS: usize = 8;

/// Fewer rows than these are not written to make room for another chunk: if rows come in no order of time, each batch would hold a few.
const FEWEST_ROWS: usize = MOST_CHUNKS * 1024;

/// Segments of a chunk whose order by time is kept in the integer that rows are sorted by.
const MOST_SEGMENTS: usize = 1 << 23;

/// Rows that wait for a chunk.
struct ChunkWriter {
    relid: pg_sys::Oid,
    shape: Shape,
    layout: Rc<Layout>,
    sorter: RowSorter,
}

/// Rows that wait. Nothing happens when it is dropped but that its memory is freed.
pub struct Direct {
    /// The memory that sorters live in.
    context: pg_sys::MemoryContext,
    writers: Vec<ChunkWriter>,
    /// How many rows wait.
    rows: usize,
    /// Chunks of this transaction that were written to.
    fresh: Vec<pg_sys::Oid>,
}

/// How rows for a chunk are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As single rows.
    Rows,
    /// Straight into columns; [`Direct::push`] wants to be told the chunk.
    Columns,
}

impl Direct {
    /// Nothing waits yet. `context` lives as long as the statement.
    pub fn new(context: pg_sys::MemoryContext) -> Self {
        Self { context, writers: Vec::new(), rows: 0, fresh: Vec::new() }
    }

    /// The same, freed with the context.
    ///
    /// # Safety
    /// As [`Self::new`].
    pub unsafe fn for_statement(context: pg_sys::MemoryContext) -> *mut Self {
        // SAFETY: the caller's promise.
        unsafe { context::keep(context, Self::new(context)) }
    }

    /// How rows for a chunk are to be written, and makes everything ready for them.
    ///
    /// # Safety
    /// `target` is an open result relation of a running INSERT or COPY.
    pub unsafe fn enter(&mut self, target: *mut pg_sys::ResultRelInfo) -> Result<Way> {
        // SAFETY: the caller's promise.
        let relid = unsafe { (*(*target).ri_RelationDesc).rd_id };
        if self.writers.iter().any(|writer| writer.relid == relid) {
            return Ok(Way::Columns);
        }
        // SAFETY: the caller's promise.
        if unsafe { !qualifies(target) } {
            return Ok(Way::Rows);
        }
        if self.writers.len() == MOST_CHUNKS {
            if self.rows < FEWEST_ROWS {
                return Ok(Way::Rows);
            }
            self.finish()?;
        }
        let context = self.context;
        // SAFETY: the statement's context.
        match unsafe { context::with_context(context, || open(relid)) }? {
            None => Ok(Way::Rows),
            Some(writer) => {
                // SAFETY: the statement has the chunk open.
                if unsafe { (*(*target).ri_RelationDesc).rd_createSubid } != 0 && !self.fresh.contains(&relid) {
                    self.fresh.push(relid);
                }
                self.writers.push(writer);
                Ok(Way::Columns)
            }
        }
    }

    /// Adds a row of a chunk, whose [`Self::enter`] said [`Way::Columns`] since the last [`Self::finish`].
    ///
    /// # Safety
    /// The slot holds a row with the chunk's columns that fulfils its constraints. May jump.
    #[inline]
    pub unsafe fn push(&mut self, relid: pg_sys::Oid, row: *mut pg_sys::TupleTableSlot) {
        if let Some(writer) = self.writers.iter_mut().rev().find(|writer| writer.relid == relid) {
            // SAFETY: the caller's promise.
            unsafe {
                let columns = (*(*row).tts_tupleDescriptor).natts;
                if i32::from((*row).tts_nvalid) < columns {
                    raw::slot_getsomeattrs_int(row, columns);
                }
                writer.sorter.push((*row).tts_values, (*row).tts_isnull);
                self.rows += 1;
            }
        }
    }

    /// Writes all rows that wait; no more will come. The planner learns of new chunks.
    pub fn end(&mut self) -> Result<()> {
        self.finish()?;
        for relid in std::mem::take(&mut self.fresh) {
            context::with_temporary(|| statistics::after_direct(relid));
        }
        Ok(())
    }

    /// Writes all rows that wait.
    pub fn finish(&mut self) -> Result<()> {
        self.rows = 0;
        for writer in std::mem::take(&mut self.writers) {
            context::with_temporary(|| writer.finish());
        }
        Ok(())
    }
}

/// # Safety
/// As [`Direct::enter`].
unsafe fn qualifies(target: *mut pg_sys::ResultRelInfo) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let relation = (*target).ri_RelationDesc;
        let is_heap = (*(*relation).rd_rel).relam == pg_sys::HEAP_TABLE_AM_OID && (*(*relation).rd_rel).relispartition;
        let generates = (*(*relation).rd_att).constr.as_ref().is_some_and(|constraints| constraints.has_generated_stored);
        is_heap
            && !generates
            && (*target).ri_TrigDesc.is_null()
            && (*target).ri_WithCheckOptions.is_null()
            && !has_unique_index(relation)
            && !is_published(relation)
    }
}

/// Subscribers are sent rows of heaps, and nothing of batches.
///
/// # Safety
/// An open relation.
unsafe fn is_published(relation: pg_sys::Relation) -> bool {
    let mut publications = pg_sys::PublicationDesc::default();
    // SAFETY: the caller's promise; reads a setting, and fills the structure.
    unsafe {
        if pg_sys::wal_level < pg_sys::WalLevel::WAL_LEVEL_LOGICAL as i32 {
            return false;
        }
        ffi::RelationBuildPublicationDesc(relation, &mut publications);
    }
    publications.pubactions.pubinsert
}

/// # Safety
/// An open relation.
unsafe fn has_unique_index(relation: pg_sys::Relation) -> bool {
    // SAFETY: the caller's promise; indexes of an open table.
    unsafe {
        crate::pg::list::oids(ffi::RelationGetIndexList(relation)).into_iter().any(|oid| {
            let index = Relation::open(oid, pg_sys::AccessShareLock);
            let form = &*(*index.as_ptr()).rd_index;
            form.indisunique || form.indisexclusion
        })
    }
}

/// Makes ready for the rows of a chunk; None if it can't have any now.
fn open(relid: pg_sys::Oid) -> Result<Option<ChunkWriter>> {
    let Some(located) = list::find(relid) else { return Ok(None) };
    let relation = Relation::open(relid, pg_sys::RowExclusiveLock);
    let Some(settings) = settings::resolve(&located.hypertable, relid)? else { return Ok(None) };
    let (shape, layout) = match layout::find(relid) {
        // Decompressed, with batches that only older snapshots see.
        Some(layout) if !layout.compressed => return Ok(None),
        Some(layout) => match Shape::within(&relation, &settings, &layout) {
            Some(shape) if shape.always_fits() => (shape, layout),
            _ => return Ok(None),
        },
        None if is_new(&relation) => {
            let Some(shape) = Shape::new(&relation, &settings).ok().filter(Shape::always_fits) else { return Ok(None) };
            let layout = create(&relation, &shape, located.hypertable.id)?;
            (shape, layout)
        }
        None => return Ok(None),
    };
    // SAFETY: reads a setting.
    let memory = unsafe { pg_sys::maintenance_work_mem };
    // Segments come out as they are first seen: only a look at all rows beforehand could tell their order.
    let order = order_part(&located, &relation, &shape);
    let sorter = RowSorter::new(&relation, &shape, Segments::new(&shape), false, order, memory)?;
    // The statement keeps the chunk open, and with it the descriptor that the sorter refers to.
    Ok(Some(ChunkWriter { relid, shape, layout, sorter }))
}

/// Time, which the chunk's slice bounds, if it is what batches are ordered by.
fn order_part(located: &Located, relation: &Relation, shape: &Shape) -> Option<OrderPart> {
    let time = located.hypertable.time();
    let is_time = shape.orderby.first().is_some_and(|order| shape.columns[order.column].name == time.column);
    let slice = located.chunk.slice;
    let axis = time.axis().filter(|axis| *axis != Axis::Uuid)?;
    let datum = |position: i64| axis::datum(axis, position).value() as i64;
    let (first, last) = (datum(slice.start?), datum(slice.end? - 1));
    if is_time { OrderPart::new(shape, relation, first, last, MOST_SEGMENTS) } else { None }
}

/// True if nobody else can see the chunk.
fn is_new(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    unsafe { (*relation.as_ptr()).rd_createSubid != 0 }
}

/// Gives a chunk its columnar part, without batches. It is new, so readers need not be kept out.
fn create(relation: &Relation, shape: &Shape, hypertable: i32) -> Result<Rc<Layout>> {
    context::with_temporary(|| {
        let layout = shape.create(relation, hypertable, Size::default())?;
        let batches = Relation::open(layout.batches, pg_sys::RowExclusiveLock);
        batch_table::create_index(&batches, shape.segmentby.len(), shape.keys().len());
        columnar_chunk::put(&shape.entry(relation.oid(), layout.batches, 0, 0, Size::default()));
        table::command_counter_increment();
        Ok(layout::find(relation.oid()).unwrap_or(layout))
    })
}

impl ChunkWriter {
    fn finish(mut self) {
        let relation = Relation::open(self.relid, pg_sys::RowExclusiveLock);
        self.sorter.sort();
        let mut writer = BatchWriter::open(&self.layout, Mode::Indexed);
        write(&mut self.sorter, &mut self.shape.builder(&relation, &self.layout), &mut writer);
        self.sorter.end();
        let (batches, rows) = (writer.batches, writer.rows);
        drop(writer.finish());
        // Others may write to an older chunk at the same time: its counts stay what they were.
        if is_new(&relation)
            && let Some(entry) = columnar_chunk::find(self.relid)
        {
            let (batch_count, row_count) = (entry.batch_count + batches, entry.rows + rows);
            columnar_chunk::put(&self.shape.entry(self.relid, self.layout.batches, batch_count, row_count, entry.before));
            table::command_counter_increment();
        }
    }
}
