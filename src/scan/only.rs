//! `FROM ONLY chunk`: the row part alone, as pg_dump wants it.
//!
//! The planner forgets ONLY of a table without children (`subquery_planner` clears `inh` of all of them), so it is noted before that: in
//! `self_reference`, which means nothing for tables, and goes wherever the entry is copied.

use std::ffi::c_void;

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::{ffi, guard, list, node};

/// The walk over expressions need not look into what was looked into before.
const SUBLINKS_ONLY: i32 = (pg_sys::QTW_IGNORE_RT_SUBQUERIES | pg_sys::QTW_IGNORE_CTE_SUBQUERIES) as i32;

/// Notes where a query says ONLY, at all its levels.
///
/// # Safety
/// `query` is what a planner hook was given.
pub unsafe fn mark(query: *mut pg_sys::Query) {
    // SAFETY: the lists of a Query hold what their names say.
    unsafe {
        if (*query).commandType == pg_sys::CmdType::CMD_UTILITY {
            return;
        }
        for cell in list::cells((*query).rtable) {
            let entry = cell.ptr_value.cast::<pg_sys::RangeTblEntry>();
            match (*entry).rtekind {
                pg_sys::RTEKind::RTE_RELATION if !(*entry).inh && (*entry).relkind as u8 == b'r' => (*entry).self_reference = true,
                pg_sys::RTEKind::RTE_SUBQUERY => mark((*entry).subquery),
                _ => {}
            }
        }
        for cell in list::cells((*query).cteList) {
            mark((*cell.ptr_value.cast::<pg_sys::CommonTableExpr>()).ctequery.cast());
        }
        if (*query).hasSubLinks {
            ffi::query_tree_walker(query, mark_sublinks, std::ptr::null_mut(), SUBLINKS_ONLY);
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn mark_sublinks(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes.
    unsafe {
        guard::boundary(|| {
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_Query => {
                    mark(tree.cast());
                    false
                }
                _ => ffi::expression_tree_walker(tree, mark_sublinks, context),
            })
        })
    }
}

/// True if a query says ONLY of a table. (An entry that the planner made for a partition was copied from its parent's, which is no plain
/// table.)
pub fn is_marked(entry: &pg_sys::RangeTblEntry) -> bool {
    entry.rtekind == pg_sys::RTEKind::RTE_RELATION && entry.self_reference
}
