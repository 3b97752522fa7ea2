//! `ProcessUtility_hook`: COPY, and DDL that a hypertable's chunks or the catalog must follow.

use std::ffi::{c_char, c_void};

use pgrx::pg_sys;

use super::continuous_agg::{self, Rest};
use super::{batches, database, ddl, index_rights, partitions, roles, subscription, truncate, vacuum};
use crate::cagg::{ddl as cagg, guard as storage};
use crate::columnar::ddl::{Watch, extension, types};
use crate::error::Result;
use crate::hypertable::tablespaces;
use crate::ingest::copy;
use crate::pg::guard::{boundary, guard};
use crate::pg::relation::optional_string;
use crate::pg::{ffi, list, node, table};

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Puts ours before the one that is there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process);
    }
}

/// The arguments of the hook.
#[derive(Clone, Copy)]
struct Call {
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
}

#[expect(clippy::too_many_arguments, reason = "the hook's signature")]
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn process(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let call = Call { statement, text, read_only_tree, context, parameters, environment, receiver, completion };
    // SAFETY: PostgreSQL's own arguments.
    unsafe {
        boundary(|| cagg::follow_drops(|| dispatch(call)));
    }
}

impl Call {
    /// The statement goes on its usual way.
    unsafe fn forward(self) {
        // SAFETY: PostgreSQL's own arguments are handed on.
        unsafe {
            let Self { statement, text, read_only_tree, context, parameters, environment, receiver, completion } = self;
            guard(|| match PREVIOUS {
                Some(previous) => previous(statement, text, read_only_tree, context, parameters, environment, receiver, completion),
                None => ffi::raw::standard_ProcessUtility(
                    statement,
                    text,
                    read_only_tree,
                    context,
                    parameters,
                    environment,
                    receiver,
                    completion,
                ),
            });
        }
    }

    unsafe fn as_indexing(&self) -> index_rights::Statement {
        // SAFETY: a statement of PostgreSQL's.
        index_rights::Statement { node: unsafe { (*self.statement).utilityStmt }, text: self.text, is_complete: self.is_complete() }
    }

    /// Whether it is no part of another statement.
    fn is_complete(&self) -> bool {
        self.context != pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND
    }

    /// A private copy of the statement, which may be changed.
    unsafe fn own(mut self) -> Self {
        // SAFETY: copyObject of a node.
        unsafe {
            if self.read_only_tree {
                self.statement = ffi::copyObjectImpl(self.statement.cast()).cast();
                self.read_only_tree = false;
            }
        }
        self
    }
}

unsafe fn dispatch(call: Call) -> Result<()> {
    // SAFETY: the tag says what the statement is; a statement that is changed is a copy of our own.
    unsafe {
        let tag = node::tag((*call.statement).utilityStmt);
        // Other databases may have the extension.
        if database::concerns((*call.statement).utilityStmt) {
            return database::run((*call.statement).utilityStmt, || call.forward());
        }
        // Without the extension in this database there is nothing to do.
        if !is_ours(tag) || table::oid("hypertable").is_none() {
            call.forward();
            return Ok(());
        }
        let call = call.own();
        let statement = (*call.statement).utilityStmt;
        let forward = || call.forward();
        match tag {
            pg_sys::NodeTag::T_CopyStmt => return process_copy(call),
            pg_sys::NodeTag::T_CreateTableAsStmt => {
                let is_top_level = call.context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL;
                if !continuous_agg::create(statement.cast(), call.is_complete(), is_top_level)? {
                    forward();
                } else if !is_top_level {
                    // The server programming interface wants to hear how many rows were stored. To a client PostgreSQL names the statement.
                    complete(call, pg_sys::CommandTag::CMDTAG_SELECT, 0);
                }
            }
            pg_sys::NodeTag::T_CreateStmt | pg_sys::NodeTag::T_CreateForeignTableStmt => {
                batches::check_parents(statement.cast())?;
                return ddl::create_table(statement.cast(), forward);
            }
            pg_sys::NodeTag::T_AlterTableStmt => {
                batches::check_alter(statement.cast())?;
                let rest = continuous_agg::alter(statement.cast())?;
                if matches!(rest, Rest::Done) {
                    return Ok(());
                }
                if let Rest::Owner(agg) = rest {
                    let commands = (*statement.cast::<pg_sys::AlterTableStmt>()).cmds;
                    let command = ffi::copyObjectImpl(list::pointers::<c_void>(commands)[0]).cast();
                    forward();
                    continuous_agg::follow_owner(&agg, command);
                    return Ok(());
                }
                let watch = Watch::before_alter(statement.cast())?;
                let moved = partitions::before_alter(statement.cast())?;
                ddl::alter_table(statement.cast(), || index_rights::alter_table(call.as_indexing(), forward))?;
                partitions::after_alter(&moved);
                return watch.map_or(Ok(()), |watch| watch.after());
            }
            pg_sys::NodeTag::T_AlterEnumStmt => {
                types::check_enum(statement.cast())?;
                forward();
            }
            pg_sys::NodeTag::T_AlterDomainStmt => {
                let watch = types::DomainWatch::before(statement.cast());
                forward();
                return watch.map_or(Ok(()), |watch| watch.after());
            }
            pg_sys::NodeTag::T_RenameStmt => {
                batches::check_rename(statement.cast())?;
                return continuous_agg::rename(statement.cast(), || ddl::rename(statement.cast(), forward));
            }
            pg_sys::NodeTag::T_IndexStmt => {
                batches::refuse((*statement.cast::<pg_sys::IndexStmt>()).relation, "create an index on")?;
                continuous_agg::create_index(statement.cast())?;
                ddl::create_index(statement.cast())?;
                let watch = Watch::before_index(statement.cast())?;
                if !index_rights::create_index(call.as_indexing()) {
                    forward();
                }
                return watch.map_or(Ok(()), |watch| watch.after_index());
            }
            pg_sys::NodeTag::T_GrantStmt => {
                ddl::grant(statement.cast());
                forward();
            }
            pg_sys::NodeTag::T_CreateTrigStmt => {
                batches::refuse((*statement.cast::<pg_sys::CreateTrigStmt>()).relation, "create a trigger on")?;
                continuous_agg::adapt(statement)?;
                forward();
            }
            pg_sys::NodeTag::T_RuleStmt => {
                batches::refuse((*statement.cast::<pg_sys::RuleStmt>()).relation, "create a rule on")?;
                continuous_agg::adapt(statement)?;
                ddl::check_rule(statement.cast())?;
                forward();
            }
            pg_sys::NodeTag::T_TruncateStmt => truncate::run(statement.cast(), forward),
            pg_sys::NodeTag::T_VacuumStmt => vacuum::run(statement.cast(), forward),
            pg_sys::NodeTag::T_DropStmt => {
                extension::before_drop(statement.cast())?;
                continuous_agg::drop(statement.cast(), call.is_complete(), forward)?;
            }
            pg_sys::NodeTag::T_DropTableSpaceStmt => {
                let statement = statement.cast::<pg_sys::DropTableSpaceStmt>();
                tablespaces::check_drop(&optional_string((*statement).tablespacename).unwrap_or_default())?;
                forward();
            }
            pg_sys::NodeTag::T_DropOwnedStmt => {
                roles::before_drop_owned(statement.cast())?;
                forward();
            }
            pg_sys::NodeTag::T_ReassignOwnedStmt => {
                forward();
                return roles::after_reassign_owned(statement.cast());
            }
            pg_sys::NodeTag::T_CommentStmt
            | pg_sys::NodeTag::T_AlterObjectSchemaStmt
            | pg_sys::NodeTag::T_RefreshMatViewStmt
            | pg_sys::NodeTag::T_ViewStmt => {
                continuous_agg::adapt(statement)?;
                forward();
            }
            tag if subscription::concerns(tag) => {
                forward();
                return subscription::after();
            }
            _ => forward(),
        }
        Ok(())
    }
}

