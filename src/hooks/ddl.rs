//! DDL statements on hypertables: what to check before PostgreSQL runs them, and what to do after.

use pgrx::pg_sys::{self, AlterTableType as Kind};

use crate::cagg::ddl::refuse_part_of_storage;
use crate::cagg::requirements::{self, Change};
use crate::catalog::cache;
use crate::catalog::hypertable::{self as hypertable_catalog, Hypertable};
use crate::catalog::naming;
use crate::change::place;
use crate::chunk::row_form;
use crate::columnar::settings_change;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::with_options::{self, TableOptions};
use crate::hypertable::{ddl, dimensions};
use crate::jobs::policy;
use crate::pg::relation::{optional_string, qualified_name, relation_name};
use crate::pg::{ffi, list, node};

/// The relation that a statement names; None if there is none of that name.
///
/// # Safety
/// A RangeVar of the parser's.
pub(super) unsafe fn resolve(relation: *mut pg_sys::RangeVar, lock: u32) -> Option<pg_sys::Oid> {
    // SAFETY: the caller's promise; InvalidOid if there is none.
    unsafe {
        let oid = ffi::RangeVarGetRelidExtended(relation, lock as i32, pg_sys::RVROption::RVR_MISSING_OK, None, std::ptr::null_mut());
        (oid != pg_sys::InvalidOid).then_some(oid)
    }
}

/// # Safety
/// A RangeVar of the parser's.
unsafe fn hypertable_of(relation: *mut pg_sys::RangeVar) -> Option<std::rc::Rc<Hypertable>> {
    if relation.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { resolve(relation, pg_sys::NoLock) }.and_then(cache::find)
}

/// `CREATE TABLE`: options of ours, and partitions of hypertables.
///
/// # Safety
/// `statement` may be changed.
pub unsafe fn create_table(statement: *mut pg_sys::CreateStmt, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let (ours, rest) = with_options::split((*statement).options);
        if ours.is_empty() {
            let parent = if (*statement).partbound.is_null() { None } else { list::pointers((*statement).inhRelations).first().copied() };
            if let Some(relid) = parent.and_then(|parent| resolve(parent, pg_sys::NoLock)) {
                refuse_part_of_storage(relid, "add a partition to")?;
            }
            forward();
            let root = parent.and_then(|parent| resolve(parent, pg_sys::NoLock)).and_then(place::hypertable_of);
            if let Some(hypertable) = root {
                ddl::sync_partitions(&hypertable);
                requirements::check_part(hypertable.relid)?;
            }
            return Ok(());
        }
        let options = TableOptions::read(&ours)?;
        (*statement).options = rest;
        let relation: *mut pg_sys::RangeVar = ffi::copyObjectImpl((*statement).relation.cast()).cast();
        let existed = (*statement).if_not_exists && resolve(relation, pg_sys::NoLock).is_some();
        forward();
        match resolve(relation, pg_sys::NoLock) {
            Some(relid) if !existed => {
                settings_change::create(relid, options.apply(relid)?)?;
                policy::add_by_itself(relid)
            }
            _ => Ok(()),
        }
    }
}

/// `CREATE RULE` on a hypertable: refused, as `create_hypertable` refuses a table that has rules.
///
/// # Safety
/// A RuleStmt.
pub unsafe fn check_rule(statement: *mut pg_sys::RuleStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    match unsafe { hypertable_of((*statement).relation) } {
        None => Ok(()),
        Some(hypertable) => Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("hypertables do not support rules: \"{}\" is a hypertable", relation_name(hypertable.relid)),
        )
        .hint("Use a trigger.")),
    }
}

/// `CREATE INDEX`: uniqueness needs every dimension; a TimescaleDB option is taken out.
///
/// # Safety
/// `statement` may be changed.
pub unsafe fn create_index(statement: *mut pg_sys::IndexStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(hypertable) = hypertable_of((*statement).relation) else { return Ok(()) };
        let (ours, rest) = with_options::split((*statement).options);
        if !ours.is_empty() {
            (*statement).options = rest;
            crate::pg::guard::notice("the index is created on all chunks in one transaction");
        }
        if (*statement).unique {
            let columns: Vec<String> = list::pointers::<pg_sys::IndexElem>((*statement).indexParams)
                .into_iter()
                .filter_map(|element| optional_string((*element).name))
                .collect();
            ddl::check_unique(&hypertable, optional_string((*statement).idxname).as_deref(), &columns)?;
        }
        Ok(())
    }
}

