//! Statements on continuous aggregates: their view is one of PostgreSQL's plain views, which clients call a materialized view.

use pgrx::pg_sys::{self, AlterTableType as Kind, ObjectType as Object};

use super::batches::is_about_storage;
use super::ddl::{follow_command, range_var, resolve};
use crate::cagg::ddl;
use crate::cagg::definition::add_column;
use crate::cagg::definition::create::{self, Outcome};
use crate::cagg::definition::options::{Asked, Options};
use crate::cagg::refresh;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::catalog::naming::{self, Known};
use crate::columnar::ddl::extension;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::with_options;
use crate::pg::relation::{Relation, optional_string, relation_name};
use crate::pg::{acl, event_trigger, ffi, list, node, table};

/// `CREATE MATERIALIZED VIEW`. False if it is PostgreSQL's.
///
/// # Safety
/// A statement of the parser's that may be changed. `is_complete` and `is_top_level` as in the utility hook's context.
pub unsafe fn create(statement: *mut pg_sys::CreateTableAsStmt, is_complete: bool, is_top_level: bool) -> Result<bool> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*statement).objtype != Object::OBJECT_MATVIEW {
            return Ok(false);
        }
        let options = match Options::read((*(*statement).into).options)? {
            Asked::Plain(rest) => {
                (*(*statement).into).options = rest;
                return Ok(false);
            }
            Asked::Continuous(options) => options,
        };
        ffi::PreventCommandIfReadOnly(c"CREATE MATERIALIZED VIEW".as_ptr());
        ffi::PreventCommandIfParallelMode(c"CREATE MATERIALIZED VIEW".as_ptr());
        let outcome = event_trigger::heard(statement.cast(), is_complete, || {
            let outcome = create::run(statement, &options)?;
            if let Outcome::Created(agg) = &outcome {
                let address = node::object_address(pg_sys::RelationRelationId, agg.user_view);
                ffi::EventTriggerCollectSimpleCommand(address, pg_sys::ObjectAddress::default(), statement.cast());
            }
            Ok::<Outcome, Error>(outcome)
        })?;
        if let Outcome::Created(agg) = outcome
            && !(*(*statement).into).skipData
        {
            refresh::fill(&agg, ffi::IsInTransactionBlock(is_top_level))?;
        }
        Ok(true)
    }
}

/// The continuous aggregate that a named relation is a part of, and the relation.
///
/// # Safety
/// NULL or a RangeVar of the parser's.
unsafe fn part(relation: *mut pg_sys::RangeVar) -> Option<(ContinuousAgg, pg_sys::Oid)> {
    if relation.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let relid = unsafe { resolve(relation, pg_sys::NoLock) }?;
    ddl::of_part(relid).map(|agg| (agg, relid))
}

/// The same of a relation that must be the user's view: another part is an error.
///
/// # Safety
/// NULL or a RangeVar of the parser's.
unsafe fn whole(relation: *mut pg_sys::RangeVar, what: &str) -> Result<Option<ContinuousAgg>> {
    // SAFETY: the caller's promise.
    match unsafe { part(relation) } {
        Some((agg, relid)) if relid != agg.user_view => Err(ddl::refuse_part(&agg, relid, what)),
        found => Ok(found.map(|(agg, _)| agg)),
    }
}

/// # Safety
/// A list of String nodes: the name of an object.
unsafe fn named(object: *mut pg_sys::Node) -> *mut pg_sys::RangeVar {
    // SAFETY: the caller's promise.
    unsafe { ffi::makeRangeVarFromNameList(object.cast()) }
}

