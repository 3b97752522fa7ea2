//! Constants of time columns: as positions on the column's axis, and back.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, DAY_MICROS, END_DATE, END_TIMESTAMP, MIN_DATE, MIN_TIMESTAMP};

use crate::catalog::dimension::axis_of_type;
use crate::pg::axis;
use crate::pg::expr::{self, Comparison, Expr};

/// Where a constant lies on the axis of a type: None if it is of another type, or infinite.
pub fn position(constant: Expr, type_oid: pg_sys::Oid) -> Option<i64> {
    let (constant_type, datum) = constant.as_const()?;
    let (axis, constant_axis) = (axis_of_type(type_oid)?, axis_of_type(constant_type)?);
    let integers = is_integer(axis) && is_integer(constant_axis);
    if !integers && constant_type != type_oid || axis == Axis::Uuid {
        return None;
    }
    // SAFETY: a constant of the type that the axis belongs to.
    let position = unsafe { axis::position(constant_axis, datum) };
    (integers || is_finite(axis, position)).then_some(position)
}

/// A constant of a type at a position; None where the type has none.
pub fn constant(type_oid: pg_sys::Oid, position: i64) -> Option<Expr> {
    let axis = axis_of_type(type_oid)?;
    (axis != Axis::Uuid && is_finite(axis, position)).then(|| expr::constant(type_oid, axis::datum(axis, position)))
}

/// `time comparison constant`; None where the type has no such constant.
pub fn bound(time: Expr, comparison: Comparison, position: i64) -> Option<Expr> {
    expr::compare(time, comparison, constant(time.type_oid(), position)?)
}

/// Units of an axis that measures time in a day; None for integers.
pub fn units_per_day(axis: Axis) -> Option<i64> {
    match axis {
        Axis::Date => Some(1),
        Axis::Timestamp => Some(DAY_MICROS),
        _ => None,
    }
}

fn is_integer(axis: Axis) -> bool {
    matches!(axis, Axis::Int2 | Axis::Int4 | Axis::Int8)
}

fn is_finite(axis: Axis, position: i64) -> bool {
    match axis {
        Axis::Int2 => i16::try_from(position).is_ok(),
        Axis::Int4 => i32::try_from(position).is_ok(),
        Axis::Int8 => true,
        Axis::Date => (MIN_DATE..END_DATE).contains(&position),
        Axis::Timestamp | Axis::Uuid => (MIN_TIMESTAMP..END_TIMESTAMP).contains(&position),
    }
}