/// `RENAME`: a dimension's column, or the schema of chunks.
///
/// # Safety
/// A RenameStmt.
pub unsafe fn rename(statement: *mut pg_sys::RenameStmt, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the caller's promise; the names are read before the statement runs.
    unsafe {
        let statement = &*statement;
        let names = optional_string(statement.subname).zip(optional_string(statement.newname));
        let column_of = if statement.renameType == pg_sys::ObjectType::OBJECT_COLUMN { hypertable_of(statement.relation) } else { None };
        if let (Some(hypertable), Some((_, to))) = (&column_of, &names) {
            settings_change::check_new_column(hypertable, to)?;
        }
        forward();
        let Some((from, to)) = names else { return Ok(()) };
        if let Some(hypertable) = column_of {
            ddl::rename_column(&hypertable, &from, &to);
            settings_change::rename_column(&hypertable, &from, &to);
            policy::rename_column(hypertable.id, &from, &to);
        } else if statement.renameType == pg_sys::ObjectType::OBJECT_SCHEMA {
            hypertable_catalog::rename_schema(&from, &to);
        }
        Ok(())
    }
}

/// `GRANT` and `REVOKE` on hypertables reach their chunks, unless row security keeps them for the owner.
///
/// # Safety
/// `statement` may be changed.
pub unsafe fn grant(statement: *mut pg_sys::GrantStmt) {
    // SAFETY: the caller's promise; table privileges name RangeVars.
    unsafe {
        let statement = &mut *statement;
        if statement.targtype != pg_sys::GrantTargetType::ACL_TARGET_OBJECT || statement.objtype != pg_sys::ObjectType::OBJECT_TABLE {
            return;
        }
        for relation in list::pointers::<pg_sys::RangeVar>(statement.objects) {
            let Some(hypertable) = hypertable_of(relation) else { continue };
            let secured = crate::pg::relation::Relation::open(hypertable.relid, pg_sys::AccessShareLock).class().relrowsecurity;
            if secured {
                continue;
            }
            for oid in ddl::descendants(hypertable.relid, pg_sys::NoLock) {
                if let Some(chunk) = range_var(oid) {
                    statement.objects = ffi::lappend(statement.objects, chunk.cast());
                }
            }
        }
    }
}

pub(super) fn range_var(relid: pg_sys::Oid) -> Option<*mut pg_sys::RangeVar> {
    qualified_name(relid)?;
    // SAFETY: look-ups of an existing relation.
    unsafe {
        let schema = optional_string(ffi::get_namespace_name(ffi::get_rel_namespace(relid)))?;
        Some(node::make_range_var(&schema, &optional_string(ffi::get_rel_name(relid))?))
    }
}

/// `ALTER TABLE` on a hypertable. Other tables go on their usual way.
///
/// # Safety
/// `statement` may be changed.
pub unsafe fn alter_table(statement: *mut pg_sys::AlterTableStmt, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let changes = refusable_changes(&*statement);
        let check = || changes.iter().try_for_each(|(relid, change)| requirements::check_change(*relid, *change));
        check()?;
        alter_checked(statement, forward)?;
        // Whoever made a continuous aggregate meanwhile has finished: the table is locked.
        check()?;
        changes.iter().for_each(|(relid, change)| requirements::warn_of_change(*relid, *change));
        Ok(())
    }
}

/// The changes that continuous aggregates over a table may not let happen.
///
/// # Safety
/// A statement of the parser's.
unsafe fn refusable_changes(statement: &pg_sys::AlterTableStmt) -> Vec<(pg_sys::Oid, Change)> {
    if statement.objtype != pg_sys::ObjectType::OBJECT_TABLE {
        return Vec::new();
    }
    // SAFETY: the caller's promise: a list of AlterTableCmd nodes.
    unsafe {
        let kinds = list::pointers::<pg_sys::AlterTableCmd>(statement.cmds).into_iter().map(|command| (*command).subtype);
        let changes: Vec<Change> = kinds
            .filter_map(|kind| match kind {
                Kind::AT_SetUnLogged => Some(Change::Unlogged),
                Kind::AT_EnableRowSecurity => Some(Change::RowSecurity),
                _ => None,
            })
            .collect();
        if changes.is_empty() {
            return Vec::new();
        }
        let relid = resolve(statement.relation, pg_sys::NoLock);
        relid.map_or_else(Vec::new, |relid| changes.into_iter().map(|change| (relid, change)).collect())
    }
}

