//! Refreshing continuous aggregates: [`README.md`](README.md) states the protocol.

use pgrx::{PgLogLevel, pg_sys};
use tsc_kernel::ranges::{Range, Ranges};

use super::definition;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::naming::{self, Known};
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::spi::Transactions;
use crate::pg::{context, ffi, guard, snapshot};

mod batch;
mod claim;
mod ledger;
pub mod window;

use window::Options;

fn gone() -> Error {
    Error::new(SqlState::UNDEFINED_TABLE, "continuous aggregate does not exist").detail("It was dropped while it was being refreshed.")
}

/// The continuous aggregate whose view a relation is.
pub fn require(view: pg_sys::Oid) -> Result<ContinuousAgg> {
    continuous_agg::of_view(view).ok_or_else(|| {
        // SAFETY: a syscache look-up.
        if unsafe { ffi::get_rel_relkind(view) } == 0 {
            return Error::new(SqlState::UNDEFINED_TABLE, "continuous aggregate does not exist");
        }
        Error::new(SqlState::WRONG_OBJECT_TYPE, format!("relation \"{}\" is not a continuous aggregate", relation_name(view)))
            .hint("timescaledb_information.continuous_aggregates lists them.")
    })
}

/// Only the owner of a continuous aggregate goes on.
pub fn require_owner(agg: &ContinuousAgg) -> Result<()> {
    naming::require_owner(agg.user_view)
}

/// Sees to it that a continuous aggregate is there, is the current role's, and stays until the transaction ends.
fn lock(id: i32) -> Result<ContinuousAgg> {
    let agg = continuous_agg::find(id).ok_or_else(gone)?;
    // In the order in which DROP comes upon them, of the hypertable or of the view: neither then waits for what the other has.
    for relation in [agg.source, agg.user_view, agg.partial_view, agg.storage] {
        Relation::try_open(relation, pg_sys::AccessShareLock).ok_or_else(gone)?;
    }
    let agg = continuous_agg::find(id).ok_or_else(gone)?;
    require_owner(&agg)?;
    Ok(agg)
}

/// True if the procedure that is running must not end its transaction.
pub fn is_atomic(non_atomic: bool) -> bool {
    // SAFETY: reads a variable. In a block with an exception handler the call is not said to be atomic.
    !non_atomic || unsafe { ffi::IsSubTransaction() }
}

/// Refreshes a window of positions. Unless `atomic`, each batch is a transaction of its own.
pub fn run(id: i32, window: Range, options: &Options, atomic: bool) -> Result<()> {
    run_while(id, window, options, atomic, &|| true)
}

/// The same, as long as `goes_on` says so before a batch that is a transaction of its own.
pub fn run_while(id: i32, window: Range, options: &Options, atomic: bool, goes_on: &dyn Fn() -> bool) -> Result<()> {
    if atomic {
        return run_in_transaction(id, window, options);
    }
    let batches = Transactions::with(|transactions| {
        transactions.commit();
        run_apart(transactions, id, window, options, goes_on)
    })?;
    note_nothing_to_do(id, window, &batches, options);
    Ok(())
}

/// Computes all of a continuous aggregate that the running statement has created. Unless `atomic`, that is committed first, so that
/// writers of the source go on meanwhile; it then stays whatever becomes of the rest, which nobody expects of a statement that fails.
pub fn fill(agg: &ContinuousAgg, atomic: bool) -> Result<()> {
    let options = Options { quiet: true, ..Default::default() };
    if atomic {
        return run_in_transaction(agg.id, Range::ALL, &options);
    }
    // An error leaves no transaction in which names could be looked up.
    let known = Known::of(agg.user_view);
    let remark = Error::new(SqlState("01000"), format!("{} was created, but not all of it was computed", known.described())).hint(format!(
        "CALL refresh_continuous_aggregate({}, NULL, NULL) goes on; DROP MATERIALIZED VIEW {} removes it.",
        known.literal(),
        known.qualified()
    ));
    Transactions::with(|transactions| {
        transactions.commit();
        guard::remark_on_error(PgLogLevel::WARNING, remark, || run_apart(transactions, agg.id, Range::ALL, &options, &|| true))
    })?;
    Ok(())
}

/// Refreshes in transactions of its own, the first of which has just begun. Returns the batches.
fn run_apart(transactions: &Transactions, id: i32, window: Range, options: &Options, goes_on: &dyn Fn() -> bool) -> Result<Vec<Range>> {
    let batches = transactions.with_snapshot(|| claimed(id, window, options))?;
    transactions.commit();
    for range in &batches {
        if !transactions.with_snapshot(goes_on) {
            transactions.commit();
            break;
        }
        transactions.with_snapshot(|| batch::run(&lock(id)?, *range, true))?;
        transactions.commit();
    }
    Ok(batches)
}

fn run_in_transaction(id: i32, window: Range, options: &Options) -> Result<()> {
    if snapshot::is_fixed() {
        return Err(Error::new(SqlState("25001"), "cannot refresh a continuous aggregate in a transaction with a fixed snapshot")
            .detail("What was committed since the snapshot was taken would be taken for refreshed.")
            .hint("Refresh outside of a transaction block, or in one with ISOLATION LEVEL READ COMMITTED."));
    }
    let batches = claimed(id, window, options)?;
    for range in &batches {
        batch::run(&lock(id)?, *range, false)?;
    }
    note_nothing_to_do(id, window, &batches, options);
    Ok(())
}

fn claimed(id: i32, window: Range, options: &Options) -> Result<Vec<Range>> {
    let agg = lock(id)?;
    context::with_temporary(|| {
        let bucket = definition::load(&agg)?.bucket;
        claim::run(&agg, &bucket, window::whole(&bucket, window)?, options)
    })
}

fn note_nothing_to_do(id: i32, window: Range, batches: &[Range], options: &Options) {
    if batches.is_empty()
        && !options.quiet
        && let Some(agg) = continuous_agg::find(id)
    {
        let notice =
            Error::new(SqlState("00000"), format!("continuous aggregate \"{}\" is already up-to-date", relation_name(agg.user_view)));
        let has_kept = !ledger::state_now(agg.storage).kept.intersection(&Ranges::from(Some(window))).is_empty();
        // Whoever expects rows to count that came into them is not to search for long.
        let notice = if has_kept { notice.detail("Buckets that a dropped chunk reached into are kept as they are.") } else { notice };
        notice.report(PgLogLevel::NOTICE);
    }
}

/// Where what is materialized ends, in internal form.
pub fn watermark(agg: &ContinuousAgg) -> Result<i64> {
    let (_, axis) = claim::hypertable(agg.storage)?;
    let end = ledger::state_now(agg.storage).materialized.hull().map(|hull| hull.high.checked_add(1));
    Ok(match end {
        None => i64::MIN,
        Some(end) => end.map_or(i64::MAX, |end| axis.to_internal(end)),
    })
}

/// The window between two arguments of any type, of the times of a continuous aggregate's buckets.
pub fn window_of(agg: &ContinuousAgg, start: Given, end: Given) -> Result<Range> {
    let (storage, _) = claim::hypertable(agg.storage)?;
    window::between(storage.time(), start, end)
}
