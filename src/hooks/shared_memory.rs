//! `shmem_request_hook` and `shmem_startup_hook`: the shared memory of jobs and of the log of changes.

use pgrx::pg_sys;

use crate::change::generation;
use crate::jobs::state;
use crate::pg::guard::{boundary, guard};

static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;

/// Puts ours before those that are there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(request);
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: PostgreSQL's own call is handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS_REQUEST {
                guard(|| previous());
            }
            state::request();
            generation::request();
            Ok(())
        });
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: PostgreSQL's own call is handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS_STARTUP {
                guard(|| previous());
            }
            state::make();
            generation::make();
            Ok(())
        });
    }
}
