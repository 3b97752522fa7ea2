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
    after_truncate_unless(relid, |_| false);
}

/// The same, unless `is_no_change` says so of the continuous aggregates that it concerns. They are looked up once: a restore in another
/// session may bring them at any moment.
pub fn after_truncate_unless(relid: pg_sys::Oid, is_no_change: impl Fn(&[ContinuousAgg]) -> bool) {
    let Some((hypertable, range)) = place::locate(relid) else { return };
    let mut aggregates = concerned(hypertable.relid, hypertable.grain.is_some());
    if is_no_change(&aggregates) {
        return;
    }
    let range = range.unwrap_or(Range::ALL);
    super::Recorder::of(&hypertable).note_range(range);
    // What its own storage held has to be computed anew.
    aggregates.retain(|agg| agg.storage == hypertable.relid);
    add(&aggregates, Kind::Invalid, range);
}
