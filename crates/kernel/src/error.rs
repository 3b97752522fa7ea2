//! What can be wrong with a width, an origin or a time.

use std::fmt;

/// Why an operation on times has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A width is zero or negative.
    NotPositive,
    /// A width has months and also days or a time of day.
    MixedUnits,
    /// A width or an offset for dates is not a whole number of days.
    SubDay,
    /// An origin is infinite.
    InfiniteOrigin,
    /// A span is too long to be counted in microseconds.
    SpanOutOfRange,
    /// A result lies outside the range of its type.
    OutOfRange,
}

/// The result of an operation on times.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPositive => "period must be greater than 0",
            Self::MixedUnits => "month intervals cannot have day or time component",
            Self::SubDay => "interval must not have sub-day precision",
            Self::InfiniteOrigin => "origin must be finite",
            Self::SpanOutOfRange => "interval out of range",
            Self::OutOfRange => "timestamp out of range",
        })
    }
}

impl std::error::Error for Error {}
