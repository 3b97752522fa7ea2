//! Writing the rows of some heaps into others in a way that every snapshot goes on seeing what it saw.
//!
//! The rewrite keeps each row version's xmin and xmax, as CLUSTER and VACUUM FULL do (`copy_table_data` in cluster.c and
//! `heapam_relation_copy_for_cluster`): a transaction that took its snapshot before finds its rows in their new places. Each table
//! gets a new heap that is swapped in at the end, so an abort leaves everything as it was.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::relation::Relation;
use super::{ffi, live, standby, table};

/// Row versions deleted before this can go, and older ids are frozen.
#[derive(Clone, Copy)]
struct Horizon {
    oldest: pg_sys::TransactionId,
    freeze: pg_sys::TransactionId,
    multi: pg_sys::MultiXactId,
}

/// New heaps under construction for some tables.
pub struct Rewrite {
    horizon: Horizon,
    /// The newest transaction whose rows were frozen or left out.
    newest: pg_sys::TransactionId,
    targets: Vec<Target>,
}

struct Target {
    table: pg_sys::Oid,
    heap: Relation,
    rows: f32,
}

impl Rewrite {
    /// Begins new heaps for `tables`, in the tablespace of the first of `sources`, whose rows will be copied. The caller holds
    /// AccessExclusiveLock on all of them.
    pub fn begin(tables: &[pg_sys::Oid], sources: &[&Relation]) -> Self {
        let horizon = horizon(sources);
        let tablespace = sources.first().map_or(pg_sys::InvalidOid, |source| source.class().reltablespace);
        let targets = tables
            .iter()
            .map(|table| {
                let (access_method, persistence) = {
                    let relation = Relation::open(*table, pg_sys::AccessExclusiveLock);
                    (relation.class().relam, relation.class().relpersistence)
                };
                // SAFETY: a heap that is exclusively locked.
                let heap =
                    unsafe { ffi::make_new_heap(*table, tablespace, access_method, persistence, pg_sys::AccessExclusiveLock as i32) };
                Target { table: *table, heap: Relation::open(heap, pg_sys::AccessExclusiveLock), rows: 0.0 }
            })
            .collect();
        Self { horizon, newest: pg_sys::InvalidTransactionId, targets }
    }

    /// Copies every row version of `source` that someone may see into the heap that `route` names.
    pub fn copy(&mut self, source: &Relation, mut route: impl FnMut(&Values) -> usize) {
        let horizon = self.horizon;
        // SAFETY: an open heap. Rows change their places, so what a serialisable transaction read is locked as a whole.
        unsafe { ffi::TransferPredicateLocksToHeapRelation(source.as_ptr()) };
        let mut copies: Vec<Copy> = self.targets.iter_mut().map(|target| Copy::begin(source, target, horizon)).collect();
        let mut values = Values::new(source);
        let mut newest = self.newest;
        let mut scan = Scan::begin(source, horizon.oldest);
        while let Some((tuple, dead)) = scan.next() {
            // SAFETY: a tuple of the scan.
            newest = live::newer(newest, unsafe { settled(tuple, dead, horizon) });
            values.read(tuple);
            copies[route(&values)].add(tuple, dead, &values);
        }
        scan.end();
        copies.into_iter().for_each(Copy::end);
        self.newest = newest;
    }

