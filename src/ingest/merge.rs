//! MERGE computes new rows in its actions, above the guard: the guard computes their keys beforehand, by the same expressions.
//!
//! For a row without a match that is the first INSERT action whose condition holds; for a match it is every UPDATE action that
//! sets the key, since its conditions may look at a version of the row that the guard does not see.

use pgrx::pg_sys;
use tsc_kernel::ranges::Range;

use super::guard::{self, ChunkGuard};
use crate::catalog::cache;
use crate::custom::State;
use crate::error::{Error, Result};
use crate::pg::relation::{c_string, optional_string};
use crate::pg::{context, ffi, list};

/// The prepared actions; palloc'd in the query's context.
pub struct Actions {
    context: *mut pg_sys::ExprContext,
    /// Where the subplan says which row of which table matched; 0 if it does not.
    row_id: i16,
    table: i16,
    first: *mut Action,
}

/// An action that makes a row: its condition and its key.
struct Action {
    matched: bool,
    /// For a match: the chunk whose columns the expressions use.
    relation: *mut pg_sys::ResultRelInfo,
    condition: *mut pg_sys::ExprState,
    /// NULL for an action that makes no row but ends the search (DO NOTHING).
    key: *mut pg_sys::ExprState,
    next: *mut Action,
}

/// Makes sure that a chunk covers what the actions of a MERGE may insert, or move a row to.
///
/// # Safety
/// The node runs below a MERGE's ModifyTable; `row` is its subplan's output.
pub unsafe fn cover_actions(state: &mut State<ChunkGuard>, row: *mut pg_sys::TupleTableSlot) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(modify) = guard::modify_state(state) else { return Ok(()) };
        if state.node.merge.is_null() {
            state.node.merge = prepare(state, modify)?;
        }
        let actions = &*state.node.merge;
        let matched = match_of(actions, modify, row);
        note_unforeseen(state);
        ffi::MemoryContextReset((*actions.context).ecxt_per_tuple_memory);
        (*actions.context).ecxt_innertuple = row;
        (*actions.context).ecxt_outertuple = std::ptr::null_mut();
        // A match that another session deletes at this moment becomes a row without one.
        let may_vanish = matched.is_some_and(|relation| fetch_old(actions, relation, row) && is_being_changed((*relation).ri_oldTupleSlot));
        let mut inserts = matched.is_none() || may_vanish;
        if !inserts {
            state.node.inserted_at_match = (*modify).mt_merge_inserted;
        }
        let mut action = actions.first;
        while let Some(current) = action.as_ref() {
            action = current.next;
            if !current.matched && !inserts {
                continue;
            }
            if current.matched && matched != Some(current.relation) {
                continue;
            }
            if current.matched {
                if !fetch_old(actions, current.relation, row) {
                    continue;
                }
            } else if !holds(current.condition, actions.context) {
                continue;
            }
            if !current.key.is_null() {
                cover_key(state, evaluate(current.key, actions.context))?;
            }
            inserts = inserts && current.matched;
        }
    }
    Ok(())
}

/// Records what became of the last row that had a match, if another transaction deleted the match at the last moment: the row was
/// inserted then, without having been looked at.
///
/// # Safety
/// The node runs below a MERGE's ModifyTable, which is done with the last row.
pub unsafe fn note_unforeseen(state: &mut State<ChunkGuard>) {
    let before = std::mem::replace(&mut state.node.inserted_at_match, -1.0);
    // SAFETY: the caller's promise.
    unsafe {
        let Some(modify) = guard::modify_state(state) else { return };
        if before >= 0.0 && (*modify).mt_merge_inserted > before {
            crate::change::note(state.node.slice.relid(), Range::ALL);
        }
    }
}

/// # Safety
/// As [`cover_actions`].
unsafe fn cover_key(state: &mut State<ChunkGuard>, key: Option<pg_sys::Datum>) -> Result<()> {
    // SAFETY: the key is of the time column's type. A NULL is left to the row's own constraint.
    unsafe {
        let Some(value) = key else { return ChunkGuard::cover(state, None) };
        match state.node.slice.uncovered_value(value) {
            Some(key) => ChunkGuard::cover(state, Some(key)),
            None => Ok(()),
        }
    }
}

/// The result relation of the row that matched; None without a match.
///
/// # Safety
/// As [`cover_actions`].
unsafe fn match_of(
    actions: &Actions,
    modify: *mut pg_sys::ModifyTableState,
    row: *mut pg_sys::TupleTableSlot,
) -> Option<*mut pg_sys::ResultRelInfo> {
    // SAFETY: the junk columns that MERGE's ModifyTable reads, too.
    unsafe {
        column(row, actions.row_id)?;
        match column(row, actions.table) {
            Some(table) => {
                let relation = ffi::ExecLookupResultRelByOid(modify, pg_sys::Oid::from(table.value() as u32), true, false);
                (!relation.is_null()).then_some(relation)
            }
            None => Some((*modify).resultRelInfo),
        }
    }
}

unsafe fn column(row: *mut pg_sys::TupleTableSlot, number: i16) -> Option<pg_sys::Datum> {
    if number == 0 {
        return None;
    }
    // SAFETY: a column of the subplan.
    unsafe {
        if (*row).tts_nvalid < number {
            ffi::slot_getsomeattrs_int(row, number.into());
        }
        let index = number as usize - 1;
        (!*(*row).tts_isnull.add(index)).then(|| *(*row).tts_values.add(index))
    }
}

