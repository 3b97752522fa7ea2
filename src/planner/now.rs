//! A constant that `now() - interval` and its like never fall below, in this execution or a later one of the same plan.

use pgrx::pg_sys;
use pgrx::pg_sys::SQLValueFunctionOp as Clock;
use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::span::Span;

use super::moment;
use crate::catalog::dimension::axis_of_type;
use crate::pg::datetime::span_of;
use crate::pg::expr::{self, Comparison, Expr};
use crate::pg::ffi;

const HOUR: i64 = 3_600_000_000;
/// By how much the server's clock may be set back between two executions of a plan.
const CLOCK: i64 = HOUR;
/// By how much the clocks of two zones, or of one zone at two times, differ at most: from -12 to +14 hours.
const ZONE: i64 = 26 * HOUR;
/// By how much adding months differs from adding as many times 30.436875 days: the lengths of months (3), the leap days of a
/// century (1.5), the clamping to a month's last day (3), rounded up. And a day begins earlier in other zones.
const MONTHS: i64 = 9 * DAY_MICROS;
/// The mean Gregorian month.
const MONTH: i64 = 2_629_746_000_000;

/// `time >= constant`, where `value` is above the constant now and whenever the plan runs.
pub fn bound(time: Expr, value: Expr, parameters: pg_sys::ParamListInfo) -> Option<Expr> {
    let type_oid = time.type_oid();
    let axis = axis_of_type(type_oid)?;
    let unit = DAY_MICROS / moment::units_per_day(axis)?;
    let mut floor = floor_of(expr::fold(value, parameters))?;
    if value.type_oid() != type_oid {
        // The comparison converts one into the other at the session's zone; a date stands for its midnight.
        floor = floor.checked_sub(ZONE)?;
    }
    if axis == Axis::Date {
        floor = floor.checked_sub(DAY_MICROS)?;
    }
    moment::bound(time, Comparison::GreaterEqual, floor.div_euclid(unit))
}

/// Microseconds below which the value never falls: of UTC for a timestamptz, of the wall clock for other types.
fn floor_of(value: Expr) -> Option<i64> {
    // SAFETY: reads a variable.
    let now = unsafe { ffi::raw::GetCurrentTransactionStartTimestamp() }.checked_sub(CLOCK)?;
    if let Some(clock) = value.as_clock() {
        return match clock {
            // A precision of 0 rounds by half a second, which the clock's margin holds.
            Clock::SVFOP_CURRENT_TIMESTAMP | Clock::SVFOP_CURRENT_TIMESTAMP_N => Some(now),
            Clock::SVFOP_LOCALTIMESTAMP | Clock::SVFOP_LOCALTIMESTAMP_N => now.checked_sub(ZONE),
            Clock::SVFOP_CURRENT_DATE => now.checked_sub(ZONE + DAY_MICROS),
            _ => None,
        };
    }
    let (function, args) = match value.as_operator() {
        // SAFETY: a syscache look-up.
        Some((operator, left, right)) => (unsafe { ffi::get_opcode(operator) }.to_u32(), vec![left, right]),
        None => {
            let (function, args) = value.as_call()?;
            (function.to_u32(), args)
        }
    };
    match (function, &args[..]) {
        (pg_sys::F_NOW | pg_sys::F_TRANSACTION_TIMESTAMP | pg_sys::F_STATEMENT_TIMESTAMP, []) => Some(now),
        (_, [from]) => floor_of(*from)?.checked_sub(cast_slack(function)?),
        (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ | pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMP, [field, from]) => {
            floor_of(*from)?.checked_sub(trunc_slack(*field)?)
        }
        (_, [from, by]) => moved(floor_of(*from)?, function, *by),
        _ => None,
    }
}

fn cast_slack(function: u32) -> Option<i64> {
    match function {
        pg_sys::F_TIMESTAMP_TIMESTAMPTZ | pg_sys::F_TIMESTAMPTZ_TIMESTAMP | pg_sys::F_TIMESTAMPTZ_DATE => Some(ZONE),
        pg_sys::F_DATE_TIMESTAMPTZ => Some(ZONE + DAY_MICROS),
        pg_sys::F_DATE_TIMESTAMP => Some(DAY_MICROS),
        pg_sys::F_TIMESTAMP_DATE => Some(0),
        _ => None,
    }
}

/// What `date_trunc` takes away at most.
fn trunc_slack(field: Expr) -> Option<i64> {
    let (type_oid, datum) = field.as_const().filter(|(type_oid, _)| *type_oid == pg_sys::TEXTOID)?;
    let name = crate::pg::axis::value_text(type_oid, datum).to_ascii_lowercase();
    match name.as_str() {
        "second" | "minute" | "hour" => Some(HOUR + ZONE),
        "day" => Some(DAY_MICROS + ZONE),
        "week" => Some(7 * DAY_MICROS + ZONE),
        "month" => Some(31 * DAY_MICROS + ZONE),
        "year" => Some(366 * DAY_MICROS + ZONE),
        _ => None,
    }
}

/// `from` moved by a constant; an interval's days may be shorter than 24 hours and its months differ in length.
fn moved(from: i64, function: u32, by: Expr) -> Option<i64> {
    let (type_oid, datum) = by.as_const()?;
    let (span, sign) = match (function, type_oid) {
        (pg_sys::F_TIMESTAMPTZ_PL_INTERVAL | pg_sys::F_TIMESTAMP_PL_INTERVAL | pg_sys::F_DATE_PL_INTERVAL, pg_sys::INTERVALOID) => {
            // SAFETY: a Datum of type interval.
            (unsafe { span_of(datum) }, 1)
        }
        (pg_sys::F_TIMESTAMPTZ_MI_INTERVAL | pg_sys::F_TIMESTAMP_MI_INTERVAL | pg_sys::F_DATE_MI_INTERVAL, pg_sys::INTERVALOID) => {
            // SAFETY: a Datum of type interval.
            (unsafe { span_of(datum) }, -1)
        }
        (pg_sys::F_DATE_PLI, pg_sys::INT4OID) => (Span::from_days(datum.value() as i32), 1),
        (pg_sys::F_DATE_MII, pg_sys::INT4OID) => (Span::from_days(datum.value() as i32), -1),
        _ => return None,
    };
    let slack = match (span.months, span.days) {
        (0, 0) => 0,
        (0, _) => ZONE,
        _ => MONTHS,
    };
    let by = span.fixed_micros() + i128::from(span.months) * i128::from(MONTH);
    i64::try_from(i128::from(from) + by * sign - slack as i128).ok()
}
