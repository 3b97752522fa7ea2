//! Settings: TimescaleDB's names, where they mean something here.

use std::ffi::CString;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

static CAGG_REWRITES_DEBUG_INFO: GucSetting<bool> = GucSetting::<bool>::new(false);
static DEFAULT_CHUNK_TIME_INTERVAL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ENABLE_CAGG_REWRITES: GucSetting<bool> = GucSetting::<bool>::new(false);
static ENABLE_CHUNKWISE_AGGREGATION: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_DIRECT_COMPRESS_COPY: GucSetting<bool> = GucSetting::<bool>::new(false);
static ENABLE_DIRECT_COMPRESS_INSERT: GucSetting<bool> = GucSetting::<bool>::new(false);
static ENABLE_COLUMNAR_SCAN_FILTER_PUSHDOWN: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_COLUMNARSCAN: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_DECOMPRESSION_SORTED_MERGE: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_DML_DECOMPRESSION: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_NOW_CONSTIFY: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_OPTIMIZATIONS: GucSetting<bool> = GucSetting::<bool>::new(true);
static ENABLE_QUAL_PROPAGATION: GucSetting<bool> = GucSetting::<bool>::new(true);
static BGW_LAUNCHER_POLL_TIME: GucSetting<i32> = GucSetting::<i32>::new(60_000);
static BGW_LOG_LEVEL: GucSetting<LogLevel> = GucSetting::<LogLevel>::new(LogLevel::Warning);
static ENABLE_JOB_EXECUTION_LOGGING: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_BACKGROUND_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(16);
static RESTORING: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_TUPLES_DECOMPRESSED_PER_DML_TRANSACTION: GucSetting<i32> = GucSetting::<i32>::new(100_000);

/// What a process logs; the names are those of `log_min_messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
enum LogLevel {
    #[name = c"debug5"]
    Debug5,
    #[name = c"debug4"]
    Debug4,
    #[name = c"debug3"]
    Debug3,
    #[name = c"debug2"]
    Debug2,
    #[name = c"debug1"]
    Debug1,
    #[name = c"info"]
    Info,
    #[name = c"notice"]
    Notice,
    #[name = c"warning"]
    Warning,
    #[name = c"error"]
    Error,
    #[name = c"log"]
    Log,
    #[name = c"fatal"]
    Fatal,
    #[name = c"panic"]
    Panic,
}