    /// Swaps the new heaps in and builds the tables' indexes anew.
    pub fn finish(self) {
        let horizon = self.horizon;
        for Target { table, heap, rows } in self.targets {
            let new = heap.oid();
            let persistence = heap.class().relpersistence;
            // SAFETY: an open relation.
            let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(heap.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
            drop(heap);
            // The new heap shows frozen rows to snapshots of standbys that may be older than the primary knows of.
            standby::conflict(&Relation::open(table, pg_sys::AccessExclusiveLock), self.newest);
            super::convert::update_class(new, |class| {
                class.relpages = pages as i32;
                class.reltuples = rows;
            });
            table::command_counter_increment();
            // SAFETY: the two heaps have the same columns; TOAST tables are swapped by their links.
            unsafe { ffi::finish_heap_swap(table, new, false, false, false, true, horizon.freeze, horizon.multi, persistence) };
        }
    }
}

/// The transaction because of which a snapshot can't go on with the new heap, if it is older: the inserter of a row that gets frozen,
/// the one that deleted a row which is left out.
///
/// # Safety
/// A tuple of a heap.
unsafe fn settled(tuple: pg_sys::HeapTuple, dead: bool, horizon: Horizon) -> pg_sys::TransactionId {
    // SAFETY: the caller's promise.
    unsafe {
        let header = &*(*tuple).t_data;
        let is_frozen = u32::from(header.t_infomask) & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
        let xmin = header.t_choice.t_heap.t_xmin;
        if dead {
            // Whoever it was ended before this.
            return pg_sys::TransactionId::from(horizon.oldest.into_inner().wrapping_sub(1));
        }
        let is_settled = !is_frozen && xmin >= pg_sys::FirstNormalTransactionId && ffi::TransactionIdPrecedes(xmin, horizon.freeze);
        if is_settled { xmin } else { pg_sys::InvalidTransactionId }
    }
}

/// Makes a table that this transaction created count as an older one with a new relfilenode.
///
/// PostgreSQL takes it for granted that nobody else can see rows of a table that is not committed yet, and so prunes, and leaves out
/// of new indexes, row versions that are dead to this transaction (`RELATION_IS_LOCAL` in `GlobalVisHorizonKindForRel`). Old
/// snapshots do need those that a rewrite brought here.
pub fn keep_old_versions(relid: pg_sys::Oid) {
    let relation = Relation::open(relid, pg_sys::AccessExclusiveLock);
    // SAFETY: an open relation. The entry stays on the list of those to be cleaned up at the transaction's end, where it is treated
    // like that of a rewritten table; on an abort the invalidation of its pg_class row flushes it. WAL is skipped or written as
    // before, since that depends on either field.
    unsafe {
        let entry = &mut *relation.as_ptr();
        if entry.rd_createSubid != 0 {
            entry.rd_newRelfilenodeSubid = entry.rd_createSubid;
            entry.rd_firstRelfilenodeSubid = entry.rd_createSubid;
            entry.rd_createSubid = 0;
        }
    }
}

/// What can be frozen and forgotten. No table's relfrozenxid goes back behind that of all sources.
fn horizon(sources: &[&Relation]) -> Horizon {
    let mut result: Option<Horizon> = None;
    for source in sources {
        let class = source.class();
        let (mut oldest, mut oldest_multi) = (pg_sys::InvalidTransactionId, pg_sys::MultiXactId::from(0u32));
        let (mut freeze, mut multi) = (oldest, oldest_multi);
        // SAFETY: an open heap. Its TOAST table is locked first, lest it be vacuumed by a later horizon.
        unsafe {
            if class.reltoastrelid != pg_sys::InvalidOid {
                ffi::LockRelationOid(class.reltoastrelid, pg_sys::AccessExclusiveLock as i32);
            }
            ffi::vacuum_set_xid_limits(source.as_ptr(), 0, 0, 0, 0, &mut oldest, &mut oldest_multi, &mut freeze, &mut multi);
            if class.relfrozenxid != pg_sys::InvalidTransactionId && ffi::TransactionIdPrecedes(freeze, class.relfrozenxid) {
                freeze = class.relfrozenxid;
            }
            if class.relminmxid != pg_sys::MultiXactId::from(0u32) && ffi::MultiXactIdPrecedes(multi, class.relminmxid) {
                multi = class.relminmxid;
            }
            result = Some(match result {
                None => Horizon { oldest, freeze, multi },
                Some(first) => Horizon {
                    oldest: first.oldest,
                    freeze: if ffi::TransactionIdPrecedes(freeze, first.freeze) { freeze } else { first.freeze },
                    multi: if ffi::MultiXactIdPrecedes(multi, first.multi) { multi } else { first.multi },
                },
            });
        }
    }
    let none = (pg_sys::InvalidTransactionId, pg_sys::MultiXactId::from(0u32));
    result.unwrap_or(Horizon { oldest: none.0, freeze: none.0, multi: none.1 })
}

/// A row's columns.
pub struct Values {
    desc: pg_sys::TupleDesc,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Values {
    fn new(relation: &Relation) -> Self {
        let count = relation.attributes().len();
        // SAFETY: the descriptor lives as long as the relation is open, which outlives this.
        let desc = unsafe { (*relation.as_ptr()).rd_att };
        Self { desc, values: vec![pg_sys::Datum::null(); count], nulls: vec![true; count] }
    }

    fn read(&mut self, tuple: pg_sys::HeapTuple) {
        // SAFETY: a tuple of the relation whose descriptor this is.
        unsafe { ffi::heap_deform_tuple(tuple, self.desc, self.values.as_mut_ptr(), self.nulls.as_mut_ptr()) };
    }

    /// A column by attribute number; None if NULL.
    pub fn column(&self, attribute: i16) -> Option<pg_sys::Datum> {
        let index = attribute as usize - 1;
        (!self.nulls[index]).then(|| self.values[index])
    }
}

/// A scan over all versions of all rows.
struct Scan {
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    oldest: pg_sys::TransactionId,
}

impl Scan {
    fn begin(source: &Relation, oldest: pg_sys::TransactionId) -> Self {
        let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_STRAT;
        // SAFETY: an open heap; SnapshotAny is static.
        unsafe {
            let any = &raw mut pg_sys::SnapshotAnyData;
            let scan = ffi::heap_beginscan(source.as_ptr(), any, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
            Self { scan, slot: ffi::table_slot_create(source.as_ptr(), std::ptr::null_mut()), oldest }
        }
    }

    /// The next row version, and whether nobody can see it any more.
    fn next(&mut self) -> Option<(pg_sys::HeapTuple, bool)> {
        // SAFETY: the scan and the slot live until `end`; the slot holds a buffer tuple.
        unsafe {
            if pg_sys::InterruptPending != 0 {
                ffi::ProcessInterrupts();
            }
            if !ffi::heap_getnextslot(self.scan, pg_sys::ScanDirection::ForwardScanDirection, self.slot) {
                return None;
            }
            let tuple = ffi::ExecFetchSlotHeapTuple(self.slot, false, std::ptr::null_mut());
            let buffer = (*self.slot.cast::<pg_sys::BufferHeapTupleTableSlot>()).buffer;
            ffi::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
            let state = ffi::HeapTupleSatisfiesVacuum(tuple, self.oldest, buffer);
            ffi::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK as i32);
            Some((tuple, state == pg_sys::HTSV_Result::HEAPTUPLE_DEAD))
        }
    }

