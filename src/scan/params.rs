//! Which other relations' values a scan of batches may be given, to find the few that join with a row.

use std::ffi::c_void;

use pgrx::pg_sys::{self, NodeTag};

use super::estimate::Estimate;
use crate::columnar::layout::Layout;
use crate::pg::ffi::raw;
use crate::pg::guard::guard;
use crate::pg::{ffi, list, node};

/// What PostgreSQL's callback gets.
struct Wanted {
    relation: i32,
    attribute: i16,
}

/// The sets of relations that parameters could come from: of join clauses on keys, or on columns that an index leads with, for which the
/// hypertable's other chunks have such paths.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn sources(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    layout: &Layout,
    estimate: &Estimate,
) -> Vec<pg_sys::Relids> {
    let mut found: Vec<pg_sys::Relids> = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        if (*rel).joininfo.is_null() && !(*rel).has_eclass_joins {
            return found;
        }
        let columns = columns(layout, estimate);
        for clause in list::pointers::<pg_sys::RestrictInfo>((*rel).joininfo) {
            if mentions(rel, clause, &columns) {
                add(rel, clause, &mut found);
            }
        }
        if (*rel).has_eclass_joins {
            for attribute in columns {
                let mut wanted = Wanted { relation: (*rel).relid as i32, attribute };
                let argument = (&raw mut wanted).cast::<c_void>();
                // SAFETY: the callback reads the argument and nodes, and the closure holds plain values.
                let clauses =
                    guard(|| raw::generate_implied_equalities_for_column(root, rel, Some(is_wanted), argument, (*rel).lateral_referencers));
                for clause in list::pointers::<pg_sys::RestrictInfo>(clauses) {
                    add(rel, clause, &mut found);
                }
            }
        }
    }
    found
}

/// # Safety
/// As [`sources`].
unsafe fn columns(layout: &Layout, estimate: &Estimate) -> Vec<i16> {
    let mut columns: Vec<i16> = layout.keys.iter().map(|key| layout.columns[key.column].attribute).collect();
    // SAFETY: an index has at least one key.
    unsafe {
        columns.extend(list::pointers::<pg_sys::IndexOptInfo>(estimate.indexes).into_iter().map(|index| *(*index).indexkeys as i16));
    }
    columns.retain(|attribute| *attribute > 0);
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// # Safety
/// As [`sources`].
unsafe fn mentions(rel: *mut pg_sys::RelOptInfo, clause: *mut pg_sys::RestrictInfo, columns: &[i16]) -> bool {
    // SAFETY: the elements of the list are Vars.
    unsafe {
        let vars = ffi::pull_var_clause((*clause).clause.cast(), pg_sys::PVC_RECURSE_PLACEHOLDERS as i32);
        list::pointers::<pg_sys::Var>(vars).into_iter().any(|var| (*var).varno == (*rel).relid as i32 && columns.contains(&(*var).varattno))
    }
}

/// # Safety
/// As [`sources`].
unsafe fn add(rel: *mut pg_sys::RelOptInfo, clause: *mut pg_sys::RestrictInfo, found: &mut Vec<pg_sys::Relids>) {
    // SAFETY: the caller's promise.
    unsafe {
        if !ffi::join_clause_is_movable_to(clause, rel) {
            return;
        }
        let outer = ffi::bms_union((*clause).clause_relids, (*rel).lateral_relids);
        add_set(ffi::bms_del_member(outer, (*rel).relid as i32), found);
    }
}

/// Adds a set that is not empty, once.
///
/// # Safety
/// A set of the running planner.
pub unsafe fn add_set(set: pg_sys::Relids, found: &mut Vec<pg_sys::Relids>) {
    // SAFETY: the caller's promise.
    unsafe {
        if !set.is_null() && !found.iter().any(|known| ffi::bms_equal(*known, set)) {
            found.push(set);
        }
    }
}

/// No guard: it only compares.
unsafe extern "C-unwind" fn is_wanted(
    _root: *mut pg_sys::PlannerInfo,
    _rel: *mut pg_sys::RelOptInfo,
    _class: *mut pg_sys::EquivalenceClass,
    member: *mut pg_sys::EquivalenceMember,
    argument: *mut c_void,
) -> bool {
    // SAFETY: the argument is that of `sources`; the tag says that the expression is a Var.
    unsafe {
        let wanted = &*argument.cast::<Wanted>();
        let mut expression = (*member).em_expr;
        while node::tag(expression) == NodeTag::T_RelabelType {
            expression = (*expression.cast::<pg_sys::RelabelType>()).arg;
        }
        if node::tag(expression) != NodeTag::T_Var {
            return false;
        }
        let var = &*expression.cast::<pg_sys::Var>();
        var.varno == wanted.relation && var.varattno == wanted.attribute
    }
}
