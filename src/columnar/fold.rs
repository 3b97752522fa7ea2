//! Folding the rows of a compressed chunk's heap into its batches, without writing all of them anew.
//!
//! Only batches that overlap with the rows are taken apart, and those of their segments that are small. Rows are deleted and batches
//! inserted like any other rows, so that readers need not wait.

use std::collections::HashSet;
use std::rc::Rc;

use pgrx::pg_sys;

use super::batch_rows::write;
use super::batch_writer::{BatchWriter, Mode};
use super::collect::Collecting;
use super::layout::Layout;
use super::order::Order;
use super::part::{LockedChunk, delete_rows, scan_batches};
use super::reader::BatchReader;
use super::row_sorter::RowSorter;
use super::settings::Settings;
use super::shape::Shape;
use crate::catalog::columnar_chunk;
use crate::error::Result;
use crate::pg::relation::Relation;
use crate::pg::{ffi, live, table};

/// If more than one row in so many is to be folded in, the chunk is written anew.
const MOST_ROWS: i64 = 4;
/// Batches of a touched segment with fewer rows are joined with the new ones.
const SMALL_BATCH: usize = 2048;

/// A range of keys, as Datums that live in the temporary context: the least and the greatest of each key among the rows.
struct Touched {
    orders: Vec<Order>,
    least: Vec<Option<pg_sys::Datum>>,
    greatest: Vec<Option<pg_sys::Datum>>,
}

/// Folds; false if the chunk is better written anew.
pub fn fold(chunk: &LockedChunk, settings: &Settings) -> Result<bool> {
    let Some(layout) = &chunk.layout else { return Ok(false) };
    let Some(shape) = Shape::within(&chunk.relation, settings, layout) else { return Ok(false) };
    let mut rows = Collecting::new(&chunk.relation, &shape)?;
    let mut row_tids = Vec::new();
    // SAFETY: reads a variable.
    let context = unsafe { pg_sys::CurrentMemoryContext };
    let mut touched = Touched::new(layout);
    each_row(chunk, |tid, values, nulls| {
        row_tids.push(tid);
        // SAFETY: a row of the chunk; kept values are copied into the temporary context.
        unsafe {
            rows.add(values, nulls);
            touched.add(layout, values, nulls, context);
        }
    });
    if row_tids.len() as i64 > layout.rows / MOST_ROWS {
        rows.end();
        return Ok(false);
    }
    let own_segments = rows.segments.count();
    let slot = crate::pg::slot::Virtual::new(&chunk.relation);
    let mut batch_tids = Vec::new();
    let (mut taken_rows, seen) = (0, &mut rows);
    scan_batches(layout, |batch| {
        // SAFETY: the slot has an element for each attribute of the chunk.
        unsafe {
            if !touched.meets(layout, batch) {
                return;
            }
            let (values, nulls) = slot.arrays();
            if batch.is_single() && layout.segments > 0 {
                batch.row(0, values, nulls);
                if seen.segments.id(values.as_ptr(), nulls.as_ptr()) as usize >= own_segments {
                    return;
                }
            }
            batch_tids.push(batch.tid());
            taken_rows += batch.rows() as i64;
            for row in 0..batch.rows() {
                batch.row(row, values, nulls);
                seen.add(values.as_ptr(), nulls.as_ptr());
            }
        }
    });
    let again = |sorter: &mut RowSorter| {
        // SAFETY: rows of the chunk.
        each_row(chunk, |_, values, nulls| unsafe { sorter.push(values, nulls) });
        let taken: HashSet<u64> = batch_tids.iter().copied().map(place).collect();
        scan_batches(layout, |batch| {
            if !taken.contains(&place(batch.tid())) {
                return;
            }
            for row in 0..batch.rows() {
                // SAFETY: as above.
                unsafe {
                    let (values, nulls) = slot.arrays();
                    batch.row(row, values, nulls);
                    sorter.push(values.as_ptr(), nulls.as_ptr());
                }
            }
        });
    };
    let mut sorted = rows.sort(&chunk.relation, &shape, again)?;
    slot.end();
    let mut writer = BatchWriter::open(layout, Mode::Indexed);
    write(&mut sorted, &mut shape.builder(&chunk.relation, layout), &mut writer);
    sorted.end();
    let (batches, rows) = (writer.batches, writer.rows);
    drop(writer.finish());
    delete_rows(&chunk.relation, &row_tids);
    delete_rows(&Relation::open(layout.batches, pg_sys::RowExclusiveLock), &batch_tids);
    if let Some(mut entry) = columnar_chunk::find(chunk.relation.oid()) {
        entry.rows += rows - taken_rows;
        entry.batch_count += batches - batch_tids.len() as i64;
        columnar_chunk::put(&entry);
    }
    table::command_counter_increment();
    Ok(true)
}

