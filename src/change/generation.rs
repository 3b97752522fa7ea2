//! What writers and refreshes agree upon without a table: which generation of materialized ranges there is.
//!
//! A writer may leave out what no continuous aggregate has materialized, as far as it knows. Who is about to materialize more raises the
//! generation, upon which all that is known anew is read anew, and waits for those who are committing on what they knew before.
//!
//! Nobody takes a lock for that. A writer first says in its slot that it is committing, and then reads the generation; who raises the
//! generation does that first, and then looks into the slots. In whatever order these four happen, either the writer reads the new
//! generation, or it is seen and waited for.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::pg_sys;

use crate::pg::shmem::Words;
use crate::pg::{ffi, xact};

/// Hypertables share heads by chance, which only raises their generation more often than needed.
const HEADS: usize = 256;
/// Slots are a cache line apart, since their sessions run on other processors.
const STRIDE: usize = 8;
/// A head counts generations; and in units of this those transactions that materialized what others don't see yet: nothing may be left out
/// meanwhile.
const UNSETTLED: u64 = 1 << 48;
/// In a slot, in place of a head: several.
const SEVERAL: u64 = HEADS as u64;

fn count() -> usize {
    // SAFETY: set before memory is asked for, and constant from then on.
    let backends = unsafe { pg_sys::MaxBackends };
    HEADS + (backends as usize + 1) * STRIDE
}

/// The heads, and then for each backend a slot: which transaction is committing (its local id, in the upper half), and changes of which
/// head's hypertables; 0 if none is.
static STATE: Words = Words::new(c"timescale_compat changes", count);

thread_local! {
    /// The heads at which this transaction counts as unsettled.
    static RAISED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
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

fn number_of(hypertable: pg_sys::Oid) -> usize {
    // SAFETY: a variable of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let key = u64::from(database.to_u32()) << 32 | u64::from(hypertable.to_u32());
    // Fibonacci hashing: the highest bits of the product with 2^64 / phi.
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

fn slot(backend: i32) -> Option<&'static AtomicU64> {
    STATE.all().get(HEADS + usize::try_from(backend).ok()? * STRIDE)
}

fn own_slot() -> Option<&'static AtomicU64> {
    // SAFETY: a variable of the backend.
    slot(unsafe { pg_sys::MyBackendId })
}

/// Takes part in committing changes to a hypertable until [`leave`], and returns the generation by which changes may be left out of the
/// log; None if nothing may.
pub(super) fn enter(hypertable: pg_sys::Oid) -> Option<u64> {
    let own = own_slot()?;
    // SAFETY: a process with a slot has a PGPROC.
    let transaction = u64::from(unsafe { (*pg_sys::MyProc).lxid }) << 32;
    let (number, before) = (number_of(hypertable), own.load(Ordering::Relaxed));
    let what = if before == 0 || before == transaction | (number as u64 + 1) { number as u64 } else { SEVERAL };
    own.store(transaction | (what + 1), Ordering::SeqCst);
    let head = STATE.all().get(number)?.load(Ordering::SeqCst);
    (head < UNSETTLED).then_some(head)
}

/// The generation of a hypertable, to notice refreshes by that have begun since it was read; None while one has materialized what others
/// don't see.
pub fn of(hypertable: pg_sys::Oid) -> Option<u64> {
    let head = STATE.all().get(number_of(hypertable))?.load(Ordering::Relaxed);
    (head < UNSETTLED).then_some(head)
}

/// The transaction has ended, and new snapshots see it if it was committed.
pub(super) fn leave() {
    if let Some(own) = own_slot()
        && own.load(Ordering::Relaxed) != 0
    {
        own.store(0, Ordering::Release);
    }
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
    let number = number_of(hypertable);
    let Some(head) = STATE.all().get(number) else { return };
    let is_new = !settled && RAISED.with_borrow(|raised| !raised.contains(&number));
    if is_new {
        if !REGISTERED.replace(true) {
            xact::at_end(settle);
        }
        RAISED.with_borrow_mut(|raised| raised.push(number));
    }
    head.fetch_add(if is_new { UNSETTLED + 1 } else { 1 }, Ordering::SeqCst);
    wait_for_those_in(number);
}

/// Waits for the transactions that are committing changes to the hypertables of a head, as `CREATE INDEX CONCURRENTLY` waits for others.
fn wait_for_those_in(number: usize) {
    // SAFETY: variables of the server and the backend.
    let (backends, own) = unsafe { (pg_sys::MaxBackends, pg_sys::MyBackendId) };
    for backend in (1..=backends).filter(|backend| *backend != own) {
        let Some(found) = slot(backend).map(|slot| slot.load(Ordering::SeqCst)).filter(|found| *found != 0) else { continue };
        let what = (found & u64::from(u32::MAX)) - 1;
        if what == number as u64 || what == SEVERAL {
            let transaction = pg_sys::VirtualTransactionId { backendId: backend, localTransactionId: (found >> 32) as u32 };
            // SAFETY: waits if that backend is in that transaction still.
            unsafe { ffi::VirtualXactLock(transaction, true) };
        }
    }
}

/// True if this transaction has announced what is not committed yet.
pub(super) fn is_unsettled() -> bool {
    RAISED.with_borrow(|raised| !raised.is_empty())
}

fn settle(_committed: bool) {
    for number in RAISED.take() {
        if let Some(head) = STATE.all().get(number) {
            head.fetch_add(1u64.wrapping_sub(UNSETTLED), Ordering::SeqCst);
        }
    }
}
