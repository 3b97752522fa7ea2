//! Rows of batches on their way into the chunk's heap. They are rows of the chunk already: no trigger fires, no constraint is checked,
//! and logical decoding does not see them.

use pgrx::pg_sys;

use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;

/// Writes rows to a chunk's heap.
pub struct RowWriter {
    heap: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    bulk: pg_sys::BulkInsertState,
    options: i32,
    command: pg_sys::CommandId,
    /// For the indexes, if they are kept up; else NULL.
    estate: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
}

impl RowWriter {
    /// As rows that every snapshot sees, into a heap that this (sub)transaction emptied; its indexes are built later.
    pub fn frozen(relation: &Relation) -> Self {
        Self::new(relation, pg_sys::HEAP_INSERT_FROZEN | pg_sys::HEAP_INSERT_SKIP_FSM, false, None)
    }

    /// As rows of this command, with their index entries.
    pub fn moving(relation: &Relation) -> Self {
        Self::new(relation, 0, true, None)
    }

    /// As rows of an earlier command of this transaction, with their index entries: a statement whose snapshot is later sees them.
    pub fn moving_before(relation: &Relation, command: pg_sys::CommandId) -> Self {
        Self::new(relation, 0, true, Some(command))
    }

    fn new(relation: &Relation, options: u32, with_indexes: bool, command: Option<pg_sys::CommandId>) -> Self {
        let heap = relation.as_ptr();
        // SAFETY: an open heap; what is made here is freed by `finish`, or with the memory context and the resource owner.
        unsafe {
            let (mut estate, mut result) = (std::ptr::null_mut(), std::ptr::null_mut());
            if with_indexes {
                estate = ffi::CreateExecutorState();
                result = ffi::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
                ffi::InitResultRelInfo(result, heap, 0, std::ptr::null_mut(), 0);
                ffi::ExecOpenIndices(result, false);
            }
            Self {
                heap,
                slot: ffi::table_slot_create(heap, std::ptr::null_mut()),
                bulk: ffi::GetBulkInsertState(),
                options: (options | pg_sys::HEAP_INSERT_NO_LOGICAL) as i32,
                command: command.unwrap_or_else(|| ffi::GetCurrentCommandId(true)),
                estate,
                result,
            }
        }
    }

    /// Writes a row; returns where.
    ///
    /// # Safety
    /// The slot holds a row with the chunk's columns. May jump.
    pub unsafe fn write(&mut self, row: *mut pg_sys::TupleTableSlot) -> pg_sys::ItemPointerData {
        // SAFETY: the caller's promise; ExecCopySlot, then heap_insert as heapam_tuple_insert does.
        unsafe {
            if let Some(copy) = (*(*self.slot).tts_ops).copyslot {
                copy(self.slot, row);
            }
            (*self.slot).tts_tableOid = (*self.heap).rd_id;
            let mut should_free = false;
            let tuple = raw::ExecFetchSlotHeapTuple(self.slot, true, &mut should_free);
            (*tuple).t_tableOid = (*self.heap).rd_id;
            raw::heap_insert(self.heap, tuple, self.command, self.options, self.bulk);
            let place = (*tuple).t_self;
            (*self.slot).tts_tid = place;
            if !self.result.is_null() {
                if (*self.result).ri_NumIndices > 0 {
                    raw::ExecInsertIndexTuples(
                        self.result,
                        self.slot,
                        self.estate,
                        false,
                        false,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                    );
                }
                if let Some(context) = (*self.estate).es_per_tuple_exprcontext.as_ref() {
                    raw::MemoryContextReset(context.ecxt_per_tuple_memory);
                }
            }
            if should_free {
                raw::pfree(tuple.cast());
            }
            crate::pg::slot::clear(self.slot);
            place
        }
    }

    /// Ends writing.
    pub fn finish(self) {
        // SAFETY: made by `new`.
        unsafe {
            if !self.result.is_null() {
                ffi::ExecCloseIndices(self.result);
                ffi::FreeExecutorState(self.estate);
            }
            ffi::FreeBulkInsertState(self.bulk);
            ffi::ExecDropSingleTupleTableSlot(self.slot);
        }
    }
}
