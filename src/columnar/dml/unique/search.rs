//! Looking for a key in the batches of a chunk.

use std::rc::Rc;

use pgrx::pg_sys;

use super::key::{self, Key, Values};
use super::open::{OpenBatch, OpenBatches};
use super::{Known, KnownKey, Range};
use crate::columnar::batch_scan::BatchScan;
use crate::columnar::dml::move_batch::{Mover, Taken, cannot_serialize};
use crate::columnar::filter::{Verdict, WORDS};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::columnar::value;
use crate::error::Result;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;
use crate::pg::slot::Virtual;
use crate::pg::{context, snapshot};

/// What is needed to look for keys of one chunk, for the rest of the transaction.
pub struct Search {
    /// The chunk's columnar part.
    pub layout: Rc<Layout>,
    /// Holds everything else; a child of the transaction's.
    context: pg_sys::MemoryContext,
    desc: pg_sys::TupleDesc,
    estate: *mut pg_sys::EState,
    /// For the filters.
    econtext: *mut pg_sys::ExprContext,
    open: OpenBatches,
    /// Of each key, what rows of a batch are ordered by, if the key has it and it is passed by value.
    ordered: Vec<Option<Range>>,
    keys: Vec<Option<Key>>,
    indexes: Vec<pg_sys::Oid>,
    /// Generated columns (attribute numbers) with their expressions.
    generated: Vec<(i16, *mut pg_sys::ExprState)>,
}

/// How a look into the batches ended.
enum Found {
    /// No batch has the key, or its batch has been moved.
    Nothing,
    /// A transaction that has to end first: it is deleting, or has just deleted, the batch.
    Wait(pg_sys::TransactionId, pg_sys::ItemPointerData),
    /// Look again.
    Again,
}

