//! Tests that run inside the server. Each file holds one `#[pg_schema] mod tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod functions;

/// Called by the test harness once per process.
pub fn setup(_options: Vec<&str>) {}

/// Settings of the server under test.
#[must_use]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec![]
}
