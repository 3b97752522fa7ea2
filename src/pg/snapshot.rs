//! Snapshots of statements that are about to start.

use pgrx::pg_sys;

use super::ffi;

/// Gives a statement that has not started a newer snapshot, and the functions that it calls, too: one of this moment, or the one that it
/// has with what this transaction did meanwhile.
///
/// # Safety
/// `query` has not been started. The caller of ExecutorStart holds no pointer to the snapshot but in `query`, on the stack of active
/// snapshots, and in the active portal: PostgreSQL's own callers don't.
pub unsafe fn renew(query: *mut pg_sys::QueryDesc, of_this_moment: bool) {
    // SAFETY: the caller's promise; the snapshot is registered with the current resource owner, as CreateQueryDesc left it.
    unsafe {
        let old = (*query).snapshot;
        let is_active = ffi::ActiveSnapshotSet() && ffi::GetActiveSnapshot() == old;
        if is_active {
            ffi::PopActiveSnapshot();
        }
        if of_this_moment {
            ffi::PushActiveSnapshot(ffi::GetTransactionSnapshot());
        } else {
            ffi::PushCopiedSnapshot(old);
            ffi::UpdateActiveSnapshotCommandId();
        }
        let new = ffi::GetActiveSnapshot();
        (*query).snapshot = ffi::RegisterSnapshot(new);
        if let Some(portal) = pg_sys::ActivePortal.as_mut()
            && portal.portalSnapshot == old
        {
            portal.portalSnapshot = new;
        }
        ffi::UnregisterSnapshot(old);
        if !is_active {
            ffi::PopActiveSnapshot();
        }
    }
}

/// True if the transaction sees one state of the database throughout.
pub fn is_fixed() -> bool {
    // SAFETY: reads a variable.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
