//! ChangeRecorder: the node below ModifyTable that records the times of rows which are about to be changed or deleted, and those of rows
//! that are inserted into a chunk directly.
//!
//! A row's old time is a junk column that [`mark`] adds to the query, so it is that of the version which the executor is about to change,
//! also when EvalPlanQual looks again. Its new time is in the column that is assigned; new times in hypertables are ChunkGuard's matter.

use std::ffi::CStr;

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;

use super::guard::pass_through_plan;
use super::routed;
use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::change::{Recorder, kept, place, recorder};
use crate::columnar::dml::unique;
use crate::custom::{Node, State};
use crate::error::{Error, Result};
use crate::hypertable::slice;
use crate::pg::ffi;
use crate::pg::guard::{boundary, guard};
use crate::pg::relation::{Relation, c_string, optional_string};
use crate::pg::trigger::Changed;
use crate::pg::{axis, list, node, slot};

/// The name of the junk column.
const OLD_TIME: &CStr = c"timescale_compat time";

/// The node's state.
#[derive(Clone, Copy)]
pub struct ChangeRecorder {
    changes: Recorder,
    axis: Axis,
    /// Where the rows have their old time; 0: nowhere.
    old: i16,
    /// Where they have their new one.
    new: i16,
    /// Where they say which table they are of.
    table: i16,
    /// The statement's table.
    target: pg_sys::Oid,
    /// Any row of it may change.
    whole: bool,
    /// The table of the last row.
    entered: pg_sys::Oid,
    /// Connected when the executor has started; NULL in a copy that EvalPlanQual made.
    modify: *mut pg_sys::ModifyTableState,
}

/// Has queries that change rows of hypertables with continuous aggregates give out the rows' times.
///
/// # Safety
/// A query that is about to be planned, and may be changed.
pub unsafe fn mark(query: *mut pg_sys::Query) {
    // SAFETY: the caller's promise. Statements that change rows stand at the top or in a CTE there.
    unsafe {
        mark_one(query);
        for cte in list::pointers::<pg_sys::CommonTableExpr>((*query).cteList) {
            if node::tag((*cte).ctequery) == pg_sys::NodeTag::T_Query {
                mark_one((*cte).ctequery.cast());
            }
        }
    }
}

/// # Safety
/// As [`mark`].
unsafe fn mark_one(query: *mut pg_sys::Query) {
    use pg_sys::CmdType::{CMD_DELETE, CMD_MERGE, CMD_UPDATE};
    // SAFETY: resultRelation is an index into the range table.
    unsafe {
        let query = &mut *query;
        if !matches!(query.commandType, CMD_UPDATE | CMD_DELETE | CMD_MERGE) || query.resultRelation == 0 {
            return;
        }
        let entry = list::pointers::<pg_sys::RangeTblEntry>(query.rtable)[query.resultRelation as usize - 1];
        let Some(hypertable) = recorded((*entry).relid) else { return };
        let attribute = attribute_of(&hypertable, (*entry).relid);
        if attribute <= 0 || junk_column(query.targetList, OLD_TIME) != 0 {
            return;
        }
        let var = ffi::makeVar(query.resultRelation, attribute, hypertable.time().type_oid, -1, pg_sys::InvalidOid, 0);
        let number = list::cells(query.targetList).len() as i16 + 1;
        let entry = ffi::makeTargetEntry(var.cast(), number, node::palloc_str(&OLD_TIME.to_string_lossy()), true);
        query.targetList = ffi::lappend(query.targetList, entry.cast());
    }
}

/// Records what a trigger saw that logical replication did to a row, or to a table.
pub fn replicated(change: &Changed) {
    let Some(hypertable) = recorded(change.relid) else { return };
    let (changes, attribute) = (Recorder::of(&hypertable), attribute_of(&hypertable, change.relid));
    let Some(axis) = hypertable.time().axis() else { return };
    if change.rows.iter().all(Option::is_none) {
        kept::after_truncate(change.relid);
    }
    for row in change.rows.into_iter().flatten() {
        // SAFETY: a row of the table.
        if let Some(time) = unsafe { guard(|| slot::attribute(row, attribute)) } {
            // SAFETY: a value of its time column.
            changes.note(unsafe { axis::position(axis, time) });
        }
    }
}

