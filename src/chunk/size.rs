//! The sizes of hypertables, their chunks and their indexes. Sizes are public in PostgreSQL, so no privilege is asked for.

use pgrx::pg_sys;

use super::list::{self, Chunk};
use crate::catalog::{cache, columnar_chunk, columnstore};
use crate::error::{Error, Result, SqlState};
use crate::pg::ffi;
use crate::pg::relation::relation_name;
use crate::pg::size::{self, Size};

/// None for a relation that does not exist.
fn kind(relid: pg_sys::Oid) -> Option<u8> {
    // SAFETY: a syscache look-up.
    Some(unsafe { ffi::get_rel_relkind(relid) } as u8).filter(|kind| *kind != 0)
}

/// The size of a chunk, its batches included; None if it is gone.
fn of_chunk(relid: pg_sys::Oid) -> Option<Size> {
    let batches = columnar_chunk::find(relid).and_then(|part| size::of_table(part.batches));
    size::of_table(relid).map(|rows| [Some(rows), batches].into_iter().flatten().sum())
}

/// The chunks of a hypertable with their sizes, by time; None if the relation does not exist.
pub fn of_chunks(relid: pg_sys::Oid) -> Result<Option<Vec<(Chunk, Size)>>> {
    if kind(relid).is_none() {
        return Ok(None);
    }
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let chunks = list::of_hypertable(&hypertable);
    Ok(Some(chunks.into_iter().filter_map(|chunk| of_chunk(chunk.relid).map(|size| (chunk, size))).collect()))
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
    Some(leaves.map(estimated_rows).sum::<f64>() as i64)
}

/// The rows of a table, and of its batches if it is a compressed chunk.
fn estimated_rows(relid: pg_sys::Oid) -> f64 {
    let batches = columnar_chunk::find(relid).filter(|part| part.compressed).map_or(0.0, |part| {
        // Batches come and go; as VACUUM counts them.
        let now = size::estimated_rows(part.batches);
        if part.batch_count > 0 && now > 0.0 { part.rows as f64 * now / part.batch_count as f64 } else { part.rows as f64 }
    });
    size::estimated_rows(relid) + batches
}

/// What a chunk took before it was compressed, and what both its parts take now.
#[derive(Debug, Clone, Copy)]
pub struct Compressed {
    /// The chunk in row form.
    pub before: Size,
    /// Batches, and rows that are not in one.
    pub after: Size,
}

/// A chunk, with its sizes if it is compressed.
pub type ChunkCompression = (Chunk, Option<Compressed>);

/// The chunks of a hypertable by time, with their sizes if they are compressed; empty if nothing is to be compressed, None if the
/// relation does not exist.
pub fn compression(relid: pg_sys::Oid) -> Result<Option<Vec<ChunkCompression>>> {
    if kind(relid).is_none() {
        return Ok(None);
    }
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    if columnstore::find(hypertable.id).is_none() {
        return Ok(Some(Vec::new()));
    }
    let sizes = |chunk: &Chunk| {
        let part = columnar_chunk::find(chunk.relid).filter(|part| part.compressed)?;
        Some(Compressed { before: part.before, after: of_chunk(chunk.relid)? })
    };
    Ok(Some(list::of_hypertable(&hypertable).into_iter().map(|chunk| (sizes(&chunk), chunk)).map(|(size, chunk)| (chunk, size)).collect()))
}

/// Bits of TimescaleDB's status of a chunk.
const COMPRESSED: i32 = 1;
const PARTIAL: i32 = 8;

/// The status of a chunk: compressed, and whether rows are outside of its batches.
pub fn status(relid: pg_sys::Oid) -> i32 {
    match columnar_chunk::find(relid) {
        Some(part) if part.compressed => COMPRESSED | if size::has_rows(relid) { PARTIAL } else { 0 },
        _ => 0,
    }
}

/// True if a chunk has no row that a new snapshot sees, in neither part; not true if somebody has locked it.
pub fn is_empty(relid: pg_sys::Oid) -> bool {
    !size::has_rows(relid) && columnar_chunk::find(relid).is_none_or(|part| !size::has_rows(part.batches))
}
