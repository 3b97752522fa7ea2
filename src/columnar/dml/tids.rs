//! Targets that are found by ctid: `WHERE ctid = ..` and `WHERE CURRENT OF ..`.
//!
//! The ctid of a row in a batch says where the row is (`row_id`), but the plan looks for it in the heap. So once the batch has been moved,
//! the plan is replaced by a copy that looks where the row is then.

use pgrx::pg_sys::{self, NodeTag};

use super::plan_walk;
use crate::columnar::row_id;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{optional_string, relation_name};
use crate::pg::{ffi, list, node};

/// Where a target's rows were, and where they are now.
pub struct Places {
    /// The target's index in the range table.
    pub index: i32,
    /// The rows that the statement is about.
    pub tids: Vec<pg_sys::ItemPointerData>,
}

/// The ctids that a scan looks for; None if it looks for none, or for some that are known only when it runs.
///
/// # Safety
/// A node of a statement's plan that scans the table `relid`, with the statement's parameters.
pub unsafe fn of(
    scan: *mut pg_sys::Plan,
    relid: pg_sys::Oid,
    parameters: pg_sys::ParamListInfo,
) -> Result<Option<Vec<pg_sys::ItemPointerData>>> {
    // SAFETY: the tag says that it is a TidScan.
    unsafe {
        if node::tag(scan) != NodeTag::T_TidScan {
            return Ok(None);
        }
        let mut tids = Vec::new();
        let estate = ffi::CreateExecutorState();
        (*estate).es_param_list_info = parameters;
        let econtext = ffi::CreateExprContext(estate);
        for condition in list::pointers::<pg_sys::Node>((*scan.cast::<pg_sys::TidScan>()).tidquals) {
            if node::tag(condition) == NodeTag::T_CurrentOfExpr {
                tids.extend(current_of(condition.cast(), econtext, relid)?);
                continue;
            }
            let Some((constant, is_array)) = constant_of(condition) else { return Ok(None) };
            if !plan_walk::is_known(constant, 0) {
                return Ok(None);
            }
            let state = ffi::ExecInitExprWithParams(constant.cast(), parameters);
            let mut is_null = false;
            let value = crate::pg::guard::guard(|| match (*state).evalfunc {
                Some(evaluate) => evaluate(state, econtext, &mut is_null),
                None => pg_sys::Datum::null(),
            });
            match (is_null, is_array) {
                (true, _) => {}
                (false, false) => tids.push(*value.cast_mut_ptr::<pg_sys::ItemPointerData>()),
                (false, true) => {
                    let elements = crate::pg::array::elements(value, size_of::<pg_sys::ItemPointerData>() as i16, false, b's');
                    tids.extend(elements.into_iter().map(|element| *element.cast_mut_ptr::<pg_sys::ItemPointerData>()));
                }
            }
        }
        Ok(Some(tids))
    }
}

/// The expression that `ctid` is compared with, and whether it is an array.
///
/// # Safety
/// A condition of a TidScan.
unsafe fn constant_of(condition: *mut pg_sys::Node) -> Option<(*mut pg_sys::Node, bool)> {
    // SAFETY: the tag says what the node is.
    unsafe {
        let is_var = |side: *mut pg_sys::Node| node::tag(side) == NodeTag::T_Var;
        match node::tag(condition) {
            NodeTag::T_OpExpr => match list::pointers::<pg_sys::Node>((*condition.cast::<pg_sys::OpExpr>()).args)[..] {
                [var, other] if is_var(var) => Some((other, false)),
                [other, var] if is_var(var) => Some((other, false)),
                _ => None,
            },
            NodeTag::T_ScalarArrayOpExpr => match list::pointers::<pg_sys::Node>((*condition.cast::<pg_sys::ScalarArrayOpExpr>()).args)[..]
            {
                [_, array] => Some((array, true)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The row that a cursor stands on, if it is one of the table's.
///
/// # Safety
/// As [`of`].
unsafe fn current_of(
    cursor: *mut pg_sys::CurrentOfExpr,
    econtext: *mut pg_sys::ExprContext,
    relid: pg_sys::Oid,
) -> Result<Option<pg_sys::ItemPointerData>> {
    let mut tid = pg_sys::ItemPointerData::default();
    // SAFETY: the caller's promise.
    unsafe {
        if !ffi::execCurrentOf(cursor, econtext, relid, &mut tid) {
            return Ok(None);
        }
        // A scan of both parts does not say where its row is.
        if tid.ip_posid == 0 || row_id::find(tid).is_some() {
            let name = optional_string((*cursor).cursor_name).unwrap_or_default();
            let message = format!("cursor \"{name}\" is not a simply updatable scan of table \"{}\"", relation_name(relid));
            return Err(Error::new(SqlState("24000"), message)
                .detail("The table is a compressed chunk, and the cursor reads it without locking its rows.")
                .hint("Declare the cursor with FOR UPDATE."));
        }
    }
    Ok(Some(tid))
}

/// A copy of a statement, in the current memory context, which looks for its targets where they are now.
///
/// # Safety
/// A finished plan; the places are those of targets that it looks for by ctid.
pub unsafe fn replace(statement: *mut pg_sys::PlannedStmt, places: &[Places]) -> *mut pg_sys::PlannedStmt {
    // SAFETY: the copy is ours to change.
    unsafe {
        let copy = ffi::copyObjectImpl(statement.cast()).cast::<pg_sys::PlannedStmt>();
        for plan in plan_walk::nodes(copy) {
            let index = plan_walk::scanned(plan);
            if let Some(places) = places.iter().find(|places| places.index == index)
                && node::tag(plan) == NodeTag::T_TidScan
            {
                (*plan.cast::<pg_sys::TidScan>()).tidquals = list::from_pointers(places.tids.iter().map(|tid| condition(index, *tid)));
            }
        }
        copy
    }
}

/// `ctid = tid`
///
/// # Safety
/// Within a transaction.
unsafe fn condition(index: i32, tid: pg_sys::ItemPointerData) -> *mut pg_sys::Expr {
    // SAFETY: fresh nodes.
    unsafe {
        let none = pg_sys::InvalidOid;
        let ctid = pg_sys::SelfItemPointerAttributeNumber as i16;
        let var = ffi::makeVar(index, ctid, pg_sys::TIDOID, -1, none, 0);
        let place = ffi::palloc(size_of::<pg_sys::ItemPointerData>()).cast::<pg_sys::ItemPointerData>();
        place.write(tid);
        let length = size_of::<pg_sys::ItemPointerData>() as i32;
        let constant = ffi::makeConst(pg_sys::TIDOID, -1, none, length, pg_sys::Datum::from(place), false, false);
        let equal = pg_sys::Oid::from(pg_sys::TIDEqualOperator);
        let clause = ffi::make_opclause(equal, pg_sys::BOOLOID, false, var.cast(), constant.cast(), none, none);
        ffi::set_opfuncid(clause.cast());
        clause
    }
}
