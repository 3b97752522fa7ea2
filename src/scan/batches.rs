//! The rows of a chunk's batches, one after the other, those that can't meet the conditions left out.

use std::rc::Rc;

use pgrx::pg_sys;

use super::columns::Columns;
use crate::columnar::batch_scan::BatchScan;
use crate::columnar::filter::{self, Filter, Verdict, WORDS};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::guard::boundary;

/// What EXPLAIN ANALYZE tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Batches of which vectors were looked at.
    pub read: u64,
    /// Batches that their bounds told to be of no use.
    pub skipped: u64,
    /// Rows that did not meet the conditions on vectors.
    pub removed: u64,
}

/// A scan of batches.
pub struct Batches {
    scan: BatchScan,
    reader: BatchReader,
    filter: Filter,
    columns: Columns,
    layout: Rc<Layout>,
    econtext: *mut pg_sys::ExprContext,
    is_started: bool,
    /// The vector that rows come from.
    vector: usize,
    /// Rows of it that are still to come: the word that is being read, and those after it.
    word: usize,
    bits: u64,
    selection: [u64; WORDS],
    /// The next vector of the batch; beyond its vectors if another batch is to be opened.
    next_vector: usize,
    all: bool,
    /// For EXPLAIN.
    pub counters: Counters,
}

impl Batches {
    /// A scan that has not begun. `econtext` is its own.
    pub fn new(scan: BatchScan, reader: BatchReader, filter: Filter, columns: Columns, econtext: *mut pg_sys::ExprContext) -> Self {
        let layout = Rc::clone(reader.layout());
        Self {
            scan,
            reader,
            filter,
            columns,
            layout,
            econtext,
            is_started: false,
            vector: 0,
            word: WORDS,
            bits: 0,
            selection: [0; WORDS],
            next_vector: usize::MAX,
            all: false,
            counters: Counters::default(),
        }
    }

    /// Has the next call of [`Self::next`] begin anew.
    pub fn restart(&mut self) {
        self.is_started = false;
        self.bits = 0;
        self.word = WORDS;
        self.next_vector = usize::MAX;
    }

    /// Fills the slot's arrays with the next row; false at the end.
    ///
    /// # Safety
    /// Within the query that made it. May jump.
    #[inline]
    pub unsafe fn next(&mut self) -> bool {
        // SAFETY: the caller's promise; bits are set for rows of the loaded vector only.
        unsafe {
            if self.bits == 0 && !self.advance() {
                return false;
            }
            let row = self.word * 64 + self.bits.trailing_zeros() as usize;
            self.bits &= self.bits - 1;
            self.columns.fill(&mut self.reader, self.vector, row);
            true
        }
    }

    /// Moves on to the next word of the selection that has rows; false at the end.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn advance(&mut self) -> bool {
        loop {
            while self.word + 1 < WORDS {
                self.word += 1;
                self.bits = self.selection[self.word];
                if self.bits != 0 {
                    return true;
                }
            }
            // SAFETY: the caller's promise.
            if unsafe { !self.next_selection() } {
                return false;
            }
            self.word = 0;
            self.bits = self.selection[0];
            if self.bits != 0 {
                return true;
            }
        }
    }

    /// Loads the next vector with rows that are wanted; false at the end.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn next_selection(&mut self) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                if self.next_vector >= self.reader.vectors() && !self.next_batch() {
                    return false;
                }
                if pg_sys::InterruptPending != 0 {
                    crate::pg::ffi::raw::ProcessInterrupts();
                }
                let vector = self.next_vector;
                self.next_vector += 1;
                let rows = self.reader.vector_rows(vector);
                let selected = if self.all {
                    filter::fill(&mut self.selection, rows);
                    rows
                } else {
                    self.filter.select(&mut self.reader, vector, &mut self.selection)
                };
                self.counters.removed += (rows - selected) as u64;
                if selected > 0 {
                    self.vector = vector;
                    self.columns.load(&mut self.reader, vector);
                    return true;
                }
            }
        }
    }

    /// Opens the next batch that may have rows that are wanted; false at the end.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn next_batch(&mut self) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.is_started {
                self.start();
            }
            while self.scan.next(&self.filter, &mut self.reader) {
                match self.filter.check(&mut self.reader) {
                    Verdict::Nothing => {
                        self.counters.skipped += 1;
                        self.counters.removed += self.reader.rows() as u64;
                    }
                    verdict => {
                        self.counters.read += 1;
                        self.all = verdict == Verdict::All;
                        self.next_vector = 0;
                        if self.reader.rows() > 0 {
                            return true;
                        }
                    }
                }
            }
            self.next_vector = usize::MAX;
            false
        }
    }

    #[cold]
    unsafe fn start(&mut self) {
        // SAFETY: nothing with a destructor is pending.
        unsafe {
            boundary(|| {
                self.filter.prepare(self.econtext);
                self.scan.start(&self.layout, &self.filter);
                Ok(())
            });
        }
        self.is_started = true;
    }

    /// Closes the batch table.
    ///
    /// # Safety
    /// Called once, within the query that made it.
    pub unsafe fn end(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { self.scan.end() }
    }
}
