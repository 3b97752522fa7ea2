//! Which buckets of a continuous aggregate its storage answers for, in the snapshot of the running query.
//!
//! All that reads a continuous aggregate in one run of a query has to go by the same sets, or a bucket would be there twice, or not at
//! all: what is read of the catalog is kept for the run. Two things are no matter of snapshots, chunks that were dropped and the
//! transaction's own changes, and may be others a moment later.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::buckets::{Buckets, shrink, widen, widen_all};
use tsc_kernel::ranges::{Range, Ranges};

use super::bucket::{Bucket, Width};
use super::conditions::Asked;
use super::definition::{self, Names};
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::{continuous_agg_range, hypertable_change};
use crate::change;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{qualified_name, quote_identifier, relation_name, schema_name};
use crate::pg::{context, ffi, zone_offsets};

impl Buckets for Bucket {
    fn start(&self, position: i64) -> i64 {
        Self::start(self, position)
    }

    fn end(&self, position: i64) -> i64 {
        Self::end(self, position)
    }
}

/// What a continuous aggregate can answer from storage.
#[derive(Debug)]
pub struct Usable {
    /// The whole buckets.
    pub buckets: Ranges,
    /// The rule of its buckets.
    pub bucket: Bucket,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The aggregate's own view: what is kept is shown, though its source is gone.
    View,
    /// A query of the raw hypertable, which wants what that says.
    Routing,
}

type Memo = HashMap<(usize, pg_sys::Oid, Reader), Rc<Usable>>;

thread_local! {
    static MEMO: RefCell<Memo> = RefCell::default();
    /// The rules of buckets, which never change, by the ids of continuous aggregates, which are never used again.
    static BUCKETS: RefCell<HashMap<(pg_sys::Oid, i32), Bucket>> = RefCell::default();
}

/// The rule of the buckets of a continuous aggregate.
pub fn bucket_of(agg: &ContinuousAgg) -> Result<Bucket> {
    let key = (agg.storage, agg.id);
    if let Some(bucket) = BUCKETS.with_borrow(|buckets| buckets.get(&key).cloned()) {
        return Ok(bucket);
    }
    let bucket = context::with_temporary(|| definition::load(agg).map(|definition| definition.bucket))?;
    BUCKETS.with_borrow_mut(|buckets| buckets.insert(key, bucket.clone()));
    Ok(bucket)
}

/// Forgets what a run of a query knew when its memory goes.
struct Run(usize);

impl Drop for Run {
    fn drop(&mut self) {
        MEMO.with_borrow_mut(|memo| memo.retain(|(run, ..), _| *run != self.0));
    }
}

/// What storage answers for in the run of a query that `run`, its memory context, stands for; without one it is found out anew.
///
/// # Safety
/// NULL, or a context that the running query keeps until it ends. A snapshot is active.
pub unsafe fn usable(run: pg_sys::MemoryContext, storage: pg_sys::Oid, reader: Reader) -> Result<Rc<Usable>> {
    let key = (run.addr(), storage, reader);
    if let Some(found) = MEMO.with_borrow(|memo| memo.get(&key).cloned()) {
        return Ok(found);
    }
    // SAFETY: the caller's promise.
    let found = context::with_temporary(|| unsafe { find(run, storage, reader) }).map(Rc::new)?;
    if !run.is_null() {
        let is_first = MEMO.with_borrow(|memo| !memo.keys().any(|(known, ..)| *known == key.0));
        if is_first {
            // SAFETY: the context outlives what is kept of it.
            unsafe { context::keep(run, Run(key.0)) };
        }
        MEMO.with_borrow_mut(|memo| memo.insert(key, found.clone()));
    }
    Ok(found)
}

fn missing(storage: pg_sys::Oid) -> Error {
    let Some(name) = qualified_name(storage) else {
        let message = format!("relation with OID {} is not the storage of a continuous aggregate", storage.to_u32());
        return Error::new(SqlState::UNDEFINED_TABLE, message).detail("It has been dropped meanwhile.");
    };
    let direct_view = Names::of_storage(&relation_name(storage)).map(|names| names.direct_view);
    let direct_view = direct_view.zip(schema_name(storage)).map_or_else(String::new, |(view, schema)| {
        format!(" and DROP VIEW IF EXISTS {}.{}", quote_identifier(&schema), quote_identifier(&view))
    });
    let message = format!("relation \"{}\" is not the storage of a continuous aggregate", relation_name(storage));
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
        .detail("Of a continuous aggregate, a restore of the schema without the data leaves the tables and views, not what makes them one.")
        .hint(format!("Drop them with DROP TABLE {name} CASCADE{direct_view}, and create the continuous aggregate again."))
}

