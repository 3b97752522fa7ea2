//! REPLICA IDENTITY of chunks: that of the hypertable, an index being each chunk's own part of it.

use pgrx::pg_sys;

use super::ddl::descendants;
use crate::pg::relation::{Relation, c_string, relation_name};
use crate::pg::syscache::CacheTuple;
use crate::pg::{ffi, list, node};

/// Gives all tables below a hypertable its replica identity.
pub fn follow(relid: pg_sys::Oid) {
    let root = Relation::open(relid, pg_sys::NoLock);
    for oid in descendants(relid, pg_sys::AccessExclusiveLock) {
        set(&root, &Relation::open(oid, pg_sys::NoLock));
    }
}

/// Gives a partition the replica identity of `root`; nothing to do for the default.
pub fn set(root: &Relation, partition: &Relation) {
    let identity = root.class().relreplident as u8;
    let index = if identity == b'i' { identity_index(root).and_then(|index| part_of(partition, index)) } else { None };
    if identity == partition.class().relreplident as u8 && identity != b'i' {
        return;
    }
    let statement: *mut pg_sys::ReplicaIdentityStmt = node::make_node(pg_sys::NodeTag::T_ReplicaIdentityStmt);
    let command: *mut pg_sys::AlterTableCmd = node::make_node(pg_sys::NodeTag::T_AlterTableCmd);
    // SAFETY: fresh nodes; ALTER TABLE checks the index.
    unsafe {
        (*statement).identity_type = if identity == b'i' && index.is_none() { b'd' } else { identity } as std::ffi::c_char;
        (*statement).name = index.map_or(std::ptr::null_mut(), |index| ffi::pstrdup(c_string(&relation_name(index)).as_ptr()));
        (*command).subtype = pg_sys::AlterTableType::AT_ReplicaIdentity;
        (*command).def = statement.cast();
        ffi::AlterTableInternal(partition.oid(), list::from_pointers([command]), false);
    }
}

fn identity_index(relation: &Relation) -> Option<pg_sys::Oid> {
    relation.index_oids().into_iter().find(|index| {
        CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, *index)
            // SAFETY: a tuple of pg_index.
            .is_some_and(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_index>() }.indisreplident)
    })
}

fn part_of(partition: &Relation, index: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: both exist; a partition of a partition has its part by way of its parent.
    let part = unsafe { ffi::index_get_partition(partition.as_ptr(), index) };
    if part != pg_sys::InvalidOid {
        return Some(part);
    }
    let parent = Relation::open(crate::pg::partition::parent_of(partition.oid())?, pg_sys::NoLock);
    let parent_part = part_of(&parent, index)?;
    // SAFETY: as above.
    let part = unsafe { ffi::index_get_partition(partition.as_ptr(), parent_part) };
    (part != pg_sys::InvalidOid).then_some(part)
}
