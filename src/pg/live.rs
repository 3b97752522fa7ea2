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
            let scan: pg_sys::HeapScanDesc = raw::heap_beginscan(heap, any, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags).cast();
            let slot = raw::table_slot_create(heap, std::ptr::null_mut());
            let outer = pg_sys::CurrentMemoryContext;
            let scraps = raw::AllocSetContextCreateInternal(
                outer,
                c"timescale_compat rows".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            for block in 0..(*scan).rs_nblocks {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                turn_to(scan, block, oldest, &mut found);
                for row in 0..(*scan).rs_ntuples as usize {
                    set_tuple(scan, (*scan).rs_vistuples[row]);
                    raw::ExecStoreBufferHeapTuple(&raw mut (*scan).rs_ctup, slot, (*scan).rs_cbuf);
                    found.rows += 1;
                    pg_sys::CurrentMemoryContext = scraps;
                    each(slot);
                    pg_sys::CurrentMemoryContext = outer;
                    if found.rows.is_multiple_of(256) || (*scraps).mem_allocated > MOST_SCRAPS {
                        raw::MemoryContextReset(scraps);
                    }
                }
            }
            raw::MemoryContextDelete(scraps);
            raw::ExecDropSingleTupleTableSlot(slot);
            raw::heap_endscan(scan.cast());
        });
    }
    found
}

/// Reads a page and looks which of its rows are live, all under one lock (as `heapgetpage` does). They stay where they are as
/// long as the page is pinned, which it is until the next one is read or the scan ends.
///
/// # Safety
/// A scan of a heap that has this block. May jump.
unsafe fn turn_to(scan: pg_sys::HeapScanDesc, block: pg_sys::BlockNumber, oldest: pg_sys::TransactionId, found: &mut Found) {
    // SAFETY: the caller's promise; the page is locked while its rows' headers are read.
    unsafe {
        if (*scan).rs_cbuf != pg_sys::InvalidBuffer as pg_sys::Buffer {
            raw::ReleaseBuffer((*scan).rs_cbuf);
            (*scan).rs_cbuf = pg_sys::InvalidBuffer as pg_sys::Buffer;
        }
        let (heap, normal) = ((*scan).rs_base.rs_rd, pg_sys::ReadBufferMode::RBM_NORMAL);
        let buffer = raw::ReadBufferExtended(heap, pg_sys::ForkNumber::MAIN_FORKNUM, block, normal, (*scan).rs_strategy);
        (*scan).rs_cbuf = buffer;
        (*scan).rs_cblock = block;
        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let page = pg_sys::BufferGetPage(buffer);
        let is_all_visible = u32::from((*page.cast::<pg_sys::PageHeaderData>()).pd_flags) & pg_sys::PD_ALL_VISIBLE != 0;
        let mut rows = 0;
        for offset in 1..=pg_sys::PageGetMaxOffsetNumber(page) {
            if (*pg_sys::PageGetItemId(page, offset)).lp_flags() != pg_sys::LP_NORMAL {
                continue;
            }
            set_tuple(scan, offset);
            let is_live = if is_all_visible {
                let header = (*scan).rs_ctup.t_data;
                if !is_frozen(header) {
                    advance(&mut found.newest, (*header).t_choice.t_heap.t_xmin);
                }
                true
            } else {
                let state = state(&raw mut (*scan).rs_ctup, buffer, oldest, &mut found.newest);
                let (State::Live { to_all } | State::Gone { to_all }) = state;
                found.visible_to_all &= to_all;
                matches!(state, State::Live { .. })
            };
            if is_live {
                (*scan).rs_vistuples[rows] = offset;
                rows += 1;
            }
        }
        (*scan).rs_ntuples = rows as i32;
        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK as i32);
    }
}

/// Makes a row of the scan's page its current one.
///
/// # Safety
/// The page is pinned, and has a row there.
#[inline]
unsafe fn set_tuple(scan: pg_sys::HeapScanDesc, offset: pg_sys::OffsetNumber) {
    // SAFETY: the caller's promise.
    unsafe {
        let page = pg_sys::BufferGetPage((*scan).rs_cbuf);
        let item = pg_sys::PageGetItemId(page, offset);
        let block = (*scan).rs_cblock;
        let tuple = &mut (*scan).rs_ctup;
        tuple.t_data = pg_sys::PageGetItem(page, item).cast();
        tuple.t_len = (*item).lp_len();
        tuple.t_tableOid = (*(*scan).rs_base.rs_rd).rd_id;
        tuple.t_self.ip_blkid = pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 };
        tuple.t_self.ip_posid = offset;
    }
}

enum State {
    Live { to_all: bool },
    Gone { to_all: bool },
}

/// # Safety
/// A row of a page on which a share lock is held. May jump.
unsafe fn state(
    tuple: pg_sys::HeapTuple,
    buffer: pg_sys::Buffer,
    oldest: pg_sys::TransactionId,
    newest: &mut pg_sys::TransactionId,
) -> State {
    // SAFETY: the caller's promise.
    unsafe {
        let state = raw::HeapTupleSatisfiesVacuum(tuple, oldest, buffer);
        let header = (*tuple).t_data;
        let frozen = is_frozen(header);
        let to_all = frozen || raw::TransactionIdPrecedes((*header).t_choice.t_heap.t_xmin, oldest);
        match state {
            pg_sys::HTSV_Result::HEAPTUPLE_LIVE if !frozen => advance(newest, (*header).t_choice.t_heap.t_xmin),
            // Sees to it that only a deletion that is no part of the insertion's own transaction counts.
            pg_sys::HTSV_Result::HEAPTUPLE_DEAD => raw::HeapTupleHeaderAdvanceLatestRemovedXid(header, newest),
            _ => {}
        }
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
/// The header of a row.
#[inline]
unsafe fn is_frozen(header: pg_sys::HeapTupleHeader) -> bool {
    // SAFETY: the caller's promise.
    unsafe { u32::from((*header).t_infomask) & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN }
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
