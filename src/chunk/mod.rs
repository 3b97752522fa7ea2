//! Chunks: leaf partitions of hypertables.

pub mod attach;
pub mod create;
pub mod drop;
pub mod health;
pub mod list;
pub mod locked;
pub mod merge;
pub mod place;
pub mod row_form;
pub mod size;
pub mod split;
pub mod window;
