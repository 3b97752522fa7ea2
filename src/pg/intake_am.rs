//! The table access method of intakes: heap, but for one thing.
//!
//! When routing ends in a DEFAULT partition, `ExecFindPartition` checks the row against the bounds of all other partitions. A
//! chunk that another session has made in the meantime, after the routing was pinned, makes that check fail, and with it the apply
//! worker, although the trigger of the intake would find the chunk. Before it checks, it asks the access method for the kind of
//! slot, if the partition has a layout of its own: that is the one moment at which the check can be spared.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use pgrx::pg_sys;

use super::guard::{boundary, guard, on_error};
use super::{ffi, partition, trigger};

/// Its name; access methods have no schema.
const NAME: &CStr = c"timescaledb_intake";

struct Routine(pg_sys::TableAmRoutine);

// SAFETY: function pointers that are written once.
unsafe impl Sync for Routine {}
// SAFETY: as above.
unsafe impl Send for Routine {}

static ROUTINE: OnceLock<Routine> = OnceLock::new();

/// The method's OID; None if the extension is not installed.
pub fn oid() -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up.
    let oid = unsafe { ffi::get_table_am_oid(NAME.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// What the handler returns.
pub fn routine() -> *const pg_sys::TableAmRoutine {
    let routine = ROUTINE.get_or_init(|| {
        // SAFETY: heap's own static structure.
        let heap = unsafe { *ffi::GetHeapamTableAmRoutine() };
        Routine(pg_sys::TableAmRoutine {
            slot_callbacks: Some(slot_callbacks),
            index_build_range_scan: Some(index_build_range_scan),
            index_validate_scan: Some(index_validate_scan),
            ..heap
        })
    });
    &raw const routine.0
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn slot_callbacks(relation: pg_sys::Relation) -> *const pg_sys::TupleTableSlotOps {
    // SAFETY: PostgreSQL passes an open relation.
    unsafe {
        boundary(|| {
            if (*(*relation).rd_rel).relispartition && trigger::has_intake(relation) {
                guard(|| partition::relax_constraint(relation));
            }
            Ok(&raw const pg_sys::TTSOpsBufferHeapTuple)
        })
    }
}

/// Runs `f` while the relation says that it is heap: heap's scans for indexes insist on it.
///
/// # Safety
/// An open relation with this access method.
unsafe fn as_heap<T>(relation: pg_sys::Relation, f: impl FnOnce(&pg_sys::TableAmRoutine) -> T) -> T {
    // SAFETY: the relation stays open; its access method is restored on both ways out.
    unsafe {
        let heap = ffi::GetHeapamTableAmRoutine();
        (*relation).rd_tableam = heap;
        let result = on_error(|| guard(|| f(&*heap)), || (*relation).rd_tableam = routine());
        (*relation).rd_tableam = routine();
        result
    }
}

#[pgrx::pg_guard]
#[expect(clippy::too_many_arguments, reason = "PostgreSQL's signature")]
unsafe extern "C-unwind" fn index_build_range_scan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    allow_sync: bool,
    any_visible: bool,
    progress: bool,
    start: pg_sys::BlockNumber,
    count: pg_sys::BlockNumber,
    callback: pg_sys::IndexBuildCallback,
    state: *mut c_void,
    scan: pg_sys::TableScanDesc,
) -> f64 {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            Ok(as_heap(table, |heap| {
                heap.index_build_range_scan
                    .map_or(0.0, |build| build(table, index, info, allow_sync, any_visible, progress, start, count, callback, state, scan))
            }))
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn index_validate_scan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    snapshot: pg_sys::Snapshot,
    state: *mut pg_sys::ValidateIndexState,
) {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            as_heap(table, |heap| {
                if let Some(validate) = heap.index_validate_scan {
                    validate(table, index, info, snapshot, state);
                }
            });
            Ok(())
        })
    }
}
