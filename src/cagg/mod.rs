//! Continuous aggregates.

pub mod parts;
