//! Continuous aggregates.

pub mod bucket;
pub mod definition;
