//! Keys of the other side of a join, and the condition that they make.

use std::cmp::Ordering;
use std::collections::HashSet;

use pgrx::pg_sys::{self, NodeTag};

use super::run_plan;
use crate::columnar::order::Order;
use crate::pg::ffi::{self, raw};
use crate::pg::{list, node, slot};

/// More keys than that are described by their bounds.
const MOST_KEYS: usize = 1000;
/// More rows than that are not looked at: the other side is as large as the target, perhaps.
const MOST_ROWS: usize = 200_000;

/// The keys.
pub struct Keys {
    key_type: pg_sys::Oid,
    /// The distinct ones, unless they are too many.
    values: Option<Vec<pg_sys::Datum>>,
    /// The least and the greatest one, if they are words.
    bounds: Option<(pg_sys::Datum, pg_sys::Datum)>,
}

/// What identifies a key.
#[derive(PartialEq, Eq, Hash)]
enum Image {
    Word(usize),
    Bytes(Vec<u8>),
}

impl Keys {
    /// Runs a part of a plan for the keys in one of its columns; None if there are too many rows.
    ///
    /// # Safety
    /// As [`run_plan::rows`]; the keys live in the current memory context.
    pub unsafe fn collect(query: *mut pg_sys::QueryDesc, plan: *mut pg_sys::Plan, column: i16) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let entry = *list::pointers::<pg_sys::TargetEntry>((*plan).targetlist).get(column as usize - 1)?;
            let key_type = ffi::exprType((*entry).expr.cast());
            let (mut length, mut by_value) = (0, false);
            ffi::get_typlenbyval(key_type, &mut length, &mut by_value);
            let order = if by_value { Order::of(key_type, pg_sys::InvalidOid) } else { Order::None };
            let order = if matches!(order, Order::Function(..)) { Order::None } else { order };
            let mut seen: HashSet<Image> = HashSet::new();
            let mut values = Vec::new();
            let mut bounds: Option<(pg_sys::Datum, pg_sys::Datum)> = None;
            let mut rows = 0;
            let home = pg_sys::CurrentMemoryContext;
            let (seen_keys, found, range) = (&mut seen, &mut values, &mut bounds);
            run_plan::rows(query, plan, |row| {
                rows += 1;
                if rows > MOST_ROWS {
                    return false;
                }
                let Some(value) = slot::attribute(row, column) else { return true };
                if !matches!(order, Order::None) {
                    let (low, high) = range.unwrap_or((value, value));
                    let low = if order.compare(value, low) == Ordering::Less { value } else { low };
                    *range = Some((low, if order.compare(value, high) == Ordering::Greater { value } else { high }));
                }
                if found.len() <= MOST_KEYS && is_new(seen_keys, value, by_value, length) {
                    let outer = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = home;
                    found.push(raw::datumCopy(value, by_value, length.into()));
                    pg_sys::CurrentMemoryContext = outer;
                }
                true
            });
            let values = (values.len() <= MOST_KEYS).then_some(values);
            (rows <= MOST_ROWS && (values.is_some() || bounds.is_some())).then_some(Self { key_type, values, bounds })
        }
    }

    /// The condition that a column meets which is compared with the keys by a clause, on its left side unless it is `commuted`. The
    /// other side of the clause is of type `other`.
    ///
    /// # Safety
    /// Expressions of a finished plan.
    pub unsafe fn condition(
        &self,
        clause: *mut pg_sys::OpExpr,
        column: *mut pg_sys::Node,
        other: pg_sys::Oid,
        commuted: bool,
    ) -> Option<*mut pg_sys::Node> {
        // SAFETY: the caller's promise.
        unsafe {
            let operator = if commuted { ffi::get_commutator((*clause).opno) } else { (*clause).opno };
            if operator == pg_sys::InvalidOid || !ffi::op_strict(operator) || !is_same_value(self.key_type, other) {
                return None;
            }
            match &self.values {
                Some(values) => self.any_of(values, operator, (*clause).inputcollid, column, other),
                None => self.between(operator, column, other),
            }
        }
    }

    /// `column operator ANY (keys)`
    ///
    /// # Safety
    /// As [`Self::condition`].
    unsafe fn any_of(
        &self,
        values: &[pg_sys::Datum],
        operator: pg_sys::Oid,
        collation: pg_sys::Oid,
        column: *mut pg_sys::Node,
        other: pg_sys::Oid,
    ) -> Option<*mut pg_sys::Node> {
        let mut values = values.to_vec();
        // SAFETY: the caller's promise; fresh nodes.
        unsafe {
            let array_type = ffi::get_array_type(other);
            if array_type == pg_sys::InvalidOid {
                return None;
            }
            let (mut length, mut by_value, mut align) = (0, false, 0);
            ffi::get_typlenbyvalalign(other, &mut length, &mut by_value, &mut align);
            let array = ffi::construct_array(values.as_mut_ptr(), values.len() as i32, other, length.into(), by_value, align);
            let none = pg_sys::InvalidOid;
            let constant = ffi::makeConst(array_type, -1, none, -1, pg_sys::Datum::from(array), false, false);
            let any: *mut pg_sys::ScalarArrayOpExpr = node::make_node(NodeTag::T_ScalarArrayOpExpr);
            (*any).opno = operator;
            (*any).useOr = true;
            (*any).inputcollid = collation;
            (*any).args = list::from_pointers([column, constant.cast()]);
            (*any).location = -1;
            ffi::set_sa_opfuncid(any);
            Some(any.cast())
        }
    }

    /// `column >= least AND column <= greatest`, of an equality.
    ///
    /// # Safety
    /// As [`Self::condition`].
    unsafe fn between(&self, operator: pg_sys::Oid, column: *mut pg_sys::Node, other: pg_sys::Oid) -> Option<*mut pg_sys::Node> {
        let (least, greatest) = self.bounds?;
        // SAFETY: the caller's promise; fresh nodes.
        unsafe {
            let own = ffi::exprType(column);
            let family = (*ffi::lookup_type_cache(own, pg_sys::TYPECACHE_BTREE_OPFAMILY as i32)).btree_opf;
            if family == pg_sys::InvalidOid || ffi::get_op_opfamily_strategy(operator, family) != pg_sys::BTEqualStrategyNumber as i32 {
                return None;
            }
            let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
            ffi::op_input_types(operator, &mut left, &mut right);
            let compare = |strategy: u32, value: pg_sys::Datum| {
                let operator = ffi::get_opfamily_member(family, left, right, strategy as i16);
                if operator == pg_sys::InvalidOid {
                    return None;
                }
                let none = pg_sys::InvalidOid;
                let (mut length, mut by_value) = (0, false);
                ffi::get_typlenbyval(other, &mut length, &mut by_value);
                let constant = ffi::makeConst(other, -1, none, length.into(), value, false, by_value);
                let column = ffi::copyObjectImpl(column.cast()).cast();
                let clause = ffi::make_opclause(operator, pg_sys::BOOLOID, false, column, constant.cast(), none, none);
                ffi::set_opfuncid(clause.cast());
                Some(clause.cast::<pg_sys::Node>())
            };
            let bounds = [compare(pg_sys::BTGreaterEqualStrategyNumber, least)?, compare(pg_sys::BTLessEqualStrategyNumber, greatest)?];
            Some(ffi::makeBoolExpr(pg_sys::BoolExprType::AND_EXPR, list::from_pointers(bounds), -1).cast())
        }
    }
}

