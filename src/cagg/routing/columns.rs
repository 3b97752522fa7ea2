//! The columns of what takes a hypertable's place, cut down to those that the level uses, in the order in which it does.
//!
//! A side of a UNION ALL that has conditions is a plan of its own. Where its columns are just those wanted, in order, its rows need not be
//! copied.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use crate::pg::{ffi, guard, list, node, query};

struct Uses {
    relation: i32,
    depth: u32,
    found: Vec<*mut pg_sys::Var>,
}

/// Cuts the columns of the partial view's query that stands at `relation` in the level's range table.
///
/// # Safety
/// A Query that may be changed. It shares no columns of that relation with another query.
pub unsafe fn trim(level: *mut pg_sys::Query, relation: usize) {
    let mut uses = Uses { relation: relation as i32, depth: 0, found: Vec::new() };
    // SAFETY: the caller's promise; the walker gets the uses back as its context.
    unsafe {
        let context: *mut c_void = std::ptr::from_mut(&mut uses).cast();
        // In the order in which the planner asks for columns.
        for tree in [(*level).targetList.cast(), (*level).havingQual] {
            find_uses(tree, context);
        }
        ffi::query_tree_walker(level, find_uses, context, 0);
        let found = (*context.cast::<Uses>()).found.as_slice();
        let mut used: Vec<i16> = Vec::new();
        for var in found {
            if !used.contains(&(**var).varattno) {
                used.push((**var).varattno);
            }
        }
        let entry = query::entry(level, relation);
        let count = list::cells((*entry.subquery).targetList).len();
        if used.is_empty() || used.iter().any(|number| !(1..=count as i16).contains(number)) {
            return;
        }
        let renumbered = |old: i16| used.iter().position(|number| *number == old).map_or(old, |index| index as i16 + 1);
        for var in found {
            (**var).varattno = renumbered((**var).varattno);
            (**var).varattnosyn = if (**var).varnosyn == relation as u32 { (**var).varattno } else { (**var).varattnosyn };
        }
        cut(entry, &used);
    }
}

/// # Safety
/// The entry of a partial view's query, which may be changed, and numbers of its columns.
unsafe fn cut(entry: &mut pg_sys::RangeTblEntry, used: &[i16]) {
    // SAFETY: the lists of a Query and of a set operation hold what their names say.
    unsafe {
        let partial = &mut *entry.subquery;
        let operation = &mut *partial.setOperations.cast::<pg_sys::SetOperationStmt>();
        operation.colTypes = pick_oids(operation.colTypes, used);
        operation.colCollations = pick_oids(operation.colCollations, used);
        let typmods = list::ints(operation.colTypmods);
        operation.colTypmods = used.iter().fold(std::ptr::null_mut(), |list, number| ffi::lappend_int(list, typmods[*number as usize - 1]));
        for arm in [operation.larg, operation.rarg] {
            let arm = query::entry(partial, (*arm.cast::<pg_sys::RangeTblRef>()).rtindex as usize);
            (*arm.subquery).targetList = pick_targets((*arm.subquery).targetList, used);
            (*arm.eref).colnames = pick((*arm.eref).colnames, used);
        }
        partial.targetList = pick_targets(partial.targetList, used);
        for (index, target) in list::pointers::<pg_sys::TargetEntry>(partial.targetList).into_iter().enumerate() {
            (*(*target).expr.cast::<pg_sys::Var>()).varattno = index as i16 + 1;
        }
        (*entry.eref).colnames = pick((*entry.eref).colnames, used);
    }
}

/// # Safety
/// A list of pointers.
unsafe fn pick(all: *mut pg_sys::List, used: &[i16]) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    let all = unsafe { list::pointers::<c_void>(all) };
    list::from_pointers(used.iter().map(|number| all[*number as usize - 1]))
}

/// # Safety
/// A list of OIDs.
unsafe fn pick_oids(all: *mut pg_sys::List, used: &[i16]) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe {
        let all = list::oids(all);
        used.iter().fold(std::ptr::null_mut(), |list, number| ffi::lappend_oid(list, all[*number as usize - 1]))
    }
}

/// # Safety
/// A target list that may be changed.
unsafe fn pick_targets(all: *mut pg_sys::List, used: &[i16]) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe {
        let picked = pick(all, used);
        for (index, target) in list::pointers::<pg_sys::TargetEntry>(picked).into_iter().enumerate() {
            (*target).resno = index as i16 + 1;
        }
        picked
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn find_uses(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context that `trim` gave them.
    unsafe {
        guard::boundary(|| {
            let uses = &mut *context.cast::<Uses>();
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_Var => {
                    let var = tree.cast::<pg_sys::Var>();
                    let is_use = (*var).varno == uses.relation && (*var).varlevelsup == uses.depth;
                    if is_use && !uses.found.contains(&var) {
                        uses.found.push(var);
                    }
                    false
                }
                NodeTag::T_Query => {
                    uses.depth += 1;
                    ffi::query_tree_walker(tree.cast(), find_uses, context, 0);
                    (*context.cast::<Uses>()).depth -= 1;
                    false
                }
                _ => ffi::expression_tree_walker(tree, find_uses, context),
            })
        })
    }
}
