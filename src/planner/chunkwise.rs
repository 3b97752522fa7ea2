//! Aggregation chunk by chunk (PostgreSQL's partitionwise aggregation), switched on while a query is planned that it may help.

use pgrx::pg_sys;

use crate::pg::pathkey;

/// With more chunks than this, planning each chunk's aggregation costs more than it saves.
const MAX_CHUNKS: usize = 128;

/// The user's setting, put back when this goes, also by an error.
pub struct Restore(bool);

impl Restore {
    /// Remembers the setting.
    pub fn new() -> Self {
        // SAFETY: a variable of the backend.
        Self(unsafe { pg_sys::enable_partitionwise_aggregate })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: a variable of the backend.
        unsafe { pg_sys::enable_partitionwise_aggregate = self.0 }
    }
}

/// Switches it on if a hypertable is left with a number of chunks for which it pays.
///
/// # Safety
/// `rel` is a hypertable of the running planner, pruned.
pub unsafe fn consider(rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the caller's promise; a variable of the backend, which `Restore` puts back.
    unsafe {
        if (2..=MAX_CHUNKS).contains(&pathkey::live_partitions(rel)) {
            pg_sys::enable_partitionwise_aggregate = true;
        }
    }
}
