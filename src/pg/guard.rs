//! Crossing between PostgreSQL's `longjmp` and Rust's unwinding without losing a field of the error.
//!
//! pgrx's own guard rebuilds the error from a few of its fields: a constraint's name, a cursor position and an SQLSTATE that
//! it doesn't know would be lost to the client. [`guard`] keeps PostgreSQL's `ErrorData` whole and [`boundary`] rethrows it.

use std::any::Any;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::{PgLogLevel, pg_sys};

use super::ffi::raw;
use crate::error::{Error, Result, SqlState};

/// A PostgreSQL error on its way through Rust frames.
struct Thrown(*mut pg_sys::ErrorData);

// SAFETY: a panic payload must be Send; a backend has one thread, so the pointer never leaves it.
unsafe impl Send for Thrown {}

/// Runs `f`, which calls PostgreSQL, and turns an ERROR in it into a Rust panic that [`boundary`] rethrows.
///
/// # Safety
/// `f` must hold nothing that has a destructor while it calls PostgreSQL: best is one call and no more.
#[inline]
pub unsafe fn guard<T, F: FnOnce() -> T>(f: F) -> T {
    // SAFETY: a backend has one thread; the statics are saved here and restored on both ways out, as PG_TRY does.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let exception_stack = pg_sys::PG_exception_stack;
        let error_context = pg_sys::error_context_stack;
        let mut result = MaybeUninit::uninit();
        let jumped = cee_scape::call_with_sigsetjmp(false, |jump_buffer| {
            pg_sys::PG_exception_stack = std::ptr::from_ref(jump_buffer).cast_mut().cast();
            result.write(f());
            0
        });
        pg_sys::PG_exception_stack = exception_stack;
        pg_sys::error_context_stack = error_context;
        if jumped == 0 {
            return result.assume_init();
        }
        // The copy lives until the (sub)transaction ends, which the error is about to bring about.
        pg_sys::CurrentMemoryContext = if pg_sys::CurTransactionContext.is_null() { context } else { pg_sys::CurTransactionContext };
        let thrown = Thrown(raw::CopyErrorData());
        raw::FlushErrorState();
        pg_sys::CurrentMemoryContext = context;
        resume_unwind(Box::new(thrown))
    }
}

/// The outermost Rust frame below PostgreSQL: runs `f` and turns a panic that carries a PostgreSQL error back into that error,
/// and an `Err` into an ereport.
///
/// # Safety
/// Must be called directly by an `extern "C-unwind"` function (under `#[pg_guard]`) that has nothing else to drop.
#[inline]
pub unsafe fn boundary<T, F: FnOnce() -> Result<T>>(f: F) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => error.raise(),
        Err(payload) => rethrow(payload),
    }
}

#[cold]
fn rethrow(payload: Box<dyn Any + Send>) -> ! {
    match payload.downcast::<Thrown>() {
        Ok(thrown) => {
            let data = thrown.0;
            drop(thrown);
            // SAFETY: the data was copied by `guard` into a context that lives until the transaction is cleaned up.
            unsafe { raw::ReThrowError(data) }
        }
        Err(other) => resume_unwind(other),
    }
}

/// Runs `f` and, if PostgreSQL or Rust throws in it, runs `cleanup` before the error goes on.
///
/// # Safety
/// As [`guard`]'s callers: `f` may hold destructors, since errors reach this frame by unwinding.
pub fn on_error<T>(f: impl FnOnce() -> T, cleanup: impl FnOnce()) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => value,
        Err(payload) => {
            cleanup();
            resume_unwind(payload)
        }
    }
}

/// Runs `f` and, if it fails in whatever way, sends a message below ERROR before the error goes on.
pub fn remark_on_error<T>(level: PgLogLevel, remark: Error, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(f));
    if !matches!(outcome, Ok(Ok(_))) {
        remark.report(level);
    }
    match outcome {
        Ok(result) => result,
        Err(payload) => resume_unwind(payload),
    }
}

