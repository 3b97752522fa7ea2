//! PostgreSQL's hooks: one file each, which installs ours, calls the previous one, and dispatches.

mod batches;
mod continuous_agg;
mod database;
mod ddl;
mod executor;
mod index_rights;
mod object_access;
mod partitions;
mod paths;
mod planner;
mod relation_info;
mod roles;
mod shared_memory;
mod subscription;
mod truncate;
mod utility;
mod vacuum;

/// Installs all hooks; once, while shared_preload_libraries is processed.
pub fn install() {
    crate::custom::register::<crate::ingest::guard::ChunkGuard>();
    crate::custom::register::<crate::ingest::record::ChangeRecorder>();
    crate::scan::init();
    paths::install();
    planner::install();
    relation_info::install();
    executor::install();
    object_access::install();
    utility::install();
    shared_memory::install();
}