    fn end(self) {
        // SAFETY: both were made by `begin`.
        unsafe {
            ffi::ExecDropSingleTupleTableSlot(self.slot);
            ffi::heap_endscan(self.scan);
        }
    }
}

/// The copying of one source into one target.
struct Copy<'a> {
    target: &'a mut Target,
    state: *mut c_void,
    /// The source's attribute number for each of the target's columns, 0 for dropped ones.
    map: Vec<i16>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl<'a> Copy<'a> {
    fn begin(source: &Relation, target: &'a mut Target, horizon: Horizon) -> Self {
        let count = target.heap.attributes().len();
        // SAFETY: two open heaps; the map has an element for each of the target's attributes.
        let (map, state) = unsafe {
            let map = ffi::build_attrmap_by_name((*source.as_ptr()).rd_att, (*target.heap.as_ptr()).rd_att);
            let map = std::slice::from_raw_parts((*map).attnums, count).to_vec();
            let new = target.heap.as_ptr();
            (map, ffi::begin_heap_rewrite(source.as_ptr(), new, horizon.oldest, horizon.freeze, horizon.multi))
        };
        Self { target, state, map, values: vec![pg_sys::Datum::null(); count], nulls: vec![true; count] }
    }

    fn add(&mut self, tuple: pg_sys::HeapTuple, dead: bool, values: &Values) {
        // SAFETY: the state is open; the new tuple is formed for the target and freed after it was copied.
        unsafe {
            if dead {
                // A version that was kept for one that turns out to be dead goes too.
                if ffi::rewrite_heap_dead_tuple(self.state, tuple) {
                    self.target.rows -= 1.0;
                }
                return;
            }
            for (index, attribute) in self.map.iter().enumerate() {
                let value = (*attribute > 0).then(|| values.column(*attribute)).flatten();
                self.nulls[index] = value.is_none();
                self.values[index] = value.unwrap_or(pg_sys::Datum::null());
            }
            let desc = (*self.target.heap.as_ptr()).rd_att;
            let copy = ffi::heap_form_tuple(desc, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            ffi::rewrite_heap_tuple(self.state, tuple, copy);
            ffi::heap_freetuple(copy);
        }
        self.target.rows += 1.0;
    }

    fn end(self) {
        // SAFETY: the state was opened by `begin`; this writes its last page.
        unsafe { ffi::end_heap_rewrite(self.state) };
    }
}
