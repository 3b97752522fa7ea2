//! Conditions of a query on its time column that say from when to when: `time >= value` and the like.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::{DATEOID, INT2OID, INT4OID, INT8OID, NodeTag, TIMESTAMPOID, TIMESTAMPTZOID};
use tsc_kernel::axis::Axis;
use tsc_kernel::ranges::Range;

use crate::catalog::dimension::axis_of_type;
use crate::pg::expr::{self, Column, Comparison, Expr};
use crate::pg::{axis, ffi, guard, node, template};

/// `time comparison value`, where the value is one of the time's type and the same for all rows.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// How the time compares.
    pub comparison: Comparison,
    /// With what.
    pub value: Expr,
}

/// The bound that a condition is on a column.
pub fn bound_of(condition: Expr, time: Column, time_type: pg_sys::Oid) -> Option<Bound> {
    let of = |condition: Expr| {
        let (comparison, left, right) = condition.as_comparison()?;
        let is_bound = left.as_column() == Some(time) && left.type_oid() == time_type && !right.varies() && !has_columns(right);
        is_bound.then(|| Some(Bound { comparison, value: as_type(right, time_type)? })).flatten()
    };
    of(condition).or_else(|| of(condition.commuted()?))
}

/// A value of another type that an operator compares the time with, as a value of the time's type, where that makes no difference.
fn as_type(value: Expr, time_type: pg_sys::Oid) -> Option<Expr> {
    let cast = match (value.type_oid(), time_type) {
        (same, wanted) if same == wanted => return Some(value),
        (DATEOID | TIMESTAMPOID, TIMESTAMPTZOID) => "$1::timestamptz",
        (DATEOID, TIMESTAMPOID) => "$1::timestamp",
        (INT2OID | INT4OID, INT8OID) => "$1::int8",
        (INT2OID, INT4OID) => "$1::int4",
        // The other way round the operator converts the column, which is not always the same.
        _ => return None,
    };
    Some(template::expression(cast, &[value]))
}

/// Whether an expression without subqueries has columns of any query level.
fn has_columns(expr: Expr) -> bool {
    // SAFETY: the walker has no context.
    unsafe { find_column(expr.as_ptr(), std::ptr::null_mut()) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn find_column(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes.
    unsafe {
        guard::boundary(|| {
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_Var => true,
                _ => ffi::expression_tree_walker(tree, find_column, context),
            })
        })
    }
}

impl Bound {
    /// What `cagg_valid` and `cagg_live` call the comparison.
    pub fn operator(self) -> &'static str {
        match self.comparison {
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Equal => "=",
            Comparison::GreaterEqual => ">=",
            Comparison::Greater => ">",
        }
    }

    /// Where it is true, as far as can be said when the query is planned.
    fn range(self, axis: Axis, parameters: pg_sys::ParamListInfo) -> Option<Range> {
        let (_, datum) = expr::estimate(self.value, parameters).as_const()?;
        // SAFETY: a value of the axis's type.
        let at = unsafe { axis::position(axis, datum) };
        Some(match self.comparison {
            Comparison::Less | Comparison::LessEqual => Range { low: i64::MIN, high: at },
            Comparison::Equal => Range { low: at, high: at },
            Comparison::GreaterEqual | Comparison::Greater => Range { low: at, high: i64::MAX },
        })
    }
}

/// Which times a query asks for, as far as can be said when it is planned; None: none.
pub fn expected(bounds: &[Bound], time_type: pg_sys::Oid, parameters: pg_sys::ParamListInfo) -> Option<Range> {
    let axis = axis_of_type(time_type)?;
    bounds.iter().filter_map(|bound| bound.range(axis, parameters)).try_fold(Range::ALL, Range::intersection)
}
