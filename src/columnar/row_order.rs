//! Bringing the rows of a [`RowStore`] into the order of batches.
//!
//! Rows are dealt out to their segments in one pass, which keeps the order in which they came: mostly that of time. So most segments are
//! in order already, or in the opposite one. In the others, rows are sorted by a number that stands for the first orderby column, and
//! only those that are equal in it by the values themselves.

use std::cmp::Ordering;

use pgrx::pg_sys;

use super::image::Image;
use super::layout::Column;
use super::order::Order;
use super::row_store::{Cell, RowStore, key_of, segment_of};
use super::segments::Segments;
use super::shape::Shape;
use super::stable_sort;
use super::value;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    key: u64,
    /// Where its record is.
    pub record: *const u8,
}

/// The first orderby column as a number that sorts like it.
#[derive(Debug, Clone, Copy)]
pub struct LeadingKey {
    attribute: usize,
    length: i16,
    /// How to read it; [`Order::None`] if there is no such number, and all rows have the same.
    order: Order,
    descending: bool,
    /// What NULL becomes.
    null: u64,
}

const SIGN: u64 = 1 << 63;

impl LeadingKey {
    /// For rows of this shape.
    pub fn new(shape: &Shape) -> Self {
        let Some(order) = shape.orderby.first() else {
            return Self { attribute: 0, length: 0, order: Order::None, descending: false, null: 0 };
        };
        let column = &shape.columns[order.column];
        let plain = match Order::of(column.type_oid, column.collation) {
            found @ (Order::Signed | Order::Float8 | Order::Float4) if column.image == Image::Word => found,
            _ => Order::None,
        };
        Self {
            attribute: column.attribute as usize - 1,
            length: column.length,
            order: plain,
            descending: order.descending,
            null: if order.nulls_first { 0 } else { u64::MAX },
        }
    }

    /// The number of a row.
    ///
    /// # Safety
    /// A row of the chunk.
    #[inline]
    pub unsafe fn of(&self, values: *const pg_sys::Datum, nulls: *const bool) -> u64 {
        if matches!(self.order, Order::None) {
            return 0;
        }
        // SAFETY: the caller's promise.
        let value = unsafe {
            if *nulls.add(self.attribute) {
                return self.null;
            }
            value::canonical(*values.add(self.attribute), self.length).value() as u64
        };
        let key = match self.order {
            Order::Float8 => sortable(f64::from_bits(value)),
            Order::Float4 => sortable(f32::from_bits(value as u32).into()),
            _ => value ^ SIGN,
        };
        if self.descending { !key } else { key }
    }

    /// True if rows with equal numbers have equal values.
    fn is_exact(&self, has_nulls: bool) -> bool {
        !matches!(self.order, Order::None) && !has_nulls
    }
}

/// A number that sorts as PostgreSQL sorts floats: 0 and -0 are equal, and so are all NaN, which are greater than the rest.
fn sortable(value: f64) -> u64 {
    if value.is_nan() {
        return u64::MAX;
    }
    let bits = (value + 0.0).to_bits();
    if bits & SIGN != 0 { !bits } else { bits | SIGN }
}

/// An orderby column by which rows are compared.
struct OrderColumn {
    cell: Cell,
    order: Order,
    descending: bool,
    nulls_first: bool,
}

impl OrderColumn {
    /// # Safety
    /// Records of the store. May jump; scraps are palloc'd in the current memory context.
    unsafe fn compare(&self, store: &RowStore, left: *const u8, right: *const u8) -> Ordering {
        // SAFETY: the caller's promise.
        unsafe {
            match (store.value(left, self.cell), store.value(right, self.cell)) {
                (Some(left), Some(right)) if self.descending => self.order.compare(right, left),
                (Some(left), Some(right)) => self.order.compare(left, right),
                (None, None) => Ordering::Equal,
                (left, _) if left.is_none() == self.nulls_first => Ordering::Less,
                _ => Ordering::Greater,
            }
        }
    }
}

/// Rows of one segment that come one after the other.
#[derive(Debug, Clone, Copy)]
struct Run {
    segment: u32,
    end: usize,
}

/// Room for as many entries as are sorted at once. It is palloc'd: there may be a great many.
struct Scratch {
    context: pg_sys::MemoryContext,
    entries: *mut Entry,
    length: usize,
}

impl Scratch {
    /// Sorts entries; `precedes` may jump.
    fn sort(&mut self, entries: &mut [Entry], mut precedes: impl FnMut(&Entry, &Entry) -> bool) {
        // SAFETY: room for as many entries; only references are on the frames that an ERROR jumps over.
        unsafe {
            if self.length < entries.len() {
                self.free();
                self.entries = ffi::MemoryContextAllocHuge(self.context, std::mem::size_of_val(entries)).cast();
                self.length = entries.len();
                self.entries.write_bytes(0, self.length);
            }
            let spare = std::slice::from_raw_parts_mut(self.entries, entries.len());
            guard(|| stable_sort::sort(entries, spare, &mut precedes));
        }
    }

    fn free(&mut self) {
        if self.length > 0 {
            self.length = 0;
            // SAFETY: made by `sort`.
            unsafe { ffi::pfree(self.entries.cast()) };
        }
    }
}

