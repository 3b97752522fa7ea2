//! Statements that change or lock rows of chunks with a columnar part: their batches are moved before they start. README.md states the
//! protocol.

mod find;
mod keys;
mod move_batch;
mod others;
mod plan_walk;
mod removed;
mod run_plan;
mod targets;
mod tids;
pub mod unique;

use std::collections::BTreeMap;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_kernel::ranges::Range;

use crate::change::place;
use crate::columnar::batch_scan::BatchScan;
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::columnar::row_id;
use crate::error::Result;
use crate::pg::guard::guard;
use crate::pg::{axis, context, ffi, snapshot, table};
use find::{Finder, Matches};
use move_batch::{Mover, Taken};
use others::Others;
use targets::Target;
use tids::Places;

pub use removed::after_run;

/// What [`before_start`] leaves for [`after_start`]. Plain data, in memory that lives as long as the statement.
#[derive(Clone, Copy)]
pub struct Prepared {
    known: *mut others::Known,
    count: usize,
}

impl Prepared {
    const NOTHING: Self = Self { known: std::ptr::null_mut(), count: 0 };
}

/// Prepares a statement's chunks. To be called before `standard_ExecutorStart`.
///
/// # Safety
/// `query` is about to be started with these flags.
pub unsafe fn before_start(query: *mut pg_sys::QueryDesc, flags: i32) -> Result<Prepared> {
    // SAFETY: the caller's promise.
    unsafe {
        let statement = (*query).plannedstmt;
        let reads = (*query).operation == pg_sys::CmdType::CMD_SELECT && (*statement).rowMarks.is_null() && !(*statement).hasModifyingCTE;
        // What is read-only is about to be refused by PostgreSQL.
        let is_refused = pg_sys::XactReadOnly || ffi::IsInParallelMode();
        if reads || is_refused || flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
            return Ok(Prepared::NOTHING);
        }
        removed::forget(query);
        let outer = pg_sys::CurrentMemoryContext;
        context::with_temporary(|| {
            let targets = targets::of(statement);
            let mut prepared = Prepared::NOTHING;
            if !targets.is_empty() {
                // Conditions are about to be evaluated on rows that the user may not be allowed to see.
                ffi::ExecCheckRTPerms((*statement).rtable, true);
                prepared = prepare(query, &targets, outer)?;
            }
            if targets::may_update_on_conflict(statement) {
                // Batches are moved by the command before the statement's own: it changes their rows, but its snapshot does not see them.
                ffi::GetCurrentCommandId(true);
                table::command_counter_increment();
            }
            Ok(prepared)
        })
    }
}

/// To be called after `standard_ExecutorStart`.
///
/// # Safety
/// `query` has been started, and `prepared` is what [`before_start`] said of it.
pub unsafe fn after_start(query: *mut pg_sys::QueryDesc, prepared: Prepared) {
    if prepared.count > 0 {
        // SAFETY: as many values.
        unsafe { others::inject(query, std::slice::from_raw_parts(prepared.known, prepared.count)) };
    }
}

/// Moves what the statement is about, and deletes what may be deleted as it is.
///
/// # Safety
/// As [`before_start`]; the targets are those of the statement.
unsafe fn prepare(query: *mut pg_sys::QueryDesc, targets: &[Target], outer: pg_sys::MemoryContext) -> Result<Prepared> {
    let mut removable = BTreeMap::new();
    // SAFETY: the caller's promise.
    unsafe {
        let (others, places) = loop {
            let mut round = Round::new(query, targets, outer);
            for target in targets {
                context::with_temporary(|| round.search(target, &mut removable))?;
            }
            if round.moved > 0 {
                table::command_counter_increment();
            }
            if round.stale {
                // Nothing has run yet, so the whole statement may as well begin now.
                snapshot::renew(query, true);
                continue;
            }
            if round.moved > 0 {
                snapshot::renew(query, false);
            }
            break (round.others, round.places);
        };
        if !places.is_empty() {
            (*query).plannedstmt = context::with_context(outer, || tids::replace((*query).plannedstmt, &places));
        }
        removed::remove(query, removable.into_values())?;
        let (known, count) = others::keep(others.known(), outer);
        Ok(Prepared { known, count })
    }
}

/// A batch whose rows are all to be deleted, locked by this transaction.
struct Removable {
    batches: pg_sys::Oid,
    chunk: pg_sys::Oid,
    tid: pg_sys::ItemPointerData,
    rows: u64,
    /// From its first to its last time; None if it does not tell.
    times: Option<Range>,
}

/// One look at all targets with one snapshot.
struct Round {
    query: *mut pg_sys::QueryDesc,
    command: pg_sys::CommandId,
    others: Others,
    moved: u64,
    /// Another transaction has moved a batch since the snapshot was taken: its rows are not seen by it.
    stale: bool,
    /// Rows that are looked for by their ctid in batches.
    places: Vec<Places>,
}

