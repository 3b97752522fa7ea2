//! Reading a heap row by row and writing rows in bulk, below the executor: no triggers, no constraints, no indexes.

use pgrx::pg_sys;

use super::ffi;
use super::relation::Relation;

/// Rows of a batch that goes to the heap at once.
const BATCH: usize = 1000;

/// A sequential scan with the latest snapshot.
pub struct Reader {
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    snapshot: pg_sys::Snapshot,
}

impl Reader {
    /// Begins a scan of a heap that the caller has locked.
    pub fn open(relation: &Relation) -> Self {
        // SAFETY: registered until the scan ends.
        Self::with(relation, unsafe { ffi::RegisterSnapshot(ffi::GetLatestSnapshot()) })
    }

    /// The same without what this transaction has done since its running command began.
    pub fn open_before_command(relation: &Relation) -> Self {
        // SAFETY: the pushed snapshot is a copy, and popped when it is registered.
        unsafe {
            if !ffi::ActiveSnapshotSet() {
                return Self::open(relation);
            }
            let command = (*ffi::GetActiveSnapshot()).curcid;
            ffi::PushCopiedSnapshot(ffi::GetLatestSnapshot());
            (*ffi::GetActiveSnapshot()).curcid = command;
            let snapshot = ffi::RegisterSnapshot(ffi::GetActiveSnapshot());
            ffi::PopActiveSnapshot();
            Self::with(relation, snapshot)
        }
    }

    fn with(relation: &Relation, snapshot: pg_sys::Snapshot) -> Self {
        // SAFETY: the relation is an open heap; the snapshot is registered for as long as the scan lives. Flags as table_beginscan's.
        unsafe {
            let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_STRAT | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
            let scan = ffi::heap_beginscan(relation.as_ptr(), snapshot, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
            let slot = ffi::table_slot_create(relation.as_ptr(), std::ptr::null_mut());
            Self { scan, slot, snapshot }
        }
    }

    /// Moves to the next row: its slot, with all columns up to `attributes` read. None at the end.
    pub fn next(&mut self, attributes: i32) -> Option<Row<'_>> {
        // SAFETY: the scan and the slot live as long as self. The interrupt check raises an ERROR through the guard.
        unsafe {
            if !ffi::heap_getnextslot(self.scan, pg_sys::ScanDirection::ForwardScanDirection, self.slot) {
                return None;
            }
            if pg_sys::InterruptPending != 0 {
                ffi::ProcessInterrupts();
            }
            if i32::from((*self.slot).tts_nvalid) < attributes {
                ffi::slot_getsomeattrs_int(self.slot, attributes);
            }
        }
        Some(Row { reader: self })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: all three were made by `open`.
            unsafe {
                ffi::ExecDropSingleTupleTableSlot(self.slot);
                ffi::heap_endscan(self.scan);
                ffi::UnregisterSnapshot(self.snapshot);
            }
        }
    }
}

/// The row that a [`Reader`] stands on.
pub struct Row<'a> {
    reader: &'a Reader,
}

impl Row<'_> {
    /// A column by attribute number, None if NULL. It must have been asked for in [`Reader::next`].
    pub fn column(&self, attribute: i16) -> Option<pg_sys::Datum> {
        let index = attribute as usize - 1;
        // SAFETY: the caller asked for at least this many columns, so both arrays hold it.
        unsafe {
            let slot = &*self.reader.slot;
            (!*slot.tts_isnull.add(index)).then(|| *slot.tts_values.add(index))
        }
    }

    /// Where it lies.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        // SAFETY: the slot holds a row.
        unsafe { (*self.reader.slot).tts_tid }
    }

    fn slot(&self) -> *mut pg_sys::TupleTableSlot {
        self.reader.slot
    }
}

/// Collects rows for a table and writes them in batches.
pub struct Writer {
    relation: Relation,
    bulk: pg_sys::BulkInsertState,
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    filled: usize,
    /// Maps the source's columns to the table's, if they differ; with a slot for the mapped row.
    map: Option<(*mut pg_sys::AttrMap, *mut pg_sys::TupleTableSlot)>,
}

impl Writer {
    /// A writer into a heap that nobody else sees yet, for rows that come from `source`.
    pub fn new(relation: Relation, source: &Relation) -> Self {
        // SAFETY: both relations are open; the map is NULL if the columns are the same.
        unsafe {
            let desc = (*relation.as_ptr()).rd_att;
            let map = ffi::build_attrmap_by_name_if_req((*source.as_ptr()).rd_att, desc);
            let map = (!map.is_null()).then(|| (map, ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsVirtual)));
            let bulk = ffi::GetBulkInsertState();
            Self { relation, bulk, slots: Vec::new(), filled: 0, map }
        }
    }

    /// Adds a copy of the row. Returns how many rows were written because that filled the batch: 0 mostly.
    pub fn push(&mut self, row: &Row) -> usize {
        if self.filled == self.slots.len() {
            // SAFETY: an open relation.
            self.slots.push(unsafe { ffi::table_slot_create(self.relation.as_ptr(), std::ptr::null_mut()) });
        }
        let target = self.slots[self.filled];
        // SAFETY: the slots are of this table; copyslot materialises what it copies.
        unsafe {
            let source = match self.map {
                Some((map, virtual_slot)) => ffi::execute_attr_map_slot(map, row.slot(), virtual_slot),
                None => row.slot(),
            };
            super::guard::guard(|| {
                if let Some(copy) = (*(*target).tts_ops).copyslot {
                    copy(target, source);
                }
            });
            (*target).tts_tableOid = self.relation.oid();
        }
        self.filled += 1;
        if self.filled == BATCH {
            self.flush();
            return BATCH;
        }
        0
    }

    /// Writes what was collected.
    pub fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        // SAFETY: the first `filled` slots hold rows of this table.
        unsafe {
            let command = ffi::GetCurrentCommandId(true);
            ffi::heap_multi_insert(self.relation.as_ptr(), self.slots.as_mut_ptr(), self.filled as i32, command, 0, self.bulk);
            for slot in &self.slots[..self.filled] {
                super::slot::clear(*slot);
            }
        }
        // Else each chunk would keep a page of its own in shared buffers.
        // SAFETY: made by `new`.
        unsafe { ffi::ReleaseBulkInsertStatePin(self.bulk) };
        self.filled = 0;
    }

    /// Writes what was collected and frees the slots: there may be thousands of writers.
    pub fn park(&mut self) {
        self.flush();
        for slot in self.slots.drain(..) {
            // SAFETY: made by `push`, and empty.
            unsafe { ffi::ExecDropSingleTupleTableSlot(slot) };
        }
    }

    /// Writes the rest and frees the slots.
    pub fn finish(mut self) {
        self.flush();
        // SAFETY: made by `new` and `push`.
        unsafe {
            for slot in &self.slots {
                ffi::ExecDropSingleTupleTableSlot(*slot);
            }
            if let Some((_, slot)) = self.map {
                ffi::ExecDropSingleTupleTableSlot(slot);
            }
            ffi::FreeBulkInsertState(self.bulk);
        }
    }
}
