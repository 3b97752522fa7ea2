//! `ColumnarScan`: the rows of a chunk that has a columnar part, those of its row part included. README.md says how it fits into plans.

use pgrx::pg_sys;

mod batches;
mod columns;
mod cost;
mod direct;
mod epq;
mod estimate;
mod exec;
mod explain;
mod firsts;
mod key;
mod merge;
mod only;
mod order;
mod ordered;
mod params;
mod path;
mod plan;
mod run;
mod sample;

pub use estimate::adjust;
pub use only::mark;
pub use path::replace_paths;

/// Makes the node known; once, at server start.
pub fn init() {
    crate::custom::register::<exec::ColumnarScan>();
}

/// The row mark of a relation in the running planner, if it has one.
///
/// # Safety
/// A planner's node.
unsafe fn row_mark(root: *mut pg_sys::PlannerInfo, index: pg_sys::Index) -> Option<*mut pg_sys::PlanRowMark> {
    // SAFETY: the list holds PlanRowMarks.
    unsafe {
        let marks = crate::pg::list::cells((*root).rowMarks).iter().map(|cell| cell.ptr_value.cast::<pg_sys::PlanRowMark>());
        marks.into_iter().find(|mark| (**mark).rti == index)
    }
}

/// True if a statement changes or locks rows of a relation. What it will touch has been moved to the row part before it runs, so it reads
/// that part alone.
///
/// # Safety
/// A planner's node.
unsafe fn is_changed(root: *mut pg_sys::PlannerInfo, index: pg_sys::Index) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        crate::pg::ffi::raw::bms_is_member(index as i32, (*root).all_result_relids)
            || row_mark(root, index).is_some_and(|mark| (*mark).markType < pg_sys::RowMarkType::ROW_MARK_REFERENCE)
    }
}