impl Round {
    /// # Safety
    /// As [`prepare`].
    unsafe fn new(query: *mut pg_sys::QueryDesc, targets: &[Target], outer: pg_sys::MemoryContext) -> Self {
        // SAFETY: the caller's promise.
        let (command, others) = unsafe { (ffi::GetCurrentCommandId(false), Others::new(query, targets, outer)) };
        Self { query, command, others, moved: 0, stale: false, places: Vec::new() }
    }

    /// # Safety
    /// As [`prepare`].
    unsafe fn search(&mut self, target: &Target, removable: &mut BTreeMap<(u32, u64), Removable>) -> Result<()> {
        let layout = &target.layout;
        // SAFETY: the chunk is locked by the statement; references only on the frames that an ERROR jumps over.
        unsafe {
            if let Some(tids) = tids::of(target.scan, layout.chunk, (*self.query).params)? {
                return self.fetch(target, tids);
            }
            let more = self.others.conditions(target);
            let mut mover = Mover::new(layout, self.command, target.wait, (*self.query).crosscheck_snapshot);
            let mut finder = Finder::new(target, &more, mover.chunk(), (*self.query).params);
            let may_remove = target.may_remove && finder.is_exact;
            let mut scan = BatchScan::open(layout, (*self.query).snapshot);
            let mut batch = BatchReader::new(Rc::clone(layout));
            scan.start(layout, &finder.filter);
            while guard(|| scan.next(&finder.filter, &mut batch)) {
                let taken = match guard(|| finder.examine(&mut batch, may_remove)) {
                    Matches::None => continue,
                    Matches::All if may_remove => {
                        let taken = mover.lock(batch.tid())?;
                        if taken == Taken::Ours {
                            remember(removable, layout, &batch);
                        }
                        taken
                    }
                    _ => {
                        let taken = mover.take(&mut batch)?;
                        self.moved += u64::from(taken == Taken::Ours);
                        taken
                    }
                };
                self.stale |= taken == Taken::Gone;
            }
            scan.end();
            mover.end();
        }
        Ok(())
    }

    /// Moves the batches of rows that are looked for by their ctid.
    ///
    /// # Safety
    /// As [`prepare`].
    unsafe fn fetch(&mut self, target: &Target, tids: Vec<pg_sys::ItemPointerData>) -> Result<()> {
        let layout = &target.layout;
        let (of_batches, mut found): (Vec<_>, Vec<_>) = tids.into_iter().partition(|tid| row_id::find(*tid).is_some());
        let mut wanted: Vec<_> = of_batches.into_iter().filter_map(row_id::find).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // SAFETY: as above.
        unsafe {
            let mut mover = Mover::new(layout, self.command, target.wait, (*self.query).crosscheck_snapshot);
            let mut batch = BatchReader::new(Rc::clone(layout));
            while let Some((tid, _)) = wanted.first().copied() {
                let is_same = |other: &(pg_sys::ItemPointerData, usize)| row_id::number(tid) == row_id::number(other.0);
                let (same, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_same);
                wanted = others;
                if !mover.open(tid, (*self.query).snapshot, &mut batch) {
                    continue;
                }
                let taken = mover.take_telling(&mut batch, &mut |row, place| {
                    if same.iter().any(|(_, wanted)| *wanted == row) {
                        found.push(place);
                    }
                })?;
                self.moved += u64::from(taken == Taken::Ours);
                self.stale |= taken == Taken::Gone;
            }
            mover.end();
        }
        self.places.push(Places { index: target.index, tids: found });
        Ok(())
    }
}

fn remember(removable: &mut BTreeMap<(u32, u64), Removable>, layout: &Layout, batch: &BatchReader) {
    let (batches, tid, times) = (layout.batches, batch.tid(), times(layout, batch));
    // A second round finds it again.
    removable
        .insert((batches.to_u32(), row_id::number(tid)), Removable { batches, chunk: layout.chunk, tid, rows: batch.rows() as u64, times });
}

/// The times of an open batch's rows, which its bounds tell if batches are sorted by time.
fn times(layout: &Layout, batch: &BatchReader) -> Option<Range> {
    let hypertable = place::hypertable_of(layout.chunk).filter(|hypertable| hypertable.grain.is_some())?;
    let (time, axis) = (hypertable.time(), hypertable.time().axis()?);
    let key = layout.keys.iter().find(|key| layout.columns[key.column].name == time.column)?;
    let (low, high) = batch.attribute(key.min).zip(batch.attribute(key.max))?;
    // SAFETY: the bounds are of the column's type.
    unsafe { Range::new(axis::position(axis, low), axis::position(axis, high)) }
}
