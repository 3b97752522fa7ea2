//! Hypertables: creating, adopting and changing them.

pub mod checks;
pub mod chunk_schema;
pub mod create;
pub mod ddl;
pub mod dimensions;
pub mod intake;
pub mod interval;
pub mod migrate;
pub mod partitioning;
pub mod replica_identity;
pub mod slice;
pub mod tablespaces;
pub mod with_options;
