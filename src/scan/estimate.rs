//! How many rows and pages a chunk with a columnar part has: the planner must count both parts.

use std::rc::Rc;

use pgrx::pg_sys;

use super::{is_changed, only, row_mark};
use crate::columnar::layout::{self, Layout};
use crate::pg::relation::Relation;
use crate::pg::{ffi, list, node};

/// What the planner's node of a chunk said before both parts were counted. Kept in `fdw_private`, which is nobody else's: the relation
/// has no foreign-data wrapper.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// Rows in batches.
    pub rows: f64,
    /// Batches.
    pub batches: f64,
    /// Pages of the row part.
    pub heap_pages: u32,
    /// Rows of the row part.
    pub heap_tuples: f64,
    /// Indexes of the row part; the planner's node has none if the row part is empty.
    pub indexes: *mut pg_sys::List,
}

/// Pages that as many rows would fill: a chunk that is read in parallel is read by as many workers as one in row form.
const ROWS_PER_PAGE: f64 = 100.0;

/// OIDs below this are of PostgreSQL's own tables (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// The columnar part of a relation that is being planned, if it is read: a leaf that the query did not say ONLY of.
///
/// # Safety
/// A planner's node.
pub unsafe fn layout_of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Option<Rc<Layout>> {
    // SAFETY: the range table has an entry for each base relation.
    unsafe {
        let entry = &**(*root).simple_rte_array.add((*rel).relid as usize);
        let is_leaf = entry.rtekind == pg_sys::RTEKind::RTE_RELATION && entry.relkind as u8 == b'r' && !entry.inh;
        if !is_leaf || entry.relid.to_u32() < FIRST_USER_OID || only::is_marked(entry) {
            return None;
        }
        layout::find(entry.relid)
    }
}

/// The estimate made by [`adjust`].
///
/// # Safety
/// A relation of which [`layout_of`] found the layout.
pub unsafe fn of(rel: *mut pg_sys::RelOptInfo) -> Option<Estimate> {
    // SAFETY: nobody but `adjust` sets the field of such a relation.
    unsafe { (*rel).fdw_private.cast::<Estimate>().as_ref().copied() }
}

/// The estimate for a chunk that had no columnar part when [`adjust`] looked.
///
/// # Safety
/// A relation of the running planner.
pub unsafe fn late(rel: *mut pg_sys::RelOptInfo, layout: &Layout) -> Estimate {
    let (batches, rows) = columnar(layout);
    // SAFETY: the caller's promise.
    unsafe { Estimate { rows, batches, heap_pages: (*rel).pages, heap_tuples: (*rel).tuples, indexes: (*rel).indexlist } }
}

/// Counts the rows of a chunk's columnar part.
///
/// # Safety
/// As PostgreSQL calls `get_relation_info_hook` for a relation that is no parent.
pub unsafe fn adjust(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the caller's promise; the estimate lives as long as the planner's node.
    unsafe {
        let Some(layout) = layout_of(root, rel) else { return };
        let (batches, rows) = columnar(&layout);
        let chunk = Relation::open(layout.chunk, pg_sys::NoLock);
        let is_empty = ffi::RelationGetNumberOfBlocksInFork(chunk.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) == 0;
        drop(chunk);
        let estimate = Estimate {
            rows,
            batches,
            heap_pages: if is_empty { 0 } else { (*rel).pages },
            heap_tuples: if is_empty { 0.0 } else { (*rel).tuples },
            indexes: (*rel).indexlist,
        };
        (*rel).pages = estimate.heap_pages.saturating_add((rows / ROWS_PER_PAGE).ceil().min(f64::from(u32::MAX / 2)) as u32);
        (*rel).tuples = estimate.heap_tuples + rows;
        if is_changed(root, (*rel).relid) {
            return;
        }
        let copy = ffi::palloc(size_of::<Estimate>()).cast::<Estimate>();
        copy.write(estimate);
        (*rel).fdw_private = copy.cast();
        if is_empty {
            (*rel).indexlist = std::ptr::null_mut();
        }
        carry_whole_rows(root, rel);
    }
}

/// How many batches there are, and rows in them.
fn columnar(layout: &Layout) -> (f64, f64) {
    let Some(table) = Relation::try_open(layout.batches, pg_sys::AccessShareLock) else { return (0.0, 0.0) };
    // SAFETY: an open table.
    let blocks = unsafe { ffi::RelationGetNumberOfBlocksInFork(table.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    if blocks == 0 {
        return (0.0, 0.0);
    }
    let class = table.class();
    let batches = if class.relpages > 0 && class.reltuples >= 0.0 {
        f64::from(class.reltuples) / f64::from(class.relpages) * f64::from(blocks)
    } else {
        layout.batch_count as f64
    };
    let batches = batches.max(1.0);
    let rows_per_batch = if layout.batch_count > 0 { layout.rows as f64 / layout.batch_count as f64 } else { 1000.0 };
    (batches, batches * rows_per_batch)
}

/// Has a statement that changes other tables carry the rows of this one along whole: it can't fetch them again by their ctid when
/// EvalPlanQual asks for them.
///
/// # Safety
/// As [`adjust`].
unsafe fn carry_whole_rows(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: nodes of the running planner. expand_inherited_rtentry, which is under way if this is a partition, adds to the target list
    // what its parent's mark asks for; otherwise preprocess_targetlist has just added what the mark asked for before.
    unsafe {
        let Some(mark) = row_mark(root, (*rel).relid) else { return };
        let copy = 1 << pg_sys::RowMarkType::ROW_MARK_COPY;
        (*mark).markType = pg_sys::RowMarkType::ROW_MARK_COPY;
        if (*mark).prti != (*mark).rti {
            (*mark).allMarkTypes = copy;
            if let Some(parent) = row_mark(root, (*mark).prti) {
                (*parent).allMarkTypes |= copy;
            }
        } else if (*mark).allMarkTypes & copy == 0 {
            (*mark).allMarkTypes |= copy;
            let entry = *(*root).simple_rte_array.add((*rel).relid as usize);
            let whole = ffi::makeWholeRowVar(entry, (*rel).relid as i32, 0, false);
            let name = node::palloc_str(&format!("wholerow{}", (*mark).rowmarkId));
            let number = list::cells((*root).processed_tlist).len() as i16 + 1;
            let target = ffi::makeTargetEntry(whole.cast(), number, name, true);
            (*root).processed_tlist = ffi::lappend((*root).processed_tlist, target.cast());
        }
    }
}
