//! Moving the rows of a chunk's batches back into its heap.

use pgrx::pg_sys;

use super::part::{LockedChunk, already, delete_rows, drop_batches, forget, scan_batches};
use super::row_writer::RowWriter;
use super::statistics;
use crate::catalog::columnar_chunk;
use crate::error::Result;
use crate::pg::ffi::raw;
use crate::pg::guard::guard;
use crate::pg::progress::{self, Command, Phase};
use crate::pg::relation::{Relation, descriptor};
use crate::pg::sort::{SortKey, Sorter};
use crate::pg::{context, ffi, live, standby, table};

/// Rows after which progress is reported.
const REPORT_ROWS: i64 = 8192;

/// `decompress_chunk`: brings a chunk back into row form.
pub fn decompress(relid: pg_sys::Oid, if_compressed: bool) -> Result<()> {
    let chunk = LockedChunk::lock(relid)?;
    if !chunk.is_compressed() {
        return already(relid, "rowstore", !if_compressed);
    }
    // Expressions of indexes and rules of domains are the owner's code, whoever the caller is.
    context::with_temporary(|| context::as_user(chunk.relation.class().relowner, || rewrite(&chunk)))
}

fn rewrite(chunk: &LockedChunk) -> Result<()> {
    let Some(layout) = &chunk.layout else { return Ok(()) };
    let relid = chunk.relation.oid();
    // By time, as rows usually come in: an index on time then finds them side by side.
    let time = chunk.relation.require_attribute(&chunk.located.hypertable.time().column)?.attnum;
    let mut sorter = Sorter::new(&chunk.relation, &[SortKey { attribute: time, descending: false, nulls_first: false }])?;
    progress::start(relid, Command::Decompress);
    let mut batch_tids = Vec::new();
    let mut count = 0;
    let slot = crate::pg::slot::Virtual::new(&chunk.relation);
    let found = scan_batches(layout, |batch| {
        batch_tids.push(batch.tid());
        count += batch.rows() as i64;
        for row in 0..batch.rows() {
            // SAFETY: the slot has an element for each attribute of the chunk.
            unsafe {
                let (values, nulls) = slot.arrays();
                batch.row(row, values, nulls);
                sorter.push(slot.stored());
            }
        }
    });
    slot.end();
    let rows = if found.visible_to_all { add_rows(chunk, &mut sorter) } else { None };
    sorter.sort();
    progress::phase(Phase::Waiting);
    progress::total(count + rows.map_or(0, |rows| rows.rows as i64));
    chunk.lock_out_readers(c"decompress_chunk");
    progress::phase(Phase::Writing);
    if let Some(rows) = rows {
        standby::conflict(&chunk.relation, live::newer(found.newest, rows.newest));
        chunk.empty_heap();
        write(&mut sorter, RowWriter::frozen(&chunk.relation));
        progress::phase(Phase::Indexing);
        chunk.reindex();
        drop_batches(layout);
        forget(relid);
    } else {
        write(&mut sorter, RowWriter::moving(&chunk.relation));
        delete_rows(&Relation::open(layout.batches, pg_sys::RowExclusiveLock), &batch_tids);
        if let Some(mut entry) = columnar_chunk::find(relid) {
            entry.compressed = false;
            columnar_chunk::put(&entry);
        }
    }
    sorter.end();
    super::dml::unique::trigger::remove(&chunk.relation);
    table::command_counter_increment();
    statistics::after_decompress(relid);
    progress::end();
    Ok(())
}

/// Adds the rows of the heap, if every snapshot sees the same ones; None if not, and then they stay where they are.
fn add_rows(chunk: &LockedChunk, sorter: &mut Sorter) -> Option<live::Found> {
    if !live::scan(&chunk.relation, |_| {}).visible_to_all {
        return None;
    }
    let copy = crate::pg::slot::Virtual::new(&chunk.relation);
    let desc = descriptor(&chunk.relation);
    // What was visible to all stays so under the lock.
    let found = live::scan(&chunk.relation, |slot| {
        // SAFETY: a row of the chunk; the copy has an element for each of its attributes.
        unsafe {
            let tuple = raw::ExecFetchSlotHeapTuple(slot, false, std::ptr::null_mut());
            if u32::from((*(*tuple).t_data).t_infomask) & pg_sys::HEAP_HASEXTERNAL == 0 {
                sorter.push(slot);
                return;
            }
            // Values out of line go with the old heap, before the row is written to the new one.
            let (values, nulls) = copy.arrays();
            raw::heap_deform_tuple(raw::toast_flatten_tuple(tuple, desc), desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            sorter.push(copy.stored());
        }
    });
    copy.end();
    Some(found)
}

fn write(sorter: &mut Sorter, mut writer: RowWriter) {
    let sorter = &mut *sorter;
    let target = &mut writer;
    // SAFETY: the sorter's rows are rows of the chunk; references only on the frames that an ERROR jumps over.
    unsafe {
        guard(|| {
            let mut rows = 0;
            while let Some(slot) = sorter.next() {
                rows += 1;
                if rows % REPORT_ROWS == 0 {
                    progress::done(rows);
                }
                if pg_sys::InterruptPending != 0 {
                    ffi::raw::ProcessInterrupts();
                }
                target.write(slot);
            }
        });
    }
    writer.finish();
}
