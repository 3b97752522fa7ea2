//! Both parts of a chunk that is about to change as a whole.

use std::rc::Rc;

use pgrx::pg_sys;

use super::layout::{self, Layout};
use super::reader::BatchReader;
use crate::catalog::columnar_chunk;
use crate::catalog::naming;
use crate::chunk::list::{self, Located};
use crate::error::{Error, Result, SqlState};
use crate::pg::ffi::raw;
use crate::pg::guard::on_error;
use crate::pg::live::{self, Found};
use crate::pg::partition_change::{self, check_not_in_use, lock};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::{ffi, table};

/// A chunk that nobody else can change: ExclusiveLock is held on it to the end of the transaction. Readers go on.
pub struct LockedChunk {
    /// The chunk and its hypertable.
    pub located: Located,
    /// The chunk's table.
    pub relation: Relation,
    /// Its columnar part, if it has one.
    pub layout: Option<Rc<Layout>>,
}

impl LockedChunk {
    /// Finds a chunk that the role may change, and locks it.
    pub fn lock(relid: pg_sys::Oid) -> Result<Self> {
        let root = list::require(relid)?.hypertable.relid;
        naming::require_owner(root)?;
        lock(relid, pg_sys::ExclusiveLock);
        // The chunk may have been dropped and the table may have changed hands while the lock was waited for.
        let located = list::require(relid)?;
        naming::require_owner(located.hypertable.relid)?;
        let relation = Relation::open(relid, pg_sys::NoLock);
        if relation.class().relam != pg_sys::HEAP_TABLE_AM_OID {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("chunk \"{}\" is not stored in a heap", relation.name())));
        }
        let layout = layout::find(relid);
        Ok(Self { located, relation, layout })
    }

    /// True if users see it as compressed.
    pub fn is_compressed(&self) -> bool {
        self.layout.as_ref().is_some_and(|layout| layout.compressed)
    }

    /// Keeps readers out, too, until the transaction ends. An ERROR if this session itself is reading.
    pub fn lock_out_readers(&self, command: &std::ffi::CStr) {
        lock(self.relation.oid(), pg_sys::AccessExclusiveLock);
        check_not_in_use(&self.relation, command);
    }

    /// Gives the chunk an empty heap, as TRUNCATE does; its indexes are built anew by [`Self::reindex`]. The old one goes when the
    /// transaction commits, and with it what its rows keep out of line.
    pub fn empty_heap(&self) {
        let heap = self.relation.as_ptr();
        let persistence = self.relation.class().relpersistence as std::ffi::c_char;
        let toast = self.relation.class().reltoastrelid;
        // SAFETY: AccessExclusiveLock is held; the sequence is that of ExecuteTruncateGuts for a table that is older than the transaction.
        unsafe {
            ffi::TransferPredicateLocksToHeapRelation(heap);
            ffi::RelationSetNewRelfilenode(heap, persistence);
            if toast != pg_sys::InvalidOid {
                let toast = Relation::open(toast, pg_sys::AccessExclusiveLock);
                ffi::RelationSetNewRelfilenode(toast.as_ptr(), persistence);
                // At once: by the old index, a value of the old table would be found where another one is now.
                let mut parameters = pg_sys::ReindexParams::default();
                ffi::reindex_relation(toast.oid(), 0, &mut parameters);
            }
        }
        table::command_counter_increment();
    }

    /// Builds the chunk's indexes anew.
    pub fn reindex(&self) {
        let mut parameters = pg_sys::ReindexParams::default();
        // SAFETY: AccessExclusiveLock is held.
        unsafe { ffi::reindex_relation(self.relation.oid(), pg_sys::REINDEX_REL_PROCESS_TOAST as i32, &mut parameters) };
    }
}

/// Calls `each` with every live batch, opened. As [`live::scan`], whose conditions hold here.
pub fn scan_batches(layout: &Rc<Layout>, mut each: impl FnMut(&mut BatchReader)) -> Found {
    let relation = Relation::open(layout.batches, pg_sys::RowExclusiveLock);
    let desc = crate::pg::relation::descriptor(&relation);
    let mut reader = BatchReader::new(Rc::clone(layout));
    let (each, reader) = (&mut each, &mut reader);
    live::scan(&relation, |slot| {
        // SAFETY: the slot holds a row of the batch table.
        unsafe {
            reader.open(raw::ExecFetchSlotHeapTuple(slot, false, std::ptr::null_mut()), desc);
        }
        each(reader);
    })
}

/// Deletes rows of a heap that this transaction found by [`live::scan`], which are in the other part from now on. A subscriber is not
/// told: to it nothing has changed.
pub fn delete_rows(relation: &Relation, tids: &[pg_sys::ItemPointerData]) {
    // Without a replica identity the log does not say which row was deleted, and logical replication passes over it.
    // SAFETY: the description of an open relation, which is changed for this backend only.
    let identity = unsafe { (*(*relation.as_ptr()).rd_rel).relreplident };
    let delete = || {
        for tid in tids {
            let mut tid = *tid;
            // SAFETY: as above, once more for each row: an invalidation fills the description anew. A live row, which nobody else can
            // change.
            unsafe {
                (*(*relation.as_ptr()).rd_rel).relreplident = pg_sys::REPLICA_IDENTITY_NOTHING as std::ffi::c_char;
                ffi::simple_heap_delete(relation.as_ptr(), &mut tid);
            }
        }
    };
    // SAFETY: the lock that is held keeps the replica identity as it is.
    let restore = || unsafe { (*(*relation.as_ptr()).rd_rel).relreplident = identity };
    on_error(delete, restore);
    restore();
}

/// Drops the batch table of a chunk whose rows are elsewhere for every snapshot. Readers are locked out.
pub fn drop_batches(layout: &Layout) {
    partition_change::drop_internal(layout.batches);
}

/// The error, or NOTICE, that a chunk is in the state already that was asked for.
pub fn already(relid: pg_sys::Oid, state: &str, is_error: bool) -> Result<()> {
    let message = format!("chunk \"{}\" is already converted to {state}", relation_name(relid));
    if is_error {
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, message));
    }
    crate::pg::guard::notice(message);
    Ok(())
}

/// Refuses chunks whose indexes can't hold over both parts.
pub fn check_indexes(relation: &Relation) -> Result<()> {
    for oid in relation.index_oids() {
        let index = Relation::open(oid, pg_sys::AccessShareLock);
        // SAFETY: an open index has rd_index.
        if unsafe { (*(*index.as_ptr()).rd_index).indisexclusion } {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "hypertables with exclusion constraints can't be compressed")
                .detail(format!("Index \"{}\" belongs to an exclusion constraint, which is checked in row form only.", index.name()))
                .hint("Drop the constraint."));
        }
    }
    Ok(())
}

/// Forgets the columnar part of a chunk.
pub fn forget(relid: pg_sys::Oid) {
    columnar_chunk::delete(relid);
    crate::catalog::cache::invalidate(relid);
}

/// Columns (attribute numbers) that any index of a table is on.
pub fn indexed_columns(relation: &Relation) -> Vec<i16> {
    let mut columns = Vec::new();
    for oid in relation.index_oids() {
        let index = Relation::open(oid, pg_sys::AccessShareLock);
        // SAFETY: an open index has rd_index with as many keys.
        unsafe {
            let form = &*(*index.as_ptr()).rd_index;
            columns.extend_from_slice(form.indkey.values.as_slice(form.indnkeyatts as usize));
        }
    }
    columns.retain(|column| *column > 0);
    columns.sort_unstable();
    columns.dedup();
    columns
}
