//! A chunk for a value that has none.
//!
//! Whoever creates holds ShareUpdateExclusiveLock on the hypertable until its transaction ends, so that one of two sessions that
//! need the same chunk waits for the other and then finds it there. Inserts into existing chunks and readers do not wait.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use crate::catalog::cache;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::slice;
use crate::pg::partition::{self, Found};
use crate::pg::relation::Relation;
use crate::pg::{context, ffi};

/// The slice that now covers a value.
#[derive(Clone, Copy, Debug)]
pub struct Ensured {
    /// Its bounds.
    pub slice: Slice,
    /// False if it was there already, made by another session in the meantime.
    pub created: bool,
}

/// Makes sure that a chunk covers `position` of the range dimension.
///
/// Runs as the table's owner: a role that may insert needs no right to create tables.
pub fn ensure(root: &Relation, position: i64) -> Result<Ensured> {
    // Who holds the lock already was the only one who could change the partitions since.
    if slice::is_locked(root) {
        root.refresh();
    } else {
        slice::lock(root.oid());
        // Other creators have to wait now, so what is found is the truth.
        root.rebuild();
    }
    let hypertable = cache::find(root.oid())
        .ok_or_else(|| Error::new(SqlState::HYPERTABLE_NOT_EXIST, format!("table \"{}\" is not a hypertable", root.name())))?;
    let (axis, interval) = slice::time_axis(&hypertable)?;
    let gap = match partition::find(root, axis, position) {
        Found::Partition(partition) if partition.is_leaf || slice::is_whole(partition.oid) => {
            return Ok(Ensured { slice: partition.slice, created: false });
        }
        // A chunk of a slice divided by hash was dropped by itself.
        Found::Partition(partition) => {
            context::with_temporary(|| context::as_user(root.class().relowner, || slice::mend(root, &hypertable, partition.oid)))?;
            return Ok(Ensured { slice: partition.slice, created: true });
        }
        Found::Gap(gap) => gap,
    };
    // A chunk is written that the readers of the hypertable had no chance to lock (see ingest::serializable).
    // SAFETY: an open relation; an ERROR if this can't be serialised.
    unsafe { ffi::CheckForSerializableConflictIn(root.as_ptr(), std::ptr::null_mut(), pg_sys::InvalidBlockNumber) };
    // The interval may have changed since the neighbours were made: never overlap them.
    let wanted = axis.slice(position, interval).cut(gap.start, gap.end);
    context::with_temporary(|| context::as_user(root.class().relowner, || slice::create(root, &hypertable, wanted)))?;
    Ok(Ensured { slice: wanted, created: true })
}
