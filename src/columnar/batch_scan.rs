//! Finding batches: by the index on their keys if a filter says enough about them, else by reading the batch table from end to end.

use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::select::Comparison;

use super::filter::{Compare, Filter};
use super::layout::Layout;
use super::reader::BatchReader;
use crate::pg::ffi::{self, raw};

/// A scan of a batch table. Plain data: what it holds is freed by [`Self::end`], or with the query's resource owner and memory context.
#[derive(Clone, Copy)]
pub struct BatchScan {
    relation: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
    heap: pg_sys::TableScanDesc,
    by_index: pg_sys::IndexScanDesc,
    /// Which of the classes of batches the index is being searched for.
    class: usize,
}

/// Batches by `_ts_meta_single`: with one segment, with several, with keys that were too long to be kept.
const CLASSES: usize = 3;

impl BatchScan {
    /// Opens the batch table of a chunk that the caller has locked. Batches are found after [`Self::start`].
    pub fn open(layout: &Layout, snapshot: pg_sys::Snapshot) -> Self {
        layout.require_sound();
        // SAFETY: the batch table lives as long as the chunk's lock is held.
        unsafe {
            let relation = ffi::table_open(layout.batches, pg_sys::AccessShareLock as i32);
            Self {
                relation,
                index: std::ptr::null_mut(),
                snapshot,
                slot: ffi::table_slot_create(relation, std::ptr::null_mut()),
                heap: std::ptr::null_mut(),
                by_index: std::ptr::null_mut(),
                class: 0,
            }
        }
    }

    /// The batch table.
    pub fn relation(&self) -> pg_sys::Relation {
        self.relation
    }

    /// Begins, or begins anew, with a prepared filter.
    ///
    /// # Safety
    /// The filter was compiled for the same layout.
    pub unsafe fn start(&mut self, layout: &Rc<Layout>, filter: &Filter) {
        // SAFETY: the caller's promise; a scan that was begun is ended first.
        unsafe {
            self.stop();
            if searches_index(layout, filter) {
                if self.index.is_null() {
                    self.index = ffi::index_open(layout.index, pg_sys::AccessShareLock as i32);
                }
                self.class = 0;
                self.start_class(layout, filter);
            } else {
                let flags =
                    pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_STRAT | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
                let none = std::ptr::null_mut();
                self.heap = ffi::heap_beginscan(self.relation, self.snapshot, 0, none, none.cast(), flags);
            }
        }
    }

    /// Begins the share of one process in a parallel scan, whose state lies in shared memory.
    ///
    /// # Safety
    /// `shared` was initialised for this batch table by `table_parallelscan_initialize`.
    pub unsafe fn start_parallel(&mut self, shared: pg_sys::ParallelTableScanDesc) {
        // SAFETY: the caller's promise.
        unsafe {
            self.stop();
            self.heap = ffi::table_beginscan_parallel(self.relation, shared);
        }
    }

    /// # Safety
    /// The index is open.
    unsafe fn start_class(&mut self, layout: &Layout, filter: &Filter) {
        let mut keys = Vec::new();
        // SAFETY: the index's descriptor is that of the batch table's index.
        unsafe {
            let form = &*(*self.index).rd_index;
            let position = |attribute: i16| form.indkey.values.as_slice(form.indnkeyatts as usize).iter().position(|key| *key == attribute);
            if let Some(at) = position(layout.single) {
                keys.push(class_key(self.class, at));
            }
            for compare in filter.comparisons() {
                let Some(key) = layout.key_of(compare.column) else { continue };
                let bounds = layout.keys[key];
                let is_segment = key < layout.segments;
                // In a batch of one segment both bounds are its value.
                let exact = is_segment && self.class == 0 && compare.comparison == Comparison::Equal;
                if self.class == 2 {
                    continue;
                }
                let wanted: &[(i16, Comparison)] = match compare.comparison {
                    Comparison::Equal if exact => &[(bounds.min, Comparison::Equal)],
                    Comparison::Equal => &[(bounds.min, Comparison::LessOrEqual), (bounds.max, Comparison::GreaterOrEqual)],
                    Comparison::Less | Comparison::LessOrEqual => &[(bounds.min, compare.comparison)],
                    Comparison::Greater | Comparison::GreaterOrEqual => &[(bounds.max, compare.comparison)],
                    Comparison::NotEqual => &[],
                };
                for (attribute, comparison) in wanted {
                    if let Some(at) = position(*attribute)
                        && let Some(key) = scan_key(self.index, at, *comparison, compare)
                    {
                        keys.push(key);
                    }
                }
            }
            for compare in filter.memberships() {
                let Some(key) = layout.key_of(compare.column).filter(|key| *key < layout.segments && self.class == 0) else { continue };
                if let Some(at) = position(layout.keys[key].min)
                    && let Some(mut key) = scan_key(self.index, at, Comparison::Equal, compare)
                {
                    key.sk_flags |= pg_sys::SK_SEARCHARRAY as i32;
                    keys.push(key);
                }
            }
            // As the access method wants them.
            keys.sort_by_key(|key| key.sk_attno);
            if self.by_index.is_null() || (*self.by_index).numberOfKeys != keys.len() as i32 {
                if !self.by_index.is_null() {
                    ffi::index_endscan(self.by_index);
                }
                self.by_index = ffi::index_beginscan(self.relation, self.index, self.snapshot, keys.len() as i32, 0);
            }
            ffi::index_rescan(self.by_index, keys.as_mut_ptr(), keys.len() as i32, std::ptr::null_mut(), 0);
        }
    }