/// # Safety
/// As [`alter_table`].
unsafe fn alter_checked(statement: *mut pg_sys::AlterTableStmt, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let statement = &mut *statement;
        let is_table = statement.objtype == pg_sys::ObjectType::OBJECT_TABLE;
        let Some(hypertable) = (if is_table { hypertable_of(statement.relation) } else { None }) else {
            let touches = touched_by_partition_commands(statement);
            let relid = if is_table { resolve(statement.relation, pg_sys::NoLock) } else { None };
            let commands = list::pointers::<pg_sys::AlterTableCmd>(statement.cmds);
            let copies: Vec<*mut pg_sys::AlterTableCmd> = commands
                .iter()
                .filter(|command| is_storage((***command).subtype))
                .map(|command| ffi::copyObjectImpl((*command).cast()).cast())
                .collect();
            let detached = detached(&commands);
            require_rows_of(&detached)?;
            forward();
            require_rows_of(&detached)?;
            for command in copies {
                if let Some(relid) = relid {
                    ddl::repeat_on_batches(relid, command);
                }
            }
            for hypertable in touches.iter().filter_map(|relid| cache::find(*relid)) {
                ddl::sync_partitions(&hypertable);
                requirements::check_part(hypertable.relid)?;
            }
            return Ok(());
        };
        let (options, rest): (Vec<_>, Vec<_>) =
            list::pointers::<pg_sys::AlterTableCmd>(statement.cmds).into_iter().partition(|command| is_options(**command));
        for command in &rest {
            check_command(&hypertable, *command)?;
        }
        let detached = detached(&rest);
        require_rows_of(&detached)?;
        // The statement may scribble on its commands; those to repeat are copied before.
        let copies: Vec<*mut pg_sys::AlterTableCmd> = rest.iter().map(|command| ffi::copyObjectImpl((*command).cast()).cast()).collect();
        if !rest.is_empty() {
            statement.cmds = list::from_pointers(rest);
            forward();
            require_rows_of(&detached)?;
        }
        for command in options {
            set_options(hypertable.relid, command)?;
        }
        for command in copies {
            follow_command(hypertable.relid, command);
            if is_partition_command((*command).subtype) {
                requirements::check_part(hypertable.relid)?;
            }
        }
        Ok(())
    }
}

fn is_options(command: pg_sys::AlterTableCmd) -> bool {
    matches!(command.subtype, Kind::AT_SetRelOptions | Kind::AT_ResetRelOptions)
}

/// The roots of hypertables whose tree a statement on another table may change (`ALTER TABLE slice ATTACH PARTITION`).
unsafe fn touched_by_partition_commands(statement: &pg_sys::AlterTableStmt) -> Vec<pg_sys::Oid> {
    // SAFETY: a list of AlterTableCmd nodes.
    unsafe {
        let changes =
            list::pointers::<pg_sys::AlterTableCmd>(statement.cmds).into_iter().any(|command| is_partition_command((*command).subtype));
        if !changes {
            return Vec::new();
        }
        resolve(statement.relation, pg_sys::NoLock).map(crate::pg::partition::root_of).into_iter().collect()
    }
}

/// Owner and storage: a chunk's batches share them.
fn is_storage(subtype: Kind::Type) -> bool {
    matches!(subtype, Kind::AT_ChangeOwner | Kind::AT_SetTableSpace | Kind::AT_SetLogged | Kind::AT_SetUnLogged)
}

/// The partitions that commands detach.
///
/// # Safety
/// Commands of an ALTER TABLE.
unsafe fn detached(commands: &[*mut pg_sys::AlterTableCmd]) -> Vec<pg_sys::Oid> {
    // SAFETY: the caller's promise; the definition of DETACH PARTITION is a PartitionCmd.
    unsafe {
        let detaches = commands.iter().filter(|command| (***command).subtype == Kind::AT_DetachPartition);
        detaches.filter_map(|command| resolve((*(**command).def.cast::<pg_sys::PartitionCmd>()).name, pg_sys::NoLock)).collect()
    }
}

/// A chunk that is no longer one has its rows in its heap. Asked before they are locked, so that DETACH CONCURRENTLY is refused as well,
/// and again afterwards.
fn require_rows_of(partitions: &[pg_sys::Oid]) -> Result<()> {
    for partition in partitions {
        for chunk in std::iter::once(*partition).chain(ddl::descendants(*partition, pg_sys::NoLock)) {
            row_form::require(chunk, "detach")?;
        }
    }
    Ok(())
}

