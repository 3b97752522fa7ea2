//! What the running transaction changed in one hypertable.
//!
//! Entries are made once per backend and hypertable and never freed, so that plain pointers to them ([`super::Recorder`]) may lie in
//! memory that an ERROR drops. The end of the transaction empties them.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;
use tsc_kernel::ranges::{Range, Ranges};

use super::log;
use crate::catalog::hypertable::Hypertable;
use crate::pg::xact;

/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// When a set has grown to so many ranges, its smallest gaps are closed, down to half of them.
const MOST_RANGES: usize = 256;

/// Times of many rows lie in few ranges: the last one is kept apart, where a comparison finds it.
pub struct Entry {
    /// The hypertable.
    pub hypertable: pg_sys::Oid,
    /// The range that was hit last; it holds nothing if low > high. A part of `changes`.
    pub low: i64,
    /// Its end.
    pub high: i64,
    grain: i64,
    origin: i64,
    changes: Ranges,
}

thread_local! {
    static ENTRIES: RefCell<Vec<*mut Entry>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Where buckets begin unless they are told otherwise: a Monday.
fn origin(axis: Option<Axis>) -> i64 {
    match axis {
        Some(Axis::Timestamp | Axis::Uuid) => 2 * DAY,
        Some(Axis::Date) => 2,
        _ => 0,
    }
}

/// A reference to an entry for a moment.
pub struct Borrowed(*mut Entry);

impl std::ops::Deref for Borrowed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        // SAFETY: entries are never freed, and a backend has one thread; a Borrowed does not outlive the call that asked for it.
        unsafe { &*self.0 }
    }
}

impl std::ops::DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Entry {
        // SAFETY: as above; nothing that is called while it lives looks for an entry.
        unsafe { &mut *self.0 }
    }
}

/// The entry of a hypertable, if the backend has one.
pub fn find(hypertable: pg_sys::Oid) -> Option<Borrowed> {
    // SAFETY: entries are never freed.
    ENTRIES.with_borrow(|entries| entries.iter().find(|entry| unsafe { (***entry).hypertable } == hypertable).map(|entry| Borrowed(*entry)))
}

/// The entry of a hypertable, made if there is none, for changes in multiples of `grain`.
pub fn ensure(hypertable: &Hypertable, grain: i64) -> *mut Entry {
    if !REGISTERED.replace(true) {
        xact::before_end(log::before_end);
        xact::at_end(log::at_end);
    }
    if let Some(mut entry) = find(hypertable.relid) {
        entry.grain = grain;
        return entry.0;
    }
    let (relid, origin) = (hypertable.relid, origin(hypertable.time().axis()));
    let entry = Entry { hypertable: relid, low: i64::MAX, high: i64::MIN, grain, origin, changes: Ranges::EMPTY };
    let entry = Box::into_raw(Box::new(entry));
    ENTRIES.with_borrow_mut(|entries| entries.push(entry));
    entry
}

/// The entries that have changes.
pub fn changed() -> impl Iterator<Item = Borrowed> {
    let count = ENTRIES.with_borrow(Vec::len);
    let at = |index: usize| ENTRIES.with_borrow(|entries| entries.get(index).map(|entry| Borrowed(*entry)));
    (0..count).filter_map(at).filter(|entry| !entry.changes.is_empty())
}

impl Entry {
    /// Adds a range, rounded outward.
    #[cold]
    pub fn add(&mut self, range: Range) {
        // Rows of many series come in turns: their times are there already.
        let known = self.changes.find(range.low).filter(|found| range.high <= found.high);
        let Range { low, high } = known.unwrap_or_else(|| {
            let range = super::range::outward(range, self.grain, self.origin);
            let joined = self.changes.insert(range);
            if self.changes.as_slice().len() > MOST_RANGES {
                self.changes.coarsen(MOST_RANGES / 2);
            }
            joined
        });
        (self.low, self.high) = (low, high);
    }

    /// All changes so far.
    pub fn changes(&self) -> &Ranges {
        &self.changes
    }

    /// Forgets all changes: the transaction has ended.
    pub fn clear(&mut self) {
        (self.low, self.high) = (i64::MAX, i64::MIN);
        self.changes.clear();
    }
}
