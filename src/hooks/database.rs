//! Statements on whole databases: those that need a database for themselves don't have to wait for our processes in it.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::Result;
use crate::jobs::{state, stop, wake};
use crate::pg::{ffi, list, table};

/// Whether a statement may be one of them.
///
/// # Safety
/// A node.
pub unsafe fn concerns(statement: *mut pg_sys::Node) -> bool {
    use pg_sys::NodeTag::{T_AlterDatabaseStmt, T_CreatedbStmt, T_DropdbStmt, T_RenameStmt};
    // SAFETY: the caller's promise; the tag says what the statement is.
    unsafe {
        match (*statement).type_ {
            T_AlterDatabaseStmt | T_CreatedbStmt | T_DropdbStmt => true,
            T_RenameStmt => (*statement.cast::<pg_sys::RenameStmt>()).renameType == pg_sys::ObjectType::OBJECT_DATABASE,
            _ => false,
        }
    }
}

/// # Safety
/// NULL or a C string.
unsafe fn find(name: *const std::ffi::c_char) -> Option<pg_sys::Oid> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; missing_ok gives InvalidOid.
    let oid = unsafe { ffi::get_database_oid(name, true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The text of a statement's option.
///
/// # Safety
/// A list of DefElems.
unsafe fn option(options: *mut pg_sys::List, name: &CStr) -> Option<*const std::ffi::c_char> {
    // SAFETY: the caller's promise; options of these names are strings, or an ERROR.
    unsafe {
        let found = list::pointers::<pg_sys::DefElem>(options).into_iter().find(|option| CStr::from_ptr((**option).defname) == name)?;
        (!(*found).arg.is_null()).then(|| ffi::defGetString(found).cast_const())
    }
}

/// # Safety
/// A statement that [`concerns`] this.
pub unsafe fn run(statement: *mut pg_sys::Node, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the tag says what the statement is.
    unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_DropdbStmt => {
                let database = find((*statement.cast::<pg_sys::DropdbStmt>()).dbname);
                stop::without_workers(database, forward);
            }
            pg_sys::NodeTag::T_RenameStmt => {
                let database = find((*statement.cast::<pg_sys::RenameStmt>()).subname);
                stop::without_workers(database, forward);
            }
            pg_sys::NodeTag::T_AlterDatabaseStmt => {
                let alter = statement.cast::<pg_sys::AlterDatabaseStmt>();
                let moved = option((*alter).options, c"tablespace").is_some();
                let database = find((*alter).dbname);
                stop::without_workers(database.filter(|_| moved), forward);
                // Whether the database may be connected to, or is a template, counts for the launcher.
                if let Some(database) = database {
                    wake::for_database_at_commit(database);
                }
            }
            pg_sys::NodeTag::T_CreatedbStmt => {
                let create = statement.cast::<pg_sys::CreatedbStmt>();
                let template = option((*create).options, c"template").and_then(|name| find(name));
                let has_jobs = template.is_some_and(|template| !state::slots_of(Some(template)).is_empty());
                stop::without_workers(template, forward);
                table::command_counter_increment();
                if let Some(copy) = find((*create).dbname).filter(|_| has_jobs) {
                    wake::for_database_at_commit(copy);
                }
            }
            _ => forward(),
        }
        Ok(())
    }
}
