//! Conditions of a query on its time column that say from when to when: `time >= value` and the like.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::{DATEOID, INT2OID, INT4OID, INT8OID, NodeTag, TIMESTAMPOID, TIMESTAMPTZOID};
use tsc_kernel::axis::{Axis, DAY_MICROS, END_TIMESTAMP, MIN_TIMESTAMP};
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
        is_bound.then(|| Some(Bound { comparison, value: as_type(right, comparison, time_type)? })).flatten()
    };
    of(condition).or_else(|| of(condition.commuted()?))
}

/// A value of another type that an operator compares the time with, as a value of the time's type that compares with it alike.
fn as_type(value: Expr, comparison: Comparison, time_type: pg_sys::Oid) -> Option<Expr> {
    let casts = match (value.type_oid(), time_type) {
        (same, wanted) if same == wanted => return Some(value),
        (INT2OID | INT4OID, INT8OID) => return Some(template::expression("$1::int8", &[value])),
        (INT2OID, INT4OID) => return Some(template::expression("$1::int4", &[value])),
        (DATEOID | TIMESTAMPOID, TIMESTAMPTZOID) => &TO_TIMESTAMPTZ,
        (DATEOID, TIMESTAMPOID) => &TO_TIMESTAMP,
        // The other way round the operator converts the column, which is not always the same.
        _ => return None,
    };
    let value = expr::fold(value, std::ptr::null_mut());
    let cast = match comparison {
        _ if surely_fits(value) => casts.plain,
        Comparison::Less | Comparison::GreaterEqual => casts.first_not_less,
        Comparison::LessEqual | Comparison::Greater => casts.last_not_greater,
        Comparison::Equal => casts.exact,
    };
    Some(template::expression(cast, &[value]))
}

/// How a value becomes one of the time's type. The cast fails for dates and times that this type does not have, and the operators don't:
/// to them such a value lies between the infinity and what is finite. Other values of the type have the same times below them.
struct Casts {
    /// For a value that the type has.
    plain: &'static str,
    /// The first value of the type that is not less.
    first_not_less: &'static str,
    /// The last value of the type that is not greater.
    last_not_greater: &'static str,
    /// NULL if the type does not have it.
    exact: &'static str,
}

macro_rules! cast {
    ($to:literal, $before:literal, $after:literal) => {
        concat!(
            "CASE WHEN $1 < ",
            $to,
            " '4714-11-24 00:00:00+00 BC' AND $1 > '-infinity' THEN ",
            $before,
            "::",
            $to,
            " WHEN $1 > ",
            $to,
            " '294276-12-31 23:59:59.999999+00' AND $1 < 'infinity' THEN ",
            $after,
            "::",
            $to,
            " ELSE $1::",
            $to,
            " END"
        )
    };
}

macro_rules! casts {
    ($to:literal) => {
        Casts {
            plain: concat!("$1::", $to),
            first_not_less: cast!($to, "'4714-11-24 00:00:00+00 BC'", "'infinity'"),
            last_not_greater: cast!($to, "'-infinity'", "'294276-12-31 23:59:59.999999+00'"),
            exact: cast!($to, "NULL", "NULL"),
        }
    };
}

const TO_TIMESTAMP: Casts = casts!("timestamp");
const TO_TIMESTAMPTZ: Casts = casts!("timestamptz");

/// Whether a date or a timestamp is a value of the types of timestamps in every time zone.
fn surely_fits(value: Expr) -> bool {
    if value.as_clock().is_some() || value.is_null_const() {
        return true;
    }
    let Some((axis, datum)) = value.as_const().and_then(|(type_oid, datum)| Some((axis_of_type(type_oid)?, datum))) else { return false };
    // SAFETY: a value of the axis's type.
    let position = unsafe { axis::position(axis, datum) };
    let unit = if axis == Axis::Date { DAY_MICROS } else { 1 };
    // Clocks are less than a day from UTC.
    (MIN_TIMESTAMP / unit + DAY_MICROS / unit..END_TIMESTAMP / unit - DAY_MICROS / unit).contains(&position)
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