/// The hypertable that a table is or belongs to, if its changes are to be recorded.
fn recorded(relid: pg_sys::Oid) -> Option<std::rc::Rc<Hypertable>> {
    place::hypertable_of(relid).filter(|hypertable| hypertable.grain.is_some())
}

/// The number of the time column in a table.
fn attribute_of(hypertable: &Hypertable, relid: pg_sys::Oid) -> i16 {
    if relid == hypertable.relid {
        return hypertable.time().attribute;
    }
    let column = c_string(&hypertable.time().column);
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_attnum(relid, column.as_ptr()) }
}

/// # Safety
/// A target list.
unsafe fn junk_column(target_list: *mut pg_sys::List, name: &CStr) -> i16 {
    let name = name.to_str().unwrap_or_default();
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::TargetEntry>(target_list)
            .into_iter()
            .find(|entry| (**entry).resjunk && optional_string((**entry).resname).as_deref() == Some(name))
            .map_or(0, |entry| (*entry).resno)
    }
}

/// Puts the node below a ModifyTable of a finished plan, where it is wanted.
///
/// # Safety
/// A node of `statement`, which was just made from a query that [`mark`] has seen.
pub unsafe fn add(statement: *mut pg_sys::PlannedStmt, modify: *mut pg_sys::ModifyTable) {
    use pg_sys::CmdType::{CMD_INSERT, CMD_MERGE, CMD_UPDATE};
    // SAFETY: nominalRelation and resultRelations are indexes into the range table.
    unsafe {
        let entries = list::pointers::<pg_sys::RangeTblEntry>((*statement).rtable);
        let target = (*entries[(*modify).nominalRelation as usize - 1]).relid;
        let Some(hypertable) = recorded(target) else { return };
        let is_root = target == hypertable.relid;
        if is_root && (*modify).operation == CMD_INSERT {
            return;
        }
        let child = (*modify).plan.lefttree;
        let old = junk_column((*child).targetlist, OLD_TIME);
        // On foreign tables, no rows may come through here at all.
        let mut whole = !(*modify).fdwDirectModifyPlans.is_null() || (old == 0 && (*modify).operation != CMD_INSERT);
        let new = match (*modify).operation {
            CMD_INSERT => {
                // A unique index of the chunk's own may lack the time: the row that is there may have any.
                whole |= (*modify).onConflictAction == pg_sys::OnConflictAction::ONCONFLICT_UPDATE;
                attribute_of(&hypertable, target)
            }
            CMD_UPDATE => assigned(modify, &entries, &hypertable).unwrap_or(0),
            CMD_MERGE => {
                // New times are in the actions.
                whole |= !is_root;
                0
            }
            _ => 0,
        };
        let table = junk_column((*child).targetlist, c"tableoid");
        let oids = ffi::lappend_oid(ffi::lappend_oid(std::ptr::null_mut(), hypertable.relid), target);
        let numbers = [old.into(), new.into(), table.into(), i32::from(whole)];
        let numbers = numbers.into_iter().fold(std::ptr::null_mut(), |list, number| ffi::lappend_int(list, number));
        (*modify).plan.lefttree = pass_through_plan::<ChangeRecorder>(child, list::from_pointers([oids, numbers])).cast();
    }
}

/// Where the rows below an UPDATE have their new time; None if it is not assigned.
///
/// # Safety
/// A ModifyTable; `entries` is its range table.
pub(super) unsafe fn assigned(
    modify: *mut pg_sys::ModifyTable,
    entries: &[*mut pg_sys::RangeTblEntry],
    hypertable: &Hypertable,
) -> Option<i16> {
    // SAFETY: both lists have one element for each result relation; the columns are numbered as in that relation.
    unsafe {
        let relation = *list::ints((*modify).resultRelations).first()?;
        let columns = list::ints(*list::pointers((*modify).updateColnosLists).first()?);
        let attribute = attribute_of(hypertable, (*entries[relation as usize - 1]).relid);
        columns.iter().position(|number| *number == i32::from(attribute)).map(|index| index as i16 + 1)
    }
}

impl Node for ChangeRecorder {
    const NAME: &'static CStr = recorder::NODE;

