//! Continuous aggregates.

pub mod bucket;
pub mod definition;
pub mod parts;