fn is_partition_command(subtype: Kind::Type) -> bool {
    matches!(subtype, Kind::AT_AttachPartition | Kind::AT_DetachPartition | Kind::AT_DetachPartitionFinalize)
}

/// # Safety
/// A command of an ALTER TABLE on the hypertable.
unsafe fn check_command(hypertable: &Hypertable, command: *mut pg_sys::AlterTableCmd) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let name = optional_string((*command).name).unwrap_or_default();
        match (*command).subtype {
            Kind::AT_AddColumn => {
                let (name, type_oid) = added_column(command);
                settings_change::check_new_column(hypertable, &name)?;
                settings_change::check_new_type(hypertable, &name, type_oid)
            }
            Kind::AT_DropColumn => {
                ddl::check_column_change(hypertable, &name, "drop")?;
                settings_change::check_drop_column(hypertable, &name)
            }
            Kind::AT_AlterColumnType => ddl::check_column_change(hypertable, &name, "change the type of"),
            Kind::AT_DropNotNull => ddl::check_drop_not_null(hypertable, &name),
            Kind::AT_AddConstraint => {
                let constraint = &*(*command).def.cast::<pg_sys::Constraint>();
                let unique = matches!(constraint.contype, pg_sys::ConstrType::CONSTR_PRIMARY | pg_sys::ConstrType::CONSTR_UNIQUE);
                if !unique || !constraint.indexname.is_null() {
                    return Ok(());
                }
                let columns: Vec<String> =
                    list::pointers::<pg_sys::String>(constraint.keys).into_iter().filter_map(|key| optional_string((*key).sval)).collect();
                ddl::check_unique(hypertable, optional_string(constraint.conname).as_deref(), &columns)
            }
            _ => Ok(()),
        }
    }
}

/// # Safety
/// An ADD COLUMN.
unsafe fn added_column(command: *mut pg_sys::AlterTableCmd) -> (String, pg_sys::Oid) {
    // SAFETY: the caller's promise: the definition is a ColumnDef. There is no type serial, and none may be meant that there isn't.
    unsafe {
        let column = &*(*command).def.cast::<pg_sys::ColumnDef>();
        let type_oid = ffi::LookupTypeNameOid(std::ptr::null_mut(), column.typeName, true);
        (optional_string(column.colname).unwrap_or_default(), type_oid)
    }
}

/// # Safety
/// A SET or RESET of options on the hypertable.
unsafe fn set_options(relid: pg_sys::Oid, command: *mut pg_sys::AlterTableCmd) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        // As standard_ProcessUtility, which may not get to see the statement.
        ffi::PreventCommandIfReadOnly(c"ALTER TABLE".as_ptr());
        let reset = (*command).subtype == Kind::AT_ResetRelOptions;
        let (ours, rest) = with_options::split((*command).def.cast());
        naming::require_owner(relid)?;
        settings_change::alter(relid, &with_options::alter(relid, &ours, reset)?)?;
        policy::follow_columnstore(relid)?;
        if rest.is_null() { Ok(()) } else { ddl::set_storage_options(&*dimensions::require(relid)?, rest, reset) }
    }
}

/// What PostgreSQL does not pass on.
///
/// # Safety
/// A command that was carried out on the hypertable.
pub(super) unsafe fn follow_command(relid: pg_sys::Oid, command: *mut pg_sys::AlterTableCmd) {
    // SAFETY: the caller's promise.
    unsafe {
        match (*command).subtype {
            Kind::AT_ChangeOwner => {
                ddl::follow_owner(relid);
                policy::follow_owner(relid);
                ddl::repeat_on_batches(relid, command);
            }
            Kind::AT_EnableRowSecurity | Kind::AT_DisableRowSecurity => ddl::follow_row_security(relid),
            Kind::AT_SetTableSpace | Kind::AT_SetLogged | Kind::AT_SetUnLogged => {
                ddl::repeat_on_chunks(relid, command, true);
                ddl::repeat_on_batches(relid, command);
            }
            Kind::AT_ReplicaIdentity => {
                // An index belongs to one table: a chunk takes its own part of the hypertable's.
                crate::hypertable::replica_identity::follow(relid);
            }
            subtype if is_partition_command(subtype) => {
                if let Some(hypertable) = cache::find(relid) {
                    ddl::sync_partitions(&hypertable);
                }
            }
            _ => {}
        }
    }
}
