//! EvalPlanQual: instead of its rows the node gives the one row that is to be tested. The protocol is that of `ExecScanFetch`.

use pgrx::pg_sys::{self, NodeTag};

use super::columns;
use super::exec::{ColumnarScan, holds, keep, project};
use super::plan;
use crate::custom::State;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::boundary;
use crate::pg::{guard, list, node, slot};

/// What is needed to test a row.
#[derive(Clone, Copy)]
pub struct Substitute {
    /// For the row as the chunk has it.
    row: *mut pg_sys::TupleTableSlot,
    /// For a row as the table has it that the statement names.
    carried: *mut pg_sys::TupleTableSlot,
    /// From the latter to the former, if they differ.
    map: *mut pg_sys::AttrMap,
    /// The conditions on vectors, on the scan tuple.
    conditions: *mut pg_sys::ExprState,
}

/// The row to give in place of the next one: None if EvalPlanQual has none for this table, which is then read as ever.
///
/// # Safety
/// As [`crate::custom::Node::next`], within EvalPlanQual.
#[cold]
pub unsafe fn substitute(state: &mut State<ColumnarScan>) -> Option<*mut pg_sys::TupleTableSlot> {
    // SAFETY: the arrays have an element for each table of the range table.
    unsafe {
        let epq = (*state.scan.ss.ps.state).es_epq_active;
        let index = (*state.scan.ss.ps.plan.cast::<pg_sys::Scan>()).scanrelid;
        let place = index as usize - 1;
        let given = *(*epq).relsubs_slot.add(place);
        let is_marked = !(*(*epq).relsubs_rowmark.add(place)).is_null();
        if !*(*epq).relsubs_done.add(place) {
            if given.is_null() && !is_marked {
                return None;
            }
            *(*epq).relsubs_done.add(place) = true;
            let row = boundary(|| Ok(fetch(state, epq, index, given)));
            if let Some(row) = row {
                return Some(row);
            }
        }
        let scan = state.scan.ss.ss_ScanTupleSlot;
        let empty = state.scan.ss.ps.ps_ProjInfo.as_ref().map_or(scan, |projection| projection.pi_state.resultslot);
        slot::clear(empty);
        Some(empty)
    }
}

/// # Safety
/// As [`substitute`].
unsafe fn fetch(
    state: &mut State<ColumnarScan>,
    epq: *mut pg_sys::EPQState,
    index: pg_sys::Index,
    given: *mut pg_sys::TupleTableSlot,
) -> Option<*mut pg_sys::TupleTableSlot> {
    // SAFETY: the caller's promise.
    unsafe {
        let tools = tools(state, epq, index);
        let row = if !given.is_null() {
            given
        } else if !ffi::EvalPlanQualFetchRowMark(epq, index, tools.carried) {
            return None;
        } else if tools.map.is_null() {
            tools.carried
        } else {
            ffi::execute_attr_map_slot(tools.map, tools.carried, tools.row)
        };
        if slot::is_null(row) {
            return None;
        }
        let scan = state.scan.ss.ss_ScanTupleSlot;
        guard::guard(|| to_scan_tuple(state, row, scan));
        let econtext = state.scan.ss.ps.ps_ExprContext;
        (*econtext).ecxt_scantuple = scan;
        let meets = tools.conditions.is_null() || guard::guard(|| holds(tools.conditions, econtext));
        if !meets {
            return None;
        }
        let ps = &raw mut state.scan.ss.ps;
        guard::guard(|| project(&mut *ps, scan, true))
    }
}

/// # Safety
/// As [`substitute`].
unsafe fn tools(state: &mut State<ColumnarScan>, epq: *mut pg_sys::EPQState, index: pg_sys::Index) -> Substitute {
    // SAFETY: the caller's promise. What is made here lives as long as the query.
    unsafe {
        if state.node.substitute.is_null() {
            let estate = state.scan.ss.ps.state;
            let plan = state.scan.ss.ps.plan.cast::<pg_sys::CustomScan>();
            let chunk = state.scan.ss.ss_currentRelation;
            let tools = crate::pg::context::with_context((*estate).es_query_cxt, || {
                // Copies, which slots don't pin.
                let own = ffi::CreateTupleDescCopy((*chunk).rd_att);
                let parent = parent_descriptor(epq, index);
                Substitute {
                    row: ffi::MakeSingleTupleTableSlot(own, &raw const pg_sys::TTSOpsVirtual),
                    carried: ffi::MakeSingleTupleTableSlot(parent.unwrap_or(own), &raw const pg_sys::TTSOpsHeapTuple),
                    map: parent.map_or(std::ptr::null_mut(), |parent| ffi::build_attrmap_by_name(parent, own)),
                    conditions: ffi::ExecInitQual(list::from_pointers(plan::conditions(plan)), &raw mut state.scan.ss.ps),
                }
            });
            state.node.substitute = keep(estate, tools);
        }
        *state.node.substitute
    }
}

