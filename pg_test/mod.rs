//! Tests that run inside a server, one transaction each, rolled back. `make test-pg` runs them.
//!
//! pgrx calls the two functions. In each file the tests stand in an inline `#[pg_schema] mod tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod extension;
mod functions;
mod parts;

/// Nothing to prepare for one test.
pub fn setup(_options: Vec<&str>) {}

/// The server's settings for these tests.
#[must_use]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec!["shared_preload_libraries = 'timescale_compat'", "fsync = off"]
}
