//! Running ColumnarScan: the rows of the batches, then those of the row part's plan.
//!
//! The loop is that of `ExecScan`. Rows of batches come in the scan slot, those of the row part in that plan's own slot; what is made of
//! them by projection may come from either, so the projection is compiled for any kind of slot.

use std::ffi::{CStr, c_void};
use std::rc::Rc;

use pgrx::pg_sys;

use super::batches::Batches;
use super::columns::Columns;
use super::firsts::Group;
use super::key::Key;
use super::merge::Merge;
use super::ordered::{self, OrderedRows};
use super::sample::Sample;
use super::{columns, direct, epq, explain, order, plan};
use crate::columnar::batch_scan::BatchScan;
use crate::columnar::filter::Filter;
use crate::columnar::layout::{self, Layout};
use crate::columnar::reader::BatchReader;
use crate::columnar::row_id;
use crate::custom::{Node, State};
use crate::error::Result;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::boundary;
use crate::pg::{list, slot};

/// The node's state; what has destructors lies in a box of its own, which goes with the query's memory.
#[derive(Clone, Copy)]
pub struct ColumnarScan {
    /// The columnar part as it was when the node was made; NULL if the chunk has none any more, or nothing is read.
    pub layout: *mut Rc<Layout>,
    /// The columnar part; NULL before the first row is asked for.
    pub batches: *mut Batches,
    /// The slot whose columns are those of batches as they are, so that they are written there at once; NULL if there is more to project.
    direct: *mut pg_sys::TupleTableSlot,
    /// The columnar part in order; NULL if no order is wanted. Then `batches` are within.
    pub merge: *mut Merge,
    /// The row part in order, if the columnar part is read in order.
    pub ordered: *mut OrderedRows,
    /// The row part's plan; NULL if the row part has no blocks.
    pub rows: *mut pg_sys::PlanState,
    /// The batches are done.
    is_in_rows: bool,
    /// Rows have no columns: they are only counted.
    is_count: bool,
    /// For rows that EvalPlanQual gives, once there were any.
    pub substitute: *mut epq::Substitute,
}

impl Node for ColumnarScan {
    const NAME: &'static CStr = c"ColumnarScan";

    unsafe fn create(_plan: *mut pg_sys::CustomScan) -> Result<Self> {
        // SAFETY: pointers and flags: all zeros are NULL and false.
        Ok(unsafe { std::mem::zeroed() })
    }

    unsafe fn begin(state: &mut State<Self>, estate: *mut pg_sys::EState, flags: i32) -> Result<()> {
        // SAFETY: a node that the executor is initialising.
        unsafe {
            let plan = state.scan.ss.ps.plan.cast::<pg_sys::CustomScan>();
            let chunk = state.scan.ss.ss_currentRelation;
            let is_run = flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 == 0;
            if is_run {
                ffi::PredicateLockRelation(chunk, (*estate).es_snapshot);
                if let Some(layout) = layout::find((*chunk).rd_id) {
                    state.node.layout = keep(estate, layout);
                }
            }
            state.node.is_count = (*plan).scan.plan.targetlist.is_null();
            begin_rows(state, estate, flags);
            state.node.is_in_rows = state.node.layout.is_null();
            // Scans that tell each other of their rows have to be told of a new start, too.
            if ints_of(plan).len() > 1 {
                open_batches(state)?;
            }
        }
        Ok(())
    }

