//! Unique indexes: PostgreSQL builds them over the row part, so duplicates are looked for in both parts.

use std::rc::Rc;

use pgrx::pg_sys;

use crate::columnar::layout::Layout;
use crate::columnar::part::scan_batches;
use crate::error::Result;
use crate::pg::index_sort::IndexSort;
use crate::pg::live;
use crate::pg::relation::Relation;
use crate::pg::slot::Virtual;

/// The unique indexes of a table.
pub fn indexes_of(table: &Relation) -> Vec<pg_sys::Oid> {
    let is_unique = |oid: &pg_sys::Oid| {
        let index = Relation::open(*oid, pg_sys::AccessShareLock);
        // SAFETY: an open index has rd_index.
        unsafe { (*(*index.as_ptr()).rd_index).indisunique }
    };
    table.index_oids().into_iter().filter(is_unique).collect()
}

/// Sorts the keys of both parts as if the index was built of them: an ERROR like that of an index that can't be built if two are equal.
pub fn check(layout: &Rc<Layout>, chunk: &Relation, index: pg_sys::Oid) -> Result<()> {
    let index = Relation::open(index, pg_sys::AccessShareLock);
    let mut sort = IndexSort::new(chunk, &index);
    let target = &mut sort;
    // SAFETY: rows of the chunk; only references live on the frames that an ERROR jumps over.
    live::scan(chunk, |slot| unsafe { target.push(slot) });
    let slot = Virtual::new(chunk);
    scan_batches(layout, |batch| {
        for row in 0..batch.rows() {
            // SAFETY: as above; the slot has an element for each attribute of the chunk.
            unsafe {
                let (values, nulls) = slot.arrays();
                batch.row(row, values, nulls);
                target.push(slot.stored());
            }
        }
    });
    slot.end();
    sort.finish();
    Ok(())
}
