//! Jobs: functions and procedures that run by themselves. [`README.md`](README.md) says who starts what, and what must hold.

pub mod define;
pub mod function;
mod launcher;
pub mod policy;
mod record;
mod report;
pub mod run;
pub mod schedule;
mod scheduler;
mod slot;
pub mod state;
pub mod stop;
pub mod wake;
mod worker;

/// Once, while shared_preload_libraries is processed.
pub fn init() {
    wake::init();
    launcher::register();
}
