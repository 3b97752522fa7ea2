//! Queries as trees: analysed, written as text, with values in place of outer columns; and the views that they define.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::expr::Expr;
use super::relation::{Relation, c_string, optional_string};
use super::{context, ffi, guard, list, node};
use crate::error::{Error, Result};

/// Analyses one SELECT; names are looked up in pg_catalog alone.
pub fn analyze(sql: &str) -> Result<*mut pg_sys::Query> {
    context::with_portable_text(|| {
        let text = c_string(sql);
        // SAFETY: the text outlives the analysis and is not kept: trees hold copies of what they need of it.
        unsafe {
            let statements = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT));
            let [statement] = statements[..] else { return Err(Error::internal("not one statement")) };
            Ok(ffi::parse_analyze_fixedparams(statement, text.as_ptr(), std::ptr::null(), 0, std::ptr::null_mut()))
        }
    })
}

/// A copy of the query that defines a view.
pub fn of_view(view: &Relation) -> *mut pg_sys::Query {
    // SAFETY: an open view has its rule.
    unsafe { ffi::copyObjectImpl(ffi::get_view_query(view.as_ptr()).cast()).cast() }
}

/// The text of a query that means the same to every session: names have their schema.
pub fn text(query: *mut pg_sys::Query) -> String {
    context::with_portable_text(|| {
        // SAFETY: deparsing takes locks and changes the copy that it is given; the result is a palloc'd string.
        unsafe { optional_string(ffi::pg_get_querydef(ffi::copyObjectImpl(query.cast()).cast(), false)) }.unwrap_or_default()
    })
}

/// The columns of a query's result.
///
/// # Safety
/// A Query that outlives the result.
pub unsafe fn targets<'a>(query: *mut pg_sys::Query) -> Vec<&'a pg_sys::TargetEntry> {
    // SAFETY: the caller's promise.
    unsafe { list::pointers::<pg_sys::TargetEntry>((*query).targetList) }.into_iter().map(|entry| unsafe { &*entry }).collect()
}

/// The relation at an index, from 1, of a query's range table.
///
/// # Safety
/// A Query, and an index of its range table.
pub unsafe fn entry<'a>(query: *mut pg_sys::Query, index: usize) -> &'a mut pg_sys::RangeTblEntry {
    // SAFETY: the caller's promise.
    unsafe { &mut *list::cells((*query).rtable)[index - 1].ptr_value.cast() }
}

struct Outer {
    values: Vec<*mut pg_sys::Node>,
    level: u32,
}

/// A copy of a subquery with values in place of the columns 1, 2.. of the relation one level up; of which it may name only one.
///
/// # Safety
/// A Query, and expressions that outlive the call.
pub unsafe fn replace_outer(query: *mut pg_sys::Query, values: Vec<*mut pg_sys::Node>) -> *mut pg_sys::Query {
    let mut outer = Outer { values, level: 1 };
    // SAFETY: the mutator gets the values back as its context, and copies what it is given.
    unsafe { ffi::query_tree_mutator(query, put_outer, std::ptr::from_mut(&mut outer).cast(), 0) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn put_outer(tree: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes, and the context that `replace_outer` gave them.
    unsafe {
        guard::boundary(|| {
            let outer = &mut *context.cast::<Outer>();
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => tree,
                NodeTag::T_Var if (*tree.cast::<pg_sys::Var>()).varlevelsup == outer.level => {
                    let number = (*tree.cast::<pg_sys::Var>()).varattno;
                    let value = usize::try_from(number - 1).ok().and_then(|index| outer.values.get(index)).copied();
                    value.map_or(tree, |value| ffi::copyObjectImpl(value.cast()).cast())
                }
                NodeTag::T_Query => {
                    outer.level += 1;
                    let copy = ffi::query_tree_mutator(tree.cast(), put_outer, context, 0);
                    (*context.cast::<Outer>()).level -= 1;
                    copy.cast()
                }
                _ => ffi::expression_tree_mutator(tree, put_outer, context),
            })
        })
    }
}

struct Replacement {
    old: Expr,
    new: Expr,
}

/// Puts one expression in the place of another wherever a query's outputs and its HAVING have it.
///
/// # Safety
/// A Query that may be changed.
pub unsafe fn replace_in_outputs(query: *mut pg_sys::Query, old: Expr, new: Expr) {
    let mut replacement = Replacement { old: old.copy(), new };
    let context = std::ptr::from_mut(&mut replacement).cast();
    // SAFETY: the mutator gets the expressions back as its context, and copies what it is given.
    unsafe {
        (*query).targetList = put_expression((*query).targetList.cast(), context).cast();
        (*query).havingQual = put_expression((*query).havingQual, context);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn put_expression(tree: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes, and the context that `replace_in_outputs` gave them.
    unsafe {
        guard::boundary(|| {
            let replacement = &*context.cast::<Replacement>();
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => tree,
                _ if Expr::new(tree).equals(replacement.old) => replacement.new.copy().as_ptr(),
                _ => ffi::expression_tree_mutator(tree, put_expression, context),
            })
        })
    }
}

