//! The end of a transaction that changed hypertables with continuous aggregates: what has to be logged, and what is known already.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

use super::{entry, generation};
use crate::catalog::{cache, continuous_agg, continuous_agg_range, hypertable_change};
use crate::error::{Error, Result, SqlState};
use crate::pg::{context, xact};

/// The most ranges that a transaction logs for a hypertable.
const MOST_LOGGED: usize = 64;

/// How many ranges a session remembers to have logged. To forget them only means to log them again.
const MOST_REMEMBERED: usize = 1024;

/// What is known of a hypertable in a generation.
#[derive(Default)]
struct Known {
    generation: u64,
    /// What its continuous aggregates have materialized.
    materialized: Ranges,
    /// What committed transactions of this backend logged: nobody has taken it from the log yet, or whoever has waits for those that
    /// relied on it.
    logged: Ranges,
}

#[derive(Default)]
struct State {
    known: HashMap<pg_sys::Oid, Known>,
    /// What the transaction that is committing logs.
    committing: Vec<(pg_sys::Oid, Ranges)>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Before a transaction commits, or is prepared.
pub fn before_end(prepares: bool) -> Result<()> {
    if prepares && generation::is_unsettled() {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot PREPARE a transaction that has refreshed a continuous aggregate")
            .hint("Commit it, or refresh in a transaction of its own."));
    }
    // Without an id it has changed nothing after all, or a rollback took it back.
    if !xact::has_written() {
        return Ok(());
    }
    for entry in entry::changed() {
        let hypertable = entry.hypertable;
        // The table may be gone, or its last continuous aggregate.
        if cache::find(hypertable).is_some_and(|hypertable| hypertable.grain.is_some()) {
            log(hypertable, entry.changes(), prepares);
        }
    }
    Ok(())
}

fn log(hypertable: pg_sys::Oid, changes: &Ranges, prepares: bool) {
    // Who materializes need not wait for a prepared transaction, since it leaves nothing out.
    let mut changes = if prepares {
        changes.clone()
    } else {
        generation::enter(hypertable).map_or_else(|| changes.clone(), |generation| without_known(hypertable, changes, generation))
    };
    // Most transactions of those that write row by row end here.
    if changes.is_empty() {
        return;
    }
    changes.coarsen(MOST_LOGGED);
    context::with_temporary(|| hypertable_change::insert(hypertable, &changes));
    if !prepares {
        STATE.with_borrow_mut(|state| state.committing.push((hypertable, changes)));
    }
}

/// What has to be logged of changes. After [`generation::enter`], which said what the generation is.
fn without_known(hypertable: pg_sys::Oid, changes: &Ranges, generation: u64) -> Ranges {
    let is_current = |state: &State| state.known.get(&hypertable).is_some_and(|known| known.generation == generation);
    if !STATE.with_borrow(is_current) {
        // Nobody looks into the cache meanwhile.
        let materialized = context::with_temporary(|| materialized(hypertable));
        let known = Known { generation, materialized, logged: Ranges::EMPTY };
        STATE.with_borrow_mut(|state| state.known.insert(hypertable, known));
    }
    STATE.with_borrow(|state| {
        let Some(known) = state.known.get(&hypertable) else { return changes.clone() };
        let matters = |range: &&Range| known.materialized.overlaps(**range) && !known.logged.covers(**range);
        changes.as_slice().iter().filter(matters).copied().collect()
    })
}

/// What is materialized of a hypertable, as of this moment, whatever the transaction's snapshot is.
fn materialized(hypertable: pg_sys::Oid) -> Ranges {
    let aggregates = continuous_agg::of_source(hypertable);
    // SAFETY: without a snapshot, what is committed now is read.
    let states = aggregates.iter().map(|agg| unsafe { continuous_agg_range::read(agg.storage, std::ptr::null_mut()) }.materialized);
    states.fold(Ranges::EMPTY, |all, materialized| all.union(&materialized))
}

/// When a transaction has ended.
pub fn at_end(committed: bool) {
    for mut entry in entry::changed() {
        entry.clear();
    }
    generation::leave();
    STATE.with_borrow_mut(|state| {
        let logged = std::mem::take(&mut state.committing);
        if !committed {
            return;
        }
        for (hypertable, ranges) in logged {
            // Without an entry the generation was not settled.
            if let Some(known) = state.known.get_mut(&hypertable) {
                if known.logged.as_slice().len() > MOST_REMEMBERED {
                    known.logged.clear();
                }
                known.logged.extend(&ranges);
            }
        }
    });
}
