//! Hypertables for PostgreSQL. `README.md` says what it is; each module's first lines say what it owns.

pgrx::pg_module_magic!(name, version);

mod api;
pub mod error;
#[macro_use]
pub mod pg;

#[cfg(any(test, feature = "pg_test"))]
#[path = "../pg_test/mod.rs"]
pub mod pg_test;

/// Called when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {}