/// The definitions of the columns that a query gives, as DefineVirtualRelation makes them.
///
/// # Safety
/// A Query.
pub unsafe fn column_definitions(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::ColumnDef> {
    // SAFETY: the caller's promise; the names are the entries' own and outlive the statement.
    unsafe {
        let visible = targets(query).into_iter().filter(|target| !target.resjunk);
        visible
            .map(|target| {
                let expression = target.expr.cast();
                ffi::makeColumnDef(target.resname, ffi::exprType(expression), ffi::exprTypmod(expression), ffi::exprCollation(expression))
            })
            .collect()
    }
}

/// Creates a view or, with `columns`, a table, owned by `owner`. The current role must be one that may create in the schema.
///
/// # Safety
/// ColumnDef nodes that need no parse analysis.
pub unsafe fn create_relation(
    name: *mut pg_sys::RangeVar,
    kind: u8,
    columns: Vec<*mut pg_sys::ColumnDef>,
    owner: pg_sys::Oid,
    tablespace: *mut std::ffi::c_char,
) -> pg_sys::Oid {
    let statement: *mut pg_sys::CreateStmt = node::make_node(NodeTag::T_CreateStmt);
    // SAFETY: a fresh node, as DefineVirtualRelation fills it.
    unsafe {
        (*statement).relation = name;
        (*statement).tableElts = list::from_pointers(columns);
        (*statement).oncommit = pg_sys::OnCommitAction::ONCOMMIT_NOOP;
        (*statement).tablespacename = tablespace;
        let address = ffi::DefineRelation(statement, kind as std::ffi::c_char, owner, std::ptr::null_mut(), std::ptr::null());
        ffi::CommandCounterIncrement();
        if kind == b'r' {
            ffi::NewRelationCreateToastTable(address.objectId, pg_sys::Datum::null());
            ffi::CommandCounterIncrement();
        }
        address.objectId
    }
}

/// Makes a query the definition of a view; with `replace`, in place of the one it has.
///
/// # Safety
/// A Query whose columns are the view's.
pub unsafe fn define_view(view: pg_sys::Oid, query: *mut pg_sys::Query, replace: bool) {
    // SAFETY: the query is copied before it is changed.
    unsafe {
        ffi::StoreViewQuery(view, query, replace);
        ffi::CommandCounterIncrement();
    }
}

struct RangeTables(Vec<*mut pg_sys::List>);

/// The range tables of a query and of all queries in it.
///
/// # Safety
/// A Query.
pub unsafe fn range_tables(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::List> {
    let mut found = RangeTables(Vec::new());
    // SAFETY: the walker gets the list back as its context.
    unsafe { find_range_tables(query.cast(), std::ptr::from_mut(&mut found).cast()) };
    found.0
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn find_range_tables(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context that `range_tables` gave them.
    unsafe {
        guard::boundary(|| {
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_Query => {
                    (*context.cast::<RangeTables>()).0.push((*tree.cast::<pg_sys::Query>()).rtable);
                    ffi::query_tree_walker(tree.cast(), find_range_tables, context, 0)
                }
                _ => ffi::expression_tree_walker(tree, find_range_tables, context),
            })
        })
    }
}

/// The relations that a query names at any level, with their kinds.
///
/// # Safety
/// A Query.
pub unsafe fn relations(query: *mut pg_sys::Query) -> Vec<(pg_sys::Oid, u8)> {
    // SAFETY: the caller's promise: range tables hold entries.
    unsafe {
        let entries = range_tables(query).into_iter().flat_map(|table| list::pointers::<pg_sys::RangeTblEntry>(table));
        entries
            .filter(|entry| (**entry).rtekind == pg_sys::RTEKind::RTE_RELATION)
            .map(|entry| ((*entry).relid, (*entry).relkind as u8))
            .collect()
    }
}

/// The same, and what is named by the views among them.
///
/// # Safety
/// A Query.
pub unsafe fn relations_below(query: *mut pg_sys::Query) -> Vec<(pg_sys::Oid, u8)> {
    // SAFETY: the caller's promise.
    let mut found = unsafe { relations(query) };
    let mut next = 0;
    while let Some((relid, kind)) = found.get(next).copied() {
        next += 1;
        if kind == b'v'
            && let Some(view) = Relation::try_open(relid, pg_sys::AccessShareLock)
        {
            // SAFETY: a copy of the view's query. A rule's query names its own view as OLD and NEW.
            let named = unsafe { relations(of_view(&view)) };
            let new: Vec<_> = named.into_iter().filter(|named| !found.contains(named)).collect();
            found.extend(new);
        }
    }
    found
}

/// Analyses a SELECT with one more output, as the session would: the text names all objects with their schema, the output as the user did.
///
/// # Safety
/// A ResTarget of the parser's.
pub unsafe fn analyze_with_output(sql: &str, output: *mut pg_sys::ResTarget) -> Result<*mut pg_sys::Query> {
    let text = c_string(sql);
    // SAFETY: the caller's promise; as in `analyze`.
    unsafe {
        let statements = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT));
        let [statement] = statements[..] else { return Err(Error::internal("not one statement")) };
        if node::tag((*statement).stmt) != NodeTag::T_SelectStmt {
            return Err(Error::internal("not a SELECT"));
        }
        let select = (*statement).stmt.cast::<pg_sys::SelectStmt>();
        (*select).targetList = ffi::lappend((*select).targetList, output.cast());
        Ok(ffi::parse_analyze_fixedparams(statement, text.as_ptr(), std::ptr::null(), 0, std::ptr::null_mut()))
    }
}

/// Gives a view a query whose first columns are the view's, and the further ones to the view, as CREATE OR REPLACE VIEW does.
///
/// # Safety
/// A Query.
pub unsafe fn extend_view(view: pg_sys::Oid, query: *mut pg_sys::Query) {
    let count = Relation::open(view, pg_sys::AccessExclusiveLock).attributes().len();
    // SAFETY: fresh nodes; such a command needs no parse analysis.
    unsafe {
        let commands = column_definitions(query).into_iter().skip(count).map(|definition| {
            let command: *mut pg_sys::AlterTableCmd = node::make_node(NodeTag::T_AlterTableCmd);
            (*command).subtype = pg_sys::AlterTableType::AT_AddColumnToView;
            (*command).def = definition.cast();
            command
        });
        super::alter::run(view, &commands.collect::<Vec<_>>());
        define_view(view, query, true);
    }
}