/// A binary operator's call with its operands.
///
/// # Safety
/// An expression.
pub unsafe fn operands(expression: *mut pg_sys::Node) -> Option<(*mut pg_sys::OpExpr, *mut pg_sys::Node, *mut pg_sys::Node)> {
    // SAFETY: the tag says that it is an OpExpr.
    unsafe {
        if node::tag(expression) != NodeTag::T_OpExpr {
            return None;
        }
        let clause = expression.cast::<pg_sys::OpExpr>();
        match list::pointers::<pg_sys::Node>((*clause).args)[..] {
            [left, right] if (*clause).opresulttype == pg_sys::BOOLOID => Some((clause, left, right)),
            _ => None,
        }
    }
}

/// An expression without changes of type that leave values as they are.
///
/// # Safety
/// An expression.
pub unsafe fn strip(expression: *mut pg_sys::Node) -> *mut pg_sys::Node {
    let mut expression = expression;
    // SAFETY: the tag says that it is a RelabelType.
    unsafe {
        while node::tag(expression) == NodeTag::T_RelabelType {
            expression = (*expression.cast::<pg_sys::RelabelType>()).arg.cast();
        }
    }
    expression
}

/// The scan's own column behind a column of the first of the nodes above it, which hand rows on; with the changes of type around it.
///
/// # Safety
/// `column` is a Var of the join above `path`, or a RelabelType of one.
pub unsafe fn column_below(column: *mut pg_sys::Node, path: &[*mut pg_sys::Plan], scan: *mut pg_sys::Plan) -> Option<*mut pg_sys::Node> {
    // SAFETY: target lists hold TargetEntry nodes; a node that hands rows on refers to its child by OUTER_VAR.
    unsafe {
        let mut number = (*strip(column).cast::<pg_sys::Var>()).varattno;
        for plan in path {
            let entry = *list::pointers::<pg_sys::TargetEntry>((**plan).targetlist).get((number as usize).checked_sub(1)?)?;
            let var = (*entry).expr.cast::<pg_sys::Var>();
            if node::tag(var) != NodeTag::T_Var {
                return None;
            }
            if *plan == scan {
                let is_own = (*var).varno == (*scan.cast::<pg_sys::Scan>()).scanrelid as i32 && (*var).varattno > 0;
                return is_own.then(|| relabelled(column, var));
            }
            if (*var).varno != pg_sys::OUTER_VAR {
                return None;
            }
            number = (*var).varattno;
        }
        None
    }
}

