//! Tables of batches are read by the place and the type of their columns, and written past triggers, rules and constraints. So whoever
//! owns them may say how they are stored, and nothing else about them. Who owns the extension may: a restore makes them anew.

use pgrx::pg_sys::{self, AlterTableType as Kind};

use super::ddl::resolve;
use crate::catalog::columnar_chunk;
use crate::change::place;
use crate::columnar::ddl::{columns, extension};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{qualified_name, relation_name};
use crate::pg::{acl, ffi, list};

/// Refuses to do something to a relation if it holds batches.
///
/// # Safety
/// NULL or a RangeVar of the parser's.
pub unsafe fn refuse(relation: *mut pg_sys::RangeVar, what: &str) -> Result<()> {
    if relation.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { resolve(relation, pg_sys::NoLock) }.map_or(Ok(()), |relid| refuse_table(relid, what))
}

fn refuse_table(relid: pg_sys::Oid, what: &str) -> Result<()> {
    // SAFETY: a syscache look-up.
    if unsafe { ffi::get_rel_relkind(relid) } as u8 != b'r' {
        return Ok(());
    }
    let Some(chunk) = columnar_chunk::of_batches(relid).filter(|_| !acl::owns_extension(extension::NAME)) else { return Ok(()) };
    let hypertable = place::hypertable_of(chunk).map_or(chunk, |hypertable| hypertable.relid);
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot {what} \"{}\"", relation_name(relid)))
        .detail(format!("It holds the compressed rows of chunk \"{}\".", relation_name(chunk)))
        .hint(format!("Alter table {}: what is compressed follows it.", qualified_name(hypertable).unwrap_or_default())))
}

/// Before an `ALTER TABLE`, of batches or of a table that would get them as a part or as a parent.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn check_alter(statement: *const pg_sys::AlterTableStmt) -> Result<()> {
    // SAFETY: the caller's promise: the definitions are what PostgreSQL's grammar makes them.
    unsafe {
        let commands = list::pointers::<pg_sys::AlterTableCmd>((*statement).cmds);
        let follows = resolve((*statement).relation, pg_sys::NoLock).is_some_and(columns::is_following);
        for command in commands {
            match (*command).subtype {
                Kind::AT_AttachPartition => refuse((*(*command).def.cast::<pg_sys::PartitionCmd>()).name, "attach")?,
                Kind::AT_AddInherit => refuse((*command).def.cast(), "inherit from")?,
                _ => {}
            }
            if !follows && !is_about_storage((*command).subtype) && (*command).subtype != Kind::AT_ChangeOwner {
                refuse((*statement).relation, "alter")?;
            }
        }
        Ok(())
    }
}

/// Whether a command of an ALTER TABLE says how rows are stored, not what they are. Not SET UNLOGGED: a crash would empty the table of a
/// chunk that is said to be logged.
pub(super) fn is_about_storage(subtype: Kind::Type) -> bool {
    matches!(
        subtype,
        Kind::AT_SetRelOptions
            | Kind::AT_ResetRelOptions
            | Kind::AT_SetTableSpace
            | Kind::AT_SetStatistics
            | Kind::AT_SetOptions
            | Kind::AT_ResetOptions
            | Kind::AT_SetStorage
            | Kind::AT_SetCompression
            | Kind::AT_ClusterOn
            | Kind::AT_DropCluster
            | Kind::AT_SetLogged
            | Kind::AT_ReplicaIdentity
    )
}

/// Before a `CREATE TABLE`: what inherits from batches would have to follow them.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn check_parents(statement: *const pg_sys::CreateStmt) -> Result<()> {
    // SAFETY: the caller's promise: parents are RangeVars.
    unsafe {
        let mut parents = list::pointers::<pg_sys::RangeVar>((*statement).inhRelations).into_iter();
        parents.try_for_each(|parent| refuse(parent, "inherit from"))
    }
}

/// Before a column gets another name.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn check_rename(statement: *const pg_sys::RenameStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        match (*statement).renameType {
            pg_sys::ObjectType::OBJECT_COLUMN => refuse((*statement).relation, "rename a column of"),
            _ => Ok(()),
        }
    }
}
