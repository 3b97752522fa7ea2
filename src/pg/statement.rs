//! Running a statement as if a client had sent it: in a background worker that has no client.

use pgrx::pg_sys;

use super::relation::c_string;
use super::{context, ffi, list};
use crate::error::{Error, Result};

/// `STATEMENT_TIMEOUT` of timeout.h
const STATEMENT_TIMEOUT: u32 = 3;

/// Runs one statement at top level, in transactions of its own: a procedure may end them. Its rows are dropped. The steps are those of
/// `exec_simple_query`. An ERROR leaves a transaction to be rolled back.
pub fn run(sql: &str) -> Result<()> {
    /// What is logged next is not the statement's any more, however it ended.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            // SAFETY: a variable of this process.
            unsafe { pg_sys::debug_query_string = std::ptr::null() }
        }
    }
    // SAFETY: no transaction is open. The statement's memory lies in a context that outlives the transactions that it may end. Its text
    // lies there too: after an error it is still pointed at by the portal, until the transaction is rolled back. The context of a
    // statement that failed is left to the process, which ends with it.
    unsafe {
        ffi::SetCurrentStatementStartTimestamp();
        ffi::StartTransactionCommand();
        if pg_sys::StatementTimeout > 0 {
            ffi::enable_timeout_after(STATEMENT_TIMEOUT, pg_sys::StatementTimeout);
        }
        let message = ffi::AllocSetContextCreateInternal(
            pg_sys::TopMemoryContext,
            c"timescale_compat statement".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let text = {
            let text = c_string(sql);
            ffi::MemoryContextStrdup(message, text.as_ptr())
        };
        pg_sys::debug_query_string = text;
        let forget = Forget;
        let portal = context::with_context(message, || prepare(text))?;
        let receiver = ffi::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        ffi::PortalRun(portal, i64::MAX as _, true, true, receiver, receiver, std::ptr::null_mut());
        ffi::PortalDrop(portal, false);
        ffi::disable_timeout(STATEMENT_TIMEOUT, false);
        ffi::CommitTransactionCommand();
        drop(forget);
        ffi::MemoryContextDelete(message);
    }
    Ok(())
}

/// A portal that is ready to be run.
///
/// # Safety
/// In a transaction, with a memory context that outlives the portal.
unsafe fn prepare(text: *const std::ffi::c_char) -> Result<pg_sys::Portal> {
    // SAFETY: the caller's promise.
    unsafe {
        let statements = list::pointers::<pg_sys::RawStmt>(ffi::pg_parse_query(text));
        let [statement] = statements[..] else { return Err(Error::internal("not one statement")) };
        let tag = ffi::CreateCommandTag((*statement).stmt);
        let needs_snapshot = ffi::analyze_requires_snapshot(statement);
        if needs_snapshot {
            ffi::PushActiveSnapshot(ffi::GetTransactionSnapshot());
        }
        let queries = ffi::pg_analyze_and_rewrite_fixedparams(statement, text, std::ptr::null(), 0, std::ptr::null_mut());
        let plans = ffi::pg_plan_queries(queries, text, pg_sys::CURSOR_OPT_PARALLEL_OK as i32, std::ptr::null_mut());
        if needs_snapshot {
            ffi::PopActiveSnapshot();
        }
        let portal = ffi::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        ffi::PortalDefineQuery(portal, std::ptr::null(), text, tag, plans, std::ptr::null_mut());
        ffi::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        Ok(portal)
    }
}

/// Gives up what is left of the time that a statement may take.
pub fn stop_clock() {
    // SAFETY: a timer of this process.
    unsafe { ffi::disable_timeout(STATEMENT_TIMEOUT, false) }
}
