//! Rows of open batches that need no projection are written to the node's result at once.

use super::*;
use crate::scan::columns::Output;

impl Merge {
    /// Has rows of open batches written to the result slot, of whose columns `places` tells which of the scan tuple they are.
    pub fn write_to(&mut self, result: *mut pg_sys::TupleTableSlot, places: &[usize]) {
        let place = |output: &Output| places.iter().position(|place| *place == output.index).unwrap_or(usize::MAX);
        self.places = self.base.columns.outputs().iter().map(place).collect();
        self.result = result;
    }

    /// Writes the row that it stands on to the result slot; None if that can't be done without a projection.
    ///
    /// # Safety
    /// After [`Self::peek`]. May jump.
    #[inline]
    pub unsafe fn write(&mut self) -> Option<*mut pg_sys::TupleTableSlot> {
        if self.result.is_null() || self.sorter.is_some() {
            return None;
        }
        let top = self.open.first_mut()?;
        // SAFETY: the caller's promise.
        unsafe {
            let result = self.result;
            if (*result).tts_flags & pg_sys::TTS_FLAG_SHOULDFREE as u16 != 0 {
                slot::clear(result);
            }
            top.run.write((*result).tts_values, (*result).tts_isnull, &self.places);
            (*result).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
            (*result).tts_nvalid = (*(*result).tts_tupleDescriptor).natts as i16;
            Some(result)
        }
    }
}
