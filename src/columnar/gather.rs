//! Sorted rows that are in memory into a [`Builder`], column by column: the processor then waits for many records at once.

use super::batch_rows::Source;
use super::builder::{Builder, Cut};
use super::image::Image;
use super::row_order::{Entry, SortedRows};
use super::row_store::{Cell, RowStore, word};
use super::value;
use crate::pg::ffi::raw;
use pgrx::pg_sys;
use tsc_codec::Column as Data;

/// Rows that are added at once: their records fit into the processor's cache.
const BLOCK: usize = 256;
/// If a row may have larger values (bytes), each is added by itself, so that a batch can be cut behind it.
const LARGE: usize = 8192;

impl Source for SortedRows {
    unsafe fn fill(&mut self, builder: &mut Builder) -> usize {
        // SAFETY: the rows are rows of the chunk.
        unsafe {
            let block = if self.store().largest() > LARGE { 1 } else { BLOCK };
            loop {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                let Some((segment, rows, continues)) = self.peek(block) else { return builder.next_cut() };
                if let Cut::Rows(rows) = builder.cut_within(continues) {
                    return rows;
                }
                let rows = &rows[..rows.len().min(builder.room())];
                builder.push_records(self, segment, rows);
                let added = rows.len();
                self.advance(added);
            }
        }
    }
}

impl Builder {
    /// Adds rows of one segment.
    ///
    /// # Safety
    /// Entries of `sorted`, whose rows are of the chunk. May jump; what is palloc'd may go with the next batch.
    unsafe fn push_records(&mut self, sorted: &SortedRows, segment: u32, rows: &[Entry]) {
        for building in &mut self.columns {
            let attribute = building.column.attribute;
            let (data, image) = (&mut building.pending, building.column.image);
            let before = data.data.len();
            let cell = if attribute == 0 { Cell::None } else { sorted.store().cell(attribute) };
            // SAFETY: the caller's promise.
            unsafe {
                match cell {
                    Cell::None => (0..rows.len()).for_each(|_| data.push_null()),
                    Cell::Segment(place) => {
                        let value = sorted.segments().value(segment, place);
                        push_repeated(image, building.column.length, data, value, rows.len());
                    }
                    Cell::Word { at, length, .. } if image == Image::Word && !sorted.store().has_nulls(cell) => {
                        push_words(data, at, length, rows);
                    }
                    _ => push_each(sorted.store(), cell, image, data, rows),
                }
            }
            self.bytes += data.data.len() - before;
        }
        self.rows += rows.len();
    }
}

/// # Safety
/// A value of the image's type. May jump.
unsafe fn push_repeated(image: Image, length: i16, data: &mut Data, value: Option<pg_sys::Datum>, rows: usize) {
    match value {
        None => (0..rows).for_each(|_| data.push_null()),
        Some(value) if image == Image::Word => {
            let word = value::canonical(value, length).value() as i64;
            data.push_words(std::iter::repeat_n(word, rows));
        }
        Some(value) => {
            // SAFETY: the caller's promise.
            let bytes = unsafe { value::bytes(image, value) };
            (0..rows).for_each(|_| data.push_bytes(bytes));
        }
    }
}

/// # Safety
/// Entries of a store with such a cell that is never NULL.
unsafe fn push_words(data: &mut Data, at: u32, length: u8, rows: &[Entry]) {
    // SAFETY: the caller's promise. The length is told apart once for all rows.
    unsafe {
        match length {
            8 => data.push_words(rows.iter().map(|row| word(row.record, at, 8))),
            4 => data.push_words(rows.iter().map(|row| word(row.record, at, 4))),
            2 => data.push_words(rows.iter().map(|row| word(row.record, at, 2))),
            _ => data.push_words(rows.iter().map(|row| word(row.record, at, 1))),
        }
    }
}

/// # Safety
/// Entries of the store. May jump.
unsafe fn push_each(store: &RowStore, cell: Cell, image: Image, data: &mut Data, rows: &[Entry]) {
    for row in rows {
        // SAFETY: the caller's promise.
        unsafe {
            match store.value(row.record, cell) {
                Some(value) => value::push(image, data, value),
                None => data.push_null(),
            }
        }
    }
}
