//! Chunks: leaf partitions of hypertables.

pub mod create;
