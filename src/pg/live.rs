//! All rows of a heap that a transaction which keeps writers out will find there, whatever its snapshot.
//!
//! The caller's lock keeps everybody else from changing the heap, so a row is live, dead, or of this transaction's own making. The same
//! distinctions as `heapam_relation_copy_for_cluster` makes.

use pgrx::pg_sys;

use super::ffi::raw;
use super::guard::guard;
use super::relation::Relation;

/// Memory (bytes) that what is left behind may take before it is freed: rows may be large.
const MOST_SCRAPS: usize = 1 << 20;

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Live rows.
    pub rows: u64,
    /// True if every snapshot that is in use, here or elsewhere, sees exactly these rows. They may then be moved without regard to it.
    pub visible_to_all: bool,
    /// The newest transaction that inserted a live row or deleted a dead one; 0 if there is none that a snapshot could be older than.
    /// Of use if `visible_to_all`.
    pub newest: pg_sys::TransactionId,
}

/// Calls `each` with every live row of a heap on which the caller holds ExclusiveLock at least.
///
/// `each` is called without a guard: it may jump, so it holds nothing with a destructor while it calls PostgreSQL. What it pallocs in the
/// current context goes soon after it returns.
pub fn scan(relation: &Relation, mut each: impl FnMut(*mut pg_sys::TupleTableSlot)) -> Found {
    let mut found = Found { rows: 0, visible_to_all: true, newest: pg_sys::InvalidTransactionId };
    let each = &mut each;
    let heap = relation.as_ptr();
    // SAFETY: an open heap; SnapshotAny is static. Only plain values and references live on the frames that an ERROR jumps over.
    unsafe {
        guard(|| {
            let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_STRAT;
            let oldest = raw::GetOldestNonRemovableTransactionId(heap);
            let any = &raw mut pg_sys::SnapshotAnyData;
            let scan = raw::heap_beginscan(heap, any, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
            let slot = raw::table_slot_create(heap, std::ptr::null_mut());
            let outer = pg_sys::CurrentMemoryContext;
            let scraps = raw::AllocSetContextCreateInternal(
                outer,
                c"timescale_compat rows".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            while raw::heap_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                match state(slot, oldest, &mut found.newest) {
                    State::Live { to_all } => {
                        found.visible_to_all &= to_all;
                        found.rows += 1;
                        pg_sys::CurrentMemoryContext = scraps;
                        each(slot);
                        pg_sys::CurrentMemoryContext = outer;
                        if found.rows.is_multiple_of(256) || (*scraps).mem_allocated > MOST_SCRAPS {
                            raw::MemoryContextReset(scraps);
                        }
                    }
                    State::Gone { to_all } => found.visible_to_all &= to_all,
                }
            }
            raw::MemoryContextDelete(scraps);
            raw::ExecDropSingleTupleTableSlot(slot);
            raw::heap_endscan(scan);
        });
    }
    found
}

enum State {
    Live { to_all: bool },
    Gone { to_all: bool },
}

/// # Safety
/// The slot holds a row of a heap scan. May jump.
unsafe fn state(slot: *mut pg_sys::TupleTableSlot, oldest: pg_sys::TransactionId, newest: &mut pg_sys::TransactionId) -> State {
    // SAFETY: the caller's promise; the row's buffer is pinned by the slot.
    unsafe {
        let tuple = raw::ExecFetchSlotHeapTuple(slot, false, std::ptr::null_mut());
        let buffer = (*slot.cast::<pg_sys::BufferHeapTupleTableSlot>()).buffer;
        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let state = raw::HeapTupleSatisfiesVacuum(tuple, oldest, buffer);
        let header = (*tuple).t_data;
        let frozen = u32::from((*header).t_infomask) & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
        let to_all = frozen || raw::TransactionIdPrecedes((*header).t_choice.t_heap.t_xmin, oldest);
        match state {
            pg_sys::HTSV_Result::HEAPTUPLE_LIVE if !frozen => advance(newest, (*header).t_choice.t_heap.t_xmin),
            // Sees to it that only a deletion that is no part of the insertion's own transaction counts.
            pg_sys::HTSV_Result::HEAPTUPLE_DEAD => raw::HeapTupleHeaderAdvanceLatestRemovedXid(header, newest),
            _ => {}
        }
        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK as i32);
        match state {
            pg_sys::HTSV_Result::HEAPTUPLE_LIVE => State::Live { to_all },
            // By this transaction: nobody else can write.
            pg_sys::HTSV_Result::HEAPTUPLE_INSERT_IN_PROGRESS => State::Live { to_all: false },
            pg_sys::HTSV_Result::HEAPTUPLE_DEAD => State::Gone { to_all: true },
            _ => State::Gone { to_all: false },
        }
    }
}

/// # Safety
/// May jump.
#[inline]
unsafe fn advance(newest: &mut pg_sys::TransactionId, xid: pg_sys::TransactionId) {
    // SAFETY: compares two transaction ids; one that is not normal comes before all.
    if *newest != xid && unsafe { raw::TransactionIdPrecedes(*newest, xid) } {
        *newest = xid;
    }
}

/// The newer of two of [`Found::newest`].
pub fn newer(one: pg_sys::TransactionId, other: pg_sys::TransactionId) -> pg_sys::TransactionId {
    let mut newest = one;
    // SAFETY: as in `advance`.
    unsafe { guard(|| advance(&mut newest, other)) };
    newest
}
