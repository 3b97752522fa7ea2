//! COPY into a hypertable. PostgreSQL's own loop keeps its routing in a local variable, so a chunk made on the way would stay
//! unknown to it: this is the same work (`DoCopy`, `CopyFrom` in commands/copy*.c) around a routing that can be renewed.

use pgrx::pg_sys;

use super::copy_rows::{self, Loop};
use super::routing::SetAside;
use super::slice_guard::SliceGuard;
use crate::catalog::cache;
use crate::columnar::direct::Direct;
use crate::columnar::settings;
use crate::error::{Error, Result, SqlState};
use crate::guc;
use crate::pg::copy_state::Copy;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;
use crate::pg::relation::{Relation, name_string};
use crate::pg::{context, list, node};

/// Runs `COPY hypertable FROM ...` and returns the number of rows. None if the relation is no hypertable: PostgreSQL's COPY
/// is right then.
///
/// # Safety
/// `statement` is a COPY FROM of its own copy of the parse tree; `text` is the query's.
pub unsafe fn copy_from(statement: *mut pg_sys::CopyStmt, text: *const std::ffi::c_char) -> Result<Option<u64>> {
    // SAFETY: the caller's promise.
    let statement = unsafe { &mut *statement };
    check_source(statement)?;
    // SAFETY: a RangeVar of the parser's.
    let oid = unsafe { ffi::RangeVarGetRelidExtended(statement.relation, pg_sys::RowExclusiveLock as i32, 0, None, std::ptr::null_mut()) };
    let relation = Relation::open(oid, pg_sys::NoLock);
    if cache::find(oid).is_none() {
        return Ok(None);
    }
    // SAFETY: as above; the parse state lives until the end of the statement.
    unsafe {
        let state = ffi::make_parsestate(std::ptr::null_mut());
        (*state).p_sourcetext = text;
        let filter = prepare(state, statement, &relation)?;
        ffi::PreventCommandIfReadOnly(c"COPY FROM".as_ptr());
        let copy = Copy::begin(state, &relation, statement);
        if (*copy.state()).opts.freeze {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot perform COPY FREEZE on a hypertable")
                .detail("Rows are frozen only in a table that the transaction itself made; a chunk may be older, and other sessions may see it.")
                .hint("Leave FREEZE out."));
        }
        let rows = run(&copy, state, &relation, filter)?;
        copy.finish();
        ffi::free_parsestate(state);
        Ok(Some(rows))
    }
}

/// Files and programs are for roles that may read them (`DoCopy`).
fn check_source(statement: &pg_sys::CopyStmt) -> Result<()> {
    if statement.filename.is_null() {
        return Ok(());
    }
    let (role, what, name) = if statement.is_program {
        (pg_sys::ROLE_PG_EXECUTE_SERVER_PROGRAM, "to or from an external program", "pg_execute_server_program")
    } else {
        (pg_sys::ROLE_PG_READ_SERVER_FILES, "from a file", "pg_read_server_files")
    };
    // SAFETY: a look-up of roles.
    if unsafe { ffi::has_privs_of_role(context::current_user(), pg_sys::Oid::from(role)) } {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be superuser or have privileges of the {name} role to COPY {what}"))
        .hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."))
}

/// Checks privileges and row security, and makes the WHERE clause executable (as `DoCopy`).
///
/// # Safety
/// A fresh parse state and a COPY FROM of the open relation.
unsafe fn prepare(state: *mut pg_sys::ParseState, statement: &pg_sys::CopyStmt, relation: &Relation) -> Result<*mut pg_sys::List> {
    // SAFETY: the caller's promise; the sequence is that of DoCopy.
    unsafe {
        let item = ffi::addRangeTableEntryForRelation(
            state,
            relation.as_ptr(),
            pg_sys::RowExclusiveLock as i32,
            std::ptr::null_mut(),
            false,
            false,
        );
        let entry = (*item).p_rte;
        (*entry).requiredPerms = pg_sys::ACL_INSERT;
        let filter =
            if statement.whereClause.is_null() { std::ptr::null_mut() } else { filter(state, item, statement.whereClause, relation)? };
        for column in list::ints(ffi::CopyGetAttnums((*relation.as_ptr()).rd_att, relation.as_ptr(), statement.attlist)) {
            (*entry).insertedCols = ffi::bms_add_member((*entry).insertedCols, column - pg_sys::FirstLowInvalidHeapAttributeNumber);
        }
        ffi::ExecCheckRTPerms((*state).p_rtable, true);
        if ffi::check_enable_rls(relation.oid(), pg_sys::InvalidOid, false) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32 {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "COPY FROM not supported with row-level security")
                .hint("Use INSERT statements instead."));
        }
        Ok(filter)
    }
}

