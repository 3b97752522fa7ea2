//! Which chunks `show_chunks` and `drop_chunks` mean: their arguments of any type as ends of a window of time.

use pgrx::pg_sys::{self, DATEOID, INT2OID, INT4OID, INT8OID, INTERVALOID, TEXTOID, TIMESTAMPOID, TIMESTAMPTZOID, UNKNOWNOID, UUIDOID};
use tsc_kernel::axis::{Axis, Slice};

use crate::catalog::dimension::Dimension;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::pg::relation::type_name;
use crate::pg::{axis, datetime};

/// The arguments as given.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Only chunks that end by then.
    pub older_than: Given,
    /// Only chunks that begin then or later.
    pub newer_than: Given,
    /// Only chunks that were created before.
    pub created_before: Given,
    /// Only chunks that were created then or later.
    pub created_after: Given,
}

/// The window that was asked for. Times of rows are in TimescaleDB's internal form (see `Axis::to_internal`), times of creation in
/// microseconds since 2000.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    older_than: Option<i64>,
    newer_than: Option<i64>,
    /// The end of the window of creation.
    pub created_before: Option<i64>,
    /// Its beginning.
    pub created_after: Option<i64>,
}

impl Window {
    /// Reads the arguments for a hypertable's range dimension.
    pub fn new(time: &Dimension, asked: Asked) -> Result<Self> {
        let Asked { older_than, newer_than, created_before, created_after } = asked;
        if (older_than.is_some() || newer_than.is_some()) && (created_before.is_some() || created_after.is_some()) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "cannot specify \"older_than\" or \"newer_than\" together with \"created_before\" or \"created_after\"",
            )
            .hint("\"older_than\" and \"newer_than\" look at the times of rows, \"created_before\" and \"created_after\" at when chunks were made."));
        }
        let window = Self {
            older_than: older_than.map(|given| position(time, given)).transpose()?,
            newer_than: newer_than.map(|given| position(time, given)).transpose()?,
            created_before: created_before.map(creation_time).transpose()?,
            created_after: created_after.map(creation_time).transpose()?,
        };
        let is_empty = |end: Option<i64>, start: Option<i64>| end.zip(start).is_some_and(|(end, start)| start >= end);
        if is_empty(window.older_than, window.newer_than) || is_empty(window.created_before, window.created_after) {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid time range")
                .hint("The start of the time range must be before the end."));
        }
        Ok(window)
    }

    /// True if nothing limits the window.
    pub fn is_unlimited(&self) -> bool {
        self.older_than.is_none() && self.newer_than.is_none() && !self.is_about_creation()
    }

    /// True if it looks at when chunks were created.
    pub fn is_about_creation(&self) -> bool {
        self.created_before.is_some() || self.created_after.is_some()
    }

    /// True if the whole slice lies in the window.
    pub fn holds_slice(&self, axis: Axis, slice: Slice) -> bool {
        let start = slice.start.map_or(i64::MIN, |start| axis.to_internal(start));
        let end = slice.end.map_or(i64::MAX, |end| axis.to_internal(end));
        self.older_than.is_none_or(|older| end <= older) && self.newer_than.is_none_or(|newer| start >= newer)
    }

    /// True if a chunk that was created then lies in the window.
    pub fn holds_creation(&self, created: i64) -> bool {
        self.created_before.is_none_or(|before| created < before) && self.created_after.is_none_or(|after| created >= after)
    }
}

type Value = (pg_sys::Oid, pg_sys::Datum);

/// A point of the range dimension, in internal form.
pub fn position(time: &Dimension, (given_type, datum): Value) -> Result<i64> {
    let axis = time.axis().ok_or_else(|| Error::internal("a range dimension without an axis"))?;
    let is_text = given_type == UNKNOWNOID || given_type == TEXTOID;
    match (axis, given_type) {
        (Axis::Int2 | Axis::Int4 | Axis::Int8, INT2OID) => Ok(i64::from(datum.value() as i16)),
        (Axis::Int2 | Axis::Int4 | Axis::Int8, INT4OID) => Ok(i64::from(datum.value() as i32)),
        (Axis::Int2 | Axis::Int4 | Axis::Int8, INT8OID) => Ok(datum.value() as i64),
        (Axis::Int2 | Axis::Int4 | Axis::Int8, _) if is_text => position(time, (INT8OID, datetime::read_text(given_type, datum, INT8OID))),
        (Axis::Uuid, UUIDOID) => uuid_position(datum),
        (Axis::Uuid, _) if is_text && datetime::looks_like_uuid(given_type, datum) => {
            uuid_position(datetime::read_text(given_type, datum, UUIDOID))
        }
        (Axis::Date | Axis::Timestamp | Axis::Uuid, _) => {
            let local = matches!(time.type_oid, DATEOID | TIMESTAMPOID);
            let target = if local { TIMESTAMPOID } else { TIMESTAMPTZOID };
            let micros = micros(target, (given_type, datum)).ok_or_else(|| invalid_type(given_type, time.type_oid))?;
            Ok(Axis::Timestamp.to_internal(micros))
        }
        _ => Err(invalid_type(given_type, time.type_oid)),
    }
}

fn uuid_position(datum: pg_sys::Datum) -> Result<i64> {
    // SAFETY: the Datum is a uuid.
    unsafe {
        if !axis::is_placeable(Axis::Uuid, datum) {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "a UUID that is not of version 7 holds no time")
                .hint("Give a time, or a UUID made by to_uuidv7_boundary()."));
        }
        Ok(Axis::Uuid.to_internal(axis::position(Axis::Uuid, datum)))
    }
}

/// A time of creation, in microseconds since 2000.
fn creation_time(given: Value) -> Result<i64> {
    micros(TIMESTAMPTZOID, given).ok_or_else(|| invalid_type(given.0, TIMESTAMPTZOID))
}

/// A timestamp or timestamptz (`target`) from a value of any type of time: an interval counts back from now.
fn micros(target: pg_sys::Oid, (given_type, datum): Value) -> Option<i64> {
    let datum = match given_type {
        UNKNOWNOID | TEXTOID => datetime::read_text(given_type, datum, target),
        INTERVALOID => datetime::before_now(target, datum),
        DATEOID | TIMESTAMPOID | TIMESTAMPTZOID => datetime::convert(given_type, datum, target),
        _ => return None,
    };
    Some(datum.value() as i64)
}

fn invalid_type(given: pg_sys::Oid, wanted: pg_sys::Oid) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid time argument type \"{}\"", type_name(given)))
        .hint(format!("Try casting the argument to \"{}\".", type_name(wanted)))
}