    #[inline]
    unsafe fn next(state: &mut State<Self>) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: an initialised node; plain values only on this frame.
        unsafe {
            let ps = &mut state.scan.ss.ps;
            let econtext = ps.ps_ExprContext;
            if !ps.ps_ProjInfo.is_null() || !ps.qual.is_null() {
                raw::MemoryContextReset((*econtext).ecxt_per_tuple_memory);
            }
            if !(*ps.state).es_epq_active.is_null()
                && let Some(row) = epq::substitute(state)
            {
                return row;
            }
            if state.node.batches.is_null() && !state.node.layout.is_null() {
                first(state);
            }
            if !state.node.merge.is_null() {
                return ordered::next(state);
            }
            if !state.node.is_in_rows {
                let row = next_of_batches(state);
                if !row.is_null() {
                    return row;
                }
                state.node.is_in_rows = true;
            }
            next_of_rows(state)
        }
    }

    unsafe fn rescan(state: &mut State<Self>) -> Result<()> {
        // SAFETY: an initialised node.
        unsafe {
            if let Some(merge) = state.node.merge.as_mut() {
                merge.restart();
            } else if let Some(batches) = state.node.batches.as_mut() {
                batches.restart();
            }
            if let Some(ordered) = state.node.ordered.as_mut() {
                ordered.restart();
            }
            state.node.is_in_rows = state.node.layout.is_null();
            let rows = state.node.rows;
            if !rows.is_null() {
                if !state.scan.ss.ps.chgParam.is_null() {
                    ffi::UpdateChangedParamSet(rows, state.scan.ss.ps.chgParam);
                }
                if (*rows).chgParam.is_null() {
                    ffi::ExecReScan(rows);
                }
            }
            ffi::ExecScanReScan(&raw mut state.scan.ss);
        }
        Ok(())
    }

    unsafe fn end(state: &mut State<Self>) -> Result<()> {
        // SAFETY: an initialised node.
        unsafe {
            if let Some(ordered) = state.node.ordered.as_mut() {
                ordered.restart();
            }
            if let Some(merge) = state.node.merge.as_mut() {
                merge.end();
            } else if let Some(batches) = state.node.batches.as_mut() {
                batches.end();
            }
            if !state.node.rows.is_null() {
                ffi::ExecEndNode(state.node.rows);
            }
        }
        Ok(())
    }

    unsafe fn shared_size(state: &mut State<Self>) -> Result<usize> {
        // SAFETY: an initialised node.
        unsafe {
            let snapshot = (*state.scan.ss.ps.state).es_snapshot;
            open_batches(state)?;
            Ok(state.node.batches.as_ref().map_or(0, |batches| batches.shared_size(snapshot)))
        }
    }

    unsafe fn share(state: &mut State<Self>, shared: *mut c_void) -> Result<()> {
        // SAFETY: an initialised node.
        unsafe {
            let snapshot = (*state.scan.ss.ps.state).es_snapshot;
            if let Some(batches) = state.node.batches.as_mut() {
                batches.share(shared.cast(), snapshot);
            }
        }
        Ok(())
    }

    unsafe fn share_again(state: &mut State<Self>, shared: *mut c_void) -> Result<()> {
        // SAFETY: an initialised node.
        unsafe {
            if let Some(batches) = state.node.batches.as_mut() {
                batches.share_again(shared.cast());
            }
        }
        Ok(())
    }

    unsafe fn join(state: &mut State<Self>, shared: *mut c_void) -> Result<()> {
        // SAFETY: an initialised node.
        unsafe {
            open_batches(state)?;
            if let Some(batches) = state.node.batches.as_mut() {
                batches.join(shared.cast());
            }
        }
        Ok(())
    }

    unsafe fn shut_down(state: &mut State<Self>) -> Result<()> {
        // SAFETY: an initialised node; workers that gave all their rows have left.
        unsafe {
            if let Some(batches) = state.node.batches.as_mut() {
                batches.count_all(pg_sys::ParallelWorkerNumber >= 0);
            }
        }
        Ok(())
    }

    unsafe fn explain_below(state: &mut State<Self>, ancestors: *mut pg_sys::List, explain: *mut pg_sys::ExplainState) -> Result<()> {
        // SAFETY: as promised to this function.
        unsafe { explain::explain(state, ancestors, explain) };
        Ok(())
    }
}

/// Puts a value with destructors where it lives as long as the query, also if an ERROR ends that.
///
/// # Safety
/// An executor that is being initialised.
pub unsafe fn keep<T>(estate: *mut pg_sys::EState, value: T) -> *mut T {
    unsafe extern "C-unwind" fn free<T>(value: *mut c_void) {
        // SAFETY: made below, and freed once. Its destructor frees Rust's memory, and does not call PostgreSQL.
        drop(unsafe { Box::from_raw(value.cast::<T>()) });
    }
    // SAFETY: the callback's memory is that of the context.
    unsafe {
        let callback = ffi::MemoryContextAlloc((*estate).es_query_cxt, size_of::<pg_sys::MemoryContextCallback>())
            .cast::<pg_sys::MemoryContextCallback>();
        let value = Box::into_raw(Box::new(value));
        (*callback).func = Some(free::<T>);
        (*callback).arg = value.cast();
        ffi::MemoryContextRegisterResetCallback((*estate).es_query_cxt, callback);
        value
    }
}

/// As [`open_batches`], when the first row is asked for.
///
/// # Safety
/// As [`Node::next`].
#[cold]
unsafe fn first(state: &mut State<ColumnarScan>) {
    // SAFETY: nothing with a destructor is pending.
    unsafe { boundary(|| open_batches(state)) }
}

/// Prepares to read the columnar part, once: of many chunks that a plan has, few may be read before its rows suffice.
///
/// # Safety
/// An initialised node.
unsafe fn open_batches(state: &mut State<ColumnarScan>) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let estate = state.scan.ss.ps.state;
        match state.node.layout.as_ref() {
            Some(layout) if state.node.batches.is_null() => {
                crate::pg::context::with_context((*estate).es_query_cxt, || begin_batches(state, estate, layout))
            }
            _ => Ok(()),
        }
    }
}

