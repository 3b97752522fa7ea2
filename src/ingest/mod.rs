//! Rows on their way into hypertables: the node that creates chunks while a statement runs, and COPY.

pub mod guard;
mod merge;
pub mod routing;
