//! Conditions on the buckets that a subquery groups by, said of the time below.
//!
//! PostgreSQL moves such conditions into the subquery by itself, but only when it plans that, which is too late for what this module says
//! anew of them. So what they imply of the time is added to the subquery beforehand: rows that it leaves out would make groups, or
//! null-extended rows, which the condition leaves out above.

use pgrx::pg_sys;

use super::bucket::{Bucket, Said};
use super::level::Level;
use super::propagate::{Bound, bounds, conjoin};
use crate::pg::expr::Expr;
use crate::pg::{ffi, list};

/// How deep subqueries are followed.
const MAX_DEPTH: usize = 16;

/// Adds to the subqueries of a level what its conditions on their buckets imply.
///
/// # Safety
/// The level's query is alive and not a MERGE.
pub unsafe fn push_down(level: Level) {
    // SAFETY: the query is alive, its join tree well formed.
    unsafe {
        let from = (*level.query()).jointree;
        // Cheap where there is nothing to be done.
        let has_subquery = || list::pointers::<pg_sys::RangeTblEntry>((*level.query()).rtable).into_iter().any(|entry| is_open(&*entry));
        if from.is_null() || !has_subquery() {
            return;
        }
        for bound in bounds(level) {
            push(level, bound, MAX_DEPTH);
        }
    }
}

/// Whether conditions may pass into a subquery.
fn is_open(entry: &pg_sys::RangeTblEntry) -> bool {
    entry.rtekind == pg_sys::RTEKind::RTE_SUBQUERY && !entry.security_barrier
}

/// # Safety
/// As [`push_down`]; the bound is true of all rows of the level that matter.
unsafe fn push(level: Level, bound: Bound, depth: usize) {
    // SAFETY: the query is alive; a subquery in a range table is alive as long.
    unsafe {
        let column = level.unjoined(bound.column);
        let Some(entry) = level.relation(column.relation).filter(|entry| is_open(entry)) else { return };
        let value = bound.value.copy();
        ffi::IncrementVarSublevelsUp(value.as_ptr(), 1, 1);
        let below = Below { type_oid: bound.type_oid, attribute: column.attribute, bound: Bound { value, ..bound } };
        below.into_query(level, entry.subquery, depth);
    }
}

/// A bound on a column that a subquery gives.
#[derive(Clone, Copy)]
struct Below {
    type_oid: pg_sys::Oid,
    attribute: i16,
    bound: Bound,
}

impl Below {
    /// # Safety
    /// As [`push`]; `query` is a subquery of the level `above`.
    unsafe fn into_query(self, above: Level, query: *mut pg_sys::Query, depth: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let level = above.of(query);
            let is_cut = !(*query).limitCount.is_null() || !(*query).limitOffset.is_null();
            if depth == 0 || is_cut || (*query).hasWindowFuncs || (*query).hasTargetSRFs || !(*query).groupingSets.is_null() {
                return;
            }
            if !(*query).setOperations.is_null() {
                if is_union_all((*query).setOperations) {
                    let arms = list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).into_iter().filter(|entry| is_open(&**entry));
                    for arm in arms {
                        // One level further in.
                        let value = self.bound.value.copy();
                        ffi::IncrementVarSublevelsUp(value.as_ptr(), 1, 1);
                        Self { bound: Bound { value, ..self.bound }, ..self }.into_query(level, (*arm).subquery, depth - 1);
                    }
                }
                return;
            }
            if !(*query).distinctClause.is_null() {
                return;
            }
            let Some(target) = self.target(query) else { return };
            let target_expr = Expr::new(target.expr);
            let groups = (*query).hasAggs || !(*query).groupClause.is_null();
            if target_expr.type_oid() != self.type_oid || (groups && !is_grouped_by(query, target)) {
                return;
            }
            match target_expr.as_column() {
                Some(column) => push(level, Bound { column, ..self.bound }, depth - 1),
                None => self.add(level, target_expr),
            }
        }
    }

    /// # Safety
    /// A query with a target list.
    unsafe fn target<'a>(self, query: *mut pg_sys::Query) -> Option<&'a pg_sys::TargetEntry> {
        // SAFETY: the caller's promise.
        unsafe {
            let index = usize::try_from(self.attribute).ok()?.checked_sub(1)?;
            list::pointers::<pg_sys::TargetEntry>((*query).targetList).get(index)?.as_ref()
        }
    }

    /// Adds what the bound says of the time that is put into buckets.
    ///
    /// # Safety
    /// As [`push`].
    unsafe fn add(self, level: Level, target: Expr) {
        let Some(bucket) = Bucket::of(target) else { return };
        if !bucket.time.as_column().is_some_and(|time| level.is_time(time)) {
            return;
        }
        let said = bucket.conditions(self.bound.comparison, self.bound.value, level.parameters());
        if let Some(Said::Instead(implied) | Said::Besides(implied)) = said {
            // SAFETY: the query is alive, and has a join tree: it reads a hypertable.
            unsafe {
                let from = (*level.query()).jointree;
                (*from).quals = conjoin((*from).quals, &[implied.copy()]);
            }
        }
    }
}

/// # Safety
/// A target of the query.
unsafe fn is_grouped_by(query: *mut pg_sys::Query, target: &pg_sys::TargetEntry) -> bool {
    // SAFETY: the caller's promise.
    let mut clauses = unsafe { list::pointers::<pg_sys::SortGroupClause>((*query).groupClause) }.into_iter();
    // SAFETY: as above.
    target.ressortgroupref != 0 && clauses.any(|clause| unsafe { (*clause).tleSortGroupRef } == target.ressortgroupref)
}

/// # Safety
/// A tree of set operations.
unsafe fn is_union_all(tree: *mut pg_sys::Node) -> bool {
    // SAFETY: the tag says what the node is; leaves are references.
    unsafe {
        if crate::pg::node::tag(tree) != pg_sys::NodeTag::T_SetOperationStmt {
            return true;
        }
        let operation = &*tree.cast::<pg_sys::SetOperationStmt>();
        operation.op == pg_sys::SetOperation::SETOP_UNION && operation.all && is_union_all(operation.larg) && is_union_all(operation.rarg)
    }
}
