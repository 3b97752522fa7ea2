//! Batches merged into one order.
//!
//! All batches are looked at first, and sorted by what is known of their first rows. One is opened when no row that comes before it is
//! left, so that a query with a LIMIT opens few. Should so many have to be open at once that memory runs out, all rows that are left are
//! sorted by PostgreSQL's tuplesort instead.

mod heap;
mod result;
mod runs;
mod sorted;

use std::cmp::Ordering;
use std::rc::Rc;

use pgrx::pg_sys;

use super::batches::Batches;
use super::firsts::Group;
use super::key::{Bound, Key, compare_rows};
use super::run::{Run, Size, Way};
use crate::columnar::filter::Verdict;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::boundary;
use crate::pg::slot;
use crate::pg::sort::{SortKey, Sorter};

/// Open batches may take so many times the memory of a hash table, counted over all chunks of a query: sorting all rows instead costs far
/// more.
const MEMORY: usize = 16;

/// A batch that has not been opened.
#[derive(Clone, Copy)]
struct Entry {
    tid: pg_sys::ItemPointerData,
    /// Its bounds, in `Merge::bounds`.
    first: usize,
    count: usize,
    /// So many of its keys have one value in all rows.
    constant: usize,
    /// All rows meet the filter.
    all: bool,
}

/// An open batch in the heap.
struct Open {
    /// The rank of its row's first key: mostly all that has to be compared.
    rank: u64,
    run: Box<Run>,
}

/// An ordered scan of batches.
pub struct Merge {
    /// The scan.
    pub base: Batches,
    /// The keys.
    pub keys: Vec<Key>,
    /// Only the first row of those that agree on so many keys is wanted; 0 if all are.
    distinct: usize,
    /// The scans that want first rows together.
    group: Option<Rc<Group>>,
    /// What this one tells the others.
    sure: Vec<Bound>,
    /// Ranks are all that there is to compare.
    rank_decides: bool,
    /// The way to read a batch of one segment.
    way: Way,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
    /// The node's scan slot.
    target: *mut pg_sys::TupleTableSlot,
    /// The result slot, if rows of open batches are written there at once.
    result: *mut pg_sys::TupleTableSlot,
    /// For each column of a run, which one of the result it is; beyond the result's columns if none.
    places: Vec<usize>,
    /// Where runs and bounds live.
    context: pg_sys::MemoryContext,
    /// Copies of bounds; reset by a rescan.
    bounds_context: pg_sys::MemoryContext,
    bounds: Vec<Bound>,
    /// The next one last.
    entries: Vec<Entry>,
    /// A heap, the row that comes first on top.
    open: Vec<Open>,
    #[expect(clippy::vec_box, reason = "a run that is open is in a box, and comes here in it")]
    spare: Vec<Box<Run>>,
    /// The top's row was looked at.
    is_used: bool,
    /// The row that it stands on was not taken.
    is_ready: bool,
    is_started: bool,
    /// The keys that were handed on last, of which no more rows are wanted.
    seen: Vec<Option<pg_sys::Datum>>,
    has_seen: bool,
    seen_context: pg_sys::MemoryContext,
    /// All that is left, once memory ran out.
    sorter: Option<Sorter>,
    sorted_key: Vec<Option<pg_sys::Datum>>,
}