/// # Safety
/// As [`open_batches`], in the query's memory.
unsafe fn begin_batches(state: &mut State<ColumnarScan>, estate: *mut pg_sys::EState, layout: &Rc<Layout>) -> Result<()> {
    // SAFETY: the caller's promise; the chunk stays open.
    unsafe {
        let plan = state.scan.ss.ps.plan.cast::<pg_sys::CustomScan>();
        let desc = (*state.scan.ss.ss_currentRelation).rd_att;
        let slot = state.scan.ss.ss_ScanTupleSlot;
        (*slot).tts_tableOid = (*state.scan.ss.ss_currentRelation).rd_id;
        let conditions = epq::on_chunk(plan);
        let index = (*plan).scan.scanrelid as i32;
        let filter = Filter::compile(&conditions, index, layout, desc, &raw mut state.scan.ss.ps, std::ptr::null_mut());
        let (sorts, distinct) =
            order::from_list(list::pointers::<pg_sys::List>((*plan).custom_private).first().copied().unwrap_or_default());
        let keys: Vec<i16> = sorts.iter().map(|sort| sort.attribute).collect();
        let result = direct::slot(&state.scan.ss.ps, layout);
        let columns = match &result {
            Some((slot, places)) if sorts.is_empty() => Columns::direct(plan, *slot, layout, desc, places),
            _ => Columns::new(plan, slot, layout, desc, &keys),
        };
        let scan = BatchScan::open(layout, (*estate).es_snapshot);
        let econtext = ffi::CreateExprContext(estate);
        let mut batches = Batches::new(scan, BatchReader::new(Rc::clone(layout)), filter, columns, econtext);
        if let Some((by_vector, expressions)) = plan::sample(plan) {
            batches.sample = Some(Sample::new(by_vector, &expressions, &raw mut state.scan.ss.ps)?);
        }
        state.node.direct = result.as_ref().map_or(std::ptr::null_mut(), |(slot, _)| *slot);
        if sorts.is_empty() {
            state.node.batches = keep(estate, batches);
            return Ok(());
        }
        let keys = Key::all(&sorts, &columns::attributes(plan), layout, (*desc).attrs.as_slice((*desc).natts as usize))?;
        let mut merge = Merge::new(batches, keys, distinct, (*estate).es_snapshot, slot);
        if let Some((slot, places)) = result {
            merge.write_to(slot, &places);
        }
        if (*plan).scan.plan.qual.is_null()
            && let [_, high, low] = ints_of(plan)[..]
        {
            merge.join(Group::join(estate, u64::from(high as u32) << 32 | u64::from(low as u32)));
        }
        state.node.merge = keep(estate, merge);
        state.node.batches = &raw mut (*state.node.merge).base;
        if !state.node.rows.is_null() {
            let sorts = ints_of(plan).first().is_some_and(|flag| *flag != 0);
            state.node.ordered = keep(estate, OrderedRows::new(state.node.rows, &*state.node.merge, sorts));
        }
    }
    Ok(())
}

/// Flags of the plan: see `plan`.
///
/// # Safety
/// A plan of this kind.
unsafe fn ints_of(plan: *mut pg_sys::CustomScan) -> Vec<i32> {
    // SAFETY: the second list of the private data holds integers.
    unsafe { list::pointers::<pg_sys::List>((*plan).custom_private).get(1).map_or_else(Vec::new, |list| list::ints(*list)) }
}

/// Initialises the row part's plan. With no block in the row part the snapshot can find nothing there, and most chunks have none: then
/// it is left out, unless somebody looks at the plan's nodes.
///
/// # Safety
/// A node that the executor is initialising.
unsafe fn begin_rows(state: &mut State<ColumnarScan>, estate: *mut pg_sys::EState, flags: i32) {
    // SAFETY: the caller's promise.
    unsafe {
        let plan = state.scan.ss.ps.plan.cast::<pg_sys::CustomScan>();
        let is_shown =
            flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 || (*estate).es_instrument != 0 || (*plan).scan.plan.parallel_aware;
        let chunk = state.scan.ss.ss_currentRelation;
        if !is_shown && ffi::RelationGetNumberOfBlocksInFork(chunk, pg_sys::ForkNumber::MAIN_FORKNUM) == 0 {
            return;
        }
        let Some(child) = list::pointers::<pg_sys::Plan>((*plan).custom_plans).first().copied() else { return };
        state.node.rows = ffi::ExecInitNode(child, estate, flags);
        state.scan.custom_ps = list::from_pointers([state.node.rows]);
        let ps = &mut state.scan.ss.ps;
        if ps.ps_ProjInfo.is_null() {
            // As Append: rows come in slots of several kinds.
            ps.resultopsset = true;
            ps.resultopsfixed = false;
            ps.resultops = std::ptr::null();
        } else {
            ps.scanopsfixed = false;
            ffi::ExecAssignScanProjectionInfoWithVarno(&raw mut state.scan.ss, pg_sys::INDEX_VAR);
        }
    }
}

