//! What the ordered scans of a hypertable's chunks tell each other when only first rows are wanted.
//!
//! A batch of which all rows meet the conditions, and agree on the keys that have to differ, surely gives a row with its first bound.
//! Batches of any chunk of the same query with the same keys and a later bound are of no use then, and are not opened. So the last row
//! of each series costs one batch of the newest chunk, and not one of each chunk.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::{Rc, Weak};

use pgrx::pg_sys;

use super::key::{Bound, Key};
use crate::pg::ffi;

/// The scans of one query.
pub struct Group {
    /// Rows that are sure to come: of each the keys that have to differ, and the one after them. Sorted by the former, which are different
    /// in each.
    rows: RefCell<Vec<Bound>>,
    /// The list that is being made to take its place.
    next: RefCell<Vec<Bound>>,
    /// Holds their values.
    context: pg_sys::MemoryContext,
}

/// A query that is running, and a place in its plan.
type Place = (*mut pg_sys::EState, u64);

thread_local! {
    static GROUPS: RefCell<Vec<(Place, Weak<Group>)>> = const { RefCell::new(Vec::new()) };
}

impl Group {
    /// The group of scans that a plan gave this number.
    ///
    /// # Safety
    /// An executor that is being initialised.
    pub unsafe fn join(estate: *mut pg_sys::EState, number: u64) -> Rc<Self> {
        let place = (estate, number);
        let known = GROUPS.with_borrow_mut(|groups| {
            groups.retain(|(_, group)| group.strong_count() > 0);
            groups.iter().find(|(other, _)| *other == place).and_then(|(_, group)| group.upgrade())
        });
        known.unwrap_or_else(|| {
            // SAFETY: a context that goes with the query.
            let context = unsafe {
                ffi::AllocSetContextCreateInternal(
                    (*estate).es_query_cxt,
                    c"timescale_compat first rows".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                )
            };
            let group = Rc::new(Self { rows: RefCell::default(), next: RefCell::default(), context });
            GROUPS.with_borrow_mut(|groups| groups.push((place, Rc::downgrade(&group))));
            group
        })
    }

    /// Forgets everything: conditions may have changed.
    pub fn clear(&self) {
        self.rows.borrow_mut().clear();
        // SAFETY: what was there was forgotten.
        unsafe { ffi::MemoryContextReset(self.context) };
    }

    /// Adds a list of rows that are sure to come, like its own.
    ///
    /// # Safety
    /// Bounds of the keys. May jump.
    pub unsafe fn add(&self, keys: &[Key], distinct: usize, bounds: &[Bound]) {
        let width = distinct + 1;
        // SAFETY: the caller's promise. Both lists are here alone; what jumps leaves the old one in place.
        unsafe {
            let (rows, next) = (&mut *self.rows.as_ptr(), &mut *self.next.as_ptr());
            next.clear();
            let mut at = 0;
            for sure in bounds.chunks_exact(width) {
                let mut row = rows[at..].chunks_exact(width).next();
                while let Some(known) = row.filter(|known| compare(keys, distinct, known, sure) == Ordering::Less) {
                    next.extend_from_slice(known);
                    at += width;
                    row = rows[at..].chunks_exact(width).next();
                }
                let known = row.filter(|known| compare(keys, distinct, known, sure) == Ordering::Equal);
                if known.is_some() {
                    at += width;
                }
                match known.filter(|known| keys[distinct].compare_bounds(known[distinct], sure[distinct]) != Ordering::Greater) {
                    Some(known) => next.extend_from_slice(known),
                    None => {
                        for (key, bound) in keys.iter().zip(sure) {
                            next.push(self.copy(key, *bound));
                        }
                    }
                }
            }
            next.extend_from_slice(&rows[at..]);
            std::mem::swap(rows, next);
        }
    }

    /// # Safety
    /// As [`Self::add`].
    unsafe fn copy(&self, key: &Key, bound: Bound) -> Bound {
        let Bound::Value(value) = bound else { return bound };
        // SAFETY: the caller's promise.
        unsafe {
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            let value = key.copy(value);
            pg_sys::CurrentMemoryContext = outer;
            Bound::Value(value)
        }
    }

    /// True if a row that is sure to come comes before all rows of a batch that agree with it on the keys that have to differ.
    ///
    /// # Safety
    /// Bounds of the keys, constant as far as they have to differ. May jump.
    pub unsafe fn surpasses(&self, keys: &[Key], distinct: usize, bounds: &[Bound]) -> bool {
        // SAFETY: the caller's promise; nothing changes the list meanwhile.
        unsafe {
            let rows = &*self.rows.as_ptr();
            let width = distinct + 1;
            let (mut low, mut high) = (0, rows.len() / width);
            while low < high {
                let middle = (low + high) / 2;
                let row = &rows[middle * width..][..width];
                match compare(keys, distinct, row, bounds) {
                    Ordering::Less => low = middle + 1,
                    Ordering::Greater => high = middle,
                    Ordering::Equal => {
                        let Some(bound) = bounds.get(distinct) else { return false };
                        return keys[distinct].compare_bounds(row[distinct], *bound) == Ordering::Less;
                    }
                }
            }
            false
        }
    }
}

/// # Safety
/// As [`Group::add`].
unsafe fn compare(keys: &[Key], distinct: usize, one: &[Bound], other: &[Bound]) -> Ordering {
    for index in 0..distinct.min(one.len()) {
        // SAFETY: the caller's promise.
        let order = unsafe { keys[index].compare_bounds(one[index], other[index]) };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