unsafe fn context(name: &'static std::ffi::CStr) -> pg_sys::MemoryContext {
    // SAFETY: a context below the current one.
    unsafe {
        ffi::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            name.as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}

impl Merge {
    /// A scan that has not begun, in the current memory context.
    ///
    /// # Safety
    /// `target` is the node's scan slot.
    pub unsafe fn new(
        base: Batches,
        keys: Vec<Key>,
        distinct: usize,
        snapshot: pg_sys::Snapshot,
        target: *mut pg_sys::TupleTableSlot,
    ) -> Self {
        // SAFETY: the batch table is open; slots don't pin a copy of its descriptor.
        unsafe {
            let desc = ffi::CreateTupleDescCopy((*base.scan.relation()).rd_att);
            Self {
                rank_decides: keys.len() == 1 && keys[0].has_exact_rank(),
                way: way(&base, &keys),
                sorted_key: vec![None; keys.len()],
                base,
                keys,
                distinct,
                group: None,
                sure: Vec::new(),
                snapshot,
                slot: ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsBufferHeapTuple),
                target,
                result: std::ptr::null_mut(),
                places: Vec::new(),
                context: pg_sys::CurrentMemoryContext,
                bounds_context: context(c"timescale_compat bounds"),
                bounds: Vec::new(),
                entries: Vec::new(),
                open: Vec::new(),
                spare: Vec::new(),
                is_used: false,
                is_ready: false,
                is_started: false,
                seen: Vec::new(),
                has_seen: false,
                seen_context: context(c"timescale_compat last row"),
                sorter: None,
            }
        }
    }

    /// Joins scans that want first rows together. Only if the filter is all that decides on rows.
    pub fn join(&mut self, group: Rc<Group>) {
        if self.distinct > 0 && self.distinct < self.keys.len() {
            self.group = Some(group);
        }
    }

    /// Has the scan begin anew.
    pub fn restart(&mut self) {
        self.base.restart();
        if let Some(group) = &self.group {
            group.clear();
        }
        self.release();
        self.entries.clear();
        self.bounds.clear();
        self.is_used = false;
        self.is_ready = false;
        self.is_started = false;
        self.has_seen = false;
        if let Some(sorter) = self.sorter.take() {
            sorter.end();
        }
    }

    /// Makes sure that it stands on a row that was not taken; false at the end.
    ///
    /// # Safety
    /// Within the query that made it. May jump.
    #[inline]
    pub unsafe fn peek(&mut self) -> bool {
        // SAFETY: the caller's promise.
        self.is_ready || unsafe { self.advance() }
    }

    /// Takes the row that it stands on, which stays where it is until [`Self::peek`] is called again.
    pub fn take(&mut self) {
        self.is_ready = false;
    }

    /// Moves to the next row; false at the end.
    ///
    /// # Safety
    /// As [`Self::peek`].
    unsafe fn advance(&mut self) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.is_started {
                self.start();
            }
            loop {
                if self.sorter.is_some() {
                    if !self.advance_sorted() {
                        return false;
                    }
                } else if !self.advance_open() {
                    if self.sorter.is_some() {
                        continue;
                    }
                    return false;
                }
                if self.is_wanted() {
                    self.is_ready = true;
                    return true;
                }
            }
        }
    }

    /// The keys of the row that it stands on.
    pub fn key(&self) -> &[Option<pg_sys::Datum>] {
        if self.sorter.is_some() { &self.sorted_key } else { self.open.first().map_or(&[], |top| &top.run.key) }
    }

    /// Writes the row that it stands on to the scan slot's arrays.
    ///
    /// # Safety
    /// After [`Self::peek`]. May jump.
    pub unsafe fn fill(&mut self) {
        // SAFETY: the caller's promise. A sorted row is there already.
        unsafe {
            if self.sorter.is_none()
                && let Some(top) = self.open.first_mut()
            {
                top.run.fill(&mut self.base.columns);
            }
        }
    }

    /// Says that the row met all conditions and was handed on.
    ///
    /// # Safety
    /// After [`Self::peek`]. May jump.
    pub unsafe fn used(&mut self) {
        if self.distinct == 0 {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            raw::MemoryContextReset(self.seen_context);
            self.seen.clear();
            for index in 0..self.distinct {
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = self.seen_context;
                let value = match self.key()[index] {
                    Some(value) => Some(self.keys[index].copy(value)),
                    None => None,
                };
                pg_sys::CurrentMemoryContext = outer;
                self.seen.push(value);
            }
        }
        self.has_seen = true;
    }

    /// False for a row that agrees with the last one where rows have to differ.
    unsafe fn is_wanted(&self) -> bool {
        // SAFETY: as for `advance`.
        !self.has_seen || unsafe { compare_rows(&self.keys[..self.distinct], &self.key()[..self.distinct], &self.seen) } != Ordering::Equal
    }

    /// Looks at all batches.
    #[cold]
    unsafe fn start(&mut self) {
        // SAFETY: as for `advance`.
        unsafe {
            self.base.start();
            raw::MemoryContextReset(self.bounds_context);
            let base = &mut self.base;
            while base.scan.next(&base.filter, &mut base.reader) {
                let verdict = base.filter.check(&mut base.reader);
                if verdict == Verdict::Nothing || base.reader.rows() == 0 {
                    base.counters.skipped += 1;
                    base.counters.removed += base.reader.rows() as u64;
                    continue;
                }
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = self.bounds_context;
                let first = self.bounds.len();
                let mut constant = 0;
                for key in &self.keys {
                    let (bound, is_constant) = key.bound(&base.reader);
                    self.bounds.push(bound);
                    if !is_constant {
                        break;
                    }
                    constant += 1;
                }
                pg_sys::CurrentMemoryContext = outer;
                let count = self.bounds.len() - first;
                self.entries.push(Entry { tid: base.reader.tid(), first, count, constant, all: verdict == Verdict::All });
            }
            let (keys, bounds) = (&self.keys, &self.bounds);
            self.entries.sort_unstable_by(|one, other| compare_entries(keys, bounds, other, one));
            self.tell();
        }
        self.is_started = true;
    }

    /// Tells the others which rows are sure to come.
    unsafe fn tell(&mut self) {
        let Some(group) = &self.group else { return };
        let distinct = self.distinct;
        self.sure.clear();
        for entry in self.entries.iter().rev() {
            if !entry.all || entry.constant < distinct || entry.count <= distinct {
                continue;
            }
            let bounds = &self.bounds[entry.first..][..=distinct];
            if matches!(bounds[distinct], Bound::Any) {
                continue;
            }
            // The first one of each comes first.
            let last = self.sure.len().checked_sub(distinct + 1).map(|at| &self.sure[at..]);
            // SAFETY: as for `advance`.
            let is_new = last.is_none_or(|last| unsafe {
                (0..distinct).any(|index| self.keys[index].compare_bounds(last[index], bounds[index]) != Ordering::Equal)
            });
            if is_new {
                self.sure.extend_from_slice(bounds);
            }
        }
        // SAFETY: as for `advance`.
        unsafe { group.add(&self.keys, distinct, &self.sure) };
    }

    /// Moves on among the open batches, and opens those that may have the next row. False at the end, or when memory ran out.
    unsafe fn advance_open(&mut self) -> bool {
        // SAFETY: as for `advance`.
        unsafe {
            if self.is_used {
                self.is_used = false;
                if self.top_is_done() {
                    self.close_top();
                } else {
                    let (filter, key) = (&mut self.base.filter, &self.keys[0]);
                    let more = self.open.first_mut().is_some_and(|top| {
                        let more = top.run.advance(filter);
                        top.rank = key.rank(top.run.key[0]);
                        more
                    });
                    if more { self.sift_down(0) } else { self.close_top() }
                }
            }
            while let Some(entry) = self.entries.last().copied() {
                if self.is_after_top(&entry) {
                    break;
                }
                self.entries.pop();
                if self.is_unwanted(&entry) {
                    self.base.counters.skipped += 1;
                    continue;
                }
                self.open(&entry);
                if self.is_too_large() {
                    self.sort_rest();
                    return false;
                }
            }
            self.is_used = !self.open.is_empty();
            self.is_used
        }
    }

    /// True if all further rows of the top agree with the last one where rows have to differ.
    unsafe fn top_is_done(&self) -> bool {
        // SAFETY: as for `advance`.
        self.has_seen && self.open.first().is_some_and(|top| top.run.constant >= self.distinct) && unsafe { !self.is_wanted() }
    }

    /// True if the top's row may come before all rows of a batch.
    unsafe fn is_after_top(&self, entry: &Entry) -> bool {
        let Some(top) = self.open.first() else { return false };
        let top = &top.run;
        for index in 0..entry.count {
            let bound = self.bounds[entry.first + index];
            if matches!(bound, Bound::Any) {
                return false;
            }
            // SAFETY: as for `advance`.
            match unsafe { self.keys[index].compare(bound.value(), top.key[index]) } {
                Ordering::Greater => return true,
                Ordering::Less => return false,
                Ordering::Equal => {}
            }
        }
        // Among equals any may come first.
        entry.count == self.keys.len()
    }

    /// True for a batch of which all rows agree with the last one where rows have to differ.
    unsafe fn is_unwanted(&self, entry: &Entry) -> bool {
        if self.distinct == 0 || entry.constant < self.distinct {
            return false;
        }
        let bounds = &self.bounds[entry.first..][..entry.count];
        // SAFETY: as for `advance`.
        if self.group.as_ref().is_some_and(|group| unsafe { group.surpasses(&self.keys, self.distinct, bounds) }) {
            return true;
        }
        // SAFETY: as for `advance`.
        let is_seen = |index: usize| unsafe { self.keys[index].compare(bounds[index].value(), self.seen[index]) } == Ordering::Equal;
        self.has_seen && (0..self.distinct).all(is_seen)
    }

    /// True if the open batches of all scans take too much memory.
    fn is_too_large(&self) -> bool {
        // SAFETY: a setting.
        let limit = unsafe { ffi::raw::get_hash_memory_limit() };
        self.open.len() > 1 && Size::total() > limit.saturating_mul(MEMORY)
    }

    /// Closes all batches, and frees what they took.
    fn release(&mut self) {
        for run in self.open.drain(..).map(|open| open.run).chain(self.spare.drain(..)) {
            run.end();
        }
    }

    /// Closes the batch table.
    ///
    /// # Safety
    /// Called once, within the query that made it.
    pub unsafe fn end(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(sorter) = self.sorter.take() {
                sorter.end();
            }
            self.base.end();
        }
    }
}

/// How a batch of one segment is to be read for the keys.
fn way(base: &Batches, keys: &[Key]) -> Way {
    let layout = &base.layout;
    let orders = keys.iter().filter(|key| !key.is_segment());
    let mut reversed = None;
    for (index, key) in orders.enumerate() {
        let Some(expected) = layout.keys.get(layout.segments + index) else { return Way::Sorted };
        let Some(direction) = key.direction(layout) else { return Way::Sorted };
        if expected.column != key.column || reversed.is_some_and(|reversed| reversed != direction) {
            return Way::Sorted;
        }
        reversed = Some(direction);
    }
    if reversed == Some(true) { Way::Backward } else { Way::Forward }
}

/// Which of two batches may come first.
///
/// # Safety
/// Bounds of the keys. May jump.
unsafe fn compare_entries(keys: &[Key], bounds: &[Bound], one: &Entry, other: &Entry) -> Ordering {
    for index in 0..one.count.min(other.count) {
        // SAFETY: the caller's promise.
        let order = unsafe { keys[index].compare_bounds(bounds[one.first + index], bounds[other.first + index]) };
        if order != Ordering::Equal {
            return order;
        }
    }
    one.count.cmp(&other.count)
}
