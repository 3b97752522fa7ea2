//! The extension's catalog: one file per table, and a cache of hypertables with invalidation.
//!
//! Only what PostgreSQL's catalogs can't say is kept here; see `sql/catalog.sql`.

pub mod cache;
pub mod chunk;
pub mod columnar_chunk;
pub mod columnstore;
pub mod continuous_agg;
pub mod continuous_agg_range;
pub mod dimension;
pub mod functions;
pub mod hypertable;
pub mod hypertable_change;
pub mod job;
pub mod job_history;
pub mod job_stat;
pub mod naming;
pub mod tablespace;
