//! Moving one batch to the row part: the batch is deleted, its rows are inserted. README.md says when.

use pgrx::pg_sys;

use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::columnar::row_writer::RowWriter;
use crate::error::{Error, Result, SqlState};
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::slot::Virtual;
use crate::pg::{context, snapshot};

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is ours.
    Ours,
    /// This command took it before.
    Before,
    /// Another transaction changed it since the snapshot was taken, and has committed.
    Gone,
    /// Another transaction is changing it, and it is not to be waited for.
    Skipped,
}

/// Moves batches of one chunk.
pub struct Mover {
    chunk: Relation,
    batches: Relation,
    slot: Virtual,
    writer: Option<RowWriter>,
    /// The command that batches are deleted and rows are inserted by.
    pub command: pg_sys::CommandId,
    wait: pg_sys::LockWaitPolicy::Type,
    /// That of the statement, if there is one.
    crosscheck: pg_sys::Snapshot,
}

impl Mover {
    /// For a chunk on which the caller holds a lock that keeps its state as it is. To take a row lock is to write here: CREATE INDEX, for
    /// one, which lets others lock rows, must not miss the rows that are moved.
    pub fn new(layout: &Layout, command: pg_sys::CommandId, wait: pg_sys::LockWaitPolicy::Type, crosscheck: pg_sys::Snapshot) -> Self {
        let chunk = Relation::open(layout.chunk, pg_sys::RowExclusiveLock);
        let batches = Relation::open(layout.batches, pg_sys::RowExclusiveLock);
        let slot = Virtual::new(&chunk);
        Self { chunk, batches, slot, writer: None, command, wait, crosscheck }
    }

    /// The chunk.
    pub fn chunk(&self) -> &Relation {
        &self.chunk
    }

    /// Opens a batch, if a snapshot sees it.
    ///
    /// # Safety
    /// A snapshot that is in use.
    pub unsafe fn open(&self, tid: pg_sys::ItemPointerData, snapshot: pg_sys::Snapshot, batch: &mut BatchReader) -> bool {
        let mut tuple = pg_sys::HeapTupleData { t_self: tid, t_tableOid: self.batches.oid(), ..Default::default() };
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        let batches = self.batches.as_ptr();
        // SAFETY: the caller's promise; a block beyond the end is not asked for.
        unsafe {
            let block = u32::from(tid.ip_blkid.bi_hi) << 16 | u32::from(tid.ip_blkid.bi_lo);
            let is_there = block < ffi::RelationGetNumberOfBlocksInFork(batches, pg_sys::ForkNumber::MAIN_FORKNUM);
            if !is_there || !ffi::heap_fetch(batches, snapshot, &mut tuple, &mut buffer, false) {
                return false;
            }
            guard(|| batch.open(&mut tuple, (*batches).rd_att));
            ffi::ReleaseBuffer(buffer);
            true
        }
    }

    /// Whether a snapshot sees a batch.
    ///
    /// # Safety
    /// A snapshot that is in use.
    pub unsafe fn is_visible(&self, tid: pg_sys::ItemPointerData, snapshot: pg_sys::Snapshot) -> bool {
        let mut tuple = pg_sys::HeapTupleData { t_self: tid, t_tableOid: self.batches.oid(), ..Default::default() };
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        // SAFETY: the caller's promise.
        unsafe {
            let is_visible = ffi::heap_fetch(self.batches.as_ptr(), snapshot, &mut tuple, &mut buffer, false);
            if is_visible {
                ffi::ReleaseBuffer(buffer);
            }
            is_visible
        }
    }

    /// Deletes a batch, unless another transaction was faster, and moves its rows.
    pub fn take(&mut self, batch: &mut BatchReader) -> Result<Taken> {
        self.take_telling(batch, &mut |_, _| {})
    }

    /// The same, and says where each row is then.
    pub fn take_telling(&mut self, batch: &mut BatchReader, tell: &mut impl FnMut(usize, pg_sys::ItemPointerData)) -> Result<Taken> {
        let taken = match self.wait {
            pg_sys::LockWaitPolicy::LockWaitBlock => Taken::Ours,
            _ => self.lock(batch.tid())?,
        };
        if taken != Taken::Ours {
            return Ok(taken);
        }
        let taken = self.delete(batch.tid())?;
        if taken == Taken::Ours {
            self.write(batch, tell);
        }
        Ok(taken)
    }