/// The descriptor of the table that a statement names, of which the chunk is a partition: a row that is carried along has its columns.
unsafe fn parent_descriptor(epq: *mut pg_sys::EPQState, index: pg_sys::Index) -> Option<pg_sys::TupleDesc> {
    // SAFETY: as for `tools`. The statement keeps its tables locked.
    unsafe {
        let mark = *(*epq).relsubs_rowmark.add(index as usize - 1);
        let mark = mark.as_ref()?.rowmark.as_ref()?;
        if mark.prti == mark.rti {
            return None;
        }
        let entries = list::pointers::<pg_sys::RangeTblEntry>((*(*epq).parentestate).es_range_table);
        let parent = crate::pg::relation::Relation::open((*entries[mark.prti as usize - 1]).relid, pg_sys::NoLock);
        Some(ffi::CreateTupleDescCopy(crate::pg::relation::descriptor(&parent)))
    }
}

/// Makes the scan tuple of a row of the chunk. System columns of a row that was carried along are not known but for `tableoid`.
unsafe fn to_scan_tuple(state: &State<ColumnarScan>, row: *mut pg_sys::TupleTableSlot, scan: *mut pg_sys::TupleTableSlot) {
    // SAFETY: as for `substitute`; the slot has a column for each of these. May jump.
    unsafe {
        slot::clear(scan);
        let chunk = (*state.scan.ss.ss_currentRelation).rd_id;
        for (index, attribute) in columns::attributes(state.scan.ss.ps.plan.cast()).into_iter().enumerate() {
            let value = match i32::from(attribute) {
                pg_sys::TableOidAttributeNumber => Some(chunk.into()),
                0 => {
                    // In the query's memory: EvalPlanQual's does not outlive one test.
                    let outer = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = (*state.scan.ss.ps.state).es_query_cxt;
                    let datum = raw::ExecFetchSlotHeapTupleDatum(row);
                    pg_sys::CurrentMemoryContext = outer;
                    Some(datum)
                }
                system if system < 0 => None,
                _ => slot::attribute(row, attribute),
            };
            *(*scan).tts_isnull.add(index) = value.is_none();
            *(*scan).tts_values.add(index) = value.unwrap_or(pg_sys::Datum::null());
        }
        raw::ExecStoreVirtualTuple(scan);
    }
}

/// The conditions on vectors with the chunk's columns in place of the scan tuple's.
///
/// # Safety
/// A finished plan.
pub unsafe fn on_chunk(plan: *mut pg_sys::CustomScan) -> Vec<*mut pg_sys::Node> {
    // SAFETY: the mutator gets the plan back as its context.
    unsafe { plan::conditions(plan).into_iter().map(|condition| to_chunk(condition, plan.cast())).collect() }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn to_chunk(tree: *mut pg_sys::Node, context: *mut std::ffi::c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes; Vars of the scan tuple are those of its target list.
    unsafe {
        boundary(|| {
            if node::tag(tree) == NodeTag::T_Var && (*tree.cast::<pg_sys::Var>()).varno == pg_sys::INDEX_VAR {
                let plan = context.cast::<pg_sys::CustomScan>();
                let number = (*tree.cast::<pg_sys::Var>()).varattno;
                let target = list::cells((*plan).custom_scan_tlist)[number as usize - 1].ptr_value.cast::<pg_sys::TargetEntry>();
                return Ok(ffi::copyObjectImpl((*target).expr.cast()).cast());
            }
            if tree.is_null() {
                return Ok(tree);
            }
            Ok(ffi::expression_tree_mutator(tree, to_chunk, context))
        })
    }
}