    unsafe fn create(plan: *mut pg_sys::CustomScan) -> Result<Self> {
        // SAFETY: the private lists are those of `add`.
        let (oids, numbers) = unsafe {
            let private = list::pointers::<pg_sys::List>((*plan).custom_private);
            (list::oids(private[0]), list::ints(private[1]))
        };
        let hypertable = cache::find(oids[0]).ok_or_else(|| Error::internal("the hypertable is gone"))?;
        Ok(Self {
            changes: Recorder::of(&hypertable),
            axis: slice::time_axis(&hypertable)?.0,
            old: numbers[0] as i16,
            new: numbers[1] as i16,
            table: numbers[2] as i16,
            target: oids[1],
            whole: numbers[3] != 0,
            entered: pg_sys::InvalidOid,
            modify: std::ptr::null_mut(),
        })
    }

    unsafe fn begin(state: &mut State<Self>, estate: *mut pg_sys::EState, flags: i32) -> Result<()> {
        // SAFETY: called once by the executor.
        unsafe { super::guard::begin_pass_through(state, estate, flags) }
        Ok(())
    }

    #[inline]
    unsafe fn next(state: &mut State<Self>) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: ExecProcNode of the child, unguarded; plain values only on this frame.
        unsafe {
            let row = state.next_of_child();
            if slot::is_null(row) {
                cold_finish(state);
                return row;
            }
            let node = &mut state.node;
            let table = if node.table == 0 {
                node.target
            } else {
                // A MERGE has rows without a match.
                slot::attribute(row, node.table).map_or(node.entered, |table| pg_sys::Oid::from(table.value() as u32))
            };
            if table != node.entered {
                cold_enter(node, table);
            }
            if node.old != 0
                && let Some(time) = slot::attribute(row, node.old)
            {
                node.changes.note(axis::position(node.axis, time));
            }
            if node.new != 0
                && let Some(time) = slot::attribute(row, node.new)
            {
                node.changes.note(axis::position(node.axis, time));
            }
            row
        }
    }

    unsafe fn rescan(state: &mut State<Self>) -> Result<()> {
        // SAFETY: called by the executor.
        unsafe { state.rescan_child() };
        Ok(())
    }

    unsafe fn end(state: &mut State<Self>) -> Result<()> {
        // SAFETY: called once.
        unsafe { ffi::ExecEndNode(state.child()) }
        Ok(())
    }
}

/// Rows of another table than the last one.
#[cold]
unsafe fn cold_enter(node: &mut ChangeRecorder, table: pg_sys::Oid) {
    // SAFETY: called from `next`, with nothing pending. The table is a result relation of the statement, which holds its lock.
    unsafe {
        boundary(|| {
            let relation = Relation::open(table, pg_sys::NoLock);
            let triggers = (*relation.as_ptr()).trigdesc.as_ref();
            if triggers.is_some_and(unique::trigger::may_change_rows) {
                place::note_table(table);
            }
            if node.whole {
                place::note_table(node.target);
            }
            node.entered = table;
            Ok(())
        });
    }
}

#[cold]
unsafe fn cold_finish(state: &mut State<ChangeRecorder>) {
    // SAFETY: called from `next`, with nothing pending: all rows have been stored.
    unsafe {
        boundary(|| {
            if !state.node.modify.is_null() {
                routed::note(state.node.modify);
            }
            Ok(())
        });
    }
}

/// Connects the node of a started statement with its ModifyTable. If the plan lacks it, which was made before there was anything to
/// record or by somebody else's planner, all is recorded that the statement may change.
///
/// # Safety
/// A node of a started statement that is about to run; `child` is what stands below it, ChunkGuard left out.
pub unsafe fn connect(modify: *mut pg_sys::ModifyTableState, child: *mut pg_sys::PlanState, is_guarded: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(state) = State::<ChangeRecorder>::cast(child) {
            state.node.modify = modify;
            return;
        }
        let target = (*(*(*modify).rootResultRelInfo).ri_RelationDesc).rd_id;
        let inserts = (*modify).operation == pg_sys::CmdType::CMD_INSERT;
        let Some(hypertable) = place::hypertable_of(target) else {
            // A table that has hypertables below it.
            if (*modify).mt_nrels > 1 {
                routed::note_scanned(modify);
            }
            return;
        };
        if hypertable.grain.is_none() || (inserts && is_guarded) {
            return;
        }
        if (*modify).operation == pg_sys::CmdType::CMD_DELETE {
            routed::note_scanned(modify);
        } else {
            place::note_table(target);
        }
    }
}