/// Defines the settings; once, from `_PG_init`.
pub fn init() {
    define_caggs();
    define_jobs();
    GucRegistry::define_string_guc(
        c"timescaledb.default_chunk_time_interval",
        c"Length of the chunks of new hypertables",
        c"An interval; a month counts 30 days. Not set: 7 days.",
        &DEFAULT_CHUNK_TIME_INTERVAL,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_chunkwise_aggregation",
        c"Aggregate chunk by chunk where that pays",
        c"",
        &ENABLE_CHUNKWISE_AGGREGATION,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_direct_compress_copy",
        c"Let COPY write straight into columns",
        c"Rows of chunks with triggers, foreign keys, unique keys or a publication, and of older chunks that are not compressed, take the usual way.",
        &ENABLE_DIRECT_COMPRESS_COPY,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_direct_compress_insert",
        c"Let large INSERT statements write straight into columns",
        c"As for COPY; statements with RETURNING or ON CONFLICT, or of a few rows, take the usual way.",
        &ENABLE_DIRECT_COMPRESS_INSERT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_columnar_scan_filter_pushdown",
        c"Evaluate conditions on the vectors of compressed chunks",
        c"Off: row by row.",
        &ENABLE_COLUMNAR_SCAN_FILTER_PUSHDOWN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_columnarscan",
        c"Let plans read compressed chunks without a cost penalty",
        c"Off: only where there is no other way.",
        &ENABLE_COLUMNARSCAN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_decompression_sorted_merge",
        c"Let plans read compressed chunks in order",
        c"",
        &ENABLE_DECOMPRESSION_SORTED_MERGE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_dml_decompression",
        c"Has no effect: statements may always change compressed chunks",
        c"",
        &ENABLE_DML_DECOMPRESSION,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_now_constify",
        c"Find chunks by now() when a query is planned",
        c"Conditions such as time > now() - interval then leave out old chunks before the query runs.",
        &ENABLE_NOW_CONSTIFY,
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
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_qual_propagation",
        c"Copy conditions on time between hypertables that are joined by time",
        c"",
        &ENABLE_QUAL_PROPAGATION,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"timescaledb.max_tuples_decompressed_per_dml_transaction",
        c"Has no effect: statements may change as many rows of compressed chunks as they like",
        c"",
        &MAX_TUPLES_DECOMPRESSED_PER_DML_TRANSACTION,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// Settings of continuous aggregates.
fn define_caggs() {
    GucRegistry::define_bool_guc(
        c"timescaledb.cagg_rewrites_debug_info",
        c"Say of each query of a hypertable why it is answered from a continuous aggregate or not",
        c"",
        &CAGG_REWRITES_DEBUG_INFO,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_cagg_rewrites",
        c"Answer queries of hypertables from continuous aggregates",
        c"Where that gives the same rows; what is not materialized or not up to date is read from the hypertable.",
        &ENABLE_CAGG_REWRITES,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// Settings of jobs and the processes that run them.
fn define_jobs() {
    GucRegistry::define_enum_guc(
        c"timescaledb.bgw_log_level",
        c"What jobs and the processes that run them write to the server's log",
        c"In place of log_min_messages, unless it is warning.",
        &BGW_LOG_LEVEL,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"timescaledb.bgw_launcher_poll_time",
        c"Longest time between two looks at which databases there are",
        c"New databases with the extension are noticed at once; this bounds what goes unnoticed.",
        &BGW_LAUNCHER_POLL_TIME,
        10,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.enable_job_execution_logging",
        c"Keep runs of jobs that succeeded in the history, too",
        c"Runs that failed are always kept.",
        &ENABLE_JOB_EXECUTION_LOGGING,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"timescaledb.max_background_workers",
        c"Most processes that run jobs, one per database for its schedule among them",
        c"They count towards max_worker_processes, which must leave room for them. 0: jobs do not run by themselves.",
        &MAX_BACKGROUND_WORKERS,
        0,
        1000,
        GucContext::Postmaster,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"timescaledb.restoring",
        c"The database is being restored: its jobs wait",
        c"Set for the database by timescaledb_pre_restore().",
        &RESTORING,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// The value of `log_min_messages` that background workers take on; None: the server's.
pub fn bgw_log_level() -> Option<&'static str> {
    Some(match BGW_LOG_LEVEL.get() {
        LogLevel::Debug5 => "debug5",
        LogLevel::Debug4 => "debug4",
        LogLevel::Debug3 => "debug3",
        LogLevel::Debug2 => "debug2",
        LogLevel::Debug1 => "debug1",
        LogLevel::Info => "info",
        LogLevel::Notice => "notice",
        LogLevel::Warning => return None,
        LogLevel::Error => "error",
        LogLevel::Log => "log",
        LogLevel::Fatal => "fatal",
        LogLevel::Panic => "panic",
    })
}

/// The longest time in milliseconds between two looks of the launcher.
pub fn bgw_launcher_poll_time() -> u64 {
    BGW_LAUNCHER_POLL_TIME.get().unsigned_abs().into()
}

/// Whether runs that succeeded are kept in the history.
pub fn enable_job_execution_logging() -> bool {
    ENABLE_JOB_EXECUTION_LOGGING.get()
}

/// Most processes that run jobs.
pub fn max_background_workers() -> usize {
    MAX_BACKGROUND_WORKERS.get().unsigned_abs() as usize
}

/// Say why queries are answered from continuous aggregates or not.
pub fn cagg_rewrites_debug_info() -> bool {
    CAGG_REWRITES_DEBUG_INFO.get()
}

/// Whether queries of hypertables may be answered from continuous aggregates.
pub fn enable_cagg_rewrites() -> bool {
    ENABLE_CAGG_REWRITES.get()
}

/// Whether jobs wait for a restore.
pub fn restoring() -> bool {
    RESTORING.get()
}

/// Whether COPY may write straight into columns.
pub fn enable_direct_compress_copy() -> bool {
    ENABLE_DIRECT_COMPRESS_COPY.get()
}

/// Whether INSERT may write straight into columns.
pub fn enable_direct_compress_insert() -> bool {
    ENABLE_DIRECT_COMPRESS_INSERT.get()
}

/// Whether aggregation may be done chunk by chunk.
pub fn enable_chunkwise_aggregation() -> bool {
    ENABLE_CHUNKWISE_AGGREGATION.get()
}

/// Evaluate conditions on the vectors of compressed chunks.
pub fn enable_columnar_scan_filter_pushdown() -> bool {
    ENABLE_COLUMNAR_SCAN_FILTER_PUSHDOWN.get()
}

/// Let plans read compressed chunks without a cost penalty.
pub fn enable_columnarscan() -> bool {
    ENABLE_COLUMNARSCAN.get()
}

/// Let plans read compressed chunks in order.
pub fn enable_decompression_sorted_merge() -> bool {
    ENABLE_DECOMPRESSION_SORTED_MERGE.get()
}

/// Whether chunks are found by `now()` when a query is planned.
pub fn enable_now_constify() -> bool {
    ENABLE_NOW_CONSTIFY.get()
}

/// Whether conditions are copied between hypertables that are joined by time.
pub fn enable_qual_propagation() -> bool {
    ENABLE_QUAL_PROPAGATION.get()
}

/// Whether query plans are adapted.
pub fn enable_optimizations() -> bool {
    ENABLE_OPTIMIZATIONS.get()
}

/// The length of new hypertables' chunks as an interval's text, if it is set.
pub fn default_chunk_time_interval() -> Option<CString> {
    DEFAULT_CHUNK_TIME_INTERVAL.get()
}
