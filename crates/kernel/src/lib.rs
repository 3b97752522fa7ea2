//! Pure arithmetic over time: buckets and chunk ranges. Knows nothing of PostgreSQL.
#![forbid(unsafe_code)]

pub mod axis;