    /// Deletes a batch with its rows.
    pub fn delete(&self, mut tid: pg_sys::ItemPointerData) -> Result<Taken> {
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: the batch was visible to a snapshot that is in use, so its row is there.
        let result = unsafe {
            // Marks the command as one that changes something.
            ffi::GetCurrentCommandId(true);
            ffi::heap_delete(self.batches.as_ptr(), &mut tid, self.command, self.crosscheck, true, &mut failure, false)
        };
        self.outcome(result)
    }

    /// Locks a batch, so that nobody else can delete it.
    pub fn lock(&self, tid: pg_sys::ItemPointerData) -> Result<Taken> {
        let mut tuple = pg_sys::HeapTupleData { t_self: tid, t_tableOid: self.batches.oid(), ..Default::default() };
        let mut failure = pg_sys::TM_FailureData::default();
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        let policy = match self.wait {
            pg_sys::LockWaitPolicy::LockWaitBlock => self.wait,
            // For an error that names the chunk.
            _ => pg_sys::LockWaitPolicy::LockWaitSkip,
        };
        // SAFETY: as for `delete`; the buffer is pinned by the call.
        let result = unsafe {
            ffi::GetCurrentCommandId(true);
            let exclusive = pg_sys::LockTupleMode::LockTupleExclusive;
            let batches = self.batches.as_ptr();
            let result = ffi::heap_lock_tuple(batches, &mut tuple, self.command, exclusive, policy, false, &mut buffer, &mut failure);
            ffi::ReleaseBuffer(buffer);
            result
        };
        self.outcome(result)
    }

    fn outcome(&self, result: pg_sys::TM_Result::Type) -> Result<Taken> {
        Ok(match result {
            pg_sys::TM_Result::TM_Ok => Taken::Ours,
            pg_sys::TM_Result::TM_SelfModified | pg_sys::TM_Result::TM_Invisible => Taken::Before,
            pg_sys::TM_Result::TM_WouldBlock if self.wait == pg_sys::LockWaitPolicy::LockWaitSkip => Taken::Skipped,
            pg_sys::TM_Result::TM_WouldBlock => return Err(self.refusal()),
            _ if snapshot::is_fixed() => return Err(cannot_serialize()),
            _ => Taken::Gone,
        })
    }

    fn refusal(&self) -> Error {
        let message = format!("could not obtain lock on row in relation \"{}\"", relation_name(self.chunk.oid()));
        let detail = "Another transaction is changing rows of the same batch of this compressed chunk.";
        Error::new(SqlState("55P03"), message).detail(detail)
    }

    /// Inserts the rows of a batch.
    fn write(&mut self, batch: &mut BatchReader, tell: &mut impl FnMut(usize, pg_sys::ItemPointerData)) {
        let (chunk, command) = (&self.chunk, self.command);
        let writer = self.writer.get_or_insert_with(|| RowWriter::moving_before(chunk, command));
        let slot = self.slot;
        // SAFETY: the slot has an element for each attribute of the chunk; references only on the frames that an ERROR jumps over.
        context::with_temporary(|| unsafe {
            guard(|| {
                for row in 0..batch.rows() {
                    if pg_sys::InterruptPending != 0 {
                        raw::ProcessInterrupts();
                    }
                    let (values, nulls) = slot.arrays();
                    batch.row(row, values, nulls);
                    tell(row, writer.write(slot.stored()));
                }
            });
        });
    }

    /// Closes everything.
    pub fn end(self) {
        if let Some(writer) = self.writer {
            writer.finish();
        }
        self.slot.end();
    }
}

/// What a transaction is told that sees one state of the database throughout, and meets a later one.
pub fn cannot_serialize() -> Error {
    Error::new(SqlState("40001"), "could not serialize access due to concurrent update")
        .detail("Another transaction changed rows of the same batch of a compressed chunk.")
}
