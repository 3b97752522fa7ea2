//! The chunks with batches whose rows a statement changes or locks, and what it says of these rows.

use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use super::plan_walk;
use crate::catalog::cache;
use crate::change::recorder;
use crate::columnar::layout::{self, Layout};
use crate::pg::relation::Relation;
use crate::pg::{ffi, list, node};

/// A chunk that has a columnar part.
pub struct Target {
    /// Its index in the statement's range table.
    pub index: i32,
    /// The columnar part.
    pub layout: Rc<Layout>,
    /// What to do about a batch that another transaction is changing.
    pub wait: pg_sys::LockWaitPolicy::Type,
    /// Its scan; NULL if there is none, or several.
    pub scan: *mut pg_sys::Plan,
    /// Conditions that every row meets which the statement is about.
    pub conditions: Vec<*mut pg_sys::Node>,
    /// The same, with parameters that get their values while the statement runs.
    pub parameterised: Vec<*mut pg_sys::Node>,
    /// Conditions that could tell of a row's values must not be evaluated out of order.
    pub is_guarded: bool,
    /// A batch of which every row meets the conditions may be deleted as it is: nobody would see a difference.
    pub may_remove: bool,
}

impl Target {
    fn new(index: i32, layout: Rc<Layout>) -> Self {
        let wait = pg_sys::LockWaitPolicy::LockWaitBlock;
        let scan = std::ptr::null_mut();
        Self { index, layout, wait, scan, conditions: Vec::new(), parameterised: Vec::new(), is_guarded: false, may_remove: false }
    }
}

/// The targets of a statement.
///
/// # Safety
/// A finished plan whose relations are locked.
pub unsafe fn of(statement: *mut pg_sys::PlannedStmt) -> Vec<Target> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut targets = changed(statement);
        locked(statement, &mut targets);
        if !targets.is_empty() {
            add_conditions(statement, &mut targets);
        }
        targets
    }
}

/// The ModifyTable nodes of a statement: at the top, or at the top of a CTE's plan.
///
/// # Safety
/// A finished plan.
pub unsafe fn modifies(statement: *mut pg_sys::PlannedStmt) -> Vec<*mut pg_sys::ModifyTable> {
    // SAFETY: the tag says that it is a ModifyTable.
    unsafe {
        let mut plans = vec![(*statement).planTree];
        if (*statement).hasModifyingCTE {
            plans.extend(list::pointers::<pg_sys::Plan>((*statement).subplans));
        }
        plans.retain(|plan| node::tag(*plan) == NodeTag::T_ModifyTable);
        plans.into_iter().map(|plan| plan.cast()).collect()
    }
}

/// True if the statement has an INSERT .. ON CONFLICT DO UPDATE into a hypertable, or a chunk with a columnar part.
///
/// # Safety
/// As [`of`].
pub unsafe fn may_update_on_conflict(statement: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        modifies(statement).into_iter().any(|modify| {
            (*modify).onConflictAction == pg_sys::OnConflictAction::ONCONFLICT_UPDATE
                && list::ints((*modify).resultRelations)
                    .first()
                    .is_some_and(|index| layout_of(statement, *index).is_some() || cache::find((*entry(statement, *index)).relid).is_some())
        })
    }
}

/// # Safety
/// A finished plan.
unsafe fn entry(statement: *mut pg_sys::PlannedStmt, index: i32) -> *mut pg_sys::RangeTblEntry {
    // SAFETY: indexes into the range table count from 1.
    unsafe { list::cells((*statement).rtable)[index as usize - 1].ptr_value.cast() }
}

/// The layout of a relation of the statement, if it has one.
///
/// # Safety
/// As [`of`].
pub unsafe fn layout_of(statement: *mut pg_sys::PlannedStmt, index: i32) -> Option<Rc<Layout>> {
    // SAFETY: the caller's promise.
    unsafe {
        let entry = entry(statement, index);
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION || (*entry).relkind as u8 != b'r' {
            return None;
        }
        layout::find((*entry).relid)
    }
}

/// # Safety
/// As [`of`].
unsafe fn changed(statement: *mut pg_sys::PlannedStmt) -> Vec<Target> {
    let mut targets = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        for modify in modifies(statement) {
            if (*modify).operation == pg_sys::CmdType::CMD_INSERT {
                continue;
            }
            let mut removes = None;
            for index in list::ints((*modify).resultRelations) {
                let Some(layout) = layout_of(statement, index) else { continue };
                let removes = *removes.get_or_insert_with(|| only_deletes(statement, modify));
                let may_remove = removes && !has_delete_triggers(layout.chunk);
                targets.push(Target { may_remove, ..Target::new(index, layout) });
            }
        }
    }
    targets
}

