//! Settings: TimescaleDB's names, where they mean something here.

use std::ffi::CString;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static DEFAULT_CHUNK_TIME_INTERVAL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ENABLE_OPTIMIZATIONS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Defines the settings; once, from `_PG_init`.
pub fn init() {
    GucRegistry::define_string_guc(
        c"timescaledb.default_chunk_time_interval",
        c"Length of the chunks of new hypertables",
        c"An interval; a month counts 30 days. Not set: 7 days.",
        &DEFAULT_CHUNK_TIME_INTERVAL,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_optimizations",
        c"Adapt query plans to hypertables",
        c"Off: plans are PostgreSQL's own. Inserts still create chunks.",
        &ENABLE_OPTIMIZATIONS,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// Whether query plans are adapted.
pub fn enable_optimizations() -> bool {
    ENABLE_OPTIMIZATIONS.get()
}

/// The length of new hypertables' chunks as an interval's text, if it is set.
pub fn default_chunk_time_interval() -> Option<CString> {
    DEFAULT_CHUNK_TIME_INTERVAL.get()
}
