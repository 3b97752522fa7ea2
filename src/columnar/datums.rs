//! From what the codec decoded to Datums.

use std::ops::Range;

use pgrx::pg_sys;
use tsc_codec::{VECTOR_ROWS, Vector};

use super::image::Image;
use super::layout::Column;
use super::value;

/// A vector of NULLs.
pub fn all_null(vector: &mut Vector, rows: usize) {
    vector.rows = rows;
    vector.validity = [0; VECTOR_ROWS / 64];
    vector.all_valid = rows == 0;
    vector.words[..rows].fill(0);
}

/// The Datum of a value in the arena.
///
/// # Safety
/// `at` is where the codec put a value of the column. May jump.
pub unsafe fn arena_datum(column: &Column, at: *const u8) -> pg_sys::Datum {
    // SAFETY: the caller's promise; a varlena of the codec has its length word.
    unsafe {
        if matches!(column.image, Image::Text { .. }) {
            let length = (at.cast::<u32>().read() >> 2) as usize - 4;
            return value::datum_of_bytes(column, std::slice::from_raw_parts(at.add(4), length));
        }
    }
    pg_sys::Datum::from(at)
}

/// Turns offsets in the arena into Datums.
///
/// # Safety
/// These rows of the vector were decoded for this column. May jump.
pub unsafe fn to_datums(column: &Column, rows: Range<usize>, vector: &mut Vector) {
    let base = vector.arena.as_ptr().cast::<u8>();
    for row in rows {
        if vector.is_valid(row) {
            // SAFETY: a valid row's word is an offset in the arena.
            vector.words[row] = unsafe { arena_datum(column, base.add(vector.words[row] as usize)) }.value() as i64;
        }
    }
}
