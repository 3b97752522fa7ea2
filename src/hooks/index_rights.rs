//! Indexes on hypertables whose owner may not create in the schema of the chunks.
//!
//! PostgreSQL asks whoever indexes a partitioned table for CREATE on the schema of each partition. The schema of chunks is nobody's to
//! create in. So for an owner who is no superuser, `CREATE INDEX`, `ADD UNIQUE` and `ADD PRIMARY KEY` are carried out here as
//! `ProcessUtilitySlow` does it, with its question asked for the hypertable alone. Hooks that other extensions installed before ours
//! don't see these statements.

use std::convert::Infallible;
use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, AlterTableType as Kind};

use crate::catalog::{cache, continuous_agg};
use crate::hypertable::ddl;
use crate::pg::{context, event_trigger, ffi, list, table};

/// A statement that is carried out here.
#[derive(Clone, Copy)]
pub struct Statement {
    /// An IndexStmt or AlterTableStmt that may be changed.
    pub node: *mut pg_sys::Node,
    /// The query's text.
    pub text: *const c_char,
    /// It is no part of another statement.
    pub is_complete: bool,
}

/// `CREATE INDEX`. False if PostgreSQL is to do it.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn create_index(statement: Statement) -> bool {
    let index = statement.node.cast::<pg_sys::IndexStmt>();
    // SAFETY: the caller's promise. The relation is looked up and locked as in ProcessUtilitySlow.
    unsafe {
        if (*index).concurrent || (*index).relation.is_null() || !(*(*index).relation).inh || !lacks((*index).relation, (*index).tableSpace)
        {
            return false;
        }
        let owns = Some(ffi::raw::RangeVarCallbackOwnsRelation as _);
        let relid = ffi::RangeVarGetRelidExtended((*index).relation, pg_sys::ShareLock as i32, 0, owns, std::ptr::null_mut());
        run(statement, c"CREATE INDEX", || {
            let is_alter_table = (*index).transformed;
            let transformed = ffi::transformIndexStmt(relid, index, statement.text);
            ffi::EventTriggerAlterTableStart(statement.node);
            let address = define(relid, transformed, is_alter_table);
            ffi::EventTriggerCollectSimpleCommand(address, pg_sys::ObjectAddress::default(), statement.node);
            ffi::EventTriggerAlterTableEnd();
        });
    }
    true
}

/// `ALTER TABLE` that adds unique or primary keys. Its other commands go first, by `forward`.
///
/// # Safety
/// A statement of the parser's, which `forward` has PostgreSQL carry out.
pub unsafe fn alter_table(statement: Statement, forward: impl FnOnce()) {
    let alter = statement.node.cast::<pg_sys::AlterTableStmt>();
    // SAFETY: the caller's promise. The relation is looked up and locked as in ProcessUtilitySlow.
    unsafe {
        let commands = list::pointers::<pg_sys::AlterTableCmd>((*alter).cmds);
        if !(*(*alter).relation).inh || !commands.iter().any(|command| key_of(*command).is_some()) {
            return forward();
        }
        let (keys, others): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| key_of(*command).is_some_and(|key| lacks((*alter).relation, (*key).indexspace)));
        if keys.is_empty() {
            return forward();
        }
        let relid = ffi::AlterTableLookupRelation(alter, ffi::AlterTableGetLockLevel((*alter).cmds));
        if !others.is_empty() {
            (*alter).cmds = list::from_pointers(others);
            forward();
        }
        for key in keys {
            (*alter).cmds = list::from_pointers([key]);
            run(statement, c"ALTER TABLE", || add_key(statement, relid));
        }
    }
}

/// The unique or primary key that a command adds, unless by an index that is there.
///
/// # Safety
/// A command of the parser's.
unsafe fn key_of(command: *mut pg_sys::AlterTableCmd) -> Option<*mut pg_sys::Constraint> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*command).subtype != Kind::AT_AddConstraint {
            return None;
        }
        let key = (*command).def.cast::<pg_sys::Constraint>();
        let is_key = matches!((*key).contype, pg_sys::ConstrType::CONSTR_UNIQUE | pg_sys::ConstrType::CONSTR_PRIMARY);
        (is_key && (*key).indexname.is_null()).then_some(key)
    }
}

