//! Continuous aggregates.

pub mod parts;
pub mod bucket;
pub mod definition;
