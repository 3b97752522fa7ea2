//! Memory contexts, user identity and variables of a session, restored when the scope ends, also by an error.

use std::cell::Cell;
use std::thread::LocalKey;

use pgrx::pg_sys;

use super::guard::guard;
use super::{ffi, text_settings};

/// Runs `f` in a temporary memory context that is deleted afterwards.
pub fn with_temporary<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: the context is a child of the current one, so an error that skips the deletion frees it with its parent.
    unsafe {
        let context = ffi::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"timescale_compat".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let result = with_context(context, f);
        ffi::MemoryContextDelete(context);
        result
    }
}

/// Runs `f` with `context` as the current memory context.
///
/// # Safety
/// `context` is alive until `f` returns.
pub unsafe fn with_context<T>(context: pg_sys::MemoryContext, f: impl FnOnce() -> T) -> T {
    struct Restore(pg_sys::MemoryContext);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the context was current before and outlives the scope.
            unsafe { pg_sys::CurrentMemoryContext = self.0 }
        }
    }
    // SAFETY: a backend has one thread.
    let _restore = unsafe {
        let restore = Restore(pg_sys::CurrentMemoryContext);
        pg_sys::CurrentMemoryContext = context;
        restore
    };
    f()
}

/// Runs `f` while a variable of the session's has another value.
pub fn with_set<V, T>(variable: &'static LocalKey<Cell<V>>, value: V, f: impl FnOnce() -> T) -> T
where
    V: Copy + 'static,
{
    struct Restore<V: Copy + 'static>(&'static LocalKey<Cell<V>>, V);
    impl<V: Copy> Drop for Restore<V> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(variable, variable.replace(value));
    f()
}

/// Keeps a value of Rust's for as long as a memory context lives: it is dropped when the context is reset or deleted, also by an error.
/// By then everything else of the context, and what a resource owner held, may be gone: `T` must not refer to PostgreSQL when dropped.
///
/// # Safety
/// `context` outlives every use of the pointer.
pub unsafe fn keep<T>(context: pg_sys::MemoryContext, value: T) -> *mut T {
    unsafe extern "C-unwind" fn release<T>(value: *mut std::ffi::c_void) {
        // SAFETY: made by Box::into_raw below; a context calls its callbacks once.
        drop(unsafe { Box::from_raw(value.cast::<T>()) });
    }
    // SAFETY: the callback is allocated in the context that calls it.
    unsafe {
        let callback = ffi::MemoryContextAllocZero(context, size_of::<pg_sys::MemoryContextCallback>()).cast();
        let value = Box::into_raw(Box::new(value));
        (*callback) = pg_sys::MemoryContextCallback { func: Some(release::<T>), arg: value.cast(), next: std::ptr::null_mut() };
        ffi::MemoryContextRegisterResetCallback(context, callback);
        value
    }
}

/// Runs `f` as another role, as maintenance commands do with a table's functions: SET ROLE, temporary objects and the like are
/// refused meanwhile.
pub fn as_user<T>(user: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    struct Restore(pg_sys::Oid, i32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the identity that was in force before. It only sets two variables.
            unsafe { ffi::raw::SetUserIdAndSecContext(self.0, self.1) }
        }
    }
    let (mut saved, mut flags) = (pg_sys::InvalidOid, 0);
    // SAFETY: both calls only read or set variables.
    let _restore = unsafe {
        ffi::raw::GetUserIdAndSecContext(&mut saved, &mut flags);
        ffi::raw::SetUserIdAndSecContext(
            user,
            flags | (pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION) as i32,
        );
        Restore(saved, flags)
    };
    f()
}

/// Runs a function of another role's as that role ([`as_user`]); what it sets is undone. One's own is run as it is.
pub fn as_owner<T>(owner: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    if owner == current_user() {
        return f();
    }
    // SAFETY: the level ends here, or with the (sub)transaction.
    let level = unsafe { ffi::NewGUCNestLevel() };
    let result = as_user(owner, f);
    // SAFETY: as above.
    unsafe { ffi::AtEOXact_GUC(false, level) };
    result
}

/// Runs `f` while names without a schema mean those of pg_catalog, so that nothing of a user's can take a name's place.
pub fn with_catalog_path<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: the level ends here, or with the (sub)transaction.
    let level = unsafe {
        let level = ffi::NewGUCNestLevel();
        ffi::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        level
    };
    let result = f();
    // SAFETY: as above.
    unsafe { ffi::AtEOXact_GUC(true, level) };
    result
}

/// The role whose privileges count now.
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a variable.
    unsafe { ffi::raw::GetUserId() }
}

/// Runs `f` while output functions give text that means the same to every session, as pg_dump sees to it: dates and floats lose nothing,
/// names have their schema.
pub fn with_portable_text<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: the level ends here, or with the (sub)transaction.
    unsafe {
        let level = guard(|| text_settings::set());
        let result = f();
        guard(|| text_settings::reset(level));
        result
    }
}