/// `DROP VIEW` and `DROP MATERIALIZED VIEW`. Continuous aggregates are taken out of the statement: what is left goes first, by `forward`.
///
/// # Safety
/// A statement of the parser's that may be changed. `is_complete` as in the utility hook's context.
pub unsafe fn drop(statement: *mut pg_sys::DropStmt, is_complete: bool, forward: impl FnOnce()) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let statement = &mut *statement;
        let (mut aggs, mut ours, mut others) = (Vec::new(), Vec::new(), Vec::new());
        if matches!(statement.removeType, Object::OBJECT_VIEW | Object::OBJECT_MATVIEW | Object::OBJECT_TABLE) {
            for object in list::pointers::<pg_sys::Node>(statement.objects) {
                match part(named(object)) {
                    Some((agg, relid)) if relid != agg.user_view => return Err(ddl::refuse_part(&agg, relid, "drop")),
                    // PostgreSQL says that it is no table.
                    Some((agg, _)) if statement.removeType != Object::OBJECT_TABLE => {
                        aggs.push(agg);
                        ours.push(object);
                    }
                    _ => others.push(object),
                }
            }
        }
        if aggs.is_empty() {
            forward();
            return Ok(());
        }
        ffi::PreventCommandIfReadOnly(c"DROP MATERIALIZED VIEW".as_ptr());
        for agg in &aggs {
            let schema = ffi::get_rel_namespace(agg.user_view);
            if !ffi::pg_namespace_ownercheck(schema, crate::pg::context::current_user()) {
                naming::require_owner(agg.user_view)?;
            }
        }
        if !others.is_empty() {
            statement.objects = list::from_pointers(others);
            forward();
            // CASCADE may have reached some of them.
            aggs.retain(|agg| ffi::get_rel_relkind(agg.user_view) != 0);
        }
        statement.objects = list::from_pointers(ours);
        event_trigger::heard(std::ptr::from_mut(statement).cast(), is_complete, || {
            ddl::drop(&aggs, statement.behavior);
            Ok(())
        })
    }
}

/// Statements that need no more than another word for the view: COMMENT, SET SCHEMA. And those that make no sense.
///
/// # Safety
/// A statement of the parser's that may be changed.
pub unsafe fn adapt(statement: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: the tag says what the statement is.
    unsafe {
        match node::tag(statement) {
            pg_sys::NodeTag::T_CommentStmt => {
                let comment = &mut *statement.cast::<pg_sys::CommentStmt>();
                if comment.objtype == Object::OBJECT_MATVIEW && part(named(comment.object)).is_some() {
                    comment.objtype = Object::OBJECT_VIEW;
                }
            }
            pg_sys::NodeTag::T_AlterObjectSchemaStmt => {
                let alter = &mut *statement.cast::<pg_sys::AlterObjectSchemaStmt>();
                if is_relation(alter.objectType) && whole(alter.relation, "move")?.is_some() && alter.objectType == Object::OBJECT_MATVIEW {
                    alter.objectType = Object::OBJECT_VIEW;
                }
            }
            pg_sys::NodeTag::T_RefreshMatViewStmt => {
                if let Some((agg, _)) = part((*statement.cast::<pg_sys::RefreshMatViewStmt>()).relation) {
                    let known = Known::of(agg.user_view);
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot refresh {} as a whole", known.described()))
                        .hint(format!(
                            "Use CALL refresh_continuous_aggregate({}, NULL, NULL) to compute what has changed.",
                            known.literal()
                        )));
                }
            }
            pg_sys::NodeTag::T_ViewStmt => {
                let view = &*statement.cast::<pg_sys::ViewStmt>();
                if view.replace
                    && let Some(relid) = resolve(view.view, pg_sys::NoLock)
                {
                    ddl::check_replace(relid, is_stand_in(view.query))?;
                }
            }
            pg_sys::NodeTag::T_RuleStmt => refuse_behavior((*statement.cast::<pg_sys::RuleStmt>()).relation, "rule")?,
            pg_sys::NodeTag::T_CreateTrigStmt => refuse_behavior((*statement.cast::<pg_sys::CreateTrigStmt>()).relation, "trigger")?,
            _ => {}
        }
        Ok(())
    }
}

/// # Safety
/// A RangeVar of the parser's.
unsafe fn refuse_behavior(relation: *mut pg_sys::RangeVar, what: &str) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { resolve(relation, pg_sys::NoLock) }.map_or(Ok(()), |relid| ddl::refuse_behavior(relid, what))
}

/// A query without FROM whose outputs are all NULL: what pg_dump puts in the place of a view while what the view needs is not there yet,
/// or not any more.
///
/// # Safety
/// A query of the parser's, not analysed.
unsafe fn is_stand_in(query: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise; each node is used by its tag.
    unsafe {
        if node::tag(query) != pg_sys::NodeTag::T_SelectStmt {
            return false;
        }
        let select = &*query.cast::<pg_sys::SelectStmt>();
        select.fromClause.is_null()
            && !select.targetList.is_null()
            && list::pointers::<pg_sys::ResTarget>(select.targetList).into_iter().all(|target| {
                let cast = (*target).val.cast::<pg_sys::TypeCast>();
                node::tag(cast) == pg_sys::NodeTag::T_TypeCast
                    && node::tag((*cast).arg) == pg_sys::NodeTag::T_A_Const
                    && (*(*cast).arg.cast::<pg_sys::A_Const>()).isnull
            })
    }
}

