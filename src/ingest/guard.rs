//! ChunkGuard: the node between ModifyTable and its subplan that creates chunks for the rows that need them.
//!
//! For each row it compares the partition key with the slice that it saw last. For INSERT and UPDATE the key is a column of the
//! subplan's output; MERGE computes it in its actions, which is `merge`'s matter.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::routing::{self, SetAside};
use super::slice_guard::SliceGuard;
use super::{divert, merge, record, routed};
use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::columnar::direct::Direct;
use crate::columnar::settings;
use crate::custom::{self, Node, State};
use crate::error::{Error, Result};
use crate::guc;
use crate::pg::ffi;
use crate::pg::guard::boundary;
use crate::pg::{list, node, slot};

/// The node's state.
#[derive(Clone, Copy)]
pub struct ChunkGuard {
    /// Compares the rows' keys; of no use for a MERGE, whose actions compute them.
    pub(super) slice: SliceGuard,
    is_merge: bool,
    /// The actions of a MERGE, prepared at the first row.
    pub(super) merge: *mut merge::Actions,
    /// Connected when the executor has started; NULL in a copy that EvalPlanQual made.
    modify: *mut pg_sys::ModifyTableState,
    aside: SetAside,
    /// Writes rows straight into columns where that can be; NULL if not.
    pub(super) direct: *mut Direct,
    /// Whether that has been decided.
    pub(super) direct_decided: bool,
    /// The chunk that the last row went to, and whether it went into columns.
    pub(super) direct_previous: (*mut pg_sys::ResultRelInfo, bool),
    /// Rows that a MERGE had inserted when the last row had a match; less than 0 if it had none.
    pub(super) inserted_at_match: f64,
    /// Chunks made so far, for EXPLAIN ANALYZE.
    created: u64,
}

/// Puts guards below the ModifyTable nodes of a finished plan that insert into hypertables or move their rows.
///
/// # Safety
/// `statement` is a plan that was just made.
pub unsafe fn add_guards(statement: *mut pg_sys::PlannedStmt) {
    // SAFETY: a ModifyTable stands at the top of the plan or of a CTE's subplan, nowhere else.
    unsafe {
        guard_plan(statement, (*statement).planTree);
        for subplan in list::pointers((*statement).subplans) {
            guard_plan(statement, subplan);
        }
    }
}

/// # Safety
/// `plan` is NULL or a plan of `statement`.
unsafe fn guard_plan(statement: *mut pg_sys::PlannedStmt, plan: *mut pg_sys::Plan) {
    // SAFETY: the tag says that it is a ModifyTable, whose nominalRelation is an index into the range table.
    unsafe {
        if node::tag(plan) != pg_sys::NodeTag::T_ModifyTable {
            return;
        }
        let modify = plan.cast::<pg_sys::ModifyTable>();
        record::add(statement, modify);
        if (*modify).operation == pg_sys::CmdType::CMD_DELETE {
            return;
        }
        let entries = list::pointers::<pg_sys::RangeTblEntry>((*statement).rtable);
        let Some(hypertable) = cache::find((*entries[(*modify).nominalRelation as usize - 1]).relid) else { return };
        let key = match (*modify).operation {
            pg_sys::CmdType::CMD_INSERT => hypertable.time().attribute,
            pg_sys::CmdType::CMD_UPDATE => match record::assigned(modify, &entries, &hypertable) {
                Some(number) => number,
                None => return,
            },
            _ => 0,
        };
        (*plan).lefttree = make_plan(&hypertable, key, (*plan).lefttree).cast();
    }
}

/// # Safety
/// `child` is a finished plan.
unsafe fn make_plan(hypertable: &Hypertable, key: i16, child: *mut pg_sys::Plan) -> *mut pg_sys::CustomScan {
    // SAFETY: the caller's promise.
    unsafe {
        let oid = ffi::lappend_oid(std::ptr::null_mut(), hypertable.relid);
        let private = list::from_pointers([oid, ffi::lappend_int(std::ptr::null_mut(), key.into())]);
        pass_through_plan::<ChunkGuard>(child, private)
    }
}

/// A plan node that hands on the rows of its child.
///
/// # Safety
/// `child` is a finished plan.
pub(super) unsafe fn pass_through_plan<N: Node>(child: *mut pg_sys::Plan, private: *mut pg_sys::List) -> *mut pg_sys::CustomScan {
    let scan: *mut pg_sys::CustomScan = node::make_node(pg_sys::NodeTag::T_CustomScan);
    // SAFETY: fresh nodes; the child's fields are copied as set_plan_references would leave them.
    unsafe {
        let plan = &mut (*scan).scan.plan;
        plan.startup_cost = (*child).startup_cost;
        plan.total_cost = (*child).total_cost;
        plan.plan_rows = (*child).plan_rows;
        plan.plan_width = (*child).plan_width;
        plan.plan_node_id = (*child).plan_node_id;
        plan.extParam = (*child).extParam;
        plan.allParam = (*child).allParam;
        plan.lefttree = child;
        plan.targetlist = pass_through((*child).targetlist, pg_sys::INDEX_VAR);
        (*scan).custom_scan_tlist = pass_through((*child).targetlist, pg_sys::OUTER_VAR);
        (*scan).methods = custom::methods::<N>().scan;
        (*scan).custom_private = private;
    }
    scan
}