/// # Safety
/// As [`prepare`].
unsafe fn filter(
    state: *mut pg_sys::ParseState,
    item: *mut pg_sys::ParseNamespaceItem,
    clause: *mut pg_sys::Node,
    relation: &Relation,
) -> Result<*mut pg_sys::List> {
    // SAFETY: the caller's promise; the sequence is that of DoCopy.
    unsafe {
        ffi::addNSItemToQuery(state, item, false, true, true);
        let clause = ffi::transformExpr(state, clause, pg_sys::ParseExprKind::EXPR_KIND_COPY_WHERE);
        let clause = ffi::coerce_to_boolean(state, clause, c"WHERE".as_ptr());
        ffi::assign_expr_collations(state, clause);
        let mut used = std::ptr::null_mut();
        ffi::pull_varattnos(clause, 1, &mut used);
        let is_used = |number: i32| ffi::bms_is_member(number - pg_sys::FirstLowInvalidHeapAttributeNumber, used);
        for column in relation.attributes().iter().filter(|column| column.attgenerated != 0) {
            if is_used(column.attnum.into()) || is_used(0) {
                let name = name_string(&column.attname);
                return Err(Error::new(SqlState("42P10"), "generated columns are not supported in COPY FROM WHERE conditions")
                    .detail(format!("Column \"{name}\" is a generated column.")));
            }
        }
        let clause = ffi::eval_const_expressions(std::ptr::null_mut(), clause);
        Ok(ffi::make_ands_implicit(ffi::canonicalize_qual(clause.cast(), false).cast()))
    }
}

/// Sets up what `CopyFrom` does, copies all rows, fires the statement's triggers.
///
/// # Safety
/// As [`prepare`]; `filter` is its result.
unsafe fn run(copy: &Copy, state: *mut pg_sys::ParseState, relation: &Relation, filter: *mut pg_sys::List) -> Result<u64> {
    let hypertable = cache::find(relation.oid()).ok_or_else(|| Error::internal("the hypertable is gone"))?;
    let time = SliceGuard::new(&hypertable, hypertable.time().attribute)?;
    // SAFETY: the sequence is that of CopyFrom; everything lives in the executor state's memory context.
    unsafe {
        let estate = ffi::CreateExecutorState();
        ffi::ExecInitRangeTable(estate, (*state).p_rtable);
        let target: *mut pg_sys::ResultRelInfo = node::make_node(pg_sys::NodeTag::T_ResultRelInfo);
        ffi::ExecInitResultRelation(estate, target, 1);
        ffi::CheckValidResultRel(target, pg_sys::CmdType::CMD_INSERT);
        ffi::ExecOpenIndices(target, false);
        let modify: *mut pg_sys::ModifyTableState = node::make_node(pg_sys::NodeTag::T_ModifyTableState);
        (*modify).ps.state = estate;
        (*modify).operation = pg_sys::CmdType::CMD_INSERT;
        (*modify).mt_nrels = 1;
        (*modify).resultRelInfo = target;
        (*modify).rootResultRelInfo = target;
        ffi::AfterTriggerBeginQuery();
        let triggers = (*relation.as_ptr()).trigdesc;
        (*modify).mt_transition_capture = ffi::MakeTransitionCaptureState(triggers, relation.oid(), pg_sys::CmdType::CMD_INSERT);
        (*modify).mt_partition_tuple_routing =
            context::with_context((*estate).es_query_cxt, || ffi::ExecSetupPartitionTupleRouting(estate, relation.as_ptr()));
        let qualification = ffi::ExecInitQual(filter, &mut (*modify).ps);
        let collect = may_collect(copy, target, filter);
        let is_direct = guc::enable_direct_compress_copy() || settings::writes_directly(&hypertable);
        let direct = if collect && is_direct && (*modify).mt_transition_capture.is_null() {
            Direct::for_statement((*estate).es_query_cxt)
        } else {
            std::ptr::null_mut()
        };
        let mut work = Loop::new(copy.state(), estate, modify, qualification, time, collect, direct);
        work.aside.begin(estate);
        ffi::ExecBSInsertTriggers(estate, target);
        let rows = guard(|| copy_rows::copy_rows(&raw mut work));
        ffi::ExecASInsertTriggers(estate, target, (*modify).mt_transition_capture);
        ffi::AfterTriggerEndQuery(estate);
        finish(estate, modify, &mut work.aside);
        Ok(rows)
    }
}