    /// Opens the next batch in `reader`; false at the end.
    ///
    /// # Safety
    /// The scan was started with `filter`, if by [`Self::start`]. May jump.
    pub unsafe fn next(&mut self, filter: &Filter, reader: &mut BatchReader) -> bool {
        // SAFETY: the caller's promise; the layout lives as long as the reader.
        unsafe {
            let row = self.next_row(filter, Rc::as_ptr(reader.layout()));
            if !row.is_null() {
                reader.open(row, (*self.relation).rd_att);
            }
            !row.is_null()
        }
    }

    /// The row of the next batch, valid until the one after it is asked for; NULL at the end.
    ///
    /// # Safety
    /// As [`Self::next`].
    pub unsafe fn next_row(&mut self, filter: &Filter, layout: *const Layout) -> pg_sys::HeapTuple {
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                let found = if !self.by_index.is_null() {
                    raw::index_getnext_slot(self.by_index, forward, self.slot)
                } else if !self.heap.is_null() {
                    raw::heap_getnextslot(self.heap, forward, self.slot)
                } else {
                    false
                };
                if found {
                    return raw::ExecFetchSlotHeapTuple(self.slot, false, std::ptr::null_mut());
                }
                if self.by_index.is_null() || self.class + 1 == CLASSES {
                    return std::ptr::null_mut();
                }
                self.class += 1;
                crate::pg::guard::boundary(|| {
                    self.start_class(&*layout, filter);
                    Ok(())
                });
            }
        }
    }

    /// # Safety
    /// Within the query that opened it.
    unsafe fn stop(&mut self) {
        // SAFETY: scans that were begun.
        unsafe {
            if !self.heap.is_null() {
                ffi::heap_endscan(self.heap);
            }
            if !self.by_index.is_null() {
                ffi::index_endscan(self.by_index);
            }
        }
        self.heap = std::ptr::null_mut();
        self.by_index = std::ptr::null_mut();
    }

    /// Closes the batch table.
    ///
    /// # Safety
    /// Called once, within the query that opened it.
    pub unsafe fn end(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            self.stop();
            if !self.index.is_null() {
                ffi::index_close(self.index, pg_sys::NoLock as i32);
            }
            ffi::ExecDropSingleTupleTableSlot(self.slot);
            ffi::table_close(self.relation, pg_sys::NoLock as i32);
        }
    }
}

/// Whether the index is the better way: the leading keys are restricted.
fn searches_index(layout: &Layout, filter: &Filter) -> bool {
    if layout.index == pg_sys::InvalidOid || layout.keys.is_empty() {
        return false;
    }
    let is_first = |compare: &Compare| compare.constant.value.is_some() && layout.key_of(compare.column) == Some(0);
    filter.comparisons().any(|compare| is_first(compare) && (compare.comparison == Comparison::Equal || layout.segments == 0))
        || (layout.segments > 0 && filter.memberships().any(is_first))
}

/// `_ts_meta_single` is true, is false, or is NULL.
///
/// # Safety
/// `at` is the position of that column in the index.
unsafe fn class_key(class: usize, at: usize) -> pg_sys::ScanKeyData {
    let mut key = pg_sys::ScanKeyData::default();
    let attribute = at as i16 + 1;
    // SAFETY: fills the key.
    unsafe {
        if class == 2 {
            let flags = (pg_sys::SK_ISNULL | pg_sys::SK_SEARCHNULL) as i32;
            let none = pg_sys::InvalidOid;
            ffi::ScanKeyEntryInitialize(&mut key, flags, attribute, 0, none, none, none, pg_sys::Datum::null());
        } else {
            let equal = pg_sys::BTEqualStrategyNumber as u16;
            ffi::ScanKeyInit(&mut key, attribute, equal, pg_sys::F_BOOLEQ.into(), pg_sys::Datum::from(class == 0));
        }
    }
    key
}

/// A condition on a column of the index; None if its operator family has no operator for the constant's type, or the constant is NULL.
///
/// # Safety
/// An open index with a column at `at`.
unsafe fn scan_key(index: pg_sys::Relation, at: usize, comparison: Comparison, compare: &Compare) -> Option<pg_sys::ScanKeyData> {
    let value = compare.constant.value?;
    let strategy = match comparison {
        Comparison::Less => 1,
        Comparison::LessOrEqual => 2,
        Comparison::Equal => 3,
        Comparison::GreaterOrEqual => 4,
        Comparison::Greater => 5,
        Comparison::NotEqual => return None,
    };
    // SAFETY: the relcache entry of an index has these arrays.
    unsafe {
        let (family, input) = (*(*index).rd_opfamily.add(at), *(*index).rd_opcintype.add(at));
        let operator = ffi::get_opfamily_member(family, input, compare.constant.type_oid, strategy);
        if operator == pg_sys::InvalidOid {
            return None;
        }
        let mut key = pg_sys::ScanKeyData::default();
        ffi::ScanKeyEntryInitialize(
            &mut key,
            0,
            at as i16 + 1,
            strategy as u16,
            compare.constant.type_oid,
            *(*index).rd_indcollation.add(at),
            ffi::get_opcode(operator),
            value,
        );
        Some(key)
    }
}
