//! Serializable transactions and chunks that are not there yet.
//!
//! Who reads a table leaves a predicate lock on it, on which the inserts of others check. A partitioned table passes that on to its
//! partitions, but a chunk made later bears no lock. So readers lock the hypertable itself, and who creates a chunk checks there.

use pgrx::pg_sys;

use crate::catalog::cache;
use crate::pg::relation::Relation;
use crate::pg::{ffi, list};

/// Leaves predicate locks on the hypertables that a statement of a serializable transaction reads.
///
/// # Safety
/// `query` has been started, so its relations are locked.
pub unsafe fn note_reads(query: *mut pg_sys::QueryDesc) {
    // SAFETY: the caller's promise; result relations are indexes into the range table.
    unsafe {
        let statement = (*query).plannedstmt;
        let written = if (*query).operation == pg_sys::CmdType::CMD_INSERT { list::ints((*statement).resultRelations) } else { Vec::new() };
        for (index, entry) in list::pointers::<pg_sys::RangeTblEntry>((*statement).rtable).into_iter().enumerate() {
            let is_table = (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION && (*entry).relkind as u8 == b'p';
            if is_table && !written.contains(&(index as i32 + 1)) && cache::find((*entry).relid).is_some() {
                let relation = Relation::open((*entry).relid, pg_sys::NoLock);
                ffi::PredicateLockRelation(relation.as_ptr(), (*query).snapshot);
            }
        }
    }
}