/// An error that was caught, in words that outlive the transaction that it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caught {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: Option<String>,
    /// The hint.
    pub hint: Option<String>,
    /// Where it happened.
    pub context: Option<String>,
}

/// Runs `f` and catches its error. For processes without a session of a client's: whoever catches an error of PostgreSQL's rolls back
/// the transaction before anything else.
pub fn attempt<T>(f: impl FnOnce() -> Result<T>) -> std::result::Result<T, Caught> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Caught {
            sqlstate: error.state.0.to_owned(),
            message: error.message.into_owned(),
            detail: error.detail.map(Into::into),
            hint: error.hint.map(Into::into),
            context: None,
        }),
        Err(payload) => match payload.downcast::<Thrown>() {
            // SAFETY: the data was copied by `guard` into a context that lives until the transaction is rolled back.
            Ok(thrown) => Err(unsafe {
                let data = &*thrown.0;
                let text = |text: *mut std::ffi::c_char| super::relation::optional_string(text);
                Caught {
                    sqlstate: SqlState::unpack(data.sqlerrcode),
                    message: text(data.message).unwrap_or_default(),
                    detail: text(data.detail),
                    hint: text(data.hint),
                    context: text(data.context),
                }
            }),
            Err(other) => resume_unwind(other),
        },
    }
}

impl Error {
    /// Throws this error as a PostgreSQL ERROR.
    ///
    /// Only for the outermost frame: nothing with a destructor may be alive above it. Elsewhere return the error.
    #[cold]
    pub fn raise(self) -> ! {
        emit(PgLogLevel::ERROR, self);
        unreachable!("an ERROR does not return")
    }

    /// Throws this error from any frame: those up to the next [`boundary`] are unwound. For where no Result leads out.
    #[cold]
    pub fn throw(self) -> ! {
        // SAFETY: what the closure holds is dropped before the ERROR jumps.
        unsafe { guard(|| -> () { self.raise() }) };
        unreachable!("an ERROR does not return")
    }

    /// Sends this as a message below ERROR.
    pub fn report(self, level: PgLogLevel) {
        debug_assert!((level as i32) < PgLogLevel::ERROR as i32);
        // SAFETY: `emit` drops the error before PostgreSQL may see that the statement is to end, and jump.
        unsafe { guard(|| emit(level, self)) }
    }
}

/// Sends a NOTICE.
pub fn notice(message: impl Into<std::borrow::Cow<'static, str>>) {
    Error::new(crate::error::SqlState("00000"), message).report(PgLogLevel::NOTICE);
}

fn emit(level: PgLogLevel, error: Error) {
    // SAFETY: the texts are palloc'd copies in ErrorContext-independent memory, and `error` is dropped before errfinish may jump.
    unsafe {
        let code = error.state.packed();
        let message = palloc_text(&error.message);
        let detail = error.detail.as_deref().map_or(std::ptr::null(), |text| palloc_text(text));
        let hint = error.hint.as_deref().map_or(std::ptr::null(), |text| palloc_text(text));
        drop(error);
        if !raw::errstart(level as i32, std::ptr::null()) {
            return;
        }
        raw::errcode(code);
        raw::errmsg_internal(c"%s".as_ptr(), message);
        if !detail.is_null() {
            raw::errdetail_internal(c"%s".as_ptr(), detail);
        }
        if !hint.is_null() {
            raw::errhint(c"%s".as_ptr(), hint);
        }
        raw::errfinish(c"timescale_compat".as_ptr(), 0, std::ptr::null());
    }
}

/// A NUL-terminated copy of `text` in the current memory context; a NUL inside ends it.
///
/// # Safety
/// Within a backend.
unsafe fn palloc_text(text: &str) -> *const std::ffi::c_char {
    // SAFETY: pnstrdup copies `len` bytes at most and stops at a NUL.
    unsafe { raw::pnstrdup(text.as_ptr().cast(), text.len()) }
}
