//! Running a part of a statement's plan by itself, before the statement starts: a subquery, or the other side of a join.

use pgrx::pg_sys::{self, NodeTag};

use super::plan_walk;
use crate::pg::guard::guard;
use crate::pg::{ffi, list, node, slot};

/// True if a part of a plan can be run beforehand: it depends on no other part, does nothing but read, and reads no
/// table whose rows are about to be moved (`targets` are indexes in the range table). EvalPlanQual's parameters (`idle`) have no value.
///
/// # Safety
/// A node of a finished plan.
pub unsafe fn is_repeatable(part: *mut pg_sys::Plan, targets: &[i32], idle: &[i32]) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        members((*part).extParam).all(|parameter| idle.contains(&parameter))
            && plan_walk::below(part).into_iter().all(|plan| {
                (*plan).initPlan.is_null()
                    && !targets.contains(&plan_walk::scanned(plan))
                    && expressions(plan).is_some_and(|lists| lists.into_iter().all(|expressions| is_pure(expressions)))
            })
    }
}

/// The parameters by which EvalPlanQual tells the nodes below that it is at work.
///
/// # Safety
/// Nodes of a finished plan.
pub unsafe fn idle_parameters(nodes: &[*mut pg_sys::Plan]) -> Vec<i32> {
    let parameter = |plan: &*mut pg_sys::Plan| {
        // SAFETY: the tag says what the node is.
        unsafe {
            match node::tag(*plan) {
                NodeTag::T_ModifyTable => Some((*plan.cast::<pg_sys::ModifyTable>()).epqParam),
                NodeTag::T_LockRows => Some((*plan.cast::<pg_sys::LockRows>()).epqParam),
                _ => None,
            }
        }
    };
    nodes.iter().filter_map(parameter).collect()
}

/// # Safety
/// NULL or a set that is not changed meanwhile.
unsafe fn members(set: *mut pg_sys::Bitmapset) -> impl Iterator<Item = i32> {
    let mut last = -1;
    std::iter::from_fn(move || {
        // SAFETY: the caller's promise.
        last = unsafe { ffi::bms_next_member(set, last) };
        (last >= 0).then_some(last)
    })
}

/// True if the rows are the same ones each time, not some of them or some result of their order.
///
/// # Safety
/// A node of a finished plan.
pub unsafe fn is_determined(part: *mut pg_sys::Plan) -> bool {
    // SAFETY: the tag says what the node is.
    unsafe {
        plan_walk::below(part).into_iter().all(|plan| match node::tag(plan) {
            NodeTag::T_Limit => false,
            NodeTag::T_Agg => !ffi::contain_agg_clause((*plan).targetlist.cast()) && !ffi::contain_agg_clause((*plan).qual.cast()),
            // DISTINCT ON takes any row.
            NodeTag::T_Unique => (*plan.cast::<pg_sys::Unique>()).numCols as usize >= list::cells((*plan).targetlist).len(),
            _ => true,
        })
    }
}

/// # Safety
/// An expression, or a list of them.
unsafe fn is_pure(expressions: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise.
    unsafe { !ffi::contain_volatile_functions(expressions) && !ffi::contain_subplans(expressions) }
}

