//! How old data are when a policy takes them up: an interval, or a number in the unit of an integer column.

use std::cmp::Ordering;

use pgrx::pg_sys::{self, INT2OID, INT4OID, INT8OID, INTERVALOID, TEXTOID, UNKNOWNOID};
use serde_json::Value;
use tsc_kernel::axis::Axis;
use tsc_kernel::span::{MICROS_PER_DAY, Span};

use crate::catalog::dimension::Dimension;
use crate::catalog::hypertable::Hypertable;
use crate::catalog::naming::Known;
use crate::catalog::{cache, continuous_agg};
use crate::chunk::window;
use crate::error::{Error, Result, SqlState};
use crate::jobs::schedule;
use crate::pg::relation::type_name;
use crate::pg::{call, datetime, function};

/// An age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Of a time column.
    Interval(Span),
    /// Of an integer column.
    Integer(i64),
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Whether a hypertable's time column is of an integer type.
pub fn counts_integers(time: &Dimension) -> bool {
    matches!(time.axis(), Some(Axis::Int2 | Axis::Int4 | Axis::Int8))
}

fn wrong_type(hypertable: &Hypertable, name: &str, given: &str) -> Error {
    let integers = counts_integers(hypertable.time());
    let (wanted, hint) = if integers {
        ("bigint", "the hypertable's time column is of an integer type: give a number in its unit")
    } else {
        ("interval", "the hypertable's time column holds times: give an interval such as INTERVAL '7 days'")
    };
    invalid(format!("invalid value for parameter {name}")).detail(format!("It is of type {given}; {wanted} is required.")).hint(format!(
        "{}{}.",
        hint[..1].to_uppercase(),
        &hint[1..]
    ))
}

fn checked_span(name: &str, span: Span) -> Result<Span> {
    if schedule::is_not_negative(span) {
        return Ok(span);
    }
    Err(invalid(format!("{name} must not be negative"))
        .detail("Data that are not there yet would be taken up.")
        .hint("Give the age from which data are taken up."))
}

fn checked_number(name: &str, number: i64) -> Result<i64> {
    if number >= 0 {
        return Ok(number);
    }
    Err(invalid(format!("{name} must not be negative"))
        .detail("Data that are not there yet would be taken up.")
        .hint("Give the age from which data are taken up, in the unit of the time column."))
}

/// A span as JSON has it.
pub fn read_span(name: &str, value: &Value) -> Result<Span> {
    let text = value.as_str().ok_or_else(|| invalid(format!("{name} in a policy's config must be an interval")))?;
    // SAFETY: the input function of interval returns one.
    checked_span(name, unsafe { datetime::span_of(datetime::read(INTERVALOID, text)) })
}

impl Age {
    /// An argument of any type, called `name` in messages.
    pub fn from_argument(hypertable: &Hypertable, name: &str, (type_oid, datum): (pg_sys::Oid, pg_sys::Datum)) -> Result<Self> {
        let integers = counts_integers(hypertable.time());
        let is_text = type_oid == UNKNOWNOID || type_oid == TEXTOID;
        let age = match type_oid {
            INT2OID if integers => Self::Integer(i64::from(datum.value() as i16)),
            INT4OID if integers => Self::Integer(i64::from(datum.value() as i32)),
            INT8OID if integers => Self::Integer(datum.value() as i64),
            // SAFETY: the Datum is an interval.
            INTERVALOID if !integers => Self::Interval(unsafe { datetime::span_of(datum) }),
            _ if is_text && integers => Self::Integer(datetime::read_text(type_oid, datum, INT8OID).value() as i64),
            // SAFETY: the input function of interval returns one.
            _ if is_text => Self::Interval(unsafe { datetime::span_of(datetime::read_text(type_oid, datum, INTERVALOID)) }),
            _ => return Err(wrong_type(hypertable, name, &type_name(type_oid))),
        };
        age.checked(name)
    }

    /// A value of a job's config.
    pub fn from_json(hypertable: &Hypertable, name: &str, value: &Value) -> Result<Self> {
        if !counts_integers(hypertable.time()) {
            return match value {
                Value::Number(_) => Err(wrong_type(hypertable, name, "number")),
                value => read_span(name, value).map(Self::Interval),
            };
        }
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Self::Integer).ok_or_else(|| wrong_type(hypertable, name, "text"))?.checked(name)
    }

    fn checked(self, name: &str) -> Result<Self> {
        match self {
            Self::Interval(span) => checked_span(name, span).map(Self::Interval),
            Self::Integer(number) => checked_number(name, number).map(Self::Integer),
        }
    }

    /// As a job's config has it.
    pub fn to_json(self) -> Value {
        match self {
            Self::Interval(span) => Value::String(datetime::span_text(span)),
            Self::Integer(number) => Value::from(number),
        }
    }

    /// The point of the time column from which on data are younger, as an argument of [`window::position`].
    pub fn limit(self, hypertable: &Hypertable) -> Result<(pg_sys::Oid, pg_sys::Datum)> {
        Ok(match self {
            Self::Interval(span) => (INTERVALOID, datetime::span_datum(span)),
            Self::Integer(number) => (INT8OID, pg_sys::Datum::from(integer_now(hypertable)?.saturating_sub(number))),
        })
    }

    /// The same in internal form.
    pub fn position(self, hypertable: &Hypertable) -> Result<i64> {
        window::position(hypertable.time(), self.limit(hypertable)?)
    }

    /// Which of two ages is greater, a month being 30 days; None for an interval and a number.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let length = |span: Span| i128::from(span.months) * 30 * i128::from(MICROS_PER_DAY) + span.fixed_micros();
        match (self, other) {
            (Self::Interval(left), Self::Interval(right)) => Some(length(left).cmp(&length(right))),
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            _ => None,
        }
    }
}

/// What the time is now by an integer column: its hypertable's function says so.
fn integer_now(hypertable: &Hypertable) -> Result<i64> {
    if let Some(below) = continuous_agg::of_storage(hypertable.relid).and_then(|agg| cache::find(agg.source)) {
        return integer_now(&below);
    }
    let time = hypertable.time();
    let known = || Known::of(hypertable.relid);
    let name = time.integer_now_func.as_ref().ok_or_else(|| {
        Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("integer_now function not set on {}", known().described()))
            .detail(format!("Nothing says what the time is now by column \"{}\".", time.column))
            .hint(format!("Name a function: SELECT set_integer_now_func({}, '...').", known().literal()))
    })?;
    let oid = function::find(name, &[]).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_FUNCTION, format!("integer_now function {}.{} does not exist", name.0, name.1))
            .hint(format!("Name another one: SELECT set_integer_now_func({}, '...', replace_if_exists => true).", known().literal()))
    })?;
    // As the table's owner, who chose it.
    let owner = crate::pg::relation::Relation::open(hypertable.relid, pg_sys::AccessShareLock).class().relowner;
    let now = crate::pg::context::as_owner(owner, || crate::pg::acl::require_execute(oid).map(|()| call::call_without_arguments(oid)))?
        .ok_or_else(|| Error::new(SqlState::NULL_VALUE_NOT_ALLOWED, format!("integer_now function {}.{} returned NULL", name.0, name.1)))?;
    Ok(match function::result_type(oid) {
        INT2OID => i64::from(now.value() as i16),
        INT4OID => i64::from(now.value() as i32),
        _ => now.value() as i64,
    })
}
