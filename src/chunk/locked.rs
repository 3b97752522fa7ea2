//! Whole slices of a hypertable, locked so that they can be rewritten.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use super::list::{self, Chunk, HashPart, Located};
use super::row_form;
use crate::catalog::naming;
use crate::error::{Error, Result, SqlState};
use crate::pg::partition_change::{check_not_in_use, lock};
use crate::pg::relation::{Relation, relation_name};

/// A partition of a hypertable with its chunks: itself, or the parts that it is divided into.
#[derive(Debug, Clone)]
pub struct LockedSlice {
    /// The partition of the hypertable.
    pub table: pg_sys::Oid,
    /// Its range.
    pub slice: Slice,
    /// Its chunks by hash part.
    pub chunks: Vec<Chunk>,
}

impl LockedSlice {
    /// Takes AccessExclusiveLock on the partition and its chunks, which must be in row form; the caller holds it on the hypertable.
    pub fn lock(located: &Located, command: &std::ffi::CStr, action: &str) -> Result<Self> {
        let table = located.chunk.table;
        lock(table, pg_sys::AccessExclusiveLock);
        let chunks: Vec<Chunk> = list::of_hypertable(&located.hypertable).into_iter().filter(|chunk| chunk.table == table).collect();
        for chunk in &chunks {
            check_not_in_use(&Relation::open(chunk.relid, pg_sys::AccessExclusiveLock), command);
            row_form::require_locked(chunk.relid, action)?;
        }
        Ok(Self { table, slice: located.chunk.slice, chunks })
    }

    /// How the slice is divided.
    pub fn shape(&self) -> Vec<&[HashPart]> {
        self.chunks.iter().map(|chunk| chunk.parts.as_slice()).collect()
    }
}

/// Finds a chunk that the role may change, and takes AccessExclusiveLock on its hypertable.
pub fn lock_hypertable_of(relid: pg_sys::Oid) -> Result<Located> {
    let root = list::require(relid)?.hypertable.relid;
    naming::require_owner(root)?;
    lock(root, pg_sys::AccessExclusiveLock);
    // The table may have changed hands while the lock was waited for.
    naming::require_owner(root)?;
    let located = list::require(relid)?;
    if located.hypertable.relid == root {
        return Ok(located);
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, format!("chunk \"{}\" was moved to another hypertable meanwhile", relation_name(relid))))
}
