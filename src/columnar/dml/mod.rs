//! Statements that change or lock rows of chunks with a columnar part: their batches are moved before they start. README.md states the
//! protocol.

mod find;
mod move_batch;
mod plan_walk;
mod removed;
mod targets;
pub mod unique;

use pgrx::pg_sys;

use crate::columnar::batch_scan::BatchScan;
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::error::Result;
use crate::pg::guard::guard;
use crate::pg::{context, ffi, snapshot, table};
use find::{Finder, Matches};
use move_batch::{Mover, Taken};
use targets::Target;

pub use removed::after_run;

/// Prepares a statement's chunks. To be called before `standard_ExecutorStart`.
///
/// # Safety
/// `query` is about to be started with these flags.
pub unsafe fn before_start(query: *mut pg_sys::QueryDesc, flags: i32) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let statement = (*query).plannedstmt;
        let reads = (*query).operation == pg_sys::CmdType::CMD_SELECT && (*statement).rowMarks.is_null() && !(*statement).hasModifyingCTE;
        // What is read-only is about to be refused by PostgreSQL.
        let is_refused = pg_sys::XactReadOnly || ffi::IsInParallelMode();
        if reads || is_refused || flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
            return Ok(());
        }
        removed::forget(query);
        context::with_temporary(|| {
            let targets = targets::of(statement);
            if !targets.is_empty() {
                // Conditions are about to be evaluated on rows that the user may not be allowed to see.
                ffi::ExecCheckRTPerms((*statement).rtable, true);
                prepare(query, &targets)?;
            }
            if targets::may_update_on_conflict(statement) {
                // Batches are moved by the command before the statement's own: it changes their rows, but its snapshot does not see them.
                ffi::GetCurrentCommandId(true);
                table::command_counter_increment();
            }
            Ok(())
        })
    }
}

/// Moves what the statement is about, and deletes what may be deleted as it is.
///
/// # Safety
/// As [`before_start`]; the targets are those of the statement.
unsafe fn prepare(query: *mut pg_sys::QueryDesc, targets: &[Target]) -> Result<()> {
    let mut removable = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        loop {
            let mut round = Round { query, command: ffi::GetCurrentCommandId(false), moved: 0, stale: false };
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
            break;
        }
        removed::remove(query, removable)
    }
}

/// A batch whose rows are all to be deleted, locked by this transaction.
struct Removable {
    batches: pg_sys::Oid,
    chunk: pg_sys::Oid,
    tid: pg_sys::ItemPointerData,
    rows: u64,
}

/// One look at all targets with one snapshot.
struct Round {
    query: *mut pg_sys::QueryDesc,
    command: pg_sys::CommandId,
    moved: u64,
    /// Another transaction has moved a batch since the snapshot was taken: its rows are not seen by it.
    stale: bool,
}

impl Round {
    /// # Safety
    /// As [`prepare`].
    unsafe fn search(&mut self, target: &Target, removable: &mut Vec<Removable>) -> Result<()> {
        let layout = &target.layout;
        // SAFETY: the chunk is locked by the statement; references only on the frames that an ERROR jumps over.
        unsafe {
            let mut mover = Mover::new(layout, self.command, target.wait, (*self.query).crosscheck_snapshot);
            let mut finder = Finder::new(target, mover.chunk(), (*self.query).params);
            let may_remove = target.may_remove && finder.is_exact;
            let mut scan = BatchScan::open(layout, (*self.query).snapshot);
            let mut batch = BatchReader::new(std::rc::Rc::clone(layout));
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
}

fn remember(removable: &mut Vec<Removable>, layout: &Layout, batch: &BatchReader) {
    let tid = batch.tid();
    // A second round finds it again.
    let same = |other: &Removable| {
        let (one, two) = (&tid.ip_blkid, &other.tid.ip_blkid);
        other.batches == layout.batches && (one.bi_hi, one.bi_lo, tid.ip_posid) == (two.bi_hi, two.bi_lo, other.tid.ip_posid)
    };
    if !removable.iter().any(same) {
        removable.push(Removable { batches: layout.batches, chunk: layout.chunk, tid, rows: batch.rows() as u64 });
    }
}
