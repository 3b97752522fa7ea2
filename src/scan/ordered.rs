//! Both parts of a chunk in one order.

use std::cmp::Ordering;

use pgrx::pg_sys;

use super::exec::{ColumnarScan, project, stand};
use super::key::{Key, compare_rows};
use super::merge::Merge;
use crate::custom::State;
use crate::pg::ffi::raw;
use crate::pg::guard::boundary;
use crate::pg::slot;
use crate::pg::sort::{SortKey, Sorter};

/// The rows of the row part, in the order of the columnar part.
pub struct OrderedRows {
    plan: *mut pg_sys::PlanState,
    keys: Vec<Key>,
    /// The plan's rows come in any order.
    sorts: bool,
    sorter: Option<Sorter>,
    context: pg_sys::MemoryContext,
    /// The row that comes next; NULL if it has to be asked for.
    row: *mut pg_sys::TupleTableSlot,
    key: Vec<Option<pg_sys::Datum>>,
    is_done: bool,
}

impl OrderedRows {
    /// Rows of a plan that gives scan tuples, which are sorted like those of a merge already, or have to be.
    pub fn new(plan: *mut pg_sys::PlanState, merge: &Merge, sorts: bool) -> Self {
        let keys = merge.keys.clone();
        Self {
            plan,
            key: vec![None; keys.len()],
            keys,
            sorts,
            sorter: None,
            // SAFETY: reads a variable: where the query's memory is.
            context: unsafe { pg_sys::CurrentMemoryContext },
            row: std::ptr::null_mut(),
            is_done: false,
        }
    }

    /// Has the rows come again; the plan is rescanned by the caller.
    pub fn restart(&mut self) {
        self.row = std::ptr::null_mut();
        self.is_done = false;
        if let Some(sorter) = self.sorter.take() {
            sorter.end();
        }
    }

    /// Makes sure that the next row is there; false at the end.
    ///
    /// # Safety
    /// Within the query that made it. May jump.
    unsafe fn peek(&mut self) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.row.is_null() {
                return true;
            }
            if self.is_done {
                return false;
            }
            if self.sorts && self.sorter.is_none() {
                self.sort();
            }
            let row = match &mut self.sorter {
                Some(sorter) => sorter.next().unwrap_or(std::ptr::null_mut()),
                None => next_of(self.plan),
            };
            if slot::is_null(row) {
                self.is_done = true;
                return false;
            }
            for (key, value) in self.keys.iter().zip(&mut self.key) {
                *value = slot::attribute(row, key.position as i16 + 1);
            }
            self.row = row;
            true
        }
    }

    #[cold]
    unsafe fn sort(&mut self) {
        // SAFETY: nothing with a destructor is pending; the plan's slot lives as long as it.
        unsafe {
            let first = next_of(self.plan);
            if slot::is_null(first) {
                self.sorts = false;
                self.is_done = true;
                return;
            }
            let desc = (*first).tts_tupleDescriptor;
            boundary(|| {
                let key = |key: &Key| SortKey {
                    attribute: key.position as i16 + 1,
                    descending: key.sort.descending,
                    nulls_first: key.sort.nulls_first,
                };
                let keys: Vec<SortKey> = self.keys.iter().map(key).collect();
                let sorter = crate::pg::context::with_context(self.context, || Sorter::on(desc, &keys, pg_sys::work_mem))?;
                self.sorter = Some(sorter);
                Ok(())
            });
            let mut row = first;
            while !slot::is_null(row) {
                if let Some(sorter) = &mut self.sorter {
                    sorter.push(row);
                }
                row = next_of(self.plan);
            }
            boundary(|| {
                if let Some(sorter) = &mut self.sorter {
                    sorter.sort();
                }
                Ok(())
            });
        }
    }
}

/// `ExecProcNode`
///
/// # Safety
/// An initialised plan. May jump.
pub unsafe fn next_of(plan: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's promise.
    unsafe {
        if !(*plan).chgParam.is_null() {
            raw::ExecReScan(plan);
        }
        (*plan).ExecProcNode.map_or(std::ptr::null_mut(), |next| next(plan))
    }
}

/// The next row of both parts, projected; an empty slot at the end.
///
/// # Safety
/// As [`crate::custom::Node::next`]; the node has a merge.
pub unsafe fn next(state: &mut State<ColumnarScan>) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's promise.
    unsafe {
        let merge = &mut *state.node.merge;
        let scan = state.scan.ss.ss_ScanTupleSlot;
        let ps = &mut state.scan.ss.ps;
        loop {
            let has_rows = state.node.ordered.as_mut().is_some_and(|rows| rows.peek());
            let has_batches = merge.peek();
            if has_rows && (!has_batches || rows_first(state.node.ordered, merge)) {
                let rows = &mut *state.node.ordered;
                let row = std::mem::replace(&mut rows.row, std::ptr::null_mut());
                stand(scan);
                return project(ps, row, false).unwrap_or(row);
            }
            if !has_batches {
                let empty = ps.ps_ProjInfo.as_ref().map_or(scan, |projection| projection.pi_state.resultslot);
                slot::clear(empty);
                return empty;
            }
            if let Some(result) = merge.write() {
                stand(scan);
                merge.take();
                merge.used();
                return result;
            }
            slot::clear(scan);
            merge.fill();
            stand(scan);
            merge.take();
            if let Some(result) = project(ps, scan, true) {
                merge.used();
                return result;
            }
        }
    }
}

/// # Safety
/// Both have a row.
unsafe fn rows_first(rows: *mut OrderedRows, merge: &Merge) -> bool {
    // SAFETY: the caller's promise.
    unsafe { compare_rows(&merge.keys, &(*rows).key, merge.key()) == Ordering::Less }
}