/// A copy of `outer` with another Var inside.
///
/// # Safety
/// A Var, or a RelabelType of one.
unsafe fn relabelled(outer: *mut pg_sys::Node, var: *mut pg_sys::Var) -> *mut pg_sys::Node {
    // SAFETY: the tag says what the node is; copies are changed only.
    unsafe {
        if node::tag(outer) != NodeTag::T_RelabelType {
            return ffi::copyObjectImpl(var.cast()).cast();
        }
        let copy = ffi::copyObjectImpl(outer.cast()).cast::<pg_sys::RelabelType>();
        (*copy).arg = relabelled((*outer.cast::<pg_sys::RelabelType>()).arg.cast(), var).cast();
        copy.cast()
    }
}

/// Whether values of one type can be passed for values of another one.
///
/// # Safety
/// Types that exist.
unsafe fn is_same_value(one: pg_sys::Oid, other: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe {
        let (mut lengths, mut by_value) = ([0, 0], [false, false]);
        ffi::get_typlenbyval(one, &mut lengths[0], &mut by_value[0]);
        ffi::get_typlenbyval(other, &mut lengths[1], &mut by_value[1]);
        one == other || (lengths[0] == lengths[1] && by_value[0] == by_value[1])
    }
}

/// # Safety
/// A value of a type of that length. May jump.
unsafe fn is_new(seen: &mut HashSet<Image>, value: pg_sys::Datum, by_value: bool, length: i16) -> bool {
    // SAFETY: the caller's promise. Nothing of PostgreSQL is called once there is something to drop.
    unsafe {
        if by_value {
            return seen.insert(Image::Word(value.value()));
        }
        let bytes = match length {
            -1 => {
                let plain = raw::pg_detoast_datum_packed(value.cast_mut_ptr());
                std::slice::from_raw_parts(pgrx::vardata_any(plain).cast::<u8>(), pgrx::varsize_any_exhdr(plain))
            }
            -2 => std::ffi::CStr::from_ptr(value.cast_mut_ptr()).to_bytes(),
            length => std::slice::from_raw_parts(value.cast_mut_ptr::<u8>(), length as usize),
        };
        seen.insert(Image::Bytes(bytes.to_vec()))
    }
}
