//! The ctid that a row of a batch seems to have: beyond all blocks that a heap can have in practice.

use pgrx::pg_sys;

/// Set in the block numbers of rows of batches.
const OF_BATCH: u64 = 0x8000_0000;
/// Bits of a row's number in its batch.
const ROW_BITS: u32 = 13;
/// Bits of a batch's number in its block.
const OFFSET_BITS: u32 = 9;

/// The ctid of a row whose place is not known.
pub const NOWHERE: pg_sys::ItemPointerData =
    pg_sys::ItemPointerData { ip_blkid: pg_sys::BlockIdData { bi_hi: 0x8000, bi_lo: 0 }, ip_posid: 1 };

fn block_of(tid: pg_sys::ItemPointerData) -> u64 {
    u64::from(tid.ip_blkid.bi_hi) << 16 | u64::from(tid.ip_blkid.bi_lo)
}

fn tid(block: u64, offset: u64) -> pg_sys::ItemPointerData {
    let ip_blkid = pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 };
    pg_sys::ItemPointerData { ip_blkid, ip_posid: offset as u16 }
}

/// A ctid as a number.
pub fn number(tid: pg_sys::ItemPointerData) -> u64 {
    block_of(tid) << 16 | u64::from(tid.ip_posid)
}

/// The ctid of a row of the batch at `batch` in its table.
pub fn of(batch: pg_sys::ItemPointerData, row: usize) -> pg_sys::ItemPointerData {
    let number = (block_of(batch) << OFFSET_BITS | u64::from(batch.ip_posid) & ((1 << OFFSET_BITS) - 1)) << ROW_BITS | row as u64;
    tid(OF_BATCH | number >> 16, number)
}

/// The batch and the row that a ctid stands for; None if it is that of a row in the row part.
pub fn find(ctid: pg_sys::ItemPointerData) -> Option<(pg_sys::ItemPointerData, usize)> {
    let block = block_of(ctid);
    if block & OF_BATCH == 0 {
        return None;
    }
    let number = number(ctid) & !(OF_BATCH << 16);
    let batch = number >> ROW_BITS;
    Some((tid(batch >> OFFSET_BITS, batch & ((1 << OFFSET_BITS) - 1)), (number & ((1 << ROW_BITS) - 1)) as usize))
}
