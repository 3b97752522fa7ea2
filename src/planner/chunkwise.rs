//! Aggregation chunk by chunk (PostgreSQL's partitionwise aggregation), switched on while a query is planned that it may help.

use pgrx::pg_sys;

use super::ordered;
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
/// Serially it does: each chunk's groups fit a cache, and no row passes the Append. In parallel each chunk's groups would go to
/// the leader instead of each worker's, so only where chunks have groups of their own: those of buckets, or a single one.
///
/// # Safety
/// `rel` is a hypertable of the running planner, pruned.
pub unsafe fn consider(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: the caller's promise; a variable of the backend, which `Restore` puts back.
    unsafe {
        let serial = !(*rel).consider_parallel || pg_sys::max_parallel_workers_per_gather == 0;
        let few = (2..=MAX_CHUNKS).contains(&pathkey::live_partitions(rel));
        if few && (serial || (*(*root).parse).groupClause.is_null() || ordered::groups_by_bucket(root, rel)) {
            pg_sys::enable_partitionwise_aggregate = true;
        }
    }
}
