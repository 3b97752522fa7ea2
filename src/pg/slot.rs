//! Tuple table slots: the inline functions of executor/tuptable.h, unguarded for hot paths.

use pgrx::pg_sys;

use super::ffi::raw;

/// Empties a slot (`ExecClearTuple`).
///
/// # Safety
/// `slot` is valid; nothing with a destructor is pending.
#[inline]
pub unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: every slot has its operations.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
    }
}

/// True for no slot or an empty one (`TupIsNull`).
///
/// # Safety
/// `slot` is NULL or valid.
#[inline]
pub unsafe fn is_null(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's promise.
    slot.is_null() || unsafe { (*slot).tts_flags } & pg_sys::TTS_FLAG_EMPTY as u16 != 0
}

/// A column by attribute number; None if NULL (`slot_getattr`).
///
/// # Safety
/// `slot` holds a row with that many columns; nothing with a destructor is pending.
#[inline]
pub unsafe fn attribute(slot: *mut pg_sys::TupleTableSlot, number: i16) -> Option<pg_sys::Datum> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*slot).tts_nvalid < number {
            raw::slot_getsomeattrs_int(slot, number.into());
        }
        let index = number as usize - 1;
        (!*(*slot).tts_isnull.add(index)).then(|| *(*slot).tts_values.add(index))
    }
}

/// Makes `to` hold a copy of the row in `from`, of the same columns (`ExecCopySlot`).
///
/// # Safety
/// Both slots are valid.
pub unsafe fn copy(to: *mut pg_sys::TupleTableSlot, from: *mut pg_sys::TupleTableSlot) {
    // SAFETY: every slot has its operations; the closure holds plain pointers.
    unsafe {
        if let Some(copy) = (*(*to).tts_ops).copyslot {
            super::guard::guard(|| copy(to, from));
        }
    }
}

/// A slot for rows that are made value by value, with a table's columns.
#[derive(Clone, Copy)]
pub struct Virtual(*mut pg_sys::TupleTableSlot);

impl Virtual {
    /// A slot for a table that stays open for as long.
    pub fn new(relation: &super::relation::Relation) -> Self {
        // SAFETY: an open relation.
        Self(unsafe { super::ffi::MakeSingleTupleTableSlot((*relation.as_ptr()).rd_att, &raw const pg_sys::TTSOpsVirtual) })
    }

    /// A slot for rows of this description, which is not counted: nothing is left to be freed but memory.
    ///
    /// # Safety
    /// The description outlives the slot.
    pub unsafe fn of(desc: pg_sys::TupleDesc) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { super::ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsVirtual) })
    }

    /// Empties the slot; its values and whether each is NULL.
    ///
    /// # Safety
    /// The arrays are not used beyond the next call.
    pub unsafe fn arrays<'a>(self) -> (&'a mut [pg_sys::Datum], &'a mut [bool]) {
        // SAFETY: the slot has an element for each column.
        unsafe {
            clear(self.0);
            let columns = (*(*self.0).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts_mut((*self.0).tts_values, columns);
            (values, std::slice::from_raw_parts_mut((*self.0).tts_isnull, columns))
        }
    }

    /// The slot with the row that was written to the arrays.
    ///
    /// # Safety
    /// All elements have been written since [`Self::arrays`].
    pub unsafe fn stored(self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: an empty virtual slot.
        unsafe { raw::ExecStoreVirtualTuple(self.0) }
    }

    /// Frees the slot.
    pub fn end(self) {
        // SAFETY: made by `new`.
        unsafe { super::ffi::ExecDropSingleTupleTableSlot(self.0) }
    }
}
