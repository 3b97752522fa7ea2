//! Rows that go with their table. Aggregates of dropped chunks are kept: what was materialized of them stays as it is.

use std::cell::Cell;

use pgrx::pg_sys;
use tsc_kernel::ranges::{Range, Ranges};

use super::place;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::continuous_agg_range::{self as ranges, Kind};
use crate::pg::context;

thread_local! {
    static REARRANGING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which drops tables whose rows others have taken: nothing is lost.
pub fn while_rearranging<T>(f: impl FnOnce() -> T) -> T {
    context::with_set(&REARRANGING, true, f)
}

/// The continuous aggregates that a hypertable is the source of, and the one that it is the storage of.
pub fn concerned(hypertable: pg_sys::Oid, is_source: bool) -> Vec<ContinuousAgg> {
    let mut found = if is_source { continuous_agg::of_source(hypertable) } else { Vec::new() };
    found.extend(continuous_agg::of_storage(hypertable));
    found
}

fn add(aggregates: &[ContinuousAgg], kind: Kind, range: Range) {
    for agg in aggregates {
        // SAFETY: without a snapshot, what is committed now is read.
        let state = unsafe { ranges::read(agg.storage, std::ptr::null_mut()) };
        let known = if kind == Kind::Kept { state.kept } else { state.invalid };
        let more = state.materialized.intersection(&Ranges::from(Some(range))).difference(&known);
        for part in more.as_slice() {
            ranges::insert(agg.storage, kind, *part);
            // A view that was computed live there shows what storage holds from now on, and others may be defined over it.
            super::note(agg.storage, *part);
        }
    }
}

/// A table is about to be dropped or detached: if it is a part of a hypertable, what is materialized of its time is kept. The range is
/// that of the table, not of whole buckets.
pub fn before_drop(relid: pg_sys::Oid) {
    if REARRANGING.get() {
        return;
    }
    let Some((hypertable, range)) = place::locate(relid).filter(|(hypertable, _)| hypertable.relid != relid) else { return };
    match range {
        Some(range) => add(&concerned(hypertable.relid, hypertable.grain.is_some()), Kind::Kept, range),
        // Nothing tells which times a DEFAULT partition held: they are computed anew.
        None => super::Recorder::of(&hypertable).note_range(Range::ALL),
    }
}

/// A table was emptied: a hypertable, or a part of one.
pub fn after_truncate(relid: pg_sys::Oid) {
    if let Some((hypertable, range)) = place::locate(relid) {
        let range = range.unwrap_or(Range::ALL);
        super::Recorder::of(&hypertable).note_range(range);
        // What its own storage held has to be computed anew.
        add(&concerned(hypertable.relid, false), Kind::Invalid, range);
    }
}
