//! Looking for duplicates as the build of a unique index does, without building it.

use std::ffi::c_int;

use pgrx::pg_sys;

use super::ffi::{self, raw};
use super::relation::Relation;

/// The keys of an index, being sorted.
pub struct IndexSort {
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    predicate: *mut pg_sys::ExprState,
    estate: *mut pg_sys::EState,
    context: *mut pg_sys::ExprContext,
    state: *mut pg_sys::Tuplesortstate,
    rows: u64,
}

impl IndexSort {
    /// For a unique btree index of a table; both stay open.
    pub fn new(table: &Relation, index: &Relation) -> Self {
        // SAFETY: open relations; what is made here is freed by `finish`, or with the memory context.
        unsafe {
            let info = ffi::BuildIndexInfo(index.as_ptr());
            let estate = ffi::CreateExecutorState();
            let predicate = (*info).ii_Predicate;
            Self {
                index: index.as_ptr(),
                predicate: if predicate.is_null() { std::ptr::null_mut() } else { ffi::ExecPrepareQual(predicate, estate) },
                context: ffi::MakePerTupleExprContext(estate),
                state: ffi::tuplesort_begin_index_btree(
                    table.as_ptr(),
                    index.as_ptr(),
                    true,
                    (*info).ii_NullsNotDistinct,
                    pg_sys::maintenance_work_mem,
                    std::ptr::null_mut(),
                    pg_sys::TUPLESORT_NONE as c_int,
                ),
                info,
                estate,
                rows: 0,
            }
        }
    }

    /// Adds the key of a row.
    ///
    /// # Safety
    /// The slot holds a row of the table. May jump.
    pub unsafe fn push(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        let mut values = [pg_sys::Datum::null(); pg_sys::INDEX_MAX_KEYS as usize];
        let mut nulls = [true; pg_sys::INDEX_MAX_KEYS as usize];
        // SAFETY: the caller's promise; the arrays are large enough for any index.
        unsafe {
            if pg_sys::InterruptPending != 0 {
                raw::ProcessInterrupts();
            }
            raw::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            (*self.context).ecxt_scantuple = slot;
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*self.context).ecxt_per_tuple_memory;
            let belongs = self.predicate.is_null() || self.holds();
            if belongs {
                raw::FormIndexDatum(self.info, slot, self.estate, values.as_mut_ptr(), nulls.as_mut_ptr());
            }
            pg_sys::CurrentMemoryContext = outer;
            if belongs {
                // Each row gets an address of its own, by which equal keys are told apart.
                let mut tid = pg_sys::ItemPointerData {
                    ip_blkid: pg_sys::BlockIdData { bi_hi: (self.rows >> 24) as u16, bi_lo: (self.rows >> 8) as u16 },
                    ip_posid: (self.rows & 0xFF) as u16 + 1,
                };
                self.rows += 1;
                raw::tuplesort_putindextuplevalues(self.state, self.index, &mut tid, values.as_mut_ptr(), nulls.as_mut_ptr());
            }
        }
    }

    /// # Safety
    /// There is a predicate. May jump.
    unsafe fn holds(&self) -> bool {
        let mut null = false;
        // SAFETY: a prepared expression has its function.
        unsafe { (*self.predicate).evalfunc.is_some_and(|evaluate| evaluate(self.predicate, self.context, &mut null).value() != 0) }
    }

    /// Sorts: an ERROR if two keys are equal.
    pub fn finish(self) {
        // SAFETY: made by `new`.
        unsafe {
            ffi::tuplesort_performsort(self.state);
            ffi::tuplesort_end(self.state);
            ffi::FreeExecutorState(self.estate);
        }
    }
}
