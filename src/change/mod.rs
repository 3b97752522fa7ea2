//! Which times transactions change in hypertables that have continuous aggregates. README.md states what must hold.

mod entry;
pub mod generation;
pub mod kept;
mod log;
pub mod place;
pub mod range;
pub mod recorder;

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

pub use generation::announce;
pub use recorder::Recorder;

use crate::catalog::cache;

/// Says that the transaction changed rows in a range of a hypertable. Does nothing if no continuous aggregate is to know.
pub fn note(hypertable: pg_sys::Oid, range: Range) {
    if let Some(hypertable) = cache::find(hypertable) {
        Recorder::of(&hypertable).note_range(range);
    }
}

/// What the running transaction has changed in a hypertable and has not committed: at least that, since neither a rollback to a savepoint
/// nor a row that stayed as it was takes anything away.
pub fn pending(hypertable: pg_sys::Oid) -> Ranges {
    entry::find(hypertable).map_or(Ranges::EMPTY, |entry| entry.changes().clone())
}