fn is_ours(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::{
        T_AlterDomainStmt, T_AlterEnumStmt, T_AlterObjectSchemaStmt, T_AlterTableStmt, T_CommentStmt, T_CopyStmt, T_CreateForeignTableStmt,
        T_CreateStmt, T_CreateTableAsStmt, T_CreateTrigStmt, T_DropOwnedStmt, T_DropStmt, T_DropTableSpaceStmt, T_GrantStmt, T_IndexStmt,
        T_ReassignOwnedStmt, T_RefreshMatViewStmt, T_RenameStmt, T_RuleStmt, T_TruncateStmt, T_VacuumStmt, T_ViewStmt,
    };
    matches!(
        tag,
        T_AlterDomainStmt
            | T_AlterEnumStmt
            | T_AlterObjectSchemaStmt
            | T_CommentStmt
            | T_RefreshMatViewStmt
            | T_ViewStmt
            | T_TruncateStmt
            | T_VacuumStmt
            | T_DropStmt
            | T_DropTableSpaceStmt
            | T_CopyStmt
            | T_CreateForeignTableStmt
            | T_CreateStmt
            | T_CreateTableAsStmt
            | T_CreateTrigStmt
            | T_AlterTableStmt
            | T_RenameStmt
            | T_IndexStmt
            | T_GrantStmt
            | T_RuleStmt
            | T_DropOwnedStmt
            | T_ReassignOwnedStmt
    ) || subscription::concerns(tag)
}

unsafe fn complete(call: Call, tag: pg_sys::CommandTag::Type, rows: u64) {
    // SAFETY: PostgreSQL's own argument, or NULL.
    if let Some(completion) = unsafe { call.completion.as_mut() } {
        (completion.commandTag, completion.nprocessed) = (tag, rows);
    }
}

unsafe fn process_copy(call: Call) -> Result<()> {
    // SAFETY: the tag says that it is a CopyStmt.
    unsafe {
        let copy = (*call.statement).utilityStmt.cast::<pg_sys::CopyStmt>();
        if !(*copy).relation.is_null() {
            if (*copy).is_from
                && let Some(relid) = ddl::resolve((*copy).relation, pg_sys::NoLock)
            {
                storage::check_table(relid)?;
                storage::check_batches(relid)?;
            }
            if !(*copy).is_from {
                copy::rewrite_copy_to(copy);
            } else if let Some(rows) = copy::copy_from(copy, call.text)? {
                complete(call, pg_sys::CommandTag::CMDTAG_COPY, rows);
                return Ok(());
            }
        }
        if (*copy).is_from {
            partitions::before_copy(copy);
        }
        call.forward();
        Ok(())
    }
}