/// Reads the matched row's old version, to which an UPDATE's expressions refer.
///
/// # Safety
/// As [`cover_actions`]; the row has a match in `relation`.
unsafe fn fetch_old(actions: &Actions, relation: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: a ctid Datum points to an item pointer; SnapshotAny finds the version that the subplan saw.
    unsafe {
        let Some(tid) = column(row, actions.row_id) else { return false };
        let old = (*relation).ri_oldTupleSlot;
        let heap = (*relation).ri_RelationDesc;
        if old.is_null() {
            return false;
        }
        let snapshot = &raw mut pg_sys::SnapshotAnyData;
        let fetched = crate::pg::guard::guard(|| {
            (*(*heap).rd_tableam).tuple_fetch_row_version.is_some_and(|fetch| fetch(heap, tid.cast_mut_ptr(), snapshot, old))
        });
        (*actions.context).ecxt_scantuple = old;
        fetched
    }
}

/// True if a transaction has deleted or updated the row, or is about to.
///
/// # Safety
/// A slot with a heap tuple that [`fetch_old`] read.
unsafe fn is_being_changed(row: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let tuple = (*row.cast::<pg_sys::HeapTupleTableSlot>()).tuple;
        !tuple.is_null() && (u32::from((*(*tuple).t_data).t_infomask) & (pg_sys::HEAP_XMAX_INVALID | pg_sys::HEAP_XMAX_LOCK_ONLY)) == 0
    }
}

unsafe fn holds(condition: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> bool {
    // SAFETY: a prepared expression.
    condition.is_null() || unsafe { evaluate(condition, context) }.is_some_and(|value| value.value() != 0)
}

unsafe fn evaluate(expression: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> Option<pg_sys::Datum> {
    let mut null = false;
    // SAFETY: a prepared expression; what it allocates lives until the next row.
    unsafe {
        context::with_context((*context).ecxt_per_tuple_memory, || {
            let evalfunc = (*expression).evalfunc?;
            let value = crate::pg::guard::guard(|| evalfunc(expression, context, &mut null));
            (!null).then_some(value)
        })
    }
}

/// # Safety
/// As [`cover_actions`].
unsafe fn prepare(state: &State<ChunkGuard>, modify: *mut pg_sys::ModifyTableState) -> Result<*mut Actions> {
    let hypertable = cache::find(state.node.slice.relid()).ok_or_else(|| Error::internal("the hypertable is gone"))?;
    let column = hypertable.time().column.clone();
    // SAFETY: the plan's action lists run parallel to its result relations.
    unsafe {
        let estate = (*modify).ps.state;
        context::with_context((*estate).es_query_cxt, || {
            let plan = (*modify).ps.plan.cast::<pg_sys::ModifyTable>();
            let target_list = (*state.scan.ss.ps.plan).targetlist;
            let actions = ffi::palloc0(size_of::<Actions>()).cast::<Actions>();
            (*actions).context = ffi::CreateExprContext(estate);
            (*actions).row_id = junk_column(target_list, "ctid");
            (*actions).table = junk_column(target_list, "tableoid");
            let mut tail = &raw mut (*actions).first;
            for (index, list) in list::pointers::<pg_sys::List>((*plan).mergeActionLists).into_iter().enumerate() {
                let relation = (*modify).resultRelInfo.add(index);
                for action in list::pointers::<pg_sys::MergeAction>(list) {
                    // INSERT actions are the same for all relations.
                    if !(*action).matched && index > 0 {
                        continue;
                    }
                    let prepared = prepare_action(&mut (*modify).ps, action, relation, &column, hypertable.time().attribute);
                    if !prepared.is_null() {
                        *tail = prepared;
                        tail = &raw mut (*prepared).next;
                    }
                }
            }
            Ok(actions)
        })
    }
}

/// NULL for an action that can't need a chunk.
///
/// # Safety
/// An action of the plan of `parent`.
unsafe fn prepare_action(
    parent: *mut pg_sys::PlanState,
    action: *mut pg_sys::MergeAction,
    relation: *mut pg_sys::ResultRelInfo,
    column: &str,
    attribute: i16,
) -> *mut Action {
    // SAFETY: the caller's promise. An INSERT's target list is in the order of the table's columns, an UPDATE's in that of
    // updateColnos, which are numbers of the relation's own columns.
    unsafe {
        let entries = list::pointers::<pg_sys::TargetEntry>((*action).targetList);
        let key = match (*action).commandType {
            pg_sys::CmdType::CMD_INSERT => entries.get(attribute as usize - 1),
            pg_sys::CmdType::CMD_UPDATE => {
                let name = c_string(column);
                let own = ffi::get_attnum((*(*relation).ri_RelationDesc).rd_id, name.as_ptr());
                let columns = list::ints((*action).updateColnos);
                columns.iter().position(|number| *number == i32::from(own)).and_then(|index| entries.get(index))
            }
            _ => None,
        };
        if key.is_none() && (*action).matched {
            return std::ptr::null_mut();
        }
        let prepared = ffi::palloc0(size_of::<Action>()).cast::<Action>();
        (*prepared).matched = (*action).matched;
        (*prepared).relation = relation;
        (*prepared).condition = ffi::ExecInitQual((*action).qual.cast(), parent);
        (*prepared).key = key.map_or(std::ptr::null_mut(), |entry| ffi::ExecInitExpr((**entry).expr, parent));
        prepared
    }
}

/// The number of a junk column, 0 if there is none.
///
/// # Safety
/// A plan's target list.
unsafe fn junk_column(target_list: *mut pg_sys::List, name: &str) -> i16 {
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::TargetEntry>(target_list)
            .into_iter()
            .find(|entry| (**entry).resjunk && optional_string((**entry).resname).as_deref() == Some(name))
            .map_or(0, |entry| (*entry).resno)
    }
}
