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
