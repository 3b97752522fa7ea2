//! What relations take on disk, by PostgreSQL's own functions.

use pgrx::pg_sys;

use super::ffi;
use super::relation::Relation;
use super::syscache::CacheTuple;

/// Bytes of a table, its indexes and its TOAST table (with that one's index), all forks included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The table's own file.
    pub table: i64,
    /// Its indexes.
    pub index: i64,
    /// Its TOAST table and that one's index.
    pub toast: i64,
    /// All of them.
    pub total: i64,
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |a, b| Self {
            table: a.table + b.table,
            index: a.index + b.index,
            toast: a.toast + b.toast,
            total: a.total + b.total,
        })
    }
}

/// # Safety
/// `relid` is a relation that is locked, so that the function does not return NULL.
unsafe fn call(function: u32, relid: pg_sys::Oid) -> i64 {
    // SAFETY: the function takes a regclass and returns int8.
    unsafe { ffi::OidFunctionCall1Coll(pg_sys::Oid::from(function), pg_sys::InvalidOid, pg_sys::Datum::from(relid)).value() as i64 }
}

/// Runs `f` while the relation can't be dropped; None if it is gone. The lock is given back: a hypertable may have more chunks
/// than a transaction can hold locks.
fn with_lock<T>(relid: pg_sys::Oid, f: impl FnOnce(&Relation) -> T) -> Option<T> {
    let relation = Relation::try_open(relid, pg_sys::AccessShareLock)?;
    let result = f(&relation);
    drop(relation);
    // SAFETY: taken by try_open.
    unsafe { ffi::UnlockRelationOid(relid, pg_sys::AccessShareLock as i32) };
    Some(result)
}

/// The size of a table; None if it is gone.
pub fn of_table(relid: pg_sys::Oid) -> Option<Size> {
    with_lock(relid, |relation| {
        let toast = relation.class().reltoastrelid;
        // SAFETY: the table is locked, and its TOAST table can't go without it.
        unsafe {
            let total = call(pg_sys::F_PG_TOTAL_RELATION_SIZE, relid);
            let index = call(pg_sys::F_PG_INDEXES_SIZE, relid);
            let toast = if toast == pg_sys::InvalidOid { 0 } else { call(pg_sys::F_PG_TOTAL_RELATION_SIZE, toast) };
            Size { table: total - index - toast, index, toast, total }
        }
    })
}

/// All bytes of a table; None if it is gone, or if somebody has locked readers out.
pub fn total(relid: pg_sys::Oid) -> Option<i64> {
    // SAFETY: locking by OID; whether the relation still exists is checked afterwards.
    if unsafe { !ffi::ConditionalLockRelationOid(relid, pg_sys::AccessShareLock as i32) } {
        return None;
    }
    // SAFETY: the table is locked, if it exists; the lock was taken above.
    unsafe {
        let exists = ffi::get_rel_relkind(relid) != 0;
        let size = exists.then(|| call(pg_sys::F_PG_TOTAL_RELATION_SIZE, relid));
        ffi::UnlockRelationOid(relid, pg_sys::AccessShareLock as i32);
        size
    }
}

/// The size of an index with all its forks; None if it is gone.
pub fn of_index(relid: pg_sys::Oid) -> Option<i64> {
    // SAFETY: the index is locked.
    with_lock(relid, |_| unsafe { call(pg_sys::F_PG_TOTAL_RELATION_SIZE, relid) })
}

/// The rows of a table as VACUUM and ANALYZE counted them; 0 if they never did.
pub fn estimated_rows(relid: pg_sys::Oid) -> f64 {
    CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid)
        // SAFETY: a tuple of pg_class.
        .map_or(0.0, |class| f64::from(unsafe { class.form::<pg_sys::FormData_pg_class>() }.reltuples).max(0.0))
}

/// All relations below one in the trees of inheritance and partitioning, itself included, without a lock.
pub fn inheritors(relid: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalog scan; the list holds OIDs.
    unsafe { super::list::oids(ffi::find_all_inheritors(relid, pg_sys::NoLock as i32, std::ptr::null_mut())) }
}

/// The table that an index belongs to.
pub fn table_of_index(relid: pg_sys::Oid) -> pg_sys::Oid {
    CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, relid)
        // SAFETY: a tuple of pg_index.
        .map_or(pg_sys::InvalidOid, |index| unsafe { index.form::<pg_sys::FormData_pg_index>() }.indrelid)
}

/// True if a heap has rows that a new snapshot sees; also if that can't be said because somebody has locked it.
pub fn has_rows(relid: pg_sys::Oid) -> bool {
    // SAFETY: locking by OID; whether the relation still exists is checked afterwards.
    if unsafe { !ffi::ConditionalLockRelationOid(relid, pg_sys::AccessShareLock as i32) } {
        return true;
    }
    let has_rows = Relation::try_open(relid, pg_sys::NoLock).is_some_and(|relation| {
        // SAFETY: an open relation.
        let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
        pages > 0 && super::rows::Reader::open(&relation).next(0).is_some()
    });
    // SAFETY: taken above.
    unsafe { ffi::UnlockRelationOid(relid, pg_sys::AccessShareLock as i32) };
    has_rows
}

/// A number of bytes as people write it, such as `500 GB`; an ERROR if the text is none.
pub fn parse(text: &str) -> i64 {
    let text = pgrx::IntoDatum::into_datum(text).unwrap_or(pg_sys::Datum::null());
    // SAFETY: the function takes a text, which is not NULL, and returns int8.
    unsafe { ffi::OidFunctionCall1Coll(pg_sys::Oid::from(pg_sys::F_PG_SIZE_BYTES), pg_sys::InvalidOid, text).value() as i64 }
}

/// True if a heap has no pages.
pub fn is_without_pages(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) == 0 }
}
