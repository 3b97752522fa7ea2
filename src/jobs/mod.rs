//! Jobs: functions and procedures that run by themselves. [`README.md`](README.md) says who starts what, and what must hold.

pub mod define;
pub mod function;
pub mod policy;
pub mod run;
pub mod schedule;
pub mod state;
pub mod stop;
pub mod wake;

/// Once, while shared_preload_libraries is processed.
pub fn init() {
    wake::init();
}