fn is_relation(kind: Object::Type) -> bool {
    matches!(kind, Object::OBJECT_TABLE | Object::OBJECT_VIEW | Object::OBJECT_MATVIEW)
}

/// `CREATE INDEX` on the view is on its storage.
///
/// # Safety
/// A statement of the parser's that may be changed.
pub unsafe fn create_index(statement: *mut pg_sys::IndexStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let Some((agg, relid)) = part((*statement).relation) else {
            return match resolve((*statement).relation, pg_sys::NoLock).filter(|_| (*statement).unique) {
                Some(relid) => ddl::refuse_part_of_storage(relid, "create a unique index on"),
                None => Ok(()),
            };
        };
        if (*statement).unique {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("continuous aggregate \"{}\" cannot have a unique index", relation_name(agg.user_view)),
            ));
        }
        if relid == agg.user_view
            && let Some(storage) = range_var(agg.storage)
        {
            naming::require_owner(relid)?;
            (*statement).relation = storage;
        }
        Ok(())
    }
}

/// `RENAME` of the view or of one of its columns, which has the same name in all parts.
///
/// # Safety
/// A statement of the parser's that may be changed; `run` has it carried out.
pub unsafe fn rename(statement: *mut pg_sys::RenameStmt, run: impl FnOnce() -> Result<()>) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let rename = &mut *statement;
        let is_column = rename.renameType == Object::OBJECT_COLUMN;
        if !is_column && !is_relation(rename.renameType) {
            return run();
        }
        let Some(agg) = whole(rename.relation, if is_column { "rename a column of" } else { "rename" })? else { return run() };
        let kind = if is_column { &mut rename.relationType } else { &mut rename.renameType };
        if *kind == Object::OBJECT_MATVIEW {
            *kind = Object::OBJECT_VIEW;
        }
        if !is_column {
            return run();
        }
        ddl::check_column_name(&optional_string(rename.newname).unwrap_or_default())?;
        run()?;
        for (relid, kind) in
            [(agg.storage, Object::OBJECT_TABLE), (agg.partial_view, Object::OBJECT_VIEW), (agg.direct_view, Object::OBJECT_VIEW)]
        {
            let copy: *mut pg_sys::RenameStmt = ffi::copyObjectImpl(statement.cast()).cast();
            (*copy).relationType = kind;
            (*copy).relation = range_var(relid).unwrap_or(std::ptr::null_mut());
            super::ddl::rename(copy, || {
                ffi::renameatt(copy);
            })?;
            table::command_counter_increment();
        }
        Ok(())
    }
}

/// What is left to do of an `ALTER`.
pub enum Rest {
    /// Nothing.
    Done,
    /// To have it carried out as it is now.
    Statement,
    /// The same; then the parts follow their new owner.
    Owner(ContinuousAgg),
}

/// `ALTER MATERIALIZED VIEW`: of the view itself the owner, of storage all else.
///
/// # Safety
/// A statement of the parser's that may be changed.
pub unsafe fn alter(statement: *mut pg_sys::AlterTableStmt) -> Result<Rest> {
    // SAFETY: the caller's promise.
    unsafe {
        let statement = &mut *statement;
        if !is_relation(statement.objtype) {
            return Ok(Rest::Statement);
        }
        let commands = list::pointers::<pg_sys::AlterTableCmd>(statement.cmds);
        let Some((agg, relid)) = part(statement.relation) else {
            // A part of storage. Why other commands may not be is said by what refuses them.
            if let Some(what) = commands.iter().find_map(|command| brings_or_keeps_out_rows((**command).subtype))
                && let Some(relid) = resolve(statement.relation, pg_sys::NoLock)
            {
                ddl::refuse_part_of_storage(relid, what)?;
            }
            return Ok(Rest::Statement);
        };
        if relid != agg.user_view {
            let all_allowed = relid == agg.storage && commands.iter().all(|command| is_for_storage((**command).subtype));
            return if all_allowed { Ok(Rest::Statement) } else { Err(ddl::refuse_part(&agg, relid, "alter")) };
        }
        ffi::PreventCommandIfReadOnly(c"ALTER MATERIALIZED VIEW".as_ptr());
        naming::require_owner(relid)?;
        if commands.iter().any(|command| (**command).subtype == Kind::AT_ChangeOwner) {
            if commands.len() > 1 {
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "OWNER TO can't be combined with other commands")
                    .hint("Use two statements."));
            }
            statement.objtype = Object::OBJECT_VIEW;
            return Ok(Rest::Owner(agg));
        }
        let mut left = Vec::new();
        for command in commands {
            match (*command).subtype {
                Kind::AT_AddColumn => add_column::run(&agg, command)?,
                Kind::AT_SetRelOptions => {
                    set_options(&agg, command)?;
                    if !(*command).def.is_null() {
                        left.push(command);
                    }
                }
                Kind::AT_DropColumn | Kind::AT_AlterColumnType => {
                    return Err(Error::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "columns of a continuous aggregate can't be dropped or changed",
                    ));
                }
                _ => left.push(command),
            }
        }
        if left.is_empty() {
            return Ok(Rest::Done);
        }
        // Options of views (security_barrier) and defaults of a view's columns are PostgreSQL's.
        if statement.objtype == Object::OBJECT_MATVIEW || left.iter().any(|command| has_ours(*command)) {
            if !left.iter().all(|command| is_for_storage((**command).subtype)) {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("cannot do this to continuous aggregate \"{}\"", relation_name(agg.user_view)),
                )
                .detail("Its storage has the form and the rows that its query gives."));
            }
            statement.objtype = Object::OBJECT_TABLE;
            statement.relation = range_var(agg.storage).unwrap_or(statement.relation);
        }
        statement.cmds = list::from_pointers(left);
        Ok(Rest::Statement)
    }
}

