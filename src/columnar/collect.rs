//! Collecting the rows that go into batches, and sorting them: in memory, if they fit into `maintenance_work_mem`; else they are looked
//! at twice, first for their segments and the range of their order, then to be sorted on disk.

use pgrx::pg_sys;

use super::batch_rows::Source;
use super::builder::Builder;
use super::row_order::SortedRows;
use super::row_sorter::{OrderPart, RowSorter};
use super::row_store::RowStore;
use super::segments::Segments;
use super::shape::Shape;
use crate::error::Result;
use crate::pg::relation::Relation;
use crate::pg::sort;

/// Rows being collected.
pub struct Collecting {
    /// Their segments.
    pub segments: Segments,
    /// Rows that were added.
    pub count: i64,
    store: RowStore,
    /// The columns that have to be read of a row: all, or as many as hold the keys.
    wanted: i16,
    keys: i16,
    fits: bool,
    memory: i32,
    order: Option<usize>,
    least: i64,
    greatest: i64,
}

/// Collected rows in the order of batches.
pub enum Sorted {
    /// In memory.
    Kept(SortedRows),
    /// In memory or on disk.
    Sorter(RowSorter),
}

impl Collecting {
    /// For rows of a chunk; memory is a child of the current memory context.
    pub fn new(relation: &Relation, shape: &Shape) -> Result<Self> {
        for key in shape.keys() {
            sort::require_order(shape.columns[key].type_oid)?;
        }
        // SAFETY: reads a setting.
        let memory = unsafe { pg_sys::maintenance_work_mem };
        Ok(Self {
            segments: Segments::new(shape),
            count: 0,
            store: RowStore::new(relation, shape, memory),
            wanted: relation.attributes().len() as i16,
            keys: shape.keys().iter().map(|key| shape.columns[*key].attribute).max().unwrap_or(0),
            fits: true,
            memory,
            order: OrderPart::attribute(shape, relation),
            least: i64::MAX,
            greatest: i64::MIN,
        })
    }

    /// How many columns of a row [`Self::add`] reads now.
    pub fn wanted(&self) -> i16 {
        self.wanted
    }

    /// Adds a row; returns its segment.
    ///
    /// # Safety
    /// The arrays hold as many columns of a row of the chunk's heap, or of a batch, as are wanted. May jump; scraps are palloc'd in the
    /// current memory context.
    #[inline]
    pub unsafe fn add(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> u32 {
        // SAFETY: the caller's promise.
        unsafe {
            let id = self.segments.id(values, nulls);
            self.count += 1;
            if let Some(attribute) = self.order {
                let value = (*values.add(attribute)).value() as i64;
                (self.least, self.greatest) = (self.least.min(value), self.greatest.max(value));
            }
            if self.fits && !self.store.push(id, values, nulls, &self.segments) {
                self.fits = false;
                self.wanted = self.keys;
                self.store.forget();
            }
            id
        }
    }

    /// Frees all that was collected.
    pub fn end(self) {
        self.store.free();
        self.segments.end();
    }

    /// Sorts the rows. If they were too many, `again` is called to give all of them to a sorter; it reads all their columns.
    pub fn sort(self, relation: &Relation, shape: &Shape, again: impl FnOnce(&mut RowSorter)) -> Result<Sorted> {
        if self.fits {
            return Ok(Sorted::Kept(SortedRows::new(self.store, self.segments, shape)));
        }
        self.store.free();
        let order = OrderPart::new(shape, relation, self.least.min(self.greatest), self.greatest, self.segments.count());
        let mut sorter = RowSorter::new(relation, shape, self.segments, true, order, self.memory)?;
        again(&mut sorter);
        sorter.sort();
        Ok(Sorted::Sorter(sorter))
    }
}

impl Sorted {
    /// Frees its memory and files.
    pub fn end(self) {
        match self {
            Self::Kept(rows) => rows.end(),
            Self::Sorter(sorter) => sorter.end(),
        }
    }
}

impl Source for Sorted {
    unsafe fn fill(&mut self, builder: &mut Builder) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Kept(rows) => rows.fill(builder),
                Self::Sorter(sorter) => sorter.fill(builder),
            }
        }
    }
}
