//! What a hypertable is made of, in numbers: for the view that shows all of them.

use pgrx::pg_sys;

use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::catalog::{cache, chunk};
use crate::pg::size;

/// The chunks of a hypertable, counted, and their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    /// All of them.
    pub chunks: i64,
    /// In columns.
    pub compressed: i64,
    /// Of those, chunks that have rows outside of their batches.
    pub partial: i64,
    /// All chunks with indexes, batches and what is out of line.
    pub bytes: i64,
    /// Compressed chunks when they were in row form.
    pub before: i64,
    /// The same chunks now.
    pub after: i64,
}

/// Looks at all chunks of a hypertable; None if it is none. Takes a lock on each for a moment only, and does not wait for one.
pub fn of_hypertable(relid: pg_sys::Oid) -> Option<Health> {
    let hypertable = cache::find(relid)?;
    let mut parts: std::collections::HashMap<pg_sys::Oid, ColumnarChunk> =
        columnar_chunk::of_hypertable(hypertable.id).into_iter().map(|part| (part.relid, part)).collect();
    let mut health = Health::default();
    for chunk in chunk::of_hypertable(hypertable.id) {
        // Of a chunk that is being swapped or dropped right now nothing more can be said than that it is there.
        let rows = size::total(chunk.relid).unwrap_or(0);
        let part = parts.remove(&chunk.relid);
        let batches = part.as_ref().and_then(|part| size::total(part.batches)).unwrap_or(0);
        health.chunks += 1;
        health.bytes += rows + batches;
        if let Some(part) = part.filter(|part| part.compressed) {
            health.compressed += 1;
            health.partial += i64::from(size::has_rows(chunk.relid));
            health.before += part.before.total;
            health.after += rows + batches;
        }
    }
    Some(health)
}
