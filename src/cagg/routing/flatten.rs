//! Subqueries and views that only choose columns and rows, made a part of the level that reads them, as the planner does later on: so
//! that a query of a view of a hypertable is one of the hypertable.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::level::place;
use crate::pg::expr::Expr;
use crate::pg::{ffi, list, node, query};

/// A copy of a query with what can be made a part of it; None if there is nothing.
///
/// # Safety
/// A Query.
pub unsafe fn flattened(query: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    // SAFETY: the caller's promise; the copy may be changed.
    unsafe {
        find(query)?;
        let copy: *mut pg_sys::Query = ffi::copyObjectImpl(query.cast()).cast();
        while let Some(number) = find(copy) {
            pull_up(copy, number);
        }
        Some(copy)
    }
}

/// The number in the range table of a subquery that can be made a part of the query, and that reads a partitioned table.
///
/// # Safety
/// A Query.
unsafe fn find(query: *mut pg_sys::Query) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let entries = list::pointers::<pg_sys::RangeTblEntry>((*query).rtable);
        (1..=entries.len()).find(|number| {
            let entry = &*entries[number - 1];
            entry.rtekind == pg_sys::RTEKind::RTE_SUBQUERY
                && !entry.lateral
                && !entry.security_barrier
                && entry.securityQuals.is_null()
                && is_simple(entry.subquery)
                && ((*query).groupingSets.is_null() || gives_columns(query, *number, entry.subquery))
                && place((*query).jointree.cast(), *number, false) == Some(false)
        })
    }
}

/// Whether all that a query uses of a subquery are columns there. Grouping sets put NULL in place of a column by which a set does not
/// group; of an expression that takes its place they would find the parts, or nothing.
///
/// # Safety
/// A Query and a subquery of it.
unsafe fn gives_columns(query: *mut pg_sys::Query, number: usize, subquery: *mut pg_sys::Query) -> bool {
    // SAFETY: the caller's promise; the list holds Vars.
    unsafe {
        let targets = query::targets(subquery);
        list::pointers::<pg_sys::Node>(ffi::pull_vars_of_level(query.cast(), 0)).into_iter().all(|var| {
            let Some(column) = Expr::new(var).as_column().filter(|column| column.relation == number) else { return true };
            let target = targets.iter().find(|target| target.resno == column.attribute);
            target.is_some_and(|target| Expr::new(target.expr).as_column().is_some())
        })
    }
}

/// # Safety
/// NULL or a Query.
unsafe fn is_simple(subquery: *mut pg_sys::Query) -> bool {
    // SAFETY: the fields of a Query are what their names say.
    unsafe {
        let Some(query) = subquery.as_ref() else { return false };
        let nothing = [
            query.cteList,
            query.groupClause,
            query.groupingSets,
            query.windowClause,
            query.distinctClause,
            query.sortClause,
            query.rowMarks,
            query.withCheckOptions,
        ];
        query.commandType == pg_sys::CmdType::CMD_SELECT
            && nothing.iter().all(|list| list.is_null())
            && query.setOperations.is_null()
            && query.havingQual.is_null()
            && query.limitOffset.is_null()
            && query.limitCount.is_null()
            && !(query.hasAggs || query.hasWindowFuncs || query.hasTargetSRFs || query.hasModifyingCTE)
            && !query.jointree.is_null()
            && !(*query.jointree).fromlist.is_null()
            && reads_partitioned(query)
            && !ffi::contain_volatile_functions(subquery.cast())
    }
}

/// # Safety
/// A Query.
unsafe fn reads_partitioned(query: &pg_sys::Query) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::RangeTblEntry>(query.rtable).into_iter().any(|entry| match (*entry).rtekind {
            pg_sys::RTEKind::RTE_RELATION => (*entry).relkind as u8 == b'p',
            pg_sys::RTEKind::RTE_SUBQUERY => is_simple((*entry).subquery),
            _ => false,
        })
    }
}

/// # Safety
/// A query that may be changed, and the number of a simple subquery of it.
unsafe fn pull_up(query: *mut pg_sys::Query, number: usize) {
    // SAFETY: the steps of pull_up_simple_subquery for a subquery whose columns nothing fills up with NULLs.
    unsafe {
        let entry: *mut pg_sys::RangeTblEntry = query::entry(query, number);
        let subquery = (*entry).subquery;
        let offset = list::cells((*query).rtable).len() as i32;
        ffi::OffsetVarNodes(subquery.cast(), offset, 0);
        ffi::IncrementVarSublevelsUp(subquery.cast(), -1, 1);
        put_tree((*query).jointree, number, (*subquery).jointree);
        (*query).hasSubLinks |= (*subquery).hasSubLinks;
        (*query).hasRowSecurity |= (*subquery).hasRowSecurity;
        (*query).rtable = ffi::list_concat((*query).rtable, (*subquery).rtable);
        let columns = (*subquery).targetList;
        let mut sublinks = (*query).hasSubLinks;
        let replaced: *mut pg_sys::Query = ffi::ReplaceVarsFromTargetList(
            query.cast(),
            number as i32,
            0,
            entry,
            columns,
            pg_sys::ReplaceVarsNoMatchOption::REPLACEVARS_REPORT_ERROR,
            0,
            &mut sublinks,
        )
        .cast();
        *query = *replaced;
        (*query).hasSubLinks |= sublinks;
        // Nothing refers to the entry any more: its relations stand in the query's own range table now.
        let entry = query::entry(query, number);
        entry.subquery = std::ptr::null_mut();
        entry.rtekind = pg_sys::RTEKind::RTE_RESULT;
    }
}

/// Puts a subquery's FROM and WHERE into the place of the reference to it.
///
/// # Safety
/// Parts of join trees that may be changed.
unsafe fn put_tree(from: *mut pg_sys::FromExpr, number: usize, tree: *mut pg_sys::FromExpr) {
    // SAFETY: the tags say what the nodes are.
    unsafe {
        let mut items = Vec::new();
        for item in list::pointers::<pg_sys::Node>((*from).fromlist) {
            if is_reference(item, number) {
                // Its conditions are those of the whole FROM.
                items.extend(list::pointers::<pg_sys::Node>((*tree).fromlist));
                (*from).quals = ffi::make_and_qual((*from).quals, (*tree).quals);
            } else {
                put_tree_below(item, number, tree);
                items.push(item);
            }
        }
        (*from).fromlist = list::from_pointers(items);
    }
}

/// # Safety
/// As for [`put_tree`].
unsafe fn put_tree_below(item: *mut pg_sys::Node, number: usize, tree: *mut pg_sys::FromExpr) {
    // SAFETY: the tags say what the nodes are.
    unsafe {
        match node::tag(item) {
            NodeTag::T_FromExpr => put_tree(item.cast(), number, tree),
            NodeTag::T_JoinExpr => {
                let join = &mut *item.cast::<pg_sys::JoinExpr>();
                for side in [&mut join.larg, &mut join.rarg] {
                    if is_reference(*side, number) {
                        *side = tree.cast();
                    } else {
                        put_tree_below(*side, number, tree);
                    }
                }
            }
            _ => {}
        }
    }
}

/// # Safety
/// A node of a join tree.
unsafe fn is_reference(item: *mut pg_sys::Node, number: usize) -> bool {
    // SAFETY: the tag says what the node is.
    unsafe { node::tag(item) == NodeTag::T_RangeTblRef && (*item.cast::<pg_sys::RangeTblRef>()).rtindex as usize == number }
}