/// A target list that hands on another one. Constants stay what they are: ModifyTable wants to see them for dropped and
/// generated columns.
///
/// # Safety
/// `source` is a plan's target list.
unsafe fn pass_through(source: *mut pg_sys::List, varno: i32) -> *mut pg_sys::List {
    // SAFETY: elements are TargetEntry nodes with expressions; copies are made.
    unsafe {
        list::from_pointers(list::pointers::<pg_sys::TargetEntry>(source).into_iter().map(|entry| {
            let copy = ffi::copyObjectImpl(entry.cast()).cast::<pg_sys::TargetEntry>();
            let expression = (*entry).expr.cast::<pg_sys::Node>();
            if node::tag(expression) != pg_sys::NodeTag::T_Const {
                let (typmod, collation) = (ffi::exprTypmod(expression), ffi::exprCollation(expression));
                (*copy).expr = ffi::makeVar(varno, (*entry).resno, ffi::exprType(expression), typmod, collation, 0).cast();
            }
            copy
        }))
    }
}

/// Starts the child of a node that hands on its rows.
///
/// # Safety
/// Called once, for a node of [`pass_through_plan`].
pub(super) unsafe fn begin_pass_through<N: Node>(state: &mut State<N>, estate: *mut pg_sys::EState, flags: i32) {
    // SAFETY: the plan's child becomes the state's; rows come out in the child's slots.
    unsafe {
        let ps = &mut state.scan.ss.ps;
        ps.lefttree = ffi::ExecInitNode((*ps.plan).lefttree, estate, flags);
        ps.resultopsset = true;
        ps.resultops = (*ps.lefttree).resultops;
        ps.resultopsfixed = (*ps.lefttree).resultopsset && (*ps.lefttree).resultopsfixed;
        if ps.resultops.is_null() {
            ps.resultops = (*(*ps.lefttree).ps_ResultTupleSlot.cast::<pg_sys::TupleTableSlot>()).tts_ops;
        }
    }
}

impl Node for ChunkGuard {
    const NAME: &'static CStr = c"ChunkGuard";

    unsafe fn create(plan: *mut pg_sys::CustomScan) -> Result<Self> {
        // SAFETY: the private list is that of make_plan.
        let (relid, key) = unsafe {
            let private = list::pointers::<pg_sys::List>((*plan).custom_private);
            (list::oids(private[0])[0], list::ints(private[1])[0] as i16)
        };
        let hypertable =
            cache::find(relid).ok_or_else(|| Error::internal(format!("relation {} is no hypertable any more", relid.to_u32())))?;
        Ok(Self {
            slice: SliceGuard::new(&hypertable, key)?,
            is_merge: key == 0,
            merge: std::ptr::null_mut(),
            modify: std::ptr::null_mut(),
            aside: SetAside::NONE,
            direct: std::ptr::null_mut(),
            direct_decided: !guc::enable_direct_compress_insert() && !settings::writes_directly(&hypertable),
            direct_previous: (std::ptr::null_mut(), false),
            inserted_at_match: -1.0,
            created: 0,
        })
    }

    unsafe fn begin(state: &mut State<Self>, estate: *mut pg_sys::EState, flags: i32) -> Result<()> {
        // SAFETY: called once by the executor.
        unsafe { begin_pass_through(state, estate, flags) }
        Ok(())
    }

    #[inline]
    unsafe fn next(state: &mut State<Self>) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: ExecProcNode of the child, unguarded; plain values only on this frame.
        unsafe {
            loop {
                let row = state.next_of_child();
                if slot::is_null(row) {
                    if !state.node.direct.is_null() {
                        divert::finish(state);
                    }
                    if !state.node.slice.changes().is_none() {
                        cold_finish(state);
                    }
                    return row;
                }
                if state.node.is_merge {
                    cold_merge(state, row);
                } else if let Some(key) = state.node.slice.uncovered(row) {
                    cold_cover(state, key);
                }
                if state.node.direct_decided && state.node.direct.is_null() || !divert::divert(state, row) {
                    return row;
                }
            }
        }
    }

    unsafe fn rescan(state: &mut State<Self>) -> Result<()> {
        // SAFETY: called by the executor.
        unsafe { state.rescan_child() };
        Ok(())
    }

    unsafe fn end(state: &mut State<Self>) -> Result<()> {
        // SAFETY: called once; the ModifyTable above has ended its own routing already.
        unsafe {
            if !state.node.modify.is_null() {
                state.node.aside.release(state.node.modify);
            }
            ffi::ExecEndNode(state.child());
        }
        Ok(())
    }

    unsafe fn explain(state: &mut State<Self>, explain: *mut pg_sys::ExplainState) -> Result<()> {
        // SAFETY: EXPLAIN's own state.
        unsafe {
            if (*explain).analyze {
                ffi::ExplainPropertyInteger(c"Chunks Created".as_ptr(), std::ptr::null(), state.node.created as i64, explain);
            }
        }
        Ok(())
    }
}