/// # Safety
/// May jump.
#[inline]
unsafe fn check_for_interrupts() {
    // SAFETY: the caller's promise.
    unsafe {
        if pg_sys::InterruptPending != 0 {
            raw::ProcessInterrupts();
        }
    }
}

/// Rows in the order of batches.
pub struct SortedRows {
    store: RowStore,
    segments: Segments,
    entries: *mut Entry,
    runs: Vec<Run>,
    /// The row that comes next, and the run that it is in.
    next: usize,
    run: usize,
}

impl SortedRows {
    /// Sorts all rows of a store, whose segments these are. Memory is palloc'd in the current memory context.
    pub fn new(store: RowStore, segments: Segments, shape: &Shape) -> Self {
        // SAFETY: an entry for each row.
        let entries = unsafe {
            let size = (store.rows() * size_of::<Entry>()).max(1);
            ffi::MemoryContextAllocHuge(pg_sys::CurrentMemoryContext, size).cast::<Entry>()
        };
        let counts = store.counts();
        let ids = if segments.count() == 0 { vec![0] } else { segments.in_order() };
        let mut places = vec![0; ids.len()];
        let mut runs = Vec::with_capacity(ids.len());
        let mut end = 0;
        for id in ids {
            places[id as usize] = end;
            end += counts.get(id as usize).copied().unwrap_or(0) as usize;
            runs.push(Run { segment: id, end });
        }
        // SAFETY: each record has its place among those of its segment.
        store.each_record(|record| unsafe {
            let place = &mut places[segment_of(record) as usize];
            entries.add(*place).write(Entry { key: key_of(record), record });
            *place += 1;
        });
        let mut sorted = Self { store, segments, entries, runs, next: 0, run: 0 };
        sorted.sort_runs(shape);
        sorted
    }

    fn sort_runs(&mut self, shape: &Shape) {
        let column = |key: &crate::catalog::columnar_chunk::OrderBy| {
            let column: &Column = &shape.columns[key.column];
            let order = Order::of(column.type_oid, column.collation);
            let cell = self.store.cell(column.attribute);
            OrderColumn { cell, order, descending: key.descending, nulls_first: key.nulls_first }
        };
        let all: Vec<OrderColumn> = shape.orderby.iter().map(column).collect();
        let is_exact = all.first().is_some_and(|first| self.store.leading().is_exact(self.store.has_nulls(first.cell)));
        // A segmentby column is the same in all rows of a run.
        let columns: Vec<&OrderColumn> =
            all.iter().skip(usize::from(is_exact)).filter(|column| !matches!(column.cell, Cell::Segment(_))).collect();
        // SAFETY: reads a variable.
        let context = unsafe { pg_sys::CurrentMemoryContext };
        let mut scratch = Scratch { context, entries: std::ptr::null_mut(), length: 0 };
        let mut start = 0;
        for run in &self.runs {
            // SAFETY: the entries of the run have all been written.
            let entries = unsafe { std::slice::from_raw_parts_mut(self.entries.add(start), run.end - start) };
            start = run.end;
            self.sort_run(entries, &columns, &mut scratch);
        }
        scratch.free();
    }

    fn sort_run(&self, entries: &mut [Entry], columns: &[&OrderColumn], scratch: &mut Scratch) {
        let by_key = |left: &Entry, right: &Entry| {
            // SAFETY: nothing is pending that the call would jump over.
            unsafe { check_for_interrupts() };
            left.key < right.key
        };
        if entries.windows(2).any(|pair| pair[1].key < pair[0].key) {
            scratch.sort(entries, by_key);
        }
        if columns.is_empty() {
            return;
        }
        let store = &self.store;
        for equal in entries.chunk_by_mut(|left, right| left.key == right.key) {
            if equal.len() == 1 {
                continue;
            }
            crate::pg::context::with_temporary(|| {
                scratch.sort(equal, |left, right| {
                    // SAFETY: records of the store; nothing is pending that the calls would jump over.
                    unsafe {
                        check_for_interrupts();
                        let compare = |column: &&OrderColumn| column.compare(store, left.record, right.record);
                        columns.iter().map(compare).find(|order| *order != Ordering::Equal) == Some(Ordering::Less)
                    }
                });
            });
        }
    }

    /// What rows were kept in.
    pub fn store(&self) -> &RowStore {
        &self.store
    }

    /// The segments of the rows.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The next rows of one segment, at most `limit`, and whether the segment is that of the row before; none at the end.
    pub fn peek(&self, limit: usize) -> Option<(u32, &[Entry], bool)> {
        let run = self.runs.get(self.run..)?.iter().position(|run| run.end > self.next)? + self.run;
        let start = if run == 0 { 0 } else { self.runs[run - 1].end };
        let count = limit.min(self.runs[run].end - self.next);
        // SAFETY: all entries have been written.
        let rows = unsafe { std::slice::from_raw_parts(self.entries.add(self.next), count) };
        Some((self.runs[run].segment, rows, self.next > start))
    }

    /// Goes on by so many rows, which [`Self::peek`] has shown.
    pub fn advance(&mut self, rows: usize) {
        self.next += rows;
        while self.runs.get(self.run).is_some_and(|run| run.end <= self.next) {
            self.run += 1;
        }
    }

    /// Frees its memory.
    pub fn end(self) {
        // SAFETY: made by `new`.
        unsafe { ffi::pfree(self.entries.cast()) };
        self.store.free();
        self.segments.end();
    }
}