/// A row's address as a number.
fn place(tid: pg_sys::ItemPointerData) -> u64 {
    u64::from(tid.ip_blkid.bi_hi) << 32 | u64::from(tid.ip_blkid.bi_lo) << 16 | u64::from(tid.ip_posid)
}

/// Calls `each` with every live row of the chunk's heap, and where it is.
fn each_row(chunk: &LockedChunk, mut each: impl FnMut(pg_sys::ItemPointerData, *const pg_sys::Datum, *const bool)) {
    let attributes = chunk.relation.attributes().len() as i16;
    live::scan(&chunk.relation, |slot| {
        // SAFETY: a row of the chunk.
        unsafe {
            if (*slot).tts_nvalid < attributes {
                ffi::raw::slot_getsomeattrs_int(slot, attributes.into());
            }
            each((*slot).tts_tid, (*slot).tts_values, (*slot).tts_isnull);
        }
    });
}

impl Touched {
    fn new(layout: &Rc<Layout>) -> Self {
        let order = |key: &super::layout::Key| {
            let column = &layout.columns[key.column];
            Order::of(column.type_oid, column.collation)
        };
        let none = vec![None; layout.keys.len()];
        Self { orders: layout.keys.iter().map(order).collect(), least: none.clone(), greatest: none }
    }

    /// # Safety
    /// A row of the chunk; `context` lives as long as self. May jump.
    unsafe fn add(&mut self, layout: &Layout, values: *const pg_sys::Datum, nulls: *const bool, context: pg_sys::MemoryContext) {
        for (index, key) in layout.keys.iter().enumerate() {
            let column = &layout.columns[key.column];
            let at = column.attribute as usize - 1;
            // SAFETY: the caller's promise.
            unsafe {
                if *nulls.add(at) {
                    continue;
                }
                let value = *values.add(at);
                let order = self.orders[index];
                let is_less = self.least[index].is_none_or(|least| order.compare(value, least).is_lt());
                let is_greater = self.greatest[index].is_none_or(|greatest| order.compare(value, greatest).is_gt());
                if !is_less && !is_greater {
                    continue;
                }
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = context;
                let copy = ffi::raw::datumCopy(value, column.by_value, column.length.into());
                pg_sys::CurrentMemoryContext = outer;
                if is_less {
                    self.least[index] = Some(copy);
                }
                if is_greater {
                    self.greatest[index] = Some(copy);
                }
            }
        }
    }

    /// Whether a batch lies within the range in each key; small ones do if their segments do.
    ///
    /// # Safety
    /// An open batch. May jump.
    unsafe fn meets(&self, layout: &Layout, batch: &BatchReader) -> bool {
        let is_small = batch.rows() < SMALL_BATCH;
        layout.keys.iter().enumerate().all(|(index, key)| {
            if index >= layout.segments && is_small {
                return true;
            }
            let (Some(least), Some(greatest)) = (self.least[index], self.greatest[index]) else { return true };
            let (Some(low), Some(high)) = (batch.attribute(key.min), batch.attribute(key.max)) else { return true };
            // SAFETY: values of the key's column.
            unsafe { !self.orders[index].compare(high, least).is_lt() && !self.orders[index].compare(low, greatest).is_gt() }
        })
    }
}
