//! PostgreSQL's hooks: one file each, which installs ours, calls the previous one, and dispatches.

/// Installs all hooks; once, while shared_preload_libraries is processed.
pub fn install() {}
