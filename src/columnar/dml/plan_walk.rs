//! What a finished plan says of the rows that it takes from a relation: the scans' conditions.

use std::ffi::c_void;

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::{ffi, list, node};

/// All nodes of a statement's plans.
///
/// # Safety
/// A finished plan.
pub unsafe fn nodes(statement: *mut pg_sys::PlannedStmt) -> Vec<*mut pg_sys::Plan> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut roots = vec![(*statement).planTree];
        roots.extend(list::pointers::<pg_sys::Plan>((*statement).subplans));
        roots.retain(|plan| !plan.is_null());
        roots.into_iter().flat_map(|root| below(root)).collect()
    }
}

/// A node and all nodes below it, but for those of subplans.
///
/// # Safety
/// A node of a finished plan.
pub unsafe fn below(plan: *mut pg_sys::Plan) -> Vec<*mut pg_sys::Plan> {
    let mut found = vec![plan];
    let mut next = 0;
    while next < found.len() {
        // SAFETY: a node of the plan.
        found.extend(unsafe { children(found[next]) });
        next += 1;
    }
    found
}

/// The nodes right below a node.
///
/// # Safety
/// A node of a finished plan.
pub unsafe fn children(plan: *mut pg_sys::Plan) -> Vec<*mut pg_sys::Plan> {
    // SAFETY: the tag says what the node is.
    unsafe {
        let mut found = vec![(*plan).lefttree, (*plan).righttree];
        match node::tag(plan) {
            NodeTag::T_Append => found.extend(list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::Append>()).appendplans)),
            NodeTag::T_MergeAppend => found.extend(list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::MergeAppend>()).mergeplans)),
            NodeTag::T_SubqueryScan => found.push((*plan.cast::<pg_sys::SubqueryScan>()).subplan),
            NodeTag::T_BitmapAnd => found.extend(list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::BitmapAnd>()).bitmapplans)),
            NodeTag::T_BitmapOr => found.extend(list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::BitmapOr>()).bitmapplans)),
            NodeTag::T_CustomScan => found.extend(list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::CustomScan>()).custom_plans)),
            _ => {}
        }
        found.retain(|plan| !plan.is_null());
        found
    }
}

/// The relation (index into the range table) that a node scans as a whole, or by its own conditions; 0 for other nodes.
///
/// # Safety
/// A node of a finished plan.
pub unsafe fn scanned(plan: *mut pg_sys::Plan) -> i32 {
    // SAFETY: all these begin with a Scan.
    unsafe {
        match node::tag(plan) {
            NodeTag::T_SeqScan
            | NodeTag::T_SampleScan
            | NodeTag::T_IndexScan
            | NodeTag::T_IndexOnlyScan
            | NodeTag::T_BitmapHeapScan
            | NodeTag::T_TidScan
            | NodeTag::T_TidRangeScan
            | NodeTag::T_ForeignScan
            | NodeTag::T_CustomScan => (*plan.cast::<pg_sys::Scan>()).scanrelid as i32,
            _ => 0,
        }
    }
}

/// The conditions that every row meets which a scan gives out, and whether they are all that it asks of a row. Those of an index are
/// among them in their original form.
///
/// # Safety
/// A node that [`scanned`] knows.
pub unsafe fn conditions(plan: *mut pg_sys::Plan) -> (Vec<*mut pg_sys::Node>, bool) {
    // SAFETY: the tag says what the node is.
    unsafe {
        let (more, all) = match node::tag(plan) {
            NodeTag::T_SeqScan => (std::ptr::null_mut(), true),
            NodeTag::T_IndexScan => ((*plan.cast::<pg_sys::IndexScan>()).indexqualorig, true),
            NodeTag::T_BitmapHeapScan => ((*plan.cast::<pg_sys::BitmapHeapScan>()).bitmapqualorig, true),
            NodeTag::T_SampleScan | NodeTag::T_TidScan | NodeTag::T_TidRangeScan => (std::ptr::null_mut(), false),
            _ => return (Vec::new(), false),
        };
        let mut found: Vec<*mut pg_sys::Node> = list::pointers((*plan).qual);
        found.extend(list::pointers::<pg_sys::Node>(more));
        (found, all)
    }
}

/// True if a condition has the same value before the statement runs as while it runs: it refers to columns of one relation, constants and
/// the statement's parameters only.
///
/// # Safety
/// An expression of a finished plan.
pub unsafe fn is_known(condition: *mut pg_sys::Node, relation: i32) -> bool {
    let mut relation = relation;
    // SAFETY: the walker reads the tree only.
    unsafe { !ffi::contain_volatile_functions(condition) && !walk_unknown(condition, (&raw mut relation).cast()) }
}

/// The same, but for parameters that get their values while the statement runs.
///
/// # Safety
/// As [`is_known`].
pub unsafe fn is_known_but_for_parameters(condition: *mut pg_sys::Node, relation: i32) -> bool {
    let mut relation = -relation;
    // SAFETY: the walker reads the tree only.
    unsafe { !ffi::contain_volatile_functions(condition) && !walk_unknown(condition, (&raw mut relation).cast()) }
}

/// Finds what [`is_known`] excludes. The context is the index of a relation, negative if parameters of the executor are no matter.
unsafe extern "C-unwind" fn walk_unknown(expression: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if expression.is_null() {
        return false;
    }
    // SAFETY: the tag says what the node is; the context is a relation's index.
    unsafe {
        match node::tag(expression) {
            NodeTag::T_Var => {
                let var = &*expression.cast::<pg_sys::Var>();
                var.varno != (*context.cast::<i32>()).abs() || var.varlevelsup != 0 || var.varattno <= 0
            }
            NodeTag::T_Param => {
                let kind = (*expression.cast::<pg_sys::Param>()).paramkind;
                let is_executors = kind == pg_sys::ParamKind::PARAM_EXEC && *context.cast::<i32>() < 0;
                kind != pg_sys::ParamKind::PARAM_EXTERN && !is_executors
            }
            NodeTag::T_SubPlan | NodeTag::T_AlternativeSubPlan | NodeTag::T_SubLink | NodeTag::T_CurrentOfExpr => true,
            _ => ffi::raw::expression_tree_walker(expression, walk_unknown, context),
        }
    }
}

/// True if rows are kept from the statement's user by conditions that must be evaluated before any other that could tell of them.
///
/// # Safety
/// A finished plan.
pub unsafe fn is_guarded(statement: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the range table holds RangeTblEntry nodes.
    unsafe {
        (*statement).dependsOnRole
            || list::pointers::<pg_sys::RangeTblEntry>((*statement).rtable)
                .into_iter()
                .any(|entry| (*entry).security_barrier || is_view(entry))
    }
}

/// A view that the statement changes through: it may be a security barrier.
///
/// # Safety
/// An entry of a range table.
unsafe fn is_view(entry: *mut pg_sys::RangeTblEntry) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION && (*entry).relkind as u8 == b'v' }
}
