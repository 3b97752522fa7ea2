//! Making the table of a chunk's batches.

use std::ffi::{c_char, c_int};

use pgrx::pg_sys;

use super::layout::{COUNT, Column, SINGLE, ZONE, block_name, bound_name};
use crate::pg::relation::{Relation, c_string};
use crate::pg::{ffi, list, node, table};

/// What a batch table is made of.
pub struct Plan<'a> {
    /// Columns of the chunk.
    pub columns: &'a [Column],
    /// Indexes in `columns`: segmentby, then orderby.
    pub keys: &'a [usize],
    /// How many keys are segmentby.
    pub segments: usize,
}

/// How many columns a batch table has: rows, whether segments are single, bounds of keys, zone map and blocks.
pub fn width(columns: usize, keys: usize) -> usize {
    3 + 2 * keys + columns
}

/// Creates the batch table of a chunk, in its schema and tablespace, owned by its owner; without its index. Dropping the chunk drops
/// it.
pub fn create(chunk: &Relation, name: &str, plan: &Plan) -> pg_sys::Oid {
    let class = chunk.class();
    let text = c_string(name);
    // SAFETY: the descriptor was made for this call; the arguments are those of DefineRelation for a plain table.
    unsafe {
        let oid = ffi::heap_create_with_catalog(
            text.as_ptr(),
            class.relnamespace,
            class.reltablespace,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            class.relowner,
            pg_sys::HEAP_TABLE_AM_OID,
            descriptor(plan),
            std::ptr::null_mut(),
            b'r' as c_char,
            class.relpersistence,
            false,
            false,
            pg_sys::OnCommitAction::ONCOMMIT_NOOP,
            pg_sys::Datum::null(),
            false,
            false,
            false,
            pg_sys::InvalidOid,
            std::ptr::null_mut(),
        );
        ffi::CommandCounterIncrement();
        ffi::NewRelationCreateToastTable(oid, pg_sys::Datum::null());
        depend(oid, chunk.oid());
        ffi::CommandCounterIncrement();
        oid
    }
}

/// Makes a batch table a part of its chunk: it is dropped with the chunk, and not otherwise. It keeps the extension, too, which alone can
/// read it.
pub fn depend(batches: pg_sys::Oid, chunk: pg_sys::Oid) {
    let batches = node::object_address(pg_sys::RelationRelationId, batches);
    let chunk = node::object_address(pg_sys::RelationRelationId, chunk);
    // SAFETY: both relations exist.
    unsafe {
        ffi::recordDependencyOn(&batches, &chunk, pg_sys::DependencyType::DEPENDENCY_INTERNAL);
        if let Some(catalog) = table::oid("columnar_chunk") {
            let catalog = node::object_address(pg_sys::RelationRelationId, catalog);
            ffi::recordDependencyOn(&batches, &catalog, pg_sys::DependencyType::DEPENDENCY_NORMAL);
        }
    }
}

/// # Safety
/// Within a transaction.
unsafe fn descriptor(plan: &Plan) -> pg_sys::TupleDesc {
    // SAFETY: the template has room for as many attributes as are initialised.
    unsafe {
        let count = width(plan.columns.len(), plan.keys.len());
        let desc = ffi::CreateTemplateTupleDesc(count as c_int);
        let mut number = 0;
        let mut add = |name: &str, type_oid, typmod, collation, storage: Option<u8>| {
            number += 1;
            let name = c_string(name);
            ffi::TupleDescInitEntry(desc, number, name.as_ptr(), type_oid, typmod, 0);
            let attribute = &mut (*desc).attrs.as_mut_slice(count)[number as usize - 1];
            attribute.attcollation = collation;
            if let Some(storage) = storage {
                attribute.attstorage = storage as c_char;
            }
        };
        add(COUNT, pg_sys::INT4OID, -1, pg_sys::InvalidOid, None);
        add(SINGLE, pg_sys::BOOLOID, -1, pg_sys::InvalidOid, None);
        for (key, column) in plan.keys.iter().enumerate() {
            let column = &plan.columns[*column];
            for max in [false, true] {
                add(&bound_name(key, max), column.type_oid, column.typmod, column.collation, None);
            }
        }
        // Blocks are compressed by the codec, and may have to be moved out of line one by one.
        let external = Some(pg_sys::TYPSTORAGE_EXTERNAL);
        add(ZONE, pg_sys::BYTEAOID, -1, pg_sys::InvalidOid, external);
        for column in 0..plan.columns.len() {
            add(&block_name(column), pg_sys::BYTEAOID, -1, pg_sys::InvalidOid, external);
        }
        desc
    }
}

/// Builds the index on the batches' keys: single, least values, then greatest ones.
pub fn create_index(batches: &Relation, segments: usize, keys: usize) -> pg_sys::Oid {
    let mut columns = vec![SINGLE.to_owned()];
    columns.extend((0..keys).map(|key| bound_name(key, false)));
    columns.extend((segments..keys).chain(0..segments).map(|key| bound_name(key, true)));
    columns.truncate(pg_sys::INDEX_MAX_KEYS as usize);
    let elements = columns.iter().map(|name| {
        let element: *mut pg_sys::IndexElem = node::make_node(pg_sys::NodeTag::T_IndexElem);
        // SAFETY: a fresh node; the name is copied into the current memory context.
        unsafe {
            (*element).name = ffi::pstrdup(c_string(name).as_ptr());
            (*element).ordering = pg_sys::SortByDir::SORTBY_DEFAULT;
            (*element).nulls_ordering = pg_sys::SortByNulls::SORTBY_NULLS_DEFAULT;
        }
        element.cast()
    });
    let statement: *mut pg_sys::IndexStmt = node::make_node(pg_sys::NodeTag::T_IndexStmt);
    // SAFETY: a fresh node, zeroed but for what is set here; the arguments are those of DefineRelation for an index of its own.
    unsafe {
        (*statement).idxname = ffi::pstrdup(c_string(&format!("{}_idx", batches.name())).as_ptr());
        (*statement).accessMethod = ffi::pstrdup(c"btree".as_ptr());
        (*statement).indexParams = list::from_pointers::<pg_sys::Node>(elements);
        let tablespace = batches.class().reltablespace;
        if tablespace != pg_sys::InvalidOid {
            (*statement).tableSpace = ffi::get_tablespace_name(tablespace);
        }
        let none = pg_sys::InvalidOid;
        ffi::DefineIndex(batches.oid(), statement, none, none, none, false, false, false, false, true).objectId
    }
}