/// Rows may be written in batches unless something may look at the table in between (see the comments in `CopyFrom`).
///
/// # Safety
/// An initialised target.
unsafe fn may_collect(copy: &Copy, target: *mut pg_sys::ResultRelInfo, filter: *mut pg_sys::List) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let triggers = (*target).ri_TrigDesc.as_ref();
        let watched = triggers.is_some_and(|triggers| triggers.trig_insert_before_row || triggers.trig_insert_new_table);
        !watched && !(*copy.state()).volatile_defexprs && !ffi::contain_volatile_functions(filter.cast())
    }
}

/// # Safety
/// All rows are in and all triggers have fired.
unsafe fn finish(estate: *mut pg_sys::EState, modify: *mut pg_sys::ModifyTableState, aside: &mut SetAside) {
    // SAFETY: the sequence is that of CopyFrom.
    unsafe {
        ffi::ExecResetTupleTable((*estate).es_tupleTable, false);
        ffi::ExecCleanupTupleRouting(modify, (*modify).mt_partition_tuple_routing);
        aside.release(modify);
        ffi::ExecCloseResultRelations(estate);
        ffi::ExecCloseRangeTableRelations(estate);
        raw::FreeExecutorState(estate);
    }
}

/// Lets `COPY hypertable TO` read the chunks: rewrites it as `COPY (SELECT ...) TO`, which also applies row security.
///
/// # Safety
/// As [`copy_from`], for a COPY TO.
pub unsafe fn rewrite_copy_to(statement: *mut pg_sys::CopyStmt) {
    // SAFETY: the caller's promise; column names are String nodes.
    unsafe {
        let statement = &mut *statement;
        let oid = ffi::RangeVarGetRelidExtended(
            statement.relation,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        );
        if oid == pg_sys::InvalidOid || cache::find(oid).is_none() {
            return;
        }
        let names: Vec<String> = if statement.attlist.is_null() {
            let relation = Relation::open(oid, pg_sys::AccessShareLock);
            // generated columns are not copied, as by COPY of a plain table
            let columns = relation.attributes().iter().filter(|column| !column.attisdropped && column.attgenerated == 0);
            columns.map(|column| name_string(&column.attname)).collect()
        } else {
            list::pointers::<pg_sys::String>(statement.attlist)
                .into_iter()
                .filter_map(|name| crate::pg::relation::optional_string((*name).sval))
                .collect()
        };
        let columns: Vec<String> = names.iter().map(|name| crate::pg::relation::quote_identifier(name)).collect();
        let Some(table) = crate::pg::relation::qualified_name(oid) else { return };
        let sql = crate::pg::relation::c_string(&format!("SELECT {} FROM {table}", columns.join(", ")));
        let parsed = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(sql.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT));
        if let Some(select) = parsed.first() {
            statement.relation = std::ptr::null_mut();
            statement.attlist = std::ptr::null_mut();
            statement.query = (**select).stmt;
        }
    }
}
