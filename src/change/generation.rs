//! What writers and refreshes agree upon without a table: which generation of materialized ranges there is.
//!
//! A writer may leave out what no continuous aggregate has materialized, as far as it knows. Who is about to materialize more raises the
//! generation, upon which all that is known anew is read anew, and waits for those who are committing on what they knew before.

use std::cell::Cell;

use pgrx::pg_sys;

use crate::pg::lock::{self, About};
use crate::pg::shmem::{Region, Zeroed};
use crate::pg::xact;

/// What all backends share.
#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    generation: u64,
    /// Transactions that materialized what others don't see yet: nothing may be left out meanwhile.
    unsettled: u64,
}

// SAFETY: two numbers.
unsafe impl Zeroed for Head {}

fn no_elements() -> usize {
    0
}

static STATE: Region<Head, ()> = Region::new(c"timescale_compat changes", no_elements);

thread_local! {
    static RAISED: Cell<bool> = const { Cell::new(false) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the memory: in `shmem_request_hook`.
pub fn request() {
    STATE.request();
}

/// Makes it: in `shmem_startup_hook`.
pub fn make() {
    STATE.make();
}

/// The generation by which changes may be left out; None if nothing may.
pub fn settled() -> Option<u64> {
    STATE.with(|head, _| (head.unsettled == 0).then_some(head.generation)).flatten()
}

/// Takes part in committing changes to a hypertable, until the transaction ends: who announces waits for it.
pub(super) fn enter(hypertable: pg_sys::Oid) {
    lock::acquire(About::Changes, hypertable, pg_sys::ShareLock);
}

/// Says that a continuous aggregate over `hypertable` is about to be computed. When it returns, who commits changes to the hypertable
/// logs those to what counts as materialized now, and all others have committed: they are seen by the next snapshot.
///
/// To be called after the rows were deleted that say what is invalid, and before the snapshot is taken that the source is read with; by
/// each transaction that does so. Not only by the one that moved changes from the log to those rows: whoever relies on a change of its
/// own that it logged does so until the generation changes, and meanwhile another refresh may use up the row that was made of it.
///
/// `settled`: what counts as materialized has been committed. Otherwise nothing is left out until this transaction has ended.
pub fn announce(hypertable: pg_sys::Oid, settled: bool) {
    if !settled && !RAISED.get() {
        if !REGISTERED.replace(true) {
            xact::at_end(settle);
        }
        RAISED.set(STATE.with(|head, _| head.unsettled += 1).is_some());
    }
    STATE.with(|head, _| head.generation += 1);
    lock::wait_for_holders(About::Changes, hypertable, pg_sys::ExclusiveLock);
}

/// True if this transaction has announced what is not committed yet.
pub(super) fn is_unsettled() -> bool {
    RAISED.get()
}

fn settle(_committed: bool) {
    if RAISED.replace(false) {
        STATE.with(|head, _| {
            head.generation += 1;
            head.unsettled -= 1;
        });
    }
}
