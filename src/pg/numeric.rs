//! Arithmetic on values of type numeric, by PostgreSQL's own functions. For the hot path: errors jump, so no destructor may be pending.

use std::cmp::Ordering;

use pgrx::pg_sys;

use super::ffi::raw;

/// A numeric in the current memory context or an argument.
#[derive(Clone, Copy)]
pub struct Numeric(pg_sys::Datum);

type Function = unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum;

impl Numeric {
    /// A Datum that the SQL declaration gives the type numeric.
    pub fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: a varlena, detoasted where it is toasted.
        Self(unsafe { raw::pg_detoast_datum(datum.cast_mut_ptr()) }.into())
    }

    /// An integer.
    pub fn from_integer(value: i64) -> Self {
        // SAFETY: allocates and may jump.
        Self(unsafe { raw::int64_to_numeric(value) }.into())
    }

    /// The value for PostgreSQL.
    pub fn datum(self) -> pg_sys::Datum {
        self.0
    }

    fn call(self, function: Function, other: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: a function of two arguments that are not NULL, and one that never returns NULL.
        unsafe { raw::DirectFunctionCall2Coll(Some(function), pg_sys::InvalidOid, self.0, other) }
    }

    /// `self * other`
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self(self.call(raw::numeric_mul, other.0))
    }

    /// `self - other`
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.call(raw::numeric_sub, other.0))
    }

    /// `self / other`
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self(self.call(raw::numeric_div, other.0))
    }

    /// Rounded to digits after the point.
    #[must_use]
    pub fn round(self, scale: i32) -> Self {
        Self(self.call(raw::numeric_round, scale.into()))
    }

    /// The square root; an ERROR of a negative number.
    #[must_use]
    pub fn sqrt(self) -> Self {
        // SAFETY: as `call`, with one argument.
        Self(unsafe { raw::DirectFunctionCall1Coll(Some(raw::numeric_sqrt), pg_sys::InvalidOid, self.0) })
    }

    /// Digits after the point of a finite number.
    pub fn scale(self) -> i32 {
        // SAFETY: as `call`, with one argument. Of a number that is not finite the function gives NULL, which would be an ERROR here.
        unsafe { raw::DirectFunctionCall1Coll(Some(raw::numeric_scale), pg_sys::InvalidOid, self.0) }.value() as i32
    }

    /// How it compares; NaN is greater than all else.
    pub fn compare(self, other: Self) -> Ordering {
        (self.call(raw::numeric_cmp, other.0).value() as i32).cmp(&0)
    }

    /// Whether it is NaN.
    pub fn is_nan(self) -> bool {
        // SAFETY: a numeric that is not toasted.
        unsafe { raw::numeric_is_nan(self.0.cast_mut_ptr()) }
    }
}
