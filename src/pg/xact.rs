//! Transactions: of background workers, and what is to be done when a session's end.

use std::cell::RefCell;
use std::ffi::c_void;

use pgrx::pg_sys;

use super::ffi;
use super::guard::{self, Caught};
use crate::error::{Error, Result, SqlState};

thread_local! {
    static AT_END: RefCell<Vec<fn(bool)>> = const { RefCell::new(Vec::new()) };
}

/// Has `callback` called when a transaction has ended, with whether it committed. It must not fail, and holds up the session's next
/// statement.
pub fn at_end(callback: fn(bool)) {
    AT_END.with_borrow_mut(|callbacks| {
        if callbacks.is_empty() {
            // SAFETY: the callback is a function of this library.
            unsafe { ffi::RegisterXactCallback(Some(on_end), std::ptr::null_mut()) }
        }
        callbacks.push(callback);
    });
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_end(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    let committed = match event {
        // A prepared transaction's changes come when it is committed, perhaps by another session.
        pg_sys::XactEvent::XACT_EVENT_COMMIT => true,
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => false,
        _ => return,
    };
    registered(&AT_END).for_each(|callback| callback(committed));
}

/// The callbacks of a list, which is not borrowed while one of them runs.
fn registered<T: Copy>(list: &'static std::thread::LocalKey<RefCell<Vec<T>>>) -> impl Iterator<Item = T> {
    (0..).map_while(|index| list.with_borrow(|callbacks| callbacks.get(index).copied()))
}

type BeforeEnd = fn(bool) -> Result<()>;

thread_local! {
    static BEFORE_END: RefCell<Vec<BeforeEnd>> = const { RefCell::new(Vec::new()) };
}

/// Has `callback` called before a transaction commits, or is prepared (then with true). It may write, but runs nothing that queues triggers;
/// an error rolls the transaction back.
pub fn before_end(callback: BeforeEnd) {
    BEFORE_END.with_borrow_mut(|callbacks| {
        if callbacks.is_empty() {
            // SAFETY: the callback is a function of this library.
            unsafe { ffi::RegisterXactCallback(Some(on_before_end), std::ptr::null_mut()) }
        }
        callbacks.push(callback);
    });
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_before_end(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    let prepares = match event {
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT => false,
        pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => true,
        _ => return,
    };
    // SAFETY: called by PostgreSQL, with nothing else pending.
    unsafe {
        guard::boundary(|| registered(&BEFORE_END).try_for_each(|callback| callback(prepares)));
    }
}

/// True if the transaction has written anything: it has an id.
pub fn has_written() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { ffi::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// Runs `f` in a transaction of its own, with a snapshot. For processes without a session of a client's: an ERROR ends the process, or
/// whoever catches it ends the transaction ([`abort`]).
pub fn transaction<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: no transaction is open. What `f` returns is no memory of the transaction's.
    unsafe {
        ffi::SetCurrentStatementStartTimestamp();
        ffi::StartTransactionCommand();
        // Whatever the role's defaults are: autovacuum and connections do the same.
        pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        pg_sys::XactReadOnly = false;
        ffi::PushActiveSnapshot(ffi::GetTransactionSnapshot());
        let result = f();
        ffi::PopActiveSnapshot();
        ffi::CommitTransactionCommand();
        result
    }
}

/// Runs `f` in a subtransaction, which an ERROR rolls back and no more. A cancel still ends the statement.
pub fn attempt<T>(f: impl FnOnce() -> T) -> std::result::Result<T, Caught> {
    // SAFETY: within a transaction. Both ways out end the subtransaction and restore what was current before, as PL/pgSQL does.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        ffi::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let result = guard::attempt(|| Ok(f()));
        match result {
            Ok(_) => ffi::ReleaseCurrentSubTransaction(),
            Err(_) => ffi::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        if let Err(caught) = &result
            && caught.sqlstate == "57014"
        {
            Error::new(SqlState("57014"), caught.message.clone()).throw()
        }
        result
    }
}

/// Rolls back whatever is open.
pub fn abort() {
    // SAFETY: as above.
    unsafe { ffi::AbortOutOfAnyTransaction() }
}
