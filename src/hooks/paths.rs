//! `set_rel_pathlist_hook` and `create_upper_paths_hook`: more ways to read hypertables, for the planner to choose from.

use std::ffi::c_void;

use pgrx::pg_sys;

use crate::pg::guard::{boundary, guard};
use crate::{guc, planner, scan};

static mut PREVIOUS_SCAN: pg_sys::set_rel_pathlist_hook_type = None;
static mut PREVIOUS_UPPER: pg_sys::create_upper_paths_hook_type = None;

/// Puts ours before those that are there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS_SCAN = pg_sys::set_rel_pathlist_hook;
        pg_sys::set_rel_pathlist_hook = Some(add_scan_paths);
        PREVIOUS_UPPER = pg_sys::create_upper_paths_hook;
        pg_sys::create_upper_paths_hook = Some(add_upper_paths);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn add_scan_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    index: pg_sys::Index,
    entry: *mut pg_sys::RangeTblEntry,
) {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS_SCAN {
                guard(|| previous(root, rel, index, entry));
            }
            if planner::is_planning_hypertables() && guc::enable_optimizations() {
                planner::add_scan_paths(root, rel, entry);
            }
            // Last: what reads the row part of a chunk alone gives way.
            scan::replace_paths(root, rel, entry, || planner::wanted_bucket(root, rel))
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn add_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut c_void,
) {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS_UPPER {
                guard(|| previous(root, stage, input, output, extra));
            }
            if planner::is_planning_hypertables() && guc::enable_optimizations() {
                planner::add_upper_paths(root, stage, output);
            }
            Ok(())
        })
    }
}
