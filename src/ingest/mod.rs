//! Rows on their way into hypertables: the node that creates chunks while a statement runs, and COPY.

pub mod copy;
mod copy_rows;
mod divert;
pub mod guard;
pub mod intake;
mod merge;
pub mod record;
mod routed;
pub mod routing;
pub mod serializable;
mod slice_guard;
