//! What the planner asks of indexes.

use pgrx::pg_sys;

use super::relation::{c_string, relation_name};
use super::syscache::CacheTuple;
use super::{ffi, list, node};

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

/// Whether values of a type can be put into a btree.
pub fn can_sort(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { ffi::GetDefaultOpClass(type_oid, BTREE) != pg_sys::InvalidOid }
}

/// Creates an index on columns (and whether descending), whatever the role may create in the schema. Nobody holds the relation open.
pub fn create(relid: pg_sys::Oid, columns: &[(&str, bool)]) {
    let elements = columns.iter().map(|(name, descending)| {
        let element: *mut pg_sys::IndexElem = node::make_node(pg_sys::NodeTag::T_IndexElem);
        // SAFETY: a fresh node.
        unsafe {
            (*element).name = node::palloc_str(name);
            (*element).ordering = if *descending { pg_sys::SortByDir::SORTBY_DESC } else { pg_sys::SortByDir::SORTBY_DEFAULT };
        }
        element
    });
    let elements = list::from_pointers(elements);
    let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("_");
    let (table, names) = (c_string(&relation_name(relid)), c_string(&names));
    let statement: *mut pg_sys::IndexStmt = node::make_node(pg_sys::NodeTag::T_IndexStmt);
    let none = pg_sys::InvalidOid;
    // SAFETY: a fresh node, zeroed but for what is set here; rights are not asked for.
    unsafe {
        (*statement).idxname =
            ffi::ChooseRelationName(table.as_ptr(), names.as_ptr(), c"idx".as_ptr(), ffi::get_rel_namespace(relid), false);
        (*statement).accessMethod = node::palloc_str("btree");
        (*statement).indexParams = elements;
        ffi::DefineIndex(relid, statement, none, none, none, false, false, true, false, true);
        ffi::CommandCounterIncrement();
    }
}
