//! Buckets of a time zone over a continuous aggregate whose buckets know none.
//!
//! Storage's buckets lie in buckets of the zone only where its clocks are a multiple of them ahead of UTC; `cagg_valid` leaves out the
//! rest. That is computed from rows, and must not be put into the aggregate's buckets before it is put into the zone's: the live side
//! groups by both, and each side gives the zone's bucket as a column of its own. Whether the clocks fit is found out when the query
//! runs, so it is no matter if the session's zone is another one by then.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::candidate::{Arms, Candidate, renumbered};
use super::subquery::{stored_bucket, time_of};
use crate::pg::expr::{self, Column, Expr};
use crate::pg::{ffi, list, node, query};

/// Adds to a partial view's query a column for each of the calls, behind those that it has. The calls are of the column `time`. False
/// if it can't be done; the query is of no use then.
///
/// # Safety
/// A copy of the candidate's query that may be changed, and its arms.
pub unsafe fn add_buckets(partial: *mut pg_sys::Query, arms: &Arms, candidate: &Candidate, calls: &[Expr], time: Column) -> bool {
    // SAFETY: the caller's promise.
    calls.iter().zip(1..).all(|(call, number)| unsafe { add_bucket(partial, arms, candidate, *call, time, number).is_some() })
}

/// # Safety
/// As for [`add_buckets`].
unsafe fn add_bucket(
    partial: *mut pg_sys::Query,
    arms: &Arms,
    candidate: &Candidate,
    call: Expr,
    time: Column,
    number: usize,
) -> Option<()> {
    let of_rows = renumbered(call, time.relation, candidate.definition.time.relation);
    let of_groups = expr::put(of_rows, time_of(candidate), stored_bucket(arms, candidate));
    let name = format!("bucket_of_zone_{number}");
    // SAFETY: queries and entries of a copy; fresh nodes.
    unsafe {
        add_group(arms.groups, of_rows, &name)?;
        let groups = number_of(arms.live, arms.groups)?;
        let inner = add_column_name(arms.live, groups, &name)?;
        add_target(arms.live, expr::column(groups, inner, call, 0), &name)?;
        add_target(arms.stored, of_groups, &name)?;
        let (stored, live) = (number_of(partial, arms.stored)?, number_of(partial, arms.live)?);
        let attribute = add_column_name(partial, stored, &name)?;
        (add_column_name(partial, live, &name)? == attribute).then_some(())?;
        add_target(partial, expr::column(stored, attribute, call, 0), &name)?;
        if node::tag((*partial).setOperations) != NodeTag::T_SetOperationStmt {
            return None;
        }
        let operation = &mut *(*partial).setOperations.cast::<pg_sys::SetOperationStmt>();
        operation.colTypes = ffi::lappend_oid(operation.colTypes, call.type_oid());
        operation.colTypmods = ffi::lappend_int(operation.colTypmods, -1);
        operation.colCollations = ffi::lappend_oid(operation.colCollations, pg_sys::InvalidOid);
    }
    Some(())
}

/// The number of a subquery in a range table.
///
/// # Safety
/// A Query.
unsafe fn number_of(query: *mut pg_sys::Query, subquery: *mut pg_sys::Query) -> Option<usize> {
    // SAFETY: the caller's promise.
    let entries = unsafe { list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) };
    // SAFETY: as above.
    entries.iter().position(|entry| unsafe { (**entry).subquery } == subquery).map(|index| index + 1)
}

/// Adds an output, and returns it. Outputs that are not columns would come behind those that are: such queries are left alone.
///
/// # Safety
/// A Query that may be changed.
unsafe fn add_target(query: *mut pg_sys::Query, expr: Expr, name: &str) -> Option<*mut pg_sys::TargetEntry> {
    // SAFETY: the caller's promise; a fresh node.
    unsafe {
        let targets = query::targets(query);
        if targets.iter().any(|target| target.resjunk) {
            return None;
        }
        let target = ffi::makeTargetEntry(expr.as_ptr(), i16::try_from(targets.len() + 1).ok()?, node::palloc_str(name), false);
        (*query).targetList = ffi::lappend((*query).targetList, target.cast());
        Some(target)
    }
}

/// Adds an output that rows are grouped by.
///
/// # Safety
/// A Query with GROUP BY that may be changed.
unsafe fn add_group(query: *mut pg_sys::Query, expr: Expr, name: &str) -> Option<()> {
    let (less, equal) = expr::sort_operators(expr.type_oid(), false)?;
    // SAFETY: the caller's promise; a fresh node.
    unsafe {
        let reference = query::targets(query).iter().map(|target| target.ressortgroupref).max()? + 1;
        let target = add_target(query, expr, name)?;
        (*target).ressortgroupref = reference;
        let clause: *mut pg_sys::SortGroupClause = node::make_node(NodeTag::T_SortGroupClause);
        (*clause).tleSortGroupRef = reference;
        (*clause).eqop = equal;
        (*clause).sortop = less;
        (*clause).hashable = ffi::op_hashjoinable(equal, expr.type_oid());
        (*query).groupClause = ffi::lappend((*query).groupClause, clause.cast());
    }
    Some(())
}

/// Adds a name to the columns of a subquery in a range table, and returns the column's number.
///
/// # Safety
/// A Query that may be changed, and an index of its range table.
unsafe fn add_column_name(query: *mut pg_sys::Query, number: usize, name: &str) -> Option<i16> {
    // SAFETY: the caller's promise; every entry has its names.
    unsafe {
        let names = &mut (*query::entry(query, number).eref).colnames;
        *names = ffi::lappend(*names, node::make_string(name).cast());
        i16::try_from(list::cells(*names).len()).ok()
    }
}