/// # Safety
/// An `ALTER TABLE` of one such command, of a locked table.
unsafe fn add_key(statement: Statement, relid: pg_sys::Oid) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::EventTriggerAlterTableStart(statement.node);
        ffi::EventTriggerAlterTableRelid(relid);
        let (mut before, mut after) = (std::ptr::null_mut(), std::ptr::null_mut());
        let transformed = ffi::transformAlterTableStmt(relid, statement.node.cast(), statement.text, &mut before, &mut after);
        let commands = list::pointers::<pg_sys::AlterTableCmd>((*transformed).cmds);
        let (indexes, others): (Vec<_>, Vec<_>) = commands.into_iter().partition(|command| (**command).subtype == Kind::AT_AddIndex);
        // That the columns of a primary key are not NULL.
        if !others.is_empty() {
            ffi::AlterTableInternal(relid, list::from_pointers(others), true);
            table::command_counter_increment();
        }
        for command in indexes {
            let address = define(relid, (*command).def.cast(), true);
            ffi::EventTriggerCollectAlterTableSubcmd(command.cast(), address);
        }
        ffi::EventTriggerAlterTableEnd();
    }
}

/// # Safety
/// A statement that was transformed, for a locked table.
unsafe fn define(relid: pg_sys::Oid, index: *mut pg_sys::IndexStmt, is_alter_table: bool) -> pg_sys::ObjectAddress {
    let none = pg_sys::InvalidOid;
    // SAFETY: the caller's promise. Without a check of rights, on partitions, too.
    let address = unsafe { ffi::DefineIndex(relid, index, none, none, none, is_alter_table, false, true, false, false) };
    table::command_counter_increment();
    address
}

/// # Safety
/// The statement that `body` carries out.
unsafe fn run(statement: Statement, name: &CStr, body: impl FnOnce()) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::PreventCommandIfReadOnly(name.as_ptr());
        let Ok(()) = event_trigger::heard(statement.node, statement.is_complete, || {
            body();
            Ok::<(), Infallible>(())
        });
    }
}

/// Whether the current role may create an index on a hypertable but for the schema of its chunks.
///
/// # Safety
/// Nodes of the parser's; the tablespace may be NULL.
unsafe fn lacks(relation: *mut pg_sys::RangeVar, tablespace: *const c_char) -> bool {
    // SAFETY: the caller's promise; catalog look-ups.
    unsafe {
        if ffi::superuser() {
            return false;
        }
        let missing = pg_sys::RVROption::RVR_MISSING_OK;
        let relid = ffi::RangeVarGetRelidExtended(relation, pg_sys::NoLock as i32, missing, None, std::ptr::null_mut());
        if relid == pg_sys::InvalidOid || cache::find(relid).is_none() {
            return false;
        }
        let user = context::current_user();
        let may_create =
            |relid| ffi::pg_namespace_aclcheck(ffi::get_rel_namespace(relid), user, pg_sys::ACL_CREATE) == pg_sys::AclResult::ACLCHECK_OK;
        let tablespace = if tablespace.is_null() {
            ffi::GetDefaultTablespace(pg_sys::RELPERSISTENCE_PERMANENT as c_char, false)
        } else {
            ffi::get_tablespace_oid(tablespace, true)
        };
        let is_default = tablespace == pg_sys::InvalidOid || tablespace == pg_sys::MyDatabaseTableSpace;
        let may_store = || ffi::pg_tablespace_aclcheck(tablespace, user, pg_sys::ACL_CREATE) == pg_sys::AclResult::ACLCHECK_OK;
        // Of a continuous aggregate's storage nobody may create anything in the schema.
        let is_storage = !may_create(relid) && continuous_agg::of_storage(relid).is_some();
        ffi::pg_class_ownercheck(relid, user)
            && (is_storage || may_create(relid))
            && (is_default || may_store())
            && (is_storage || ddl::descendants(relid, pg_sys::NoLock).into_iter().any(|chunk| !may_create(chunk)))
    }
}
