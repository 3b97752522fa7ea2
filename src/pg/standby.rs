//! What a standby must be told.

use pgrx::pg_sys;

use super::ffi;
use super::relation::Relation;

/// `XLOG_BTREE_REUSE_PAGE`
const REUSE_PAGE: u8 = 0xD0;
/// `RM_BTREE_ID`
const BTREE: u8 = 11;

/// `xl_btree_reuse_page` of PostgreSQL 15
#[repr(C)]
struct ReusePage {
    node: pg_sys::RelFileNode,
    block: pg_sys::BlockNumber,
    latest_removed: u64,
}

/// Has standbys cancel queries (of this database) whose snapshots are as old as `newest`: rows that it made are about to be shown to
/// every snapshot, or rows that it deleted to none.
///
/// PostgreSQL has a record that does nothing else: that a btree page is used again. Nothing of the page is in it.
pub fn conflict(relation: &Relation, newest: pg_sys::TransactionId) {
    // SAFETY: reads variables; an open relation.
    let needed = unsafe { newest != pg_sys::InvalidTransactionId && pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32 };
    if !needed || relation.class().relpersistence as u8 != b'p' {
        return;
    }
    // SAFETY: the record is that of `_bt_log_reuse_page`; its data is copied by XLogInsert.
    unsafe {
        let mut record = ReusePage { node: (*relation.as_ptr()).rd_node, block: 0, latest_removed: full(newest) };
        super::guard::guard(|| {
            ffi::raw::XLogBeginInsert();
            ffi::raw::XLogRegisterData((&raw mut record).cast(), size_of::<ReusePage>() as i32);
            ffi::raw::XLogInsert(BTREE, REUSE_PAGE);
        });
    }
}

/// A transaction id with its epoch, given that it is not in the future (`FullTransactionIdFromAllowableAt` of later versions).
unsafe fn full(xid: pg_sys::TransactionId) -> u64 {
    // SAFETY: reads shared memory.
    let next = unsafe { ffi::ReadNextFullTransactionId() }.value;
    let epoch = (next >> 32) - u64::from(xid.into_inner() > next as u32);
    epoch << 32 | u64::from(xid.into_inner())
}
