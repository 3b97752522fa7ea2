//! Look-ups in PostgreSQL's system caches.

use pgrx::{FromDatum, pg_sys};

use super::ffi;

/// A tuple of a system cache, released when dropped.
pub struct CacheTuple {
    tuple: pg_sys::HeapTuple,
    cache: i32,
}

impl CacheTuple {
    /// Looks up by one OID key.
    pub fn by_oid(cache: pg_sys::SysCacheIdentifier::Type, oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the cache has one key of type oid.
        let tuple = unsafe { ffi::SearchSysCache1(cache as i32, pg_sys::Datum::from(oid)) };
        (!tuple.is_null()).then(|| Self { tuple, cache: cache as i32 })
    }

    /// PostgreSQL's tuple, valid while this lives.
    pub fn as_ptr(&self) -> pg_sys::HeapTuple {
        self.tuple
    }

    /// The fixed part of the row.
    ///
    /// # Safety
    /// `T` is the `FormData_...` struct of the cache's catalog.
    pub unsafe fn form<T>(&self) -> &T {
        // SAFETY: the caller's promise; GETSTRUCT is t_data + t_hoff.
        unsafe { &*form(self.tuple) }
    }

    /// A column of the variable part; None if NULL.
    pub fn attribute(&self, number: u32) -> Option<pg_sys::Datum> {
        let mut null = false;
        // SAFETY: the tuple belongs to the cache.
        let datum = unsafe { ffi::SysCacheGetAttr(self.cache, self.tuple, number as i16, &mut null) };
        (!null).then_some(datum)
    }
}

impl Drop for CacheTuple {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: obtained by SearchSysCache and not released yet.
            unsafe { ffi::ReleaseSysCache(self.tuple) }
        }
    }
}

/// The fixed part of a tuple (`GETSTRUCT`).
///
/// # Safety
/// `tuple` is a valid heap tuple whose fixed part is a `T`.
pub unsafe fn form<T>(tuple: pg_sys::HeapTuple) -> *mut T {
    // SAFETY: the caller's promise.
    unsafe {
        let data = (*tuple).t_data;
        data.cast::<u8>().add((*data).t_hoff as usize).cast()
    }
}

/// The bound of a partition, parsed into the current memory context; None if the relation is no partition.
pub fn partition_bound(relid: pg_sys::Oid) -> Option<*mut pg_sys::PartitionBoundSpec> {
    let class = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid)?;
    let bound = class.attribute(pg_sys::Anum_pg_class_relpartbound)?;
    // SAFETY: relpartbound is a pg_node_tree (text).
    unsafe {
        let text = ffi::text_to_cstring(bound.cast_mut_ptr());
        Some(ffi::stringToNode(text).cast())
    }
}

/// The storage parameters of a relation, as `name=value`.
pub fn reloptions(relid: pg_sys::Oid) -> Vec<String> {
    CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid)
        .and_then(|class| class.attribute(pg_sys::Anum_pg_class_reloptions))
        // SAFETY: reloptions is text[].
        .and_then(|options| unsafe { Vec::<String>::from_datum(options, false) })
        .unwrap_or_default()
}

impl CacheTuple {
    /// Looks up by three keys.
    ///
    /// # Safety
    /// The cache has three keys of the Datums' types.
    pub unsafe fn by_three_keys(
        cache: pg_sys::SysCacheIdentifier::Type,
        first: pg_sys::Datum,
        second: pg_sys::Datum,
        third: pg_sys::Datum,
    ) -> Option<Self> {
        // SAFETY: the caller's promise.
        let tuple = unsafe { ffi::SearchSysCache3(cache as i32, first, second, third) };
        (!tuple.is_null()).then(|| Self { tuple, cache: cache as i32 })
    }

    /// Looks up by two keys.
    pub fn by_keys(cache: pg_sys::SysCacheIdentifier::Type, first: pg_sys::Datum, second: pg_sys::Datum) -> Option<Self> {
        // SAFETY: the cache has two keys of the Datums' types.
        let tuple = unsafe { ffi::SearchSysCache2(cache as i32, first, second) };
        (!tuple.is_null()).then(|| Self { tuple, cache: cache as i32 })
    }
}

/// Writes a new version of a row of PostgreSQL's catalog with some columns (by attribute number) changed. It becomes visible
/// with the next CommandCounterIncrement.
pub fn update(catalog: pg_sys::Oid, old: &CacheTuple, changes: &[(u32, Option<pg_sys::Datum>)]) {
    let relation = super::relation::Relation::open(catalog, pg_sys::RowExclusiveLock);
    let count = relation.attributes().len();
    let mut values = vec![pg_sys::Datum::null(); count];
    let mut nulls = vec![false; count];
    let mut replace = vec![false; count];
    for (number, value) in changes {
        let index = *number as usize - 1;
        values[index] = value.unwrap_or(pg_sys::Datum::null());
        nulls[index] = value.is_none();
        replace[index] = true;
    }
    // SAFETY: the arrays have one element for each attribute of the catalog whose tuple this is.
    unsafe {
        let desc = (*relation.as_ptr()).rd_att;
        let new = ffi::heap_modify_tuple(old.as_ptr(), desc, values.as_mut_ptr(), nulls.as_mut_ptr(), replace.as_mut_ptr());
        ffi::CatalogTupleUpdate(relation.as_ptr(), &mut (*new).t_self, new);
    }
}
