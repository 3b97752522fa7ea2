//! Rows of a large INSERT that go straight into columns: the guard takes them out of the stream, and ModifyTable never sees them.

use pgrx::pg_sys;

use super::guard::{ChunkGuard, modify_state};
use crate::columnar::direct::{Direct, Way};
use crate::custom::State;
use crate::pg::ffi::raw;
use crate::pg::guard::boundary;

/// Statements that are expected to insert fewer rows take the usual way.
const FEWEST_ROWS: f64 = 10.0;

/// Whether single rows are of no concern to the statement.
///
/// # Safety
/// A running INSERT, above a guard.
unsafe fn qualifies(modify: *mut pg_sys::ModifyTableState) -> bool {
    // SAFETY: the plan of a ModifyTableState is a ModifyTable.
    unsafe {
        let plan = &*(*modify).ps.plan.cast::<pg_sys::ModifyTable>();
        let root = &*(*modify).rootResultRelInfo;
        (*modify).operation == pg_sys::CmdType::CMD_INSERT
            && plan.plan.lefttree.as_ref().is_some_and(|child| child.plan_rows >= FEWEST_ROWS)
            && plan.onConflictAction == pg_sys::OnConflictAction::ONCONFLICT_NONE
            && plan.returningLists.is_null()
            && (*modify).mt_transition_capture.is_null()
            && root.ri_WithCheckOptions.is_null()
            && !root.ri_projectNewInfoValid
            && root.ri_TrigDesc.as_ref().is_none_or(|triggers| !triggers.trig_insert_before_row && !triggers.trig_insert_after_row)
            && (*(*modify).ps.state).es_epq_active.is_null()
    }
}

/// Takes a row, if it can go straight into columns; false if ModifyTable is to insert it.
///
/// # Safety
/// The guard runs, and a chunk covers the row. May jump.
pub(super) unsafe fn divert(state: &mut State<ChunkGuard>, row: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's promise; the sequence is that of ExecInsert for a row that is routed.
    unsafe {
        let Some(modify) = modify_state(state) else { return false };
        let estate = state.scan.ss.ps.state;
        if !state.node.direct_decided {
            state.node.direct_decided = true;
            if qualifies(modify) {
                state.node.direct = Direct::for_statement((*estate).es_query_cxt);
            }
        }
        let Some(direct) = state.node.direct.as_mut() else { return false };
        let chunk = raw::ExecFindPartition(modify, (*modify).rootResultRelInfo, (*modify).mt_partition_tuple_routing, row, estate);
        if state.node.direct_previous.0 != chunk {
            let way = boundary(|| direct.enter(chunk));
            state.node.direct_previous = (chunk, way == Way::Columns);
        }
        if !state.node.direct_previous.1 {
            return false;
        }
        let map = (*chunk).ri_RootToPartitionMap;
        let row = if map.is_null() { row } else { raw::execute_attr_map_slot((*map).attrMap, row, (*chunk).ri_PartitionTupleSlot) };
        let relation = (*chunk).ri_RelationDesc;
        (*row).tts_tableOid = (*relation).rd_id;
        if !(*(*relation).rd_att).constr.is_null() {
            raw::ExecConstraints(chunk, row, estate);
        }
        direct.push((*relation).rd_id, row);
        if (*modify).canSetTag {
            (*estate).es_processed += 1;
        }
        true
    }
}

/// Writes what waits; the rows have ended.
///
/// # Safety
/// The guard runs. May jump.
pub(super) unsafe fn finish(state: &mut State<ChunkGuard>) {
    // SAFETY: called from `next`, with nothing pending.
    unsafe {
        if let Some(direct) = state.node.direct.as_mut() {
            boundary(|| direct.end());
        }
    }
}
