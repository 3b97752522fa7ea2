//! From path to plan.
//!
//! The scan tuple (`custom_scan_tlist`) holds the columns of the relation's target, as the row part's plan hands them on, then those that
//! only conditions need. Conditions on vectors are `custom_exprs`. The private data is empty, or an order (`order::to_list`) and a list
//! of integers: whether the rows of the row part have to be sorted, and, if only first rows are wanted, a number that all scans of a
//! query share. Of a TABLESAMPLE there is a third list: whether it goes by vector, and how many of the last `custom_exprs` are its own.

use pgrx::pg_sys::{self, NodeTag};

use super::path::node_methods;
use super::sample;
use crate::columnar::filter::Filter;
use crate::columnar::layout::Layout;
use crate::error::{Error, Result};
use crate::guc;
use crate::pg::guard::boundary;
use crate::pg::{ffi, list, node};

/// Read by PostgreSQL only.
struct Methods(pg_sys::CustomPathMethods);
// SAFETY: a constant table of function pointers.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods(pg_sys::CustomPathMethods {
    CustomName: c"ColumnarScan".as_ptr(),
    PlanCustomPath: Some(make_plan),
    ReparameterizeCustomPathByChild: None,
});

/// The methods of ColumnarScan's paths.
pub fn methods() -> *const pg_sys::CustomPathMethods {
    &raw const METHODS.0
}

/// Conditions for vectors, and conditions for rows.
pub type Split = (Vec<*mut pg_sys::RestrictInfo>, Vec<*mut pg_sys::RestrictInfo>);

/// Divides conditions into those that are evaluated on vectors, before all others, and the rest. What may tell of rows that a condition
/// of a lower security level hides stays behind that one. Conditions without columns are left out: a Result node evaluates them.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn split(clauses: &[*mut pg_sys::RestrictInfo], varno: i32, layout: &Layout) -> Split {
    // SAFETY: the caller's promise.
    unsafe {
        let clauses: Vec<_> = clauses.iter().copied().filter(|clause| !(**clause).pseudoconstant).collect();
        let least = clauses.iter().map(|clause| (**clause).security_level).min().unwrap_or(0);
        clauses.into_iter().partition(|clause| {
            guc::enable_columnar_scan_filter_pushdown()
                && ((**clause).security_level == least || (**clause).leakproof)
                && Filter::accepts((**clause).clause.cast(), varno, layout)
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn make_plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    targets: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    children: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe { boundary(|| plan(root, rel, path, targets, clauses, children)) }
}

unsafe fn plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    targets: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    children: *mut pg_sys::List,
) -> Result<*mut pg_sys::Plan> {
    // SAFETY: nodes of the running planner.
    unsafe {
        let layout = super::estimate::layout_of(root, rel)
            .ok_or_else(|| Error::internal("a chunk lost its columnar part while a query on it was planned"))?;
        let varno = (*rel).relid as i32;
        let (filter, rest) = split(&list::pointers(clauses), varno, &layout);
        let bare = |clauses: Vec<*mut pg_sys::RestrictInfo>| {
            list::from_pointers(clauses.into_iter().map(|clause| (*clause).clause.cast::<pg_sys::Node>()))
        };
        let (filter, rest) = (bare(filter), bare(rest));
        let mut private = (*path).custom_private;
        let mut expressions = filter;
        let entry = *(*root).simple_rte_array.add((*rel).relid as usize);
        if !(*entry).tablesample.is_null() {
            let (by_vector, arguments) = sample::to_lists((*entry).tablesample);
            let numbers = [by_vector, list::cells(arguments).len() as i32];
            let numbers = numbers.into_iter().fold(std::ptr::null_mut(), |list, number| ffi::lappend_int(list, number));
            private = list::from_pointers([std::ptr::null_mut(), std::ptr::null_mut(), numbers]);
            expressions = ffi::list_concat(ffi::list_copy(filter), arguments);
        }
        let scan: *mut pg_sys::CustomScan = node::make_node(NodeTag::T_CustomScan);
        (*scan).scan.plan.targetlist = targets;
        (*scan).scan.plan.qual = rest;
        (*scan).scan.scanrelid = (*rel).relid;
        (*scan).flags = (*path).flags;
        (*scan).custom_plans = children;
        (*scan).custom_exprs = expressions;
        let [child] = list::pointers::<pg_sys::Path>((*path).custom_paths)[..] else {
            return Err(Error::internal("a path of ColumnarScan has one child"));
        };
        (*scan).custom_scan_tlist = scan_targets((*(*child).pathtarget).exprs, &[filter, rest], varno);
        (*scan).custom_private = private;
        (*scan).methods = node_methods().scan;
        Ok(scan.cast())
    }
}

/// The conditions on vectors of a finished plan.
///
/// # Safety
/// A plan of ColumnarScan.
pub unsafe fn conditions(plan: *mut pg_sys::CustomScan) -> Vec<*mut pg_sys::Node> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut expressions = list::pointers((*plan).custom_exprs);
        let others = sample(plan).map_or(0, |(_, arguments)| arguments.len());
        expressions.truncate(expressions.len() - others);
        expressions
    }
}

/// The TABLESAMPLE of a finished plan: whether it goes by vector, and its expressions.
///
/// # Safety
/// A plan of ColumnarScan.
pub unsafe fn sample(plan: *mut pg_sys::CustomScan) -> Option<(bool, Vec<*mut pg_sys::Expr>)> {
    // SAFETY: the third list of the private data holds two integers.
    unsafe {
        let numbers = list::ints(*list::pointers::<pg_sys::List>((*plan).custom_private).get(2)?);
        let [by_vector, count] = numbers[..] else { return None };
        let mut expressions = list::pointers((*plan).custom_exprs);
        let arguments = expressions.split_off(expressions.len() - count as usize);
        Some((by_vector != 0, arguments))
    }
}

/// The target list of the scan tuple: these columns, then the others that conditions refer to.
///
/// # Safety
/// As [`plan`].
unsafe fn scan_targets(columns: *mut pg_sys::List, conditions: &[*mut pg_sys::List], varno: i32) -> *mut pg_sys::List {
    // SAFETY: the elements of the lists are Vars.
    unsafe {
        let mut vars = list::pointers::<pg_sys::Var>(columns);
        for condition in conditions {
            for var in list::pointers::<pg_sys::Var>(ffi::pull_var_clause((*condition).cast(), pg_sys::PVC_RECURSE_PLACEHOLDERS as i32)) {
                if (*var).varno == varno && !vars.iter().any(|known| (**known).varattno == (*var).varattno) {
                    vars.push(var);
                }
            }
        }
        list::from_pointers(vars.into_iter().enumerate().map(|(index, var)| {
            ffi::makeTargetEntry(ffi::copyObjectImpl(var.cast()).cast(), index as i16 + 1, std::ptr::null_mut(), false)
        }))
    }
}
