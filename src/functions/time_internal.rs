//! Times as the catalogs store them: microseconds since 1970-01-01 in an integer, with the integer's ends for the infinities,
//! and integers as they are.

use pgrx::pg_sys;
use tsc_kernel::span::{MICROS_PER_DAY, Span, UNIX_EPOCH_SHIFT, check_date, check_timestamp, is_infinite};
use tsc_kernel::uuid;

use crate::error::{Error, Result, SqlState};
use crate::pg::datetime::put_span;
use crate::pg::fcinfo::Args;
use crate::pg::typecache::{base_type, hash, type_name};

/// Days from 1970-01-01 to 2000-01-01.
const UNIX_EPOCH_SHIFT_DAYS: i64 = UNIX_EPOCH_SHIFT / MICROS_PER_DAY;

/// The internal time of a timestamp.
pub fn from_timestamp(ts: i64) -> Result<i64> {
    if is_infinite(ts) {
        return Ok(ts);
    }
    // The largest integer means infinity, so no finite time may become it.
    match ts.checked_add(UNIX_EPOCH_SHIFT) {
        Some(time) if !is_infinite(time) => Ok(time),
        _ => Err(tsc_kernel::Error::OutOfRange.into()),
    }
}

/// The timestamp of an internal time.
pub fn to_timestamp(time: i64) -> Result<i64> {
    if is_infinite(time) {
        return Ok(time);
    }
    let ts = time.checked_sub(UNIX_EPOCH_SHIFT).ok_or(tsc_kernel::Error::OutOfRange)?;
    Ok(check_timestamp(ts)?)
}

/// The internal time of a date.
pub fn from_date(date: i32) -> Result<i64> {
    match date {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        date => {
            let micros = (i64::from(date) + UNIX_EPOCH_SHIFT_DAYS).checked_mul(MICROS_PER_DAY);
            Ok(micros.ok_or(tsc_kernel::Error::OutOfRange)?)
        }
    }
}

/// The date of an internal time, which may lie within the day.
pub fn to_date(time: i64) -> Result<i32> {
    match time {
        i64::MIN => Ok(i32::MIN),
        i64::MAX => Ok(i32::MAX),
        time => Ok(check_date(time.div_euclid(MICROS_PER_DAY) - UNIX_EPOCH_SHIFT_DAYS)?),
    }
}

/// The internal time of the argument at `index`, whose type only the call knows.
fn time_to_internal(args: Args, index: usize) -> Result<Option<i64>> {
    let given = args.arg_type(index);
    match base_type(given) {
        pg_sys::INT2OID => Ok(args.get::<i16>(index).map(i64::from)),
        pg_sys::INT4OID => Ok(args.get::<i32>(index).map(i64::from)),
        pg_sys::INT8OID => Ok(args.get(index)),
        pg_sys::DATEOID => args.get(index).map(from_date).transpose(),
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => args.get(index).map(from_timestamp).transpose(),
        pg_sys::UUIDOID => args.uuid(index).and_then(|bytes| uuid::timestamp_micros(&bytes)).map(from_timestamp).transpose(),
        _ => Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unknown time type \"{}\"", type_name(given)))
            .hint("Times are integers, dates, timestamps and version 7 UUIDs.")),
    }
}

sql_function!(tsc_to_timestamp, |args| -> i64 { args.get(0).map(to_timestamp).transpose() });

sql_function!(tsc_to_date, |args| -> i32 { args.get(0).map(to_date).transpose() });

sql_function!(tsc_to_interval, |args| -> pg_sys::Datum { Ok(args.get(0).map(|micros| put_span(Span::from_micros(micros)))) });

sql_function!(tsc_to_unix_microseconds, |args| -> i64 { args.get(0).map(from_timestamp).transpose() });

sql_function!(tsc_time_to_internal, |args| -> i64 { time_to_internal(args, 0) });

sql_function!(
    /// A non-negative hash of 31 bits: the hash of the value by its type's own function, without the sign.
    tsc_get_partition_hash,
    |args| -> i32 {
        let Some(value) = args.datum(0) else {
            return Ok(None);
        };
        // SAFETY: the call says of which type its argument is.
        let hash = unsafe { hash(args.arg_type(0), value)? };
        Ok(Some((hash & 0x7FFF_FFFF) as i32))
    }
);
