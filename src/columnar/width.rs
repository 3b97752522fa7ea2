//! How many columns a batch can have: it is one row of its table, with a pointer at least to each block.

use pgrx::pg_sys;

use super::batch_table;
use super::builder::Batch;
use super::layout::Layout;
use crate::error::{Error, Result, SqlState};

/// What a block takes in the row when it is out of line (`TOAST_POINTER_SIZE`).
const POINTER: usize = 18;
/// The longest block that PostgreSQL does not move out of line: with its length it takes no more than an aligned pointer.
const LONGEST_INLINE: usize = 20;
/// `MaxHeapTupleSize`
const LARGEST_ROW: usize = 8160;
/// The header of a row, without the bits for NULLs, and the count of rows and whether segments are single.
const FIXED: usize = 23 + 8 + 4 + 1;

/// The most that a bound of a key takes: longer ones, of types of any length, go out of line.
const BOUND: usize = 64;

/// A row without the bounds of its keys.
fn row_size(columns: usize, keys: usize, blocks: usize) -> usize {
    FIXED + batch_table::width(columns, keys).div_ceil(8) + blocks
}

/// What a block takes in the row, at least.
fn in_row(bytes: usize) -> usize {
    if bytes > LONGEST_INLINE { POINTER } else { bytes + 1 }
}

/// True if a batch of so many columns fits into a row whatever is in it.
pub fn always_fits(columns: usize, keys: usize) -> bool {
    row_size(columns, keys, (columns + 1) * (LONGEST_INLINE + 1)) + 2 * keys * BOUND <= LARGEST_ROW
}

/// Refuses more columns than a table of batches can have.
pub fn check_columns(chunk: &str, columns: usize, keys: usize) -> Result<()> {
    let (count, most) = (batch_table::width(columns, keys), pg_sys::MaxHeapAttributeNumber as usize);
    if count <= most {
        return Ok(());
    }
    Err(Error::new(SqlState::TOO_MANY_COLUMNS, format!("chunk \"{chunk}\" has too many columns to be compressed"))
        .detail(format!("The table of its batches would have {count} columns, and a table has at most {most}."))
        .hint("Leave it in row form, or divide the table into several."))
}

/// Refuses a batch that is too wide for a row, before PostgreSQL does in words that nobody could make sense of.
pub fn check(layout: &Layout, batch: &Batch) {
    let (columns, keys) = (layout.columns.len(), layout.keys.len());
    if always_fits(columns, keys) {
        return;
    }
    let blocks = batch.blocks.iter().flatten();
    let with_values = blocks.clone().count();
    let size = row_size(columns, keys, in_row(batch.zone.len()) + blocks.map(|block| in_row(block.len())).sum::<usize>());
    if size > LARGEST_ROW {
        Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a chunk has too many columns with values to be compressed")
            .detail(format!("A row of {with_values} pointers to columns takes {size} bytes, and has room for {LARGEST_ROW}."))
            .hint("Leave the chunk in row form, or divide the table into several. Columns of NULLs alone take no room.")
            .throw()
    }
}
