//! Roles, and what keeps a role from being dropped.

use pgrx::pg_sys;

use super::relation::optional_string;
use super::syscache::CacheTuple;
use super::{context, ffi};

/// The name of a role, for messages; its OID if it is gone.
pub fn name(role: pg_sys::Oid) -> String {
    // SAFETY: no_error gives NULL.
    unsafe { optional_string(ffi::GetUserNameFromId(role, true)) }.unwrap_or_else(|| role.to_u32().to_string())
}

/// Whether a session may be opened as the role; None if it is gone.
pub fn can_login(role: pg_sys::Oid) -> Option<bool> {
    let tuple = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::AUTHOID, role)?;
    // SAFETY: a row of pg_authid.
    Some(unsafe { tuple.form::<pg_sys::FormData_pg_authid>() }.rolcanlogin)
}

/// Whether the current role has all privileges of another one.
pub fn has_privileges_of(role: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe { ffi::has_privs_of_role(context::current_user(), role) }
}

/// Whether the current role owns a database, or is a superuser.
pub fn owns_database(database: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe { ffi::pg_database_ownercheck(database, context::current_user()) }
}

/// The OID of a role by its name as a statement gives it; None for a role that does not exist.
pub fn find(name: &str) -> Option<pg_sys::Oid> {
    let name = super::relation::c_string(name);
    // SAFETY: missing_ok gives InvalidOid.
    let oid = unsafe { ffi::get_role_oid(name.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Locks a role, which need not be there any more, until the transaction ends.
pub fn lock(role: pg_sys::Oid, mode: u32) {
    // SAFETY: takes a lock; may wait.
    unsafe { ffi::LockSharedObject(pg_sys::AuthIdRelationId, role, 0, mode as pg_sys::LOCKMODE) }
}

/// Notes that a row of a table names a role, or that none does any more: until then the role can't be dropped, from whatever database.
///
/// The note has the form of a privilege on the table. PostgreSQL reads no more from it than that the role is needed.
pub fn depend(table: pg_sys::Oid, role: pg_sys::Oid, needed: bool) {
    let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, table) else { return };
    // SAFETY: a row of pg_class; the function frees the array, which is palloc'd. A role that owns the table, or that PostgreSQL itself
    // needs, is passed over.
    unsafe {
        let owner = class.form::<pg_sys::FormData_pg_class>().relowner;
        let roles = ffi::palloc(size_of::<pg_sys::Oid>()).cast::<pg_sys::Oid>();
        roles.write(role);
        let none = std::ptr::null_mut();
        let (old, new) = if needed { ((0, none), (1, roles)) } else { ((1, roles), (0, none)) };
        ffi::updateAclDependencies(pg_sys::RelationRelationId, table, 0, owner, old.0, old.1, new.0, new.1);
    }
}
