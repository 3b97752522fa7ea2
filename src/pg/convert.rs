//! Turning a plain table into a partitioned one in place: same OID, so that everything that refers to it goes on.
//!
//! The catalogs end as those of a table born partitioned. The storage must be empty or its rows copied elsewhere before: it is
//! dropped at commit. Compare `DefineQueryRewrite` (rewriteDefine.c), which turns a table into a view in the same way.

use pgrx::pg_sys;

use super::relation::Relation;
use super::syscache::{self, CacheTuple, form};
use super::{ffi, node, table};

/// A key to partition by: a column, or a function of it.
#[derive(Clone, Copy)]
pub struct RangeKey {
    /// The column's attribute number.
    pub attribute: i16,
    /// The function to apply, if any.
    pub function: Option<pg_sys::Oid>,
}

/// Converts the table. The caller holds AccessExclusiveLock and has checked that nothing stands in the way.
pub fn to_partitioned(relation: &Relation, range: RangeKey) {
    for index in relation.index_oids() {
        convert_index(index);
    }
    clear_foreign_key_flags(relation.oid());
    convert_table(relation);
    store_range_key(relation, range);
}

/// An index becomes a partitioned index: no storage.
fn convert_index(oid: pg_sys::Oid) {
    let index = Relation::open(oid, pg_sys::AccessExclusiveLock);
    // SAFETY: the index is open and exclusively locked; its storage goes at commit.
    unsafe {
        ffi::RelationDropStorage(index.as_ptr());
        // An index without storage has no counters: PostgreSQL would forget the link to them without cutting it, and follow it
        // into freed memory when the session ends.
        ffi::pgstat_unlink_relation(index.as_ptr());
        update_class(oid, |class| {
            class.relkind = b'I' as std::ffi::c_char;
            class.relfilenode = pg_sys::InvalidOid;
            class.relpages = 0;
            class.reltuples = 0.0;
            class.relallvisible = 0;
        });
        ffi::CommandCounterIncrement();
        // Statistics of an expression's column belong to storage that is gone.
        ffi::RemoveStatistics(oid, 0);
    }
}

/// Changes the fixed part of a pg_class row.
pub fn update_class(oid: pg_sys::Oid, change: impl FnOnce(&mut pg_sys::FormData_pg_class)) {
    // SAFETY: a copy of the tuple is changed and written back.
    unsafe {
        let tuple = ffi::SearchSysCacheCopy(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(oid),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
        );
        if tuple.is_null() {
            return;
        }
        change(&mut *form(tuple));
        let catalog = Relation::open(pg_sys::RelationRelationId, pg_sys::RowExclusiveLock);
        ffi::CatalogTupleUpdate(catalog.as_ptr(), &mut (*tuple).t_self, tuple);
    }
}

/// A foreign key of a partitioned table is inherited by its partitions: `connoinherit` must say so.
fn clear_foreign_key_flags(relid: pg_sys::Oid) {
    super::foreign_key::update_constraints_of(relid, |constraint| {
        let is_foreign = constraint.is_foreign_key();
        if is_foreign {
            constraint.set_no_inherit(false);
        }
        is_foreign
    });
}

fn convert_table(relation: &Relation) {
    let oid = relation.oid();
    let toast = relation.class().reltoastrelid;
    // SAFETY: the table is open and exclusively locked; the sequence follows DefineQueryRewrite.
    unsafe {
        ffi::RelationDropStorage(relation.as_ptr());
        if toast != pg_sys::InvalidOid {
            ffi::deleteDependencyRecordsFor(pg_sys::RelationRelationId, toast, false);
            ffi::CommandCounterIncrement();
            let address = node::object_address(pg_sys::RelationRelationId, toast);
            ffi::performDeletion(&address, pg_sys::DropBehavior::DROP_RESTRICT, pg_sys::PERFORM_DELETION_INTERNAL as i32);
        }
        ffi::CommandCounterIncrement();
        if let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, oid) {
            syscache::update(pg_sys::RelationRelationId, &class, &[(pg_sys::Anum_pg_class_reloptions, None)]);
        }
        ffi::CommandCounterIncrement();
        update_class(oid, |class| {
            class.relkind = b'p' as std::ffi::c_char;
            class.relfilenode = pg_sys::InvalidOid;
            class.relam = pg_sys::InvalidOid;
            class.reltoastrelid = pg_sys::InvalidOid;
            class.relfrozenxid = pg_sys::InvalidTransactionId;
            class.relminmxid = pg_sys::MultiXactId::from(0u32);
            class.relpages = 0;
            class.reltuples = -1.0;
            class.relallvisible = 0;
        });
        ffi::CommandCounterIncrement();
        ffi::RemoveStatistics(oid, 0);
        ffi::RelationClearMissing(relation.as_ptr());
        ffi::CommandCounterIncrement();
    }
}

fn store_range_key(relation: &Relation, range: RangeKey) {
    let column = &relation.attributes()[range.attribute as usize - 1];
    // SAFETY: one-element arrays for one key column; the expression is a call of a function that takes the column's type.
    unsafe {
        let mut key_type = column.atttypid;
        let (mut attributes, expressions) = match range.function {
            None => ([range.attribute], std::ptr::null_mut()),
            Some(function) => {
                let variable = ffi::makeVar(1, range.attribute, column.atttypid, column.atttypmod, column.attcollation, 0);
                key_type = ffi::get_func_rettype(function);
                let call = ffi::makeFuncExpr(
                    function,
                    key_type,
                    super::list::from_pointers([variable]),
                    pg_sys::InvalidOid,
                    column.attcollation,
                    pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
                );
                ([0], super::list::from_pointers([call]))
            }
        };
        let mut classes = [ffi::GetDefaultOpClass(key_type, pg_sys::BTREE_AM_OID)];
        let mut collations = [pg_sys::InvalidOid];
        ffi::StorePartitionKey(
            relation.as_ptr(),
            b'r' as std::ffi::c_char,
            1,
            attributes.as_mut_ptr(),
            expressions,
            classes.as_mut_ptr(),
            collations.as_mut_ptr(),
        );
    }
    table::command_counter_increment();
}

/// Sets `attnotnull` of a column whose values are known to be there.
pub fn set_not_null(relid: pg_sys::Oid, attribute: i16) {
    let key = (pg_sys::Datum::from(relid), pg_sys::Datum::from(attribute));
    let Some(tuple) = CacheTuple::by_keys(pg_sys::SysCacheIdentifier::ATTNUM, key.0, key.1) else { return };
    syscache::update(pg_sys::AttributeRelationId, &tuple, &[(pg_sys::Anum_pg_attribute_attnotnull, Some(pg_sys::Datum::from(true)))]);
    table::command_counter_increment();
}
