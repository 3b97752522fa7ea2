//! `DROP OWNED` and `REASSIGN OWNED`: a role's jobs are among what it owns.

use pgrx::pg_sys;

use crate::error::Result;
use crate::jobs::define;
use crate::pg::{ffi, list};

/// # Safety
/// A list of RoleSpecs.
unsafe fn oids(roles: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    // SAFETY: the caller's promise; an ERROR if there is no such role, as the statement's own would be.
    unsafe { list::pointers(roles).into_iter().map(|role| ffi::get_rolespec_oid(role, false)).collect() }
}

/// # Safety
/// The parser's.
pub unsafe fn before_drop_owned(statement: *mut pg_sys::DropOwnedStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    define::delete_of_roles(&unsafe { oids((*statement).roles) })
}

/// # Safety
/// The parser's.
pub unsafe fn after_reassign_owned(statement: *mut pg_sys::ReassignOwnedStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    let (old, new) = unsafe { (oids((*statement).roles), ffi::get_rolespec_oid((*statement).newrole, false)) };
    define::reassign(&old, new)
}
