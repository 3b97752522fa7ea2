//! The batches that were looked into last, which stay open: keys that come one after the other are often looked for in the same ones.

use std::rc::Rc;

use pgrx::pg_sys;

use super::Range;
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::context;
use crate::pg::guard::guard;

/// How many stay open.
const MOST: usize = 16;

/// A batch with what was read of it.
pub struct OpenBatch {
    /// The batch.
    pub reader: BatchReader,
    /// When it was asked for last.
    used: u64,
    /// The least and greatest value of each vector in the first orderby column, once asked for; None for a vector of NULLs only.
    bounds: Vec<Option<(pg_sys::Datum, pg_sys::Datum)>>,
}

/// Open batches of one chunk.
pub struct OpenBatches {
    layout: Rc<Layout>,
    context: pg_sys::MemoryContext,
    batches: Vec<OpenBatch>,
    clock: u64,
}

impl OpenBatches {
    /// None is open. `context` outlives self.
    pub fn new(layout: Rc<Layout>, context: pg_sys::MemoryContext) -> Self {
        Self { layout, context, batches: Vec::new(), clock: 0 }
    }

    /// The batch of a row of the batch table; opened, unless it is open.
    ///
    /// A row version in the same place with the same inserter holds the same: batches are never changed in place, and VACUUM makes room
    /// only where the inserter is seen by nobody, so that nothing of his can come there again.
    ///
    /// # Safety
    /// As [`BatchReader::open`].
    pub unsafe fn turn_to(&mut self, row: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) -> &mut OpenBatch {
        self.clock += 1;
        // SAFETY: the caller's promise.
        let found = self.batches.iter().position(|batch| unsafe { batch.reader.is_open(row) });
        let place = found.unwrap_or_else(|| self.place());
        let batch = &mut self.batches[place];
        batch.used = self.clock;
        if found.is_none() {
            batch.bounds.clear();
            // SAFETY: the caller's promise.
            unsafe { guard(|| batch.reader.open(row, desc)) };
        }
        batch
    }

    /// A reader for another batch: a new one, or that which was not asked for longest.
    fn place(&mut self) -> usize {
        if self.batches.len() < MOST {
            let layout = Rc::clone(&self.layout);
            // SAFETY: the context outlives self.
            let reader = unsafe { context::with_context(self.context, || BatchReader::new(layout)) };
            self.batches.push(OpenBatch { reader, used: 0, bounds: Vec::new() });
            return self.batches.len() - 1;
        }
        (0..MOST).min_by_key(|place| self.batches[*place].used).unwrap_or(0)
    }
}

impl OpenBatch {
    /// Whether a vector may hold a value of the column that `range` is about, which is the first orderby column.
    ///
    /// # Safety
    /// The batch has that vector. May jump.
    pub unsafe fn may_hold(&mut self, vector: usize, range: &Range, value: pg_sys::Datum) -> bool {
        if self.bounds.len() < self.reader.vectors() {
            let Some(column) = self.reader.layout().column_of(range.attribute) else { return true };
            self.bounds.clear();
            for vector in 0..self.reader.vectors() {
                // SAFETY: the caller's promise.
                let bounds = unsafe { bounds(&mut self.reader, column, vector, range) };
                self.bounds.push(bounds);
            }
        }
        // SAFETY: values of the column.
        self.bounds[vector].is_some_and(|(least, greatest)| unsafe {
            !range.order.compare(value, least).is_lt() && !range.order.compare(value, greatest).is_gt()
        })
    }
}

/// # Safety
/// As [`OpenBatch::may_hold`].
unsafe fn bounds(reader: &mut BatchReader, column: usize, vector: usize, range: &Range) -> Option<(pg_sys::Datum, pg_sys::Datum)> {
    let rows = reader.vector_rows(vector);
    // SAFETY: the caller's promise.
    unsafe {
        let values = reader.vector(column, vector);
        let mut bounds: Option<(pg_sys::Datum, pg_sys::Datum)> = None;
        for row in (0..rows).filter(|row| values.is_valid(*row)) {
            let value = pg_sys::Datum::from(values.words[row]);
            let (least, greatest) = bounds.unwrap_or((value, value));
            let least = if range.order.compare(value, least).is_lt() { value } else { least };
            bounds = Some((least, if range.order.compare(value, greatest).is_gt() { value } else { greatest }));
        }
        bounds
    }
}