/// # Safety
/// As [`of`].
unsafe fn locked(statement: *mut pg_sys::PlannedStmt, targets: &mut Vec<Target>) {
    // SAFETY: the list holds PlanRowMark nodes.
    unsafe {
        for mark in list::pointers::<pg_sys::PlanRowMark>((*statement).rowMarks) {
            let locks = (*mark).markType <= pg_sys::RowMarkType::ROW_MARK_KEYSHARE;
            if (*mark).isParent || !locks {
                continue;
            }
            let index = (*mark).rti as i32;
            if let Some(layout) = layout_of(statement, index) {
                targets.push(Target { wait: (*mark).waitPolicy, ..Target::new(index, layout) });
            }
        }
    }
}

/// # Safety
/// As [`of`].
unsafe fn add_conditions(statement: *mut pg_sys::PlannedStmt, targets: &mut [Target]) {
    // SAFETY: nodes of the plan.
    unsafe {
        let mut scans: HashMap<i32, Vec<*mut pg_sys::Plan>> = HashMap::new();
        for plan in plan_walk::nodes(statement) {
            let relation = plan_walk::scanned(plan);
            if relation > 0 {
                scans.entry(relation).or_default().push(plan);
            }
        }
        let guarded = plan_walk::is_guarded(statement);
        for target in targets {
            // Without a scan, or with several, nothing is known.
            let Some([scan]) = scans.get(&target.index).map(Vec::as_slice) else {
                target.may_remove = false;
                continue;
            };
            target.scan = *scan;
            target.is_guarded = guarded;
            let (conditions, all) = plan_walk::conditions(*scan);
            target.may_remove &= all;
            for condition in conditions {
                let may_tell = guarded && ffi::contain_leaked_vars(condition);
                if !may_tell && plan_walk::is_known(condition, target.index) {
                    target.conditions.push(condition);
                    continue;
                }
                target.may_remove = false;
                if !may_tell && plan_walk::is_known_but_for_parameters(condition, target.index) {
                    target.parameterised.push(condition);
                }
            }
        }
    }
}

/// True for a statement that does nothing but delete rows by conditions on them, and lets nobody look at them meanwhile.
///
/// # Safety
/// As [`of`]; `modify` is one of its nodes.
unsafe fn only_deletes(statement: *mut pg_sys::PlannedStmt, modify: *mut pg_sys::ModifyTable) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let root = if (*modify).rootRelation > 0 { (*modify).rootRelation } else { (*modify).nominalRelation };
        (*modify).operation == pg_sys::CmdType::CMD_DELETE
            && (*modify).canSetTag
            && (*statement).planTree == modify.cast()
            && (*statement).subplans.is_null()
            && (*statement).rowMarks.is_null()
            && (*modify).returningLists.is_null()
            // Logical decoding has to see each row go.
            && pg_sys::wal_level < pg_sys::WalLevel::WAL_LEVEL_LOGICAL as i32
            && scans_only((*modify).plan.lefttree)
            && !has_statement_triggers((*entry(statement, root as i32)).relid)
    }
}

/// True for a scan, or an Append of scans.
///
/// # Safety
/// A node of a finished plan.
unsafe fn scans_only(plan: *mut pg_sys::Plan) -> bool {
    // SAFETY: the tag says what the node is.
    unsafe {
        match node::tag(plan) {
            NodeTag::T_Append => {
                list::pointers::<pg_sys::Plan>((*plan.cast::<pg_sys::Append>()).appendplans).into_iter().all(|plan| scans_only(plan))
            }
            NodeTag::T_CustomScan if is_recorder(plan) => scans_only((*plan).lefttree),
            _ => plan_walk::scanned(plan) > 0,
        }
    }
}

/// True for the node that records what a statement changes: it hands on rows as they are.
///
/// # Safety
/// A CustomScan.
unsafe fn is_recorder(plan: *mut pg_sys::Plan) -> bool {
    // SAFETY: its methods have a name.
    unsafe { std::ffi::CStr::from_ptr((*(*plan.cast::<pg_sys::CustomScan>()).methods).CustomName) == recorder::NODE }
}

/// Whether triggers FOR EACH STATEMENT see a table before its rows are deleted, or the deleted rows.
fn has_statement_triggers(relid: pg_sys::Oid) -> bool {
    let relation = Relation::open(relid, pg_sys::NoLock);
    // SAFETY: NULL or the relation's triggers.
    let triggers = unsafe { (*relation.as_ptr()).trigdesc.as_ref() };
    triggers.is_some_and(|triggers| triggers.trig_delete_before_statement || triggers.trig_delete_old_table)
}

/// Whether triggers FOR EACH ROW, those of foreign keys among them, see rows that are deleted.
fn has_delete_triggers(relid: pg_sys::Oid) -> bool {
    let relation = Relation::open(relid, pg_sys::NoLock);
    // SAFETY: NULL or the relation's triggers.
    let triggers = unsafe { (*relation.as_ptr()).trigdesc.as_ref() };
    triggers.is_some_and(|triggers| {
        triggers.trig_delete_before_row
            || triggers.trig_delete_after_row
            || triggers.trig_delete_instead_row
            || triggers.trig_delete_old_table
    })
}
