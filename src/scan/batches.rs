//! The rows of a chunk's batches, one after the other, those that can't meet the conditions left out.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::pg_sys;

use super::columns::Columns;
use super::sample::Sample;
use crate::columnar::batch_scan::BatchScan;
use crate::columnar::blocks::Blocks;
use crate::columnar::filter::{self, Filter, Verdict, WORDS};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::ffi;
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

/// What the processes of a parallel scan share, before the position in the batch table.
#[derive(Default)]
#[repr(C)]
pub struct Shared {
    read: AtomicU64,
    skipped: AtomicU64,
    removed: AtomicU64,
}

/// Where the position begins (`MAXALIGN`).
const HEADER: usize = size_of::<Shared>().next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize);

impl Shared {
    /// # Safety
    /// As large as [`Batches::shared_size`] says.
    unsafe fn scan(shared: *mut Self) -> pg_sys::ParallelTableScanDesc {
        // SAFETY: the caller's promise.
        unsafe { shared.cast::<u8>().add(HEADER).cast() }
    }
}

/// A scan of batches.
pub struct Batches {
    pub(super) scan: BatchScan,
    pub(super) reader: BatchReader,
    /// What all readers of this scan fetch blocks by.
    pub(super) blocks: Box<Blocks>,
    pub(super) filter: Filter,
    pub(super) columns: Columns,
    pub(super) layout: Rc<Layout>,
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
    /// TABLESAMPLE
    pub sample: Option<Sample>,
    /// What the processes of a parallel scan share; NULL if it is none.
    shared: *mut Shared,
    /// For EXPLAIN.
    pub counters: Counters,
}

impl Batches {
    /// A scan that has not begun. `econtext` is its own.
    pub fn new(scan: BatchScan, mut reader: BatchReader, filter: Filter, columns: Columns, econtext: *mut pg_sys::ExprContext) -> Self {
        let layout = Rc::clone(reader.layout());
        let mut blocks = Box::new(Blocks::new(scan.relation()));
        // SAFETY: it lives in a box as long as the reader.
        unsafe { reader.fetch_by(&raw mut *blocks) };
        Self {
            scan,
            reader,
            blocks,
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
            sample: None,
            shared: std::ptr::null_mut(),
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
                    ffi::raw::ProcessInterrupts();
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
                let selected = match &self.sample {
                    Some(sample) if selected > 0 => sample.thin(&self.reader, vector, &mut self.selection),
                    _ => selected,
                };
                if selected > 0 {
                    self.vector = vector;
                    self.columns.load(&mut self.reader, vector, filter::extent(&self.selection));
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

    /// Begins the scan of the batch table.
    ///
    /// # Safety
    /// As [`Self::next`].
    #[cold]
    pub unsafe fn start(&mut self) {
        // SAFETY: nothing with a destructor is pending.
        unsafe {
            boundary(|| {
                self.filter.prepare(self.econtext);
                if let Some(sample) = &mut self.sample {
                    sample.prepare(self.econtext)?;
                }
                if self.shared.is_null() {
                    self.scan.start(&self.layout, &self.filter);
                } else {
                    self.scan.start_parallel(Shared::scan(self.shared));
                }
                Ok(())
            });
        }
        self.is_started = true;
    }

    /// The memory that the processes of a parallel scan share.
    pub fn shared_size(&self, snapshot: pg_sys::Snapshot) -> usize {
        // SAFETY: an open table.
        HEADER + unsafe { ffi::table_parallelscan_estimate(self.scan.relation(), snapshot) }
    }

    /// Fills it, in the leader.
    ///
    /// # Safety
    /// `shared` is as large as [`Self::shared_size`] says.
    pub unsafe fn share(&mut self, shared: *mut Shared, snapshot: pg_sys::Snapshot) {
        // SAFETY: the caller's promise.
        unsafe {
            shared.write(Shared::default());
            ffi::table_parallelscan_initialize(self.scan.relation(), Shared::scan(shared), snapshot);
        }
        self.shared = shared;
    }

    /// Has all processes begin anew.
    ///
    /// # Safety
    /// Filled by [`Self::share`]; only the leader is running.
    pub unsafe fn share_again(&mut self, shared: *mut Shared) {
        // SAFETY: the caller's promise; for a heap this only resets the position.
        unsafe { ffi::table_block_parallelscan_reinitialize(self.scan.relation(), Shared::scan(shared)) };
    }

    /// Joins, in a worker.
    pub fn join(&mut self, shared: *mut Shared) {
        self.shared = shared;
    }

    /// Brings what workers counted to the leader.
    ///
    /// # Safety
    /// The shared memory is still there.
    pub unsafe fn count_all(&mut self, is_worker: bool) {
        // SAFETY: the caller's promise.
        let Some(shared) = (unsafe { self.shared.as_ref() }) else { return };
        let counters = &mut self.counters;
        let own = [&mut counters.read, &mut counters.skipped, &mut counters.removed];
        for (own, all) in own.into_iter().zip([&shared.read, &shared.skipped, &shared.removed]) {
            if is_worker {
                all.fetch_add(std::mem::take(own), Ordering::Relaxed);
            } else {
                *own += all.swap(0, Ordering::Relaxed);
            }
        }
        // It goes before the node does.
        self.shared = std::ptr::null_mut();
    }

    /// Closes the batch table.
    ///
    /// # Safety
    /// Called once, within the query that made it.
    pub unsafe fn end(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            self.blocks.end();
            self.scan.end();
        }
    }
}
