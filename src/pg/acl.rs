//! Privileges: what a partition gets from its parent, and checks for the commands of this extension.

use pgrx::pg_sys;

use super::relation::{Relation, qualified_name, relation_name};
use super::syscache::{self, CacheTuple};
use super::{context, ffi, table};
use crate::error::{Error, Result, SqlState};

/// Gives a new partition the table privileges of its parent, as TimescaleDB's users expect of a chunk. A parent with row
/// security keeps them to itself: a policy does not reach who reads the partition directly.
pub fn copy(parent: &Relation, partition: &Relation) {
    if parent.class().relrowsecurity {
        return;
    }
    if let Some(acl) = acl_of(parent.oid()) {
        set(partition, None, Some(acl));
    }
}

/// Makes the privileges of an existing partition those that a new one would get.
pub fn follow(parent: &Relation, partition: &Relation) {
    let new = if parent.class().relrowsecurity { None } else { acl_of(parent.oid()) };
    set(partition, acl_of(partition.oid()), new);
}

fn acl_of(relid: pg_sys::Oid) -> Option<pg_sys::Datum> {
    CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid)
        .and_then(|class| class.attribute(pg_sys::Anum_pg_class_relacl))
        // SAFETY: an aclitem[] is a varlena; the copy outlives the cache tuple.
        .map(|acl| unsafe { ffi::datumCopy(acl, false, -1) })
}

/// Writes `relacl` and the dependencies on the roles in it.
fn set(relation: &Relation, old: Option<pg_sys::Datum>, new: Option<pg_sys::Datum>) {
    let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relation.oid()) else { return };
    syscache::update(pg_sys::RelationRelationId, &class, &[(pg_sys::Anum_pg_class_relacl, new)]);
    // SAFETY: the Datums are aclitem arrays; members are palloc'd arrays that updateAclDependencies frees.
    unsafe {
        let (old_count, old_members) = members(old);
        let (new_count, new_members) = members(new);
        ffi::updateAclDependencies(
            pg_sys::RelationRelationId,
            relation.oid(),
            0,
            relation.class().relowner,
            old_count,
            old_members,
            new_count,
            new_members,
        );
    }
    table::command_counter_increment();
}

/// # Safety
/// An aclitem[] Datum.
unsafe fn members(acl: Option<pg_sys::Datum>) -> (i32, *mut pg_sys::Oid) {
    let mut roles = std::ptr::null_mut();
    // SAFETY: the caller's promise; NULL has no members.
    let count = unsafe {
        let acl = acl.map_or(std::ptr::null_mut(), |acl| ffi::pg_detoast_datum(acl.cast_mut_ptr()).cast());
        ffi::aclmembers(acl, &mut roles)
    };
    (count, roles)
}

/// Only an owner (or a superuser) goes on.
pub fn require_owner(relid: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    if unsafe { ffi::pg_class_ownercheck(relid, context::current_user()) } {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of table {}", relation_name(relid)))
        .hint("Only the owner of the table, a member of the owning role or a superuser can do this."))
}

/// Only a role that may keep writers out of a table goes on: one that may make triggers of it, as PostgreSQL has it.
pub fn require_trigger(relid: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    if unsafe { ffi::pg_class_aclcheck(relid, context::current_user(), pg_sys::ACL_TRIGGER) } == pg_sys::AclResult::ACLCHECK_OK {
        return Ok(());
    }
    // SAFETY: a syscache look-up.
    let kind = if unsafe { ffi::get_rel_relkind(relid) } as u8 == b'v' { "view" } else { "table" };
    let name = qualified_name(relid).unwrap_or_default();
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {kind} {}", relation_name(relid)))
        .detail("Writers are kept out for a moment, and from then on record what they change: that takes the privilege TRIGGER.")
        .hint(format!("Use GRANT TRIGGER ON {name}.")))
}

/// Only a role that may create in the schema goes on.
pub fn require_create_in_schema(schema: pg_sys::Oid, name: &str, role: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    let allowed = unsafe { ffi::pg_namespace_aclcheck(schema, role, pg_sys::ACL_CREATE) } == pg_sys::AclResult::ACLCHECK_OK;
    if allowed {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for schema {name}"))
        .hint(format!("Grant CREATE on schema {name} to the owner of the table.")))
}

/// Only a role that may create in the tablespace goes on.
pub fn require_create_in_tablespace(tablespace: pg_sys::Oid, name: &str, role: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    let allowed = unsafe { ffi::pg_tablespace_aclcheck(tablespace, role, pg_sys::ACL_CREATE) } == pg_sys::AclResult::ACLCHECK_OK;
    if allowed {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for tablespace \"{name}\""))
        .detail("The owner of the table must be able to create objects in the tablespace.")
        .hint(format!("Grant CREATE on tablespace {name} to the owner of the table.")))
}

/// Only a role that may call the function goes on.
pub fn require_execute(function: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    let allowed =
        unsafe { ffi::pg_proc_aclcheck(function, context::current_user(), pg_sys::ACL_EXECUTE) } == pg_sys::AclResult::ACLCHECK_OK;
    if allowed {
        return Ok(());
    }
    let name = super::function::describe(function).map_or_else(String::new, |function| function.name.1);
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for function {name}")))
}

/// Only a role that may insert into the table goes on, and only if no policy would have to be asked (`TargetPrivilegesCheck`).
pub fn require_insert(relid: pg_sys::Oid) -> Result<()> {
    // SAFETY: catalog look-ups.
    let (allowed, secured) = unsafe {
        (
            ffi::pg_class_aclcheck(relid, context::current_user(), pg_sys::ACL_INSERT) == pg_sys::AclResult::ACLCHECK_OK,
            ffi::check_enable_rls(relid, pg_sys::InvalidOid, false) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32,
        )
    };
    if !allowed {
        return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for table {}", relation_name(relid))));
    }
    if secured {
        return Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot replicate into relation with row-level security enabled: \"{}\"", relation_name(relid)),
        ));
    }
    Ok(())
}

/// True if the extension is installed and the current role may drop it.
pub fn owns_extension(name: &std::ffi::CStr) -> bool {
    // SAFETY: look-ups; InvalidOid if there is none.
    unsafe {
        let oid = ffi::get_extension_oid(name.as_ptr(), true);
        oid != pg_sys::InvalidOid && ffi::pg_extension_ownercheck(oid, ffi::GetUserId())
    }
}
