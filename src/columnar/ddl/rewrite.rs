//! Changing the batches of a chunk in place: some of a batch's attributes get new values, its other blocks stay where they are.

use std::rc::Rc;

use pgrx::pg_sys;

use crate::columnar::batch_writer::{Indexes, bytes_datum};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::guard::guard;
use crate::pg::relation::{Relation, descriptor};
use crate::pg::{context, ffi, live};

/// New values of bytea attributes (by number) of a batch; None for NULL.
pub type Changes = Vec<(i16, Option<Vec<u8>>)>;

/// Asks for the changes of each live batch, and writes them. The caller's lock on the chunk keeps everybody else from writing to it;
/// two that may do so side by side (CREATE INDEX) wait for each other here.
///
/// `change` may be left by unwinding only. Its memory is freed after each batch.
pub fn batches(layout: &Rc<Layout>, mut change: impl FnMut(&mut BatchReader) -> Changes) {
    let relation = Relation::open(layout.batches, pg_sys::ExclusiveLock);
    let mut tids = Vec::new();
    let found = &mut tids;
    // SAFETY: each row's address.
    live::scan(&relation, |slot| found.push(unsafe { (*slot).tts_tid }));
    let indexes = Indexes::open(&relation);
    let mut reader = BatchReader::new(Rc::clone(layout));
    for tid in tids {
        context::with_temporary(|| {
            // SAFETY: a live row of the batch table, which nobody else can change.
            unsafe {
                let tuple = fetch(&relation, tid);
                let (batch, desc) = (&mut reader, descriptor(&relation));
                guard(|| batch.open(tuple, desc));
                let changes = change(&mut reader);
                if !changes.is_empty() {
                    update(&relation, &indexes, tuple, &changes);
                }
            }
        });
    }
    indexes.close();
    crate::pg::table::command_counter_increment();
}

/// # Safety
/// The address of a row that is there.
unsafe fn fetch(relation: &Relation, tid: pg_sys::ItemPointerData) -> pg_sys::HeapTuple {
    let mut tuple = pg_sys::HeapTupleData { t_self: tid, ..Default::default() };
    let mut buffer = 0;
    // SAFETY: the caller's promise; the buffer is let go after the row was copied.
    unsafe {
        ffi::heap_fetch(relation.as_ptr(), &raw mut pg_sys::SnapshotAnyData, &mut tuple, &mut buffer, true);
        let copy = ffi::heap_copytuple(&mut tuple);
        if buffer != 0 {
            ffi::ReleaseBuffer(buffer);
        }
        copy
    }
}

/// # Safety
/// `old` is the current version of a row of the batch table.
unsafe fn update(relation: &Relation, indexes: &Indexes, old: pg_sys::HeapTuple, changes: &Changes) {
    let desc = descriptor(relation);
    let count = relation.attributes().len();
    let mut values = vec![pg_sys::Datum::null(); count];
    let mut nulls = vec![true; count];
    let mut replace = vec![false; count];
    for (attribute, value) in changes {
        let Some(index) = (*attribute as usize).checked_sub(1) else { continue };
        replace[index] = true;
        nulls[index] = value.is_none();
        values[index] = value.as_ref().map_or(pg_sys::Datum::null(), |bytes| bytes_datum(bytes));
    }
    // SAFETY: the arrays have an element for each attribute; unchanged values out of line stay where they are.
    unsafe {
        let new = ffi::heap_modify_tuple(old, desc, values.as_mut_ptr(), nulls.as_mut_ptr(), replace.as_mut_ptr());
        let mut tid = (*old).t_self;
        ffi::simple_heap_update(relation.as_ptr(), &mut tid, new);
        let is_heap_only = u32::from((*(*new).t_data).t_infomask2) & pg_sys::HEAP_ONLY_TUPLE != 0;
        if !is_heap_only {
            ffi::heap_deform_tuple(new, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            indexes.insert(relation, &values, &nulls, (*new).t_self);
        }
    }
}
