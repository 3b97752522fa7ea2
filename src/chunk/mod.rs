//! Chunks: leaf partitions of hypertables.

pub mod create;
pub mod drop;
pub mod list;
pub mod window;
