//! `ExecutorStart_hook` and `ExecutorRun_hook`: batches are moved before a statement that changes them starts, and guards are connected
//! with the nodes above them, which they can't see by themselves.

use pgrx::pg_sys;

use crate::cagg::guard;
use crate::columnar::dml;
use crate::ingest::guard::connect;
use crate::ingest::routing::note_executor_start;
use crate::ingest::serializable;
use crate::pg::ffi::raw;
use crate::pg::guard::boundary;

static mut PREVIOUS: pg_sys::ExecutorStart_hook_type = None;
static mut PREVIOUS_RUN: pg_sys::ExecutorRun_hook_type = None;

/// Puts ours before the one that is there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(start);
        PREVIOUS_RUN = pg_sys::ExecutorRun_hook;
        pg_sys::ExecutorRun_hook = Some(run);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: PostgreSQL's own arguments are handed on; no destructor is pending while the executor starts.
    unsafe {
        note_executor_start();
        let prepared = boundary(|| {
            guard::check_statement((*query).plannedstmt)?;
            dml::before_start(query, flags)
        });
        match PREVIOUS {
            Some(previous) => previous(query, flags),
            None => raw::standard_ExecutorStart(query, flags),
        }
        dml::after_start(query, prepared);
        // A parallel worker holds no locks of its own; its leader has noted what is read.
        if pg_sys::XactIsoLevel == pg_sys::XACT_SERIALIZABLE as i32 && pg_sys::ParallelWorkerNumber < 0 {
            boundary(|| {
                serializable::note_reads(query);
                Ok(())
            });
        }
        if (*query).operation != pg_sys::CmdType::CMD_SELECT || !(*(*query).estate).es_auxmodifytables.is_null() {
            boundary(|| {
                connect(query);
                Ok(())
            });
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn run(query: *mut pg_sys::QueryDesc, direction: pg_sys::ScanDirection::Type, count: u64, once: bool) {
    // SAFETY: PostgreSQL's own arguments are handed on; no destructor is pending while the executor runs.
    unsafe {
        match PREVIOUS_RUN {
            Some(previous) => previous(query, direction, count, once),
            None => raw::standard_ExecutorRun(query, direction, count, once),
        }
        dml::after_run(query);
    }
}