/// # Safety
/// As for [`usable`].
unsafe fn find(run: pg_sys::MemoryContext, storage: pg_sys::Oid, reader: Reader) -> Result<Usable> {
    let agg = continuous_agg::of_storage(storage).ok_or_else(|| missing(storage))?;
    let bucket = bucket_of(&agg)?;
    // SAFETY: a snapshot is active, by the caller's promise.
    let (mut valid, kept) = unsafe {
        let active = ffi::GetActiveSnapshot();
        let seen = continuous_agg_range::read(storage, active);
        // Chunks are dropped, and tables attached with the rows that they have, at once for all, whatever they see: older snapshots go
        // without the rows that say so. The log comes first, since a refresh moves it to the ranges.
        let logged_now = hypertable_change::read(agg.source, std::ptr::null_mut());
        let now = continuous_agg_range::read(storage, std::ptr::null_mut());
        let logged = hypertable_change::read(agg.source, active).union(&logged_now).union(&change::pending(agg.source));
        let invalid = widen_all(&bucket, &seen.invalid.union(&now.invalid).union(&logged));
        (seen.materialized.difference(&invalid), widen_all(&bucket, &seen.kept.union(&now.kept)))
    };
    if let Some(parent) = parent(&agg) {
        // What was computed from a bucket of the parent's that is not what it should be, is not either. This holds for a parent that
        // shows its storage as it is, too: it may not have been such a one when its buckets were read.
        // SAFETY: as above.
        let sound = unsafe { usable(run, parent.storage, reader) }?;
        valid = valid.difference(&widen_all(&bucket, &sound.buckets.complement()));
    }
    let buckets = match reader {
        Reader::View => valid.union(&kept),
        Reader::Routing => valid.difference(&kept),
    };
    Ok(Usable { buckets, bucket })
}

/// The continuous aggregate that another one is defined over.
pub fn parent(agg: &ContinuousAgg) -> Option<ContinuousAgg> {
    continuous_agg::of_storage(agg.source)
}

/// What a query wants to know: its constant arguments.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The storage.
    pub storage: pg_sys::Oid,
    /// Who asks.
    pub reader: Reader,
    /// The zone in which the query makes buckets of those of storage, where that is to be looked at; empty: the session's.
    pub zone: Option<&'a str>,
    /// Which times it asks for.
    pub asked: Asked,
}

/// The buckets to be taken from storage: those that are usable and lie wholly in what is asked for.
///
/// # Safety
/// As for [`usable`].
pub unsafe fn from_storage(run: pg_sys::MemoryContext, question: Question) -> Result<Ranges> {
    // SAFETY: the caller's promise.
    let usable = unsafe { usable(run, question.storage, question.reader) }?;
    let whole = question.asked.surely.and_then(|range| shrink(&usable.bucket, range));
    let buckets = usable.buckets.intersection(&Ranges::from(whole));
    Ok(match question.zone {
        None => buckets,
        Some(zone) => buckets.difference(&Ranges::from(odd(&usable.bucket, zone))),
    })
}

/// What is to be computed from the source: the rest of what is asked for.
///
/// # Safety
/// As for [`usable`].
pub unsafe fn from_source(run: pg_sys::MemoryContext, question: Question) -> Result<Ranges> {
    // SAFETY: the caller's promise.
    let stored = unsafe { from_storage(run, question) }?;
    Ok(question.asked.perhaps().difference(&stored))
}

/// Until when buckets don't fit into those of a zone's clocks: such clocks run a part of a bucket ahead of UTC.
fn odd(bucket: &Bucket, zone: &str) -> Option<Range> {
    let unit = match bucket.width {
        Width::Fixed(width) if bucket.is_fixed() => width,
        // Only clocks that show UTC.
        _ => i64::MAX,
    };
    match zone_offsets::even_from(zone, unit) {
        i64::MIN => None,
        from => Some(Range { low: i64::MIN, high: widen(bucket, Range { low: from, high: from }).high }),
    }
}