/// Commands that make a part of storage have rows that no refresh has computed, or refuse those that one has.
fn brings_or_keeps_out_rows(subtype: Kind::Type) -> Option<&'static str> {
    match subtype {
        Kind::AT_AttachPartition => Some("add a partition to"),
        Kind::AT_AddConstraint | Kind::AT_AddIndexConstraint | Kind::AT_SetNotNull => Some("add a constraint to"),
        _ => None,
    }
}

/// What may be done to storage: how it is stored, not what it holds. Partitions come with a restore, by who owns the extension.
fn is_for_storage(subtype: Kind::Type) -> bool {
    match subtype {
        Kind::AT_DetachPartition | Kind::AT_DetachPartitionFinalize => true,
        // Why that may not be is said by what refuses it.
        Kind::AT_SetUnLogged => true,
        Kind::AT_AttachPartition => acl::owns_extension(extension::NAME),
        _ => is_about_storage(subtype),
    }
}

/// # Safety
/// A command of an ALTER.
unsafe fn has_ours(command: *mut pg_sys::AlterTableCmd) -> bool {
    // SAFETY: the caller's promise: the definition of SET is a list of options.
    unsafe {
        matches!((*command).subtype, Kind::AT_SetRelOptions | Kind::AT_ResetRelOptions)
            && !with_options::split((*command).def.cast()).0.is_empty()
    }
}

/// Takes the options of the view out of a SET.
///
/// # Safety
/// A SET of an ALTER, that may be changed.
unsafe fn set_options(agg: &ContinuousAgg, command: *mut pg_sys::AlterTableCmd) -> Result<()> {
    // SAFETY: the caller's promise: the definition of SET is a list of options.
    unsafe {
        let (ours, _) = with_options::split((*command).def.cast());
        let mut mine = Vec::new();
        for option in ours {
            match optional_string((*option).defname).as_deref() {
                Some("materialized_only") => ddl::set_materialized_only(agg, ffi::defGetBoolean(option))?,
                Some(name @ ("create_group_indexes" | "continuous")) => {
                    return Err(Error::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        format!("cannot alter {name} option for continuous aggregates"),
                    ));
                }
                _ => continue,
            }
            mine.push(option);
        }
        let all = list::pointers::<pg_sys::DefElem>((*command).def.cast());
        (*command).def = list::from_pointers(all.into_iter().filter(|option| !mine.contains(option))).cast();
        Ok(())
    }
}

/// After the view's owner has changed: the parts get the same one.
///
/// # Safety
/// The statement that was carried out.
pub unsafe fn follow_owner(agg: &ContinuousAgg, command: *mut pg_sys::AlterTableCmd) {
    let owner = Relation::open(agg.user_view, pg_sys::NoLock).class().relowner;
    for relid in [agg.partial_view, agg.direct_view, agg.storage] {
        // SAFETY: `recursing` skips the checks that were made for the view.
        unsafe { ffi::ATExecChangeOwner(relid, owner, true, pg_sys::AccessExclusiveLock as i32) };
        table::command_counter_increment();
    }
    // SAFETY: the caller's promise.
    unsafe { follow_command(agg.storage, command) };
}
