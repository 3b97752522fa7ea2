//! Where a table lies: its hypertable, and the range of time that its rows may have.

use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;
use tsc_kernel::ranges::Range;

use super::Recorder;
use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::pg::relation::Relation;
use crate::pg::{context, ffi, list, partition};

/// The hypertable that a table is, or that it is a part of.
pub fn hypertable_of(relid: pg_sys::Oid) -> Option<Rc<Hypertable>> {
    std::iter::successors(Some(relid), |relid| partition::parent_of(*relid)).find_map(cache::find)
}

/// The same, with the range of time of the table's rows; None for a DEFAULT partition, whose rows may lie anywhere.
pub fn locate(relid: pg_sys::Oid) -> Option<(Rc<Hypertable>, Option<Range>)> {
    if let Some(hypertable) = cache::find(relid) {
        return Some((hypertable, Some(Range::ALL)));
    }
    let mut table = relid;
    loop {
        let parent = partition::parent_of(table)?;
        if let Some(hypertable) = cache::find(parent) {
            let slice = context::with_temporary(|| partition::range_bound_of(hypertable.time().axis()?, table));
            return Some((hypertable, slice.and_then(Slice::range)));
        }
        table = parent;
    }
}

/// Any row of a table may change: a hypertable, or a part of one. Does nothing for other tables.
pub fn note_table(relid: pg_sys::Oid) {
    if let Some((hypertable, range)) = locate(relid) {
        Recorder::of(&hypertable).note_range(range.unwrap_or(Range::ALL));
    }
}

/// Waits for all who are writing to a hypertable or to a part of it, and keeps others from it until the transaction ends: who writes
/// before there is a continuous aggregate records nothing, and who writes later must see it. An error if a statement of this session is
/// just running on it.
pub fn keep_writers_out(hypertable: pg_sys::Oid) {
    let lock = pg_sys::ShareRowExclusiveLock as i32;
    // SAFETY: the hypertable exists; the parts may be dropped meanwhile, which is looked after there. In the order in which writers lock.
    let parts = unsafe {
        ffi::LockRelationOid(hypertable, lock);
        list::oids(ffi::find_all_inheritors(hypertable, lock, std::ptr::null_mut()))
    };
    for part in parts {
        let relation = Relation::open(part, pg_sys::NoLock);
        // SAFETY: an open relation.
        unsafe { ffi::CheckTableNotInUse(relation.as_ptr(), c"CREATE MATERIALIZED VIEW".as_ptr()) };
    }
}
