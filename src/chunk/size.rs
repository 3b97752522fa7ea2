//! The sizes of hypertables, their chunks and their indexes. Sizes are public in PostgreSQL, so no privilege is asked for.

use pgrx::pg_sys;

use super::list::{self, Chunk};
use crate::catalog::cache;
use crate::error::{Error, Result, SqlState};
use crate::pg::ffi;
use crate::pg::relation::relation_name;
use crate::pg::size::{self, Size};

/// None for a relation that does not exist.
fn kind(relid: pg_sys::Oid) -> Option<u8> {
    // SAFETY: a syscache look-up.
    Some(unsafe { ffi::get_rel_relkind(relid) } as u8).filter(|kind| *kind != 0)
}

/// The chunks of a hypertable with their sizes, by time; None if the relation does not exist.
pub fn of_chunks(relid: pg_sys::Oid) -> Result<Option<Vec<(Chunk, Size)>>> {
    if kind(relid).is_none() {
        return Ok(None);
    }
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let chunks = list::of_hypertable(&hypertable);
    Ok(Some(chunks.into_iter().filter_map(|chunk| size::of_table(chunk.relid).map(|size| (chunk, size))).collect()))
}

/// The size of all chunks of a hypertable; None if the relation does not exist.
pub fn of_hypertable(relid: pg_sys::Oid) -> Result<Option<Size>> {
    Ok(of_chunks(relid)?.map(|chunks| chunks.into_iter().map(|(_, size)| size).sum()))
}

/// The size of an index of a hypertable over all chunks; None if there is no such relation.
pub fn of_index(relid: pg_sys::Oid) -> Result<Option<i64>> {
    match kind(relid) {
        None => Ok(None),
        Some(b'I') if cache::find(size::table_of_index(relid)).is_some() => {
            Ok(Some(size::inheritors(relid).into_iter().filter(|index| kind(*index) == Some(b'i')).filter_map(size::of_index).sum()))
        }
        Some(b'I' | b'i') => {
            Err(Error::new(SqlState::HYPERTABLE_NOT_EXIST, format!("\"{}\" is not an index of a hypertable", relation_name(relid)))
                .hint("For other indexes use pg_relation_size()."))
        }
        Some(_) => Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not an index", relation_name(relid)))),
    }
}

/// The rows of a table and of all tables below it, by statistics; None if the relation does not exist.
pub fn approximate_row_count(relid: pg_sys::Oid) -> Option<i64> {
    kind(relid)?;
    let leaves = size::inheritors(relid).into_iter().filter(|table| kind(*table) != Some(b'p'));
    Some(leaves.map(size::estimated_rows).sum::<f64>() as i64)
}
