//! What the planner asks of indexes.

use pgrx::pg_sys;

use super::syscache::CacheTuple;

/// `BTREE_AM_OID` of pg_am.dat.
const BTREE: pg_sys::Oid = pg_sys::BTREE_AM_OID;

/// The key columns of a valid btree index without a predicate, 0 for an expression; none if it is no such index.
pub fn btree_columns(oid: pg_sys::Oid) -> Vec<i16> {
    let (Some(class), Some(index)) =
        (CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, oid), CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, oid))
    else {
        return Vec::new();
    };
    // SAFETY: a tuple of pg_class.
    if unsafe { class.form::<pg_sys::FormData_pg_class>() }.relam != BTREE || index.attribute(pg_sys::Anum_pg_index_indpred).is_some() {
        return Vec::new();
    }
    // SAFETY: a tuple of pg_index; indkey ends the fixed part and holds indnatts elements, of which the first are keys.
    unsafe {
        let form = index.form::<pg_sys::FormData_pg_index>();
        if !form.indisvalid {
            return Vec::new();
        }
        form.indkey.values.as_slice(form.indnatts as usize)[..form.indnkeyatts as usize].to_vec()
    }
}

/// Whether an index is unique, and whether it is the primary key; None if it is gone or not valid.
pub fn uniqueness(oid: pg_sys::Oid) -> Option<(bool, bool)> {
    let index = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, oid)?;
    // SAFETY: a tuple of pg_index.
    let form = unsafe { index.form::<pg_sys::FormData_pg_index>() };
    form.indisvalid.then_some((form.indisunique, form.indisprimary))
}
