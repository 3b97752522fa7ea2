//! Changing the partitions of a table at catalog level: bounds, and what refers to a partition that goes.

use pgrx::pg_sys;

use super::relation::Relation;
use super::syscache::{self, CacheTuple};
use super::{ffi, node, table};

/// Drops tables, and what depends on them inside. An ERROR if something else depends on them, or if they are in use.
pub fn drop_tables(relids: &[pg_sys::Oid]) {
    // SAFETY: the addresses are of existing tables; performMultipleDeletions locks what it drops.
    unsafe {
        let objects = ffi::new_object_addresses();
        for relid in relids {
            ffi::add_exact_object_address(&node::object_address(pg_sys::RelationRelationId, *relid), objects);
        }
        ffi::performMultipleDeletions(objects, pg_sys::DropBehavior::DROP_RESTRICT, 0);
    }
    table::command_counter_increment();
}

/// Drops a table that is an internal part of another one, which stays.
pub fn drop_internal(relid: pg_sys::Oid) {
    let relation = pg_sys::RelationRelationId;
    let internal = pg_sys::DependencyType::DEPENDENCY_INTERNAL as std::ffi::c_char;
    // SAFETY: the table exists; performDeletion locks it.
    unsafe {
        ffi::deleteDependencyRecordsForClass(relation, relid, relation, internal);
        ffi::CommandCounterIncrement();
        let flags = pg_sys::PERFORM_DELETION_INTERNAL as i32;
        ffi::performDeletion(&node::object_address(relation, relid), pg_sys::DropBehavior::DROP_RESTRICT, flags);
    }
    table::command_counter_increment();
}

/// Gives a partition another bound. The caller holds AccessExclusiveLock on both, and has made sure that every row of the
/// partition lies within the bound and no other partition overlaps it.
pub fn set_bound(parent: &Relation, partition: pg_sys::Oid, bound: super::partition::Bound) {
    // SAFETY: a node; its text becomes the value of a pg_node_tree column.
    let text = unsafe { pg_sys::Datum::from(ffi::cstring_to_text(ffi::nodeToString(bound.as_ptr().cast()))) };
    if let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, partition) {
        syscache::update(pg_sys::RelationRelationId, &class, &[(pg_sys::Anum_pg_class_relpartbound, Some(text))]);
    }
    // SAFETY: the relations exist. Partitions below inherit the constraint that the bound makes.
    unsafe {
        for below in super::list::oids(ffi::find_all_inheritors(partition, pg_sys::NoLock as i32, std::ptr::null_mut())) {
            ffi::CacheInvalidateRelcacheByRelid(below);
        }
        ffi::CacheInvalidateRelcache(parent.as_ptr());
    }
    table::command_counter_increment();
}

/// Removes the parts of foreign keys that refer to a partition whose rows have moved to a sibling, as the end of DETACH PARTITION
/// does. `constraints` are the rows of pg_constraint that have a parent and refer to the partition.
pub fn release_references(constraints: &[pg_sys::Oid]) {
    for constraint in constraints {
        let class = super::foreign_key::CONSTRAINT_RELATION_ID;
        // SAFETY: the constraint exists and has a parent; the sequence is that of DetachPartitionFinalize.
        unsafe {
            ffi::ConstraintSetParentConstraint(*constraint, pg_sys::InvalidOid, pg_sys::InvalidOid);
            let internal = pg_sys::DependencyType::DEPENDENCY_INTERNAL as std::ffi::c_char;
            ffi::deleteDependencyRecordsForClass(class, *constraint, class, internal);
            ffi::CommandCounterIncrement();
            ffi::performDeletion(&node::object_address(class, *constraint), pg_sys::DropBehavior::DROP_RESTRICT, 0);
        }
    }
    table::command_counter_increment();
}

/// Gives a table the storage parameters of another.
pub fn copy_options(from: pg_sys::Oid, to: pg_sys::Oid) {
    let options = syscache::reloptions(from);
    let options = if options.is_empty() { None } else { table::datum(options) };
    if let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, to) {
        syscache::update(pg_sys::RelationRelationId, &class, &[(pg_sys::Anum_pg_class_reloptions, options)]);
    }
    table::command_counter_increment();
}

/// Takes a lock that is kept to the end of the transaction, and sees what its former holders did.
pub fn lock(relid: pg_sys::Oid, lock: u32) {
    // SAFETY: locking by OID; whether the relation still exists is the caller's to check afterwards.
    unsafe { ffi::LockRelationOid(relid, lock as i32) };
}

/// An ERROR if this session uses the table, as by an open cursor. The caller holds the only reference besides.
pub fn check_not_in_use(relation: &Relation, command: &std::ffi::CStr) {
    // SAFETY: an open relation.
    unsafe { ffi::CheckTableNotInUse(relation.as_ptr(), command.as_ptr()) };
}

/// Takes AccessExclusiveLock if nobody is in the way; false if somebody is.
pub fn lock_at_once(relid: pg_sys::Oid) -> bool {
    // SAFETY: locking by OID; whether the relation still exists is the caller's to check afterwards.
    unsafe { ffi::ConditionalLockRelationOid(relid, pg_sys::AccessExclusiveLock as i32) }
}

/// Gives a lock of [`lock_at_once`] back, under which nothing was done.
pub fn unlock(relid: pg_sys::Oid) {
    // SAFETY: the caller holds it.
    unsafe { ffi::UnlockRelationOid(relid, pg_sys::AccessExclusiveLock as i32) };
}

/// True where [`check_not_in_use`] is an ERROR.
pub fn is_in_use(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    unsafe { (*relation.as_ptr()).rd_refcnt != 1 || ffi::AfterTriggerPendingOnRel(relation.oid()) }
}
