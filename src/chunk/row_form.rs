//! Chunks that have to be in row form for what is to be done with them.

use std::cell::Cell;

use pgrx::pg_sys;

use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, qualified_name, relation_name};
use crate::pg::{context, live, partition_change};

thread_local! {
    static DROPPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, in which chunks are detached only to be dropped: their batches go with them, so they may have some.
pub fn while_dropping<T>(f: impl FnOnce() -> T) -> T {
    context::with_set(&DROPPING, true, f)
}

/// Refuses a chunk that is compressed: `action` is what can't be done with it.
pub fn require(relid: pg_sys::Oid, action: &str) -> Result<()> {
    match columnar_chunk::find(relid) {
        Some(part) if part.compressed && !DROPPING.get() => Err(compressed(relid, action)),
        _ => Ok(()),
    }
}

/// The same for a chunk on which AccessExclusiveLock is held. Batches that only old snapshots could see must be needed by none of them,
/// and are dropped.
pub fn require_locked(relid: pg_sys::Oid, action: &str) -> Result<()> {
    match columnar_chunk::find(relid) {
        None => Ok(()),
        Some(part) if part.compressed => Err(compressed(relid, action)),
        Some(part) => drop_unseen(&part, action),
    }
}

fn compressed(relid: pg_sys::Oid, action: &str) -> Error {
    let name = qualified_name(relid).unwrap_or_default();
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot {action} compressed chunk \"{}\"", relation_name(relid)))
        .detail("Rows of the chunk are in batches, outside of its heap.")
        .hint(format!("Decompress the chunk first: SELECT decompress_chunk('{}');", name.replace('\'', "''")))
}

fn drop_unseen(part: &ColumnarChunk, action: &str) -> Result<()> {
    let found = {
        let batches = Relation::open(part.batches, pg_sys::AccessExclusiveLock);
        live::scan(&batches, |_| {})
    };
    if found.rows > 0 || !found.visible_to_all {
        return Err(Error::new(SqlState::OBJECT_IN_USE, format!("cannot {action} chunk \"{}\" now", relation_name(part.relid)))
            .detail("The chunk was decompressed while transactions were running that may still read its batches.")
            .hint("Try again when they have ended."));
    }
    drop_part(part);
    Ok(())
}

/// Drops the columnar part of a chunk on which AccessExclusiveLock is held, with its rows.
pub fn drop_part(part: &ColumnarChunk) {
    // The hook on DROP removes the catalog's row.
    partition_change::drop_internal(part.batches);
}
