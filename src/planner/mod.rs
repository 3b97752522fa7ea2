//! Queries on hypertables, said so that PostgreSQL's planner leaves out chunks. `README.md` has the rules and why they are sound.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use crate::catalog::cache;
use crate::pg::{ffi, guard, list, node};

mod bucket;
mod first_last;
mod functions;
mod level;
mod moment;
mod now;
mod propagate;

/// Prepares caches; once, at server start.
pub fn init() {
    functions::init();
}

/// Whether a query reads or writes a hypertable, at any level. Costs next to nothing where no table is partitioned.
///
/// # Safety
/// `query` is a query that has been rewritten.
pub unsafe fn references_hypertable(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the lists of a Query hold what their names say.
    unsafe {
        if list::cells((*query).rtable).iter().any(|cell| entry_references(cell.ptr_value.cast())) {
            return true;
        }
        let ctes = list::pointers::<pg_sys::CommonTableExpr>((*query).cteList);
        if ctes.into_iter().any(|cte| references_hypertable((*cte).ctequery.cast())) {
            return true;
        }
        (*query).hasSubLinks && ffi::query_tree_walker(query, find_in_sublinks, std::ptr::null_mut(), SUBLINKS_ONLY)
    }
}

/// The walk over expressions need not look into what was looked into before.
const SUBLINKS_ONLY: i32 = (pg_sys::QTW_IGNORE_RT_SUBQUERIES | pg_sys::QTW_IGNORE_CTE_SUBQUERIES) as i32;

unsafe fn entry_references(entry: *mut pg_sys::RangeTblEntry) -> bool {
    // SAFETY: an entry of a range table.
    unsafe {
        match (*entry).rtekind {
            pg_sys::RTEKind::RTE_RELATION => (*entry).relkind as u8 == b'p' && cache::find((*entry).relid).is_some(),
            pg_sys::RTEKind::RTE_SUBQUERY => references_hypertable((*entry).subquery),
            _ => false,
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn find_in_sublinks(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes.
    unsafe {
        guard::boundary(|| {
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_Query => references_hypertable(tree.cast()),
                _ => ffi::expression_tree_walker(tree, find_in_sublinks, context),
            })
        })
    }
}

/// Rewrites a query that references a hypertable, at all its levels. `parameters` are those whose values the plan may rely on.
///
/// # Safety
/// `query` may be scribbled on: it is what a planner hook was given.
pub unsafe fn rewrite(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) {
    // SAFETY: the caller's promise.
    unsafe { rewrite_query(query, parameters) }
}

unsafe fn rewrite_query(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) {
    // SAFETY: the walker gets the parameters back as its context.
    unsafe {
        if (*query).commandType == pg_sys::CmdType::CMD_UTILITY {
            return;
        }
        let level = level::Level::new(query, parameters);
        level.rewrite();
        first_last::rewrite(level);
        ffi::query_tree_walker(query, rewrite_below, parameters.cast(), 0);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn rewrite_below(tree: *mut pg_sys::Node, parameters: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context that `rewrite_query` gave them.
    unsafe {
        guard::boundary(|| {
            match node::tag(tree) {
                NodeTag::T_Invalid => {}
                NodeTag::T_Query => rewrite_query(tree.cast(), parameters.cast()),
                _ => {
                    ffi::expression_tree_walker(tree, rewrite_below, parameters);
                }
            }
            Ok(false)
        })
    }
}
