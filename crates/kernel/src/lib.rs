//! Pure arithmetic over time: axes of chunks, calendar days, spans, buckets, sets of ranges, UUIDv7 layout, histogram bins. Knows nothing of PostgreSQL.
//!
//! Times are PostgreSQL's: microseconds (or days, for dates) since 2000-01-01, in the proleptic Gregorian calendar. Nothing
//! here wraps or panics: what leaves the representable range is [`Error::OutOfRange`].
#![forbid(unsafe_code)]

pub mod axis;
pub mod bins;
pub mod bucket;
pub mod buckets;
pub mod civil;
mod error;
pub mod ranges;
pub mod select;
pub mod span;
pub mod uuid;
pub mod zoned;

pub use error::{Error, Result};
