//! Queries on hypertables, said so that PostgreSQL's planner leaves out chunks. `README.md` has the rules and why they are sound.

use std::cell::Cell;
use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use crate::catalog::cache;
use crate::guc;
use crate::pg::{ffi, guard, list, node};

mod bucket;
mod chunkwise;
mod first_last;
mod grouped;
mod level;
mod moment;
mod now;
mod ordered;
mod propagate;

thread_local! {
    /// How many queries on hypertables are being planned, one inside the other.
    static PLANNING: Cell<u32> = const { Cell::new(0) };
}

/// Lasts while a query on hypertables is planned, after it was rewritten.
pub struct Session(#[expect(dead_code, reason = "held for its drop")] chunkwise::Restore);

impl Session {
    /// Begins the planning.
    #[expect(clippy::new_without_default, reason = "it has an effect")]
    pub fn new() -> Self {
        PLANNING.set(PLANNING.get() + 1);
        Self(chunkwise::Restore::new())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        PLANNING.set(PLANNING.get() - 1);
    }
}

/// Whether the query that is being planned has hypertables.
pub fn is_planning_hypertables() -> bool {
    PLANNING.get() > 0
}

/// Adds ways to scan a relation.
///
/// # Safety
/// As PostgreSQL calls `set_rel_pathlist_hook`.
pub unsafe fn add_scan_paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, entry: *mut pg_sys::RangeTblEntry) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION {
            return;
        }
        if (*rel).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL && (*entry).relkind as u8 == b'r' {
            ordered::add_bucket_paths(root, rel);
        } else if (*entry).relkind as u8 == b'p' && cache::find((*entry).relid).is_some() {
            ordered::add_appended_paths(root, rel);
            if guc::enable_chunkwise_aggregation() {
                chunkwise::consider(root, rel);
            }
        }
    }
}

/// The column of a relation whose buckets a query sorts or groups by first.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn wanted_bucket(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Option<i16> {
    if !is_planning_hypertables() || !guc::enable_optimizations() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { ordered::wanted_bucket(root, rel) }
}

/// Adds ways to group and to sort.
///
/// # Safety
/// As PostgreSQL calls `create_upper_paths_hook`.
pub unsafe fn add_upper_paths(root: *mut pg_sys::PlannerInfo, stage: pg_sys::UpperRelationKind::Type, output: *mut pg_sys::RelOptInfo) {
    if matches!(stage, pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG | pg_sys::UpperRelationKind::UPPERREL_ORDERED) {
        // SAFETY: the caller's promise.
        unsafe { ordered::add_appended_paths(root, output) }
    }
}

/// Whether a query reads a hypertable, at any level, or updates one or deletes from it. Costs next to nothing where no table is partitioned.
///
/// # Safety
/// `query` is a query that has been rewritten.
pub unsafe fn references_hypertable(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the lists of a Query hold what their names say.
    unsafe {
        // Where an INSERT puts its rows is not read: it needs no other plan, and its VALUES may be many.
        let target = if (*query).commandType == pg_sys::CmdType::CMD_INSERT { (*query).resultRelation as usize } else { 0 };
        let mut entries = list::cells((*query).rtable).iter().enumerate().filter(|(index, _)| index + 1 != target);
        if entries.any(|(_, cell)| entry_references(cell.ptr_value.cast())) {
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