impl ChunkGuard {
    /// Makes sure that a chunk covers a key, and remembers its slice.
    ///
    /// # Safety
    /// The node runs below a ModifyTable; the key is one that the slice guard returned.
    pub(super) unsafe fn cover(state: &mut State<Self>, key: Option<pg_sys::Datum>) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(modify) = modify_state(state) else { return Ok(()) };
            let guard = &mut state.node;
            let position = guard.slice.position(key)?;
            // A copy that EvalPlanQual made ends before its ModifyTable: what it sets aside belongs to the original.
            let aside = State::<Self>::cast((*modify).ps.lefttree).map_or(&raw mut guard.aside, |original| &raw mut original.node.aside);
            let covered = routing::cover(modify, guard.slice.axis(), position, &mut *aside)?;
            guard.created += u64::from(covered.created);
            guard.slice.remember(covered.slice);
            if may_give_other_times(modify, guard.slice.relid()) {
                guard.slice.note_slice();
            }
        }
        Ok(())
    }
}

/// The ModifyTable above. EvalPlanQual runs a copy of the subplan in an executor state of its own; its ModifyTable is the one
/// that holds the EPQ state.
///
/// # Safety
/// The node is running.
pub(super) unsafe fn modify_state(state: &State<ChunkGuard>) -> Option<*mut pg_sys::ModifyTableState> {
    // SAFETY: an EPQ state whose plan is a ChunkGuard is a ModifyTable's: the guard stands nowhere else.
    unsafe {
        if !state.node.modify.is_null() {
            return Some(state.node.modify);
        }
        let epq = (*state.scan.ss.ps.state).es_epq_active;
        if epq.is_null() {
            return None;
        }
        Some(epq.cast::<u8>().sub(std::mem::offset_of!(pg_sys::ModifyTableState, mt_epqstate)).cast())
    }
}

/// True if rows may get another time on their way into the chunk that they are routed to, as far as the hypertable itself tells.
///
/// # Safety
/// A running ModifyTable.
unsafe fn may_give_other_times(modify: *mut pg_sys::ModifyTableState, relid: pg_sys::Oid) -> bool {
    // SAFETY: the plan of a ModifyTableState is a ModifyTable.
    unsafe {
        let plan = &*(*modify).ps.plan.cast::<pg_sys::ModifyTable>();
        let updates = plan.onConflictAction == pg_sys::OnConflictAction::ONCONFLICT_UPDATE;
        let time = cache::find(relid).map_or(0, |hypertable| i32::from(hypertable.time().attribute));
        (updates && list::ints(plan.onConflictCols).contains(&time)) || routed::may_change_rows((*modify).rootResultRelInfo)
    }
}

#[cold]
unsafe fn cold_finish(state: &mut State<ChunkGuard>) {
    // SAFETY: called from `next`, with nothing pending: all rows have been stored.
    unsafe {
        boundary(|| {
            if state.node.is_merge {
                merge::note_unforeseen(state);
            }
            if !state.node.modify.is_null() {
                routed::note(state.node.modify);
            }
            Ok(())
        });
    }
}

#[cold]
unsafe fn cold_cover(state: &mut State<ChunkGuard>, key: Option<pg_sys::Datum>) {
    // SAFETY: called from `next`, with nothing pending.
    unsafe { boundary(|| ChunkGuard::cover(state, key)) }
}

#[cold]
unsafe fn cold_merge(state: &mut State<ChunkGuard>, row: *mut pg_sys::TupleTableSlot) {
    // SAFETY: called from `next`, with nothing pending.
    unsafe { boundary(|| merge::cover_actions(state, row)) }
}

/// Connects the guards of a started statement with their ModifyTable nodes.
///
/// # Safety
/// `query` has been started.
pub unsafe fn connect(query: *mut pg_sys::QueryDesc) {
    // SAFETY: plan states of a started query; those of data-modifying CTEs are in es_auxmodifytables.
    unsafe {
        let estate = (*query).estate;
        let runs = !estate.is_null() && (*estate).es_top_eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 == 0;
        connect_one((*query).planstate, runs);
        if !estate.is_null() {
            for auxiliary in list::cells((*estate).es_auxmodifytables) {
                connect_one(auxiliary.ptr_value.cast(), runs);
            }
        }
    }
}

/// # Safety
/// `planstate` is NULL or a plan state.
unsafe fn connect_one(planstate: *mut pg_sys::PlanState, runs: bool) {
    // SAFETY: the tag says that it is a ModifyTableState.
    unsafe {
        if node::tag(planstate) != pg_sys::NodeTag::T_ModifyTableState {
            return;
        }
        let mut child = (*planstate).lefttree;
        let guard = State::<ChunkGuard>::cast(child);
        let is_guarded = guard.is_some();
        if let Some(state) = guard {
            state.node.modify = planstate.cast();
            state.node.aside.begin((*planstate).state);
            child = state.child();
        }
        if runs {
            record::connect(planstate.cast(), child, is_guarded);
        }
    }
}
