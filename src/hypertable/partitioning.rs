//! Functions that users give to map a column before it is divided.

use pgrx::pg_sys::{self, ANYELEMENTOID, INT4OID};

use crate::catalog::dimension;
use crate::error::{Error, Result, SqlState};
use crate::pg::function::{self, Function};
use crate::pg::relation::type_name;

/// Checks a function for a range dimension: immutable, from the column's type to a type with an axis.
pub fn check_time(oid: pg_sys::Oid, column_type: pg_sys::Oid) -> Result<Function> {
    let function = check(oid, column_type)?;
    if dimension::axis_of_type(function.result).is_none() {
        return Err(invalid(&function).hint("A time partitioning function must return an integer, date, timestamp or UUID type."));
    }
    Ok(function)
}

/// Checks a function for a hash dimension: immutable, from the column's type or anyelement to integer.
pub fn check_hash(oid: pg_sys::Oid, column_type: pg_sys::Oid) -> Result<Function> {
    let function = check(oid, column_type)?;
    if function.result != INT4OID {
        return Err(invalid(&function).hint("A partitioning function must return integer."));
    }
    Ok(function)
}

fn check(oid: pg_sys::Oid, column_type: pg_sys::Oid) -> Result<Function> {
    let function =
        function::describe(oid).ok_or_else(|| Error::new(SqlState::UNDEFINED_FUNCTION, "partitioning function does not exist"))?;
    let fits = matches!(function.arguments[..], [argument] if argument == column_type || argument == ANYELEMENTOID);
    if fits && function.volatility == b'i' {
        return Ok(function);
    }
    Err(invalid(&function)
        .hint(format!("A partitioning function must be IMMUTABLE and take one argument of type {} or anyelement.", type_name(column_type))))
}

fn invalid(function: &Function) -> Error {
    Error::new(SqlState::INVALID_FUNCTION_DEFINITION, format!("invalid partitioning function {}.{}", function.name.0, function.name.1))
}