/// All expressions of a node; None for a kind of node that is not known to do nothing but read.
///
/// # Safety
/// A node of a finished plan.
unsafe fn expressions(plan: *mut pg_sys::Plan) -> Option<Vec<*mut pg_sys::Node>> {
    // SAFETY: the tag says what the node is.
    unsafe {
        let mut found = vec![(*plan).targetlist.cast(), (*plan).qual.cast()];
        match node::tag(plan) {
            NodeTag::T_SeqScan
            | NodeTag::T_BitmapAnd
            | NodeTag::T_BitmapOr
            | NodeTag::T_SubqueryScan
            | NodeTag::T_Append
            | NodeTag::T_MergeAppend
            | NodeTag::T_Sort
            | NodeTag::T_IncrementalSort
            | NodeTag::T_SetOp
            | NodeTag::T_Agg
            | NodeTag::T_Group
            | NodeTag::T_Unique
            | NodeTag::T_Material
            | NodeTag::T_ProjectSet => {}
            NodeTag::T_Result => found.push((*plan.cast::<pg_sys::Result>()).resconstantqual),
            NodeTag::T_ValuesScan => found.push((*plan.cast::<pg_sys::ValuesScan>()).values_lists.cast()),
            NodeTag::T_FunctionScan => {
                let functions = list::pointers::<pg_sys::RangeTblFunction>((*plan.cast::<pg_sys::FunctionScan>()).functions);
                found.extend(functions.into_iter().map(|function| (*function).funcexpr));
            }
            NodeTag::T_IndexScan => found.push((*plan.cast::<pg_sys::IndexScan>()).indexqual.cast()),
            NodeTag::T_IndexOnlyScan => found.push((*plan.cast::<pg_sys::IndexOnlyScan>()).indexqual.cast()),
            NodeTag::T_BitmapIndexScan => found.push((*plan.cast::<pg_sys::BitmapIndexScan>()).indexqual.cast()),
            NodeTag::T_BitmapHeapScan => found.push((*plan.cast::<pg_sys::BitmapHeapScan>()).bitmapqualorig.cast()),
            NodeTag::T_CustomScan => found.push((*plan.cast::<pg_sys::CustomScan>()).custom_exprs.cast()),
            NodeTag::T_NestLoop => found.push((*plan.cast::<pg_sys::Join>()).joinqual.cast()),
            NodeTag::T_HashJoin => {
                found.push((*plan.cast::<pg_sys::Join>()).joinqual.cast());
                found.push((*plan.cast::<pg_sys::HashJoin>()).hashclauses.cast());
            }
            NodeTag::T_MergeJoin => {
                found.push((*plan.cast::<pg_sys::Join>()).joinqual.cast());
                found.push((*plan.cast::<pg_sys::MergeJoin>()).mergeclauses.cast());
            }
            NodeTag::T_Hash => found.push((*plan.cast::<pg_sys::Hash>()).hashkeys.cast()),
            NodeTag::T_Limit => {
                let limit = plan.cast::<pg_sys::Limit>();
                found.extend([(*limit).limitOffset, (*limit).limitCount]);
            }
            _ => return None,
        }
        Some(found)
    }
}

/// Calls `each` with the rows of a part of a statement's plan, until it returns false.
///
/// # Safety
/// The statement is about to be started; the part [`is_repeatable`]. `each` is called without a guard: it may jump, and holds nothing with a
/// destructor while it calls PostgreSQL.
pub unsafe fn rows(query: *mut pg_sys::QueryDesc, part: *mut pg_sys::Plan, mut each: impl FnMut(*mut pg_sys::TupleTableSlot) -> bool) {
    let each = &mut each;
    // SAFETY: a statement of its own, with the same relations, parameters and snapshot. What it has opened is closed at the end, or by the
    // resource owner.
    unsafe {
        let statement = ffi::palloc(size_of::<pg_sys::PlannedStmt>()).cast::<pg_sys::PlannedStmt>();
        statement.copy_from_nonoverlapping((*query).plannedstmt, 1);
        (*statement).commandType = pg_sys::CmdType::CMD_SELECT;
        (*statement).hasReturning = false;
        (*statement).hasModifyingCTE = false;
        (*statement).parallelModeNeeded = false;
        (*statement).planTree = part;
        (*statement).resultRelations = std::ptr::null_mut();
        (*statement).subplans = std::ptr::null_mut();
        (*statement).rowMarks = std::ptr::null_mut();
        let run = ffi::CreateQueryDesc(
            statement,
            (*query).sourceText,
            (*query).snapshot,
            std::ptr::null_mut(),
            pg_sys::None_Receiver,
            (*query).params,
            (*query).queryEnv,
            0,
        );
        ffi::ExecutorStart(run, pg_sys::EXEC_FLAG_SKIP_TRIGGERS as i32);
        let state = (*run).planstate;
        guard(|| {
            if let Some(next) = (*state).ExecProcNode {
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = (*(*run).estate).es_query_cxt;
                loop {
                    if pg_sys::InterruptPending != 0 {
                        ffi::raw::ProcessInterrupts();
                    }
                    let row = next(state);
                    if slot::is_null(row) || !each(row) {
                        break;
                    }
                }
                pg_sys::CurrentMemoryContext = outer;
            }
        });
        ffi::ExecutorFinish(run);
        ffi::ExecutorEnd(run);
        ffi::FreeQueryDesc(run);
    }
}
