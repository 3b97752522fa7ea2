//! Which chunks a hypertable has, read from PostgreSQL's catalogs without a lock on any of them.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::relation_name;
use crate::pg::{context, ffi, partition};

/// A part of a table that is divided by hash: how many there are, and which it is.
pub type HashPart = (i32, i32);

/// A leaf partition of a hypertable.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The table.
    pub relid: pg_sys::Oid,
    /// The partition of the hypertable that it is or lies in.
    pub table: pg_sys::Oid,
    /// The range that the partition covers.
    pub slice: Slice,
    /// Its place in each hash dimension.
    pub parts: Vec<HashPart>,
}

/// The chunks of a hypertable by time and, within a slice, by hash part.
pub fn of_hypertable(hypertable: &Hypertable) -> Vec<Chunk> {
    let Some(axis) = hypertable.time().axis() else { return Vec::new() };
    let mut slices: Vec<(Slice, pg_sys::Oid)> = partition::children_unlocked(hypertable.relid)
        .into_iter()
        .filter_map(|table| Some((context::with_temporary(|| partition::range_bound_of(axis, table))?, table)))
        .collect();
    slices.sort_by_key(|(slice, _)| slice.start);
    let mut chunks = Vec::with_capacity(slices.len());
    for (slice, table) in slices {
        add_leaves(&mut chunks, &Chunk { relid: table, table, slice, parts: Vec::new() });
    }
    chunks
}

fn add_leaves(chunks: &mut Vec<Chunk>, above: &Chunk) {
    // SAFETY: a syscache look-up.
    if unsafe { ffi::get_rel_relkind(above.relid) } as u8 != b'p' {
        chunks.push(above.clone());
        return;
    }
    let mut below: Vec<Chunk> = partition::children_unlocked(above.relid)
        .into_iter()
        .map(|relid| {
            let mut parts = above.parts.clone();
            parts.extend(context::with_temporary(|| partition::hash_bound_of(relid)));
            Chunk { relid, table: above.table, slice: above.slice, parts }
        })
        .collect();
    below.sort_by(|a, b| a.parts.cmp(&b.parts));
    for chunk in &below {
        add_leaves(chunks, chunk);
    }
}

/// The chunks in groups of one slice each.
pub fn by_slice(chunks: &[Chunk]) -> impl Iterator<Item = &[Chunk]> {
    chunks.chunk_by(|a, b| a.table == b.table)
}

/// A chunk with its hypertable.
#[derive(Debug, Clone)]
pub struct Located {
    /// The hypertable.
    pub hypertable: std::rc::Rc<Hypertable>,
    /// The chunk.
    pub chunk: Chunk,
}

/// The chunk that a relation is, or TS003.
pub fn require(relid: pg_sys::Oid) -> Result<Located> {
    find(relid).ok_or_else(|| {
        Error::new(SqlState::CHUNK_NOT_EXIST, format!("\"{}\" is not a chunk", relation_name(relid)))
            .hint("timescaledb_information.chunks lists the chunks.")
    })
}

/// The chunk that a relation is, if it is one.
pub fn find(relid: pg_sys::Oid) -> Option<Located> {
    // SAFETY: a syscache look-up.
    if unsafe { ffi::get_rel_relkind(relid) } as u8 == b'p' {
        return None;
    }
    let mut parts = Vec::new();
    let mut table = relid;
    loop {
        let parent = partition::parent_of(table)?;
        if let Some(hypertable) = cache::find(parent) {
            let slice = context::with_temporary(|| partition::range_bound_of(hypertable.time().axis()?, table))?;
            parts.reverse();
            return Some(Located { hypertable, chunk: Chunk { relid, table, slice, parts } });
        }
        parts.extend(context::with_temporary(|| partition::hash_bound_of(table)));
        table = parent;
    }
}

/// The error for a relation that is no hypertable, where a continuous aggregate would do as well.
pub fn not_a_hypertable(relid: pg_sys::Oid) -> Error {
    Error::new(SqlState::HYPERTABLE_NOT_EXIST, format!("\"{}\" is not a hypertable or a continuous aggregate", relation_name(relid)))
        .hint("The operation is only possible on a hypertable or continuous aggregate.")
}
