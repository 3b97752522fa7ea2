//! Hypertables for PostgreSQL. `README.md` says what it is; each module's first lines say what it owns.

pgrx::pg_module_magic!(name, version);

mod api;
pub mod cagg;
pub mod catalog;
pub mod change;
pub mod chunk;
pub mod columnar;
pub mod custom;
pub mod error;
pub mod guc;
pub mod hooks;
pub mod hypertable;
pub mod ingest;
pub mod jobs;
#[macro_use]
pub mod pg;
mod functions;
pub mod planner;
pub mod scan;

#[cfg(any(test, feature = "pg_test"))]
#[path = "../pg_test/mod.rs"]
pub mod pg_test;

/// Called when the library is loaded: at server start, or the extension refuses to work.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // SAFETY: reads a variable that the postmaster sets while it loads shared_preload_libraries.
    if unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
        guc::init();
        catalog::cache::init();
        cagg::routing::init();
        columnar::layout::init();
        catalog::functions::init();
        pg::template::init();
        hooks::install();
        jobs::init();
    } else {
        error::Error::new(error::SqlState::NOT_IN_PREREQUISITE_STATE, "timescale_compat must be loaded through shared_preload_libraries")
            .detail("The extension creates chunks from within PostgreSQL's executor, so the server must load it at start.")
            .hint("Add the line shared_preload_libraries = 'timescale_compat' to postgresql.conf and restart the server.")
            .raise();
    }
}
