//! Event triggers hear of statements that are carried out here, as `ProcessUtilitySlow` has them hear of its own.

use pgrx::pg_sys;

use super::ffi;
use super::guard::on_error;

/// Carries out a statement by `body`. `is_complete`: it is no part of another one.
///
/// # Safety
/// The statement that `body` carries out.
pub unsafe fn heard<T, E>(statement: *mut pg_sys::Node, is_complete: bool, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    if !is_complete {
        return body();
    }
    // SAFETY: the caller's promise.
    unsafe {
        let needs_cleanup = ffi::EventTriggerBeginCompleteQuery();
        let cleanup = || {
            if needs_cleanup {
                ffi::EventTriggerEndCompleteQuery();
            }
        };
        let result = on_error(
            || {
                ffi::EventTriggerDDLCommandStart(statement);
                let result = body()?;
                ffi::EventTriggerSQLDrop(statement);
                ffi::EventTriggerDDLCommandEnd(statement);
                Ok(result)
            },
            cleanup,
        );
        cleanup();
        result
    }
}
