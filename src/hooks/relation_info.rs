//! `get_relation_info_hook`: plans count both parts of chunks, and leave intakes out. They are empty, and a DEFAULT partition would cost plans their order by time.

use pgrx::pg_sys;

use crate::catalog::cache;
use crate::pg::guard::{boundary, guard};
use crate::pg::relation::Relation;
use crate::pg::{ffi, partition, trigger};

static mut PREVIOUS: pg_sys::get_relation_info_hook_type = None;

/// Puts ours before the one that is there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS = pg_sys::get_relation_info_hook;
        pg_sys::get_relation_info_hook = Some(info);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn info(root: *mut pg_sys::PlannerInfo, relid: pg_sys::Oid, parent: bool, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS {
                guard(|| previous(root, relid, parent, rel));
            }
            if parent && has_default(rel) && has_intake(relid) {
                leave_default_out(rel);
            }
            if !parent {
                crate::scan::adjust(root, rel);
            }
            Ok(())
        })
    }
}

/// True if a table has a DEFAULT partition, the last one in the planner's order, and others.
///
/// # Safety
/// The planner's node of a relation.
unsafe fn has_default(rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: boundinfo is NULL for a table that is not partitioned, or has no partitions.
    unsafe { (*rel).boundinfo.as_ref().is_some_and(|bounds| (*rel).nparts > 1 && bounds.default_index == (*rel).nparts - 1) }
}

fn has_intake(relid: pg_sys::Oid) -> bool {
    if cache::find(relid).is_none() {
        return false;
    }
    let table = Relation::open(relid, pg_sys::NoLock);
    partition::default_of(&table)
        // SAFETY: the relation is open.
        .is_some_and(|intake| unsafe { trigger::has_intake(Relation::open(intake, pg_sys::AccessShareLock).as_ptr()) })
}

/// # Safety
/// As [`has_default`], which says that it has one.
unsafe fn leave_default_out(rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the bounds belong to the partition descriptor, so they are copied; the copy lives as long as the plan is made.
    unsafe {
        let bounds = ffi::palloc(size_of::<pg_sys::PartitionBoundInfoData>()).cast::<pg_sys::PartitionBoundInfoData>();
        *bounds = *(*rel).boundinfo;
        (*bounds).default_index = -1;
        (*rel).boundinfo = bounds;
        (*rel).nparts -= 1;
    }
}