/// The next row of a batch that meets all conditions, projected; NULL at the end.
///
/// # Safety
/// As [`Node::next`]; the node has batches.
#[inline]
unsafe fn next_of_batches(state: &mut State<ColumnarScan>) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's promise.
    unsafe {
        let batches = &mut *state.node.batches;
        let ps = &mut state.scan.ss.ps;
        let direct = state.node.direct;
        let row = if direct.is_null() { state.scan.ss.ss_ScanTupleSlot } else { direct };
        loop {
            if (*row).tts_flags & pg_sys::TTS_FLAG_SHOULDFREE as u16 != 0 {
                slot::clear(row);
            }
            if !batches.next() {
                slot::clear(row);
                slot::clear(state.scan.ss.ss_ScanTupleSlot);
                return std::ptr::null_mut();
            }
            stand(row);
            if ps.qual.is_null() {
                if !direct.is_null() {
                    stand(state.scan.ss.ss_ScanTupleSlot);
                    return row;
                }
                if ps.ps_ProjInfo.is_null() {
                    return row;
                }
                if state.node.is_count {
                    let result = ps.ps_ResultTupleSlot;
                    (*result).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
                    return result;
                }
            }
            if let Some(result) = project(ps, row, true) {
                return result;
            }
        }
    }
}

/// Has the scan slot hold a row, whose place nobody may ask for: `execCurrentOf` looks at it, for rows of either part.
///
/// # Safety
/// The node's scan slot.
#[inline]
pub unsafe fn stand(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: the caller's promise; the arrays have an element for each attribute.
    unsafe {
        (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
        (*slot).tts_tid = row_id::NOWHERE;
    }
}

/// What is made of a row; None if it does not meet the conditions on rows.
///
/// # Safety
/// As [`Node::next`].
#[inline]
pub unsafe fn project(ps: &mut pg_sys::PlanState, row: *mut pg_sys::TupleTableSlot, check: bool) -> Option<*mut pg_sys::TupleTableSlot> {
    // SAFETY: compiled expressions of the node. As ExecQual and ExecProject.
    unsafe {
        let econtext = ps.ps_ExprContext;
        (*econtext).ecxt_scantuple = row;
        if check && !ps.qual.is_null() && !holds(ps.qual, econtext) {
            if let Some(instrument) = ps.instrument.as_mut() {
                instrument.nfiltered1 += 1.0;
            }
            raw::MemoryContextReset((*econtext).ecxt_per_tuple_memory);
            return None;
        }
        let Some(projection) = ps.ps_ProjInfo.as_mut() else { return Some(row) };
        let result = projection.pi_state.resultslot;
        slot::clear(result);
        evaluate(&raw mut projection.pi_state, econtext);
        (*result).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*result).tts_nvalid = (*(*result).tts_tupleDescriptor).natts as i16;
        Some(result)
    }
}

/// `ExecEvalExprSwitchContext`; None if NULL.
///
/// # Safety
/// A compiled expression. May jump.
#[inline]
pub unsafe fn evaluate(expression: *mut pg_sys::ExprState, econtext: *mut pg_sys::ExprContext) -> Option<pg_sys::Datum> {
    // SAFETY: the caller's promise.
    unsafe {
        let outer = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
        let mut is_null = false;
        let value = (*expression).evalfunc.map_or(pg_sys::Datum::null(), |evaluate| evaluate(expression, econtext, &mut is_null));
        pg_sys::CurrentMemoryContext = outer;
        (!is_null).then_some(value)
    }
}

/// `ExecQual`
///
/// # Safety
/// Compiled conditions. May jump.
#[inline]
pub unsafe fn holds(conditions: *mut pg_sys::ExprState, econtext: *mut pg_sys::ExprContext) -> bool {
    // SAFETY: the caller's promise.
    unsafe { evaluate(conditions, econtext) }.is_some_and(|value| value.value() as u8 != 0)
}

/// The next row of the row part, projected; an empty slot at the end.
///
/// # Safety
/// As [`Node::next`].
unsafe fn next_of_rows(state: &mut State<ColumnarScan>) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's promise. The row part's plan has applied all conditions.
    unsafe {
        let rows = state.node.rows;
        if !rows.is_null() {
            let row = ordered::next_of(rows);
            if !slot::is_null(row) {
                stand(state.scan.ss.ss_ScanTupleSlot);
                return project(&mut state.scan.ss.ps, row, false).unwrap_or(row);
            }
        }
        let scan = state.scan.ss.ss_ScanTupleSlot;
        let empty = state.scan.ss.ps.ps_ProjInfo.as_ref().map_or(scan, |projection| projection.pi_state.resultslot);
        slot::clear(empty);
        empty
    }
}
