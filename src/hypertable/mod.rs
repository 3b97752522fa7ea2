//! Hypertables: creating, adopting and changing them.

pub mod checks;
pub mod create;
pub mod dimensions;
pub mod interval;
pub mod migrate;
pub mod partitioning;
pub mod slice;
pub mod tablespaces;
