//! The length of a chunk, as users say it and as the catalog keeps it.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, DAY_MICROS};

use crate::error::{Error, Result, SqlState};
use crate::pg::relation::type_name;

const SECOND_MICROS: i64 = 1_000_000;
/// A month counts 30 days: the length of a chunk is fixed.
const MONTH_DAYS: i64 = 30;

/// An interval as it came in an argument of any type; None if NULL.
pub type Given = Option<(pg_sys::Oid, pg_sys::Datum)>;

/// What a hypertable gets if nothing is said: 7 days, or as many integers as TimescaleDB takes.
pub fn default_interval(axis: Axis) -> i64 {
    match axis {
        Axis::Int2 => 10_000,
        Axis::Int4 => 100_000,
        Axis::Int8 => 1_000_000,
        Axis::Date | Axis::Timestamp | Axis::Uuid => 7 * DAY_MICROS,
    }
}

/// The interval of a range dimension: microseconds, or units of an integer column.
pub fn resolve(axis: Axis, column: &str, given: Given) -> Result<i64> {
    let Some((type_oid, datum)) = given else {
        let set = crate::guc::default_chunk_time_interval().filter(|text| !is_integer(axis) && !text.is_empty());
        return set.map_or_else(
            || Ok(default_interval(axis)),
            |text| {
                let datum = crate::pg::datetime::read(pg_sys::INTERVALOID, &text.to_string_lossy());
                resolve(axis, column, Some((pg_sys::INTERVALOID, datum)))
            },
        );
    };
    match type_oid {
        pg_sys::INT2OID => number(axis, column, i64::from(datum.value() as i16)),
        pg_sys::INT4OID => number(axis, column, i64::from(datum.value() as i32)),
        pg_sys::INT8OID => number(axis, column, datum.value() as i64),
        pg_sys::INTERVALOID if !is_integer(axis) => {
            // SAFETY: an interval Datum points to an Interval.
            let interval = unsafe { &*datum.cast_mut_ptr::<pg_sys::Interval>() };
            check_time(axis, column, interval_micros(interval)?)
        }
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid interval type for dimension \"{column}\": {}", type_name(type_oid)),
        )
        .hint(if is_integer(axis) {
            "Use an integer for a column of an integer type."
        } else {
            "Use an interval, or an integer that counts microseconds."
        })),
    }
}

fn is_integer(axis: Axis) -> bool {
    matches!(axis, Axis::Int2 | Axis::Int4 | Axis::Int8)
}

fn number(axis: Axis, column: &str, value: i64) -> Result<i64> {
    let largest = match axis {
        Axis::Int2 => i64::from(i16::MAX),
        Axis::Int4 => i64::from(i32::MAX),
        Axis::Int8 => i64::MAX,
        Axis::Date | Axis::Timestamp | Axis::Uuid => return check_time(axis, column, value),
    };
    if (1..=largest).contains(&value) {
        return Ok(value);
    }
    Err(Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid interval for dimension \"{column}\": must be between 1 and {largest}"),
    )
    .hint("The interval is the number of values of the column that a chunk covers."))
}

fn check_time(axis: Axis, column: &str, micros: i64) -> Result<i64> {
    let invalid =
        |reason: &str| Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid interval for dimension \"{column}\": {reason}"));
    if micros <= 0 {
        return Err(invalid("must be greater than zero").hint("Give an interval such as INTERVAL '1 day'."));
    }
    if axis == Axis::Date && micros % DAY_MICROS != 0 {
        return Err(invalid("must be a multiple of one day").hint("A column of type date has no parts of a day."));
    }
    if axis == Axis::Uuid && micros % 1000 != 0 {
        return Err(invalid("must be a multiple of one millisecond").hint("A UUID of version 7 counts milliseconds."));
    }
    if micros < SECOND_MICROS {
        Error::new(SqlState("01000"), format!("unexpected interval for dimension \"{column}\": smaller than one second"))
            .hint("An integer counts microseconds; is that what was meant?")
            .report(pgrx::PgLogLevel::WARNING);
    }
    Ok(micros)
}

/// The fixed length of an interval in microseconds, its months being 30 days each.
pub fn interval_micros(interval: &pg_sys::Interval) -> Result<i64> {
    i64::from(interval.month)
        .checked_mul(MONTH_DAYS)
        .and_then(|days| days.checked_add(interval.day.into()))
        .and_then(|days| days.checked_mul(DAY_MICROS))
        .and_then(|micros| micros.checked_add(interval.time))
        .ok_or_else(|| {
            Error::new(SqlState::DATETIME_OVERFLOW, "interval out of range").hint("Chunks of more than 292,000 years are not possible.")
        })
}