impl Search {
    /// # Safety
    /// The chunk is open and locked.
    pub unsafe fn new(chunk: pg_sys::Relation, known: &Known) -> Self {
        // SAFETY: the context is freed with the transaction.
        unsafe {
            let context = ffi::AllocSetContextCreateInternal(
                pg_sys::TopTransactionContext,
                c"timescale_compat unique keys".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            context::with_context(context, || {
                let estate = ffi::CreateExecutorState();
                let prepare = |attribute: i16| {
                    let expression = ffi::build_column_default(chunk, attribute.into());
                    (attribute, ffi::ExecPrepareExpr(expression.cast(), estate))
                };
                Self {
                    layout: Rc::clone(&known.layout),
                    context,
                    desc: ffi::CreateTupleDescCopy((*chunk).rd_att),
                    estate,
                    econtext: ffi::CreateExprContext(estate),
                    open: OpenBatches::new(Rc::clone(&known.layout), context),
                    ordered: known.keys.iter().map(|key| ordered(&known.layout, key)).collect(),
                    keys: known.keys.iter().map(|_| None).collect(),
                    indexes: known.keys.iter().map(|key| key.index).collect(),
                    generated: key::generated(chunk).into_iter().map(prepare).collect(),
                }
            })
        }
    }

    /// Frees its memory, in the transaction that made it.
    pub fn end(self: Box<Self>) {
        let context = self.context;
        drop(self);
        // SAFETY: nothing else refers to it.
        unsafe { ffi::MemoryContextDelete(context) }
    }

    /// Moves the batch that holds the key of a row in one of the indexes, if there is one.
    ///
    /// # Safety
    /// The slot holds a row of the chunk.
    pub unsafe fn run(&mut self, number: usize, row: *mut pg_sys::TupleTableSlot) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            let (estate, ordered) = (self.estate, self.ordered[number]);
            let mut key = match self.keys[number].take() {
                Some(key) => key,
                None => context::with_context(self.context, || Key::new(self.indexes[number], &self.layout, estate)),
            };
            let found = context::with_temporary(|| {
                let row = if key.uses(self.generated.iter().map(|(attribute, _)| *attribute)) { self.with_generated(row) } else { row };
                match guard(|| key.of(row, estate)) {
                    Some(values) => self.look(&mut key, &values, ordered),
                    None => Ok(()),
                }
            });
            self.keys[number] = Some(key);
            ffi::MemoryContextReset((*key::per_tuple(estate)).ecxt_per_tuple_memory);
            found
        }
    }

    /// The row with its generated columns, which PostgreSQL computes after the triggers.
    ///
    /// # Safety
    /// As [`Self::run`].
    unsafe fn with_generated(&self, row: *mut pg_sys::TupleTableSlot) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: a virtual slot with the row's columns.
        unsafe {
            guard(|| {
                let copy = raw::MakeSingleTupleTableSlot(self.desc, &raw const pg_sys::TTSOpsVirtual);
                let columns = (*self.desc).natts as usize;
                if usize::from((*row).tts_nvalid as u16) < columns {
                    raw::slot_getsomeattrs_int(row, columns as i32);
                }
                (*copy).tts_values.copy_from_nonoverlapping((*row).tts_values, columns);
                (*copy).tts_isnull.copy_from_nonoverlapping((*row).tts_isnull, columns);
                let econtext = key::per_tuple(self.estate);
                (*econtext).ecxt_scantuple = row;
                for (attribute, expression) in &self.generated {
                    let at = *attribute as usize - 1;
                    let mut is_null = true;
                    let value =
                        (**expression).evalfunc.map_or(pg_sys::Datum::null(), |evaluate| evaluate(*expression, econtext, &mut is_null));
                    (*copy).tts_values.add(at).write(value);
                    (*copy).tts_isnull.add(at).write(is_null);
                }
                raw::ExecStoreVirtualTuple(copy)
            })
        }
    }

    /// # Safety
    /// As [`Self::run`].
    unsafe fn look(&mut self, key: &mut Key, values: &Values, ordered: Option<Range>) -> Result<()> {
        loop {
            // SAFETY: the caller's promise.
            match unsafe { self.look_once(key, values, ordered) }? {
                Found::Nothing => return Ok(()),
                Found::Again => {}
                Found::Wait(transaction, mut tid) => {
                    let batches = crate::pg::relation::Relation::open(self.layout.batches, pg_sys::AccessShareLock);
                    // SAFETY: waits as a unique index does.
                    unsafe {
                        ffi::XactLockTableWait(transaction, batches.as_ptr(), &mut tid, pg_sys::XLTW_Oper::XLTW_InsertIndexUnique);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::run`].
    unsafe fn look_once(&mut self, key: &mut Key, values: &Values, ordered: Option<Range>) -> Result<Found> {
        // What is committed now, what this transaction has done, and what others are deleting.
        let mut dirty = pg_sys::SnapshotData { snapshot_type: pg_sys::SnapshotType::SNAPSHOT_DIRTY, ..Default::default() };
        let dirty = &raw mut dirty;
        let layout = Rc::clone(&self.layout);
        // SAFETY: references only on the frames that an ERROR jumps over.
        unsafe {
            let econtext = self.econtext;
            let (context, desc) = (self.context, self.desc);
            let filter = context::with_context(context, || key.filter(values, &layout, desc, econtext));
            key.filter_mut(filter).prepare(econtext);
            let mut scan = BatchScan::open(&layout, dirty);
            let slot = Virtual::of(desc);
            scan.start(&layout, key.filter_mut(filter));
            let mut found = Found::Nothing;
            loop {
                let row = guard(|| scan.next_row(key.filter_mut(filter), Rc::as_ptr(&layout)));
                if row.is_null() {
                    break;
                }
                let others = [(*dirty).xmin, (*dirty).xmax].into_iter().find(|xid| *xid != pg_sys::InvalidTransactionId);
                let (open, estate) = (&mut self.open, self.estate);
                let batch = open.turn_to(row, (*scan.relation()).rd_att);
                if !guard(|| holds(estate, key, filter, (values, ordered), batch, slot)) {
                    continue;
                }
                let batch = &mut batch.reader;
                found = match others {
                    Some(transaction) => Found::Wait(transaction, batch.tid()),
                    None => take(&layout, batch)?,
                };
                break;
            }
            scan.end();
            Ok(found)
        }
    }
}

/// What the rows of a batch are ordered by, if it bounds a key.
fn ordered(layout: &Layout, key: &KnownKey) -> Option<Range> {
    let first = &layout.columns[layout.keys.get(layout.segments)?.column];
    key.ranges.iter().find(|range| range.attribute == first.attribute).copied()
}

/// Whether a batch has a row with the key.
///
/// # Safety
/// As [`Search::run`]. May jump.
unsafe fn holds(
    estate: *mut pg_sys::EState,
    key: &mut Key,
    filter: usize,
    (values, ordered): (&Values, Option<Range>),
    batch: &mut OpenBatch,
    slot: Virtual,
) -> bool {
    let ordered =
        ordered.and_then(|range| key.value_of(range.attribute, values).map(|value| (range, value::canonical(value, range.length))));
    // SAFETY: the caller's promise.
    unsafe {
        if key.filter_mut(filter).check(&mut batch.reader) == Verdict::Nothing {
            return false;
        }
        for vector in 0..batch.reader.vectors() {
            if ordered.is_some_and(|(range, value)| !batch.may_hold(vector, &range, value)) {
                continue;
            }
            let batch = &mut batch.reader;
            let mut selection = [0; WORDS];
            if key.filter_mut(filter).select(batch, vector, &mut selection) == 0 {
                continue;
            }
            for row in 0..batch.vector_rows(vector) {
                if selection[row / 64] >> (row % 64) & 1 == 0 {
                    continue;
                }
                let stored = key.fill(batch, vector * tsc_codec::VECTOR_ROWS + row, slot);
                if let Some(other) = key.of(stored, estate)
                    && key.equal(values, &other)
                {
                    return true;
                }
            }
        }
        false
    }
}

/// Moves a batch, by the statement's command: its snapshot does not see the rows, but goes on to see the batch.
///
/// # Safety
/// An open batch of the chunk.
unsafe fn take(layout: &Rc<Layout>, batch: &mut BatchReader) -> Result<Found> {
    // SAFETY: a trigger runs with a snapshot.
    unsafe {
        let statement = ffi::GetActiveSnapshot();
        let mut mover = Mover::new(layout, (*statement).curcid, pg_sys::LockWaitPolicy::LockWaitBlock, std::ptr::null_mut());
        if snapshot::is_fixed() && !mover.is_visible(batch.tid(), statement) {
            return Err(cannot_serialize());
        }
        let taken = mover.take(batch)?;
        mover.end();
        Ok(if taken == Taken::Gone { Found::Again } else { Found::Nothing })
    }
}
