//! `planner_hook`: queries on hypertables are said anew before they are planned; plans that write to them get guards.

use std::ffi::c_char;

use pgrx::pg_sys;

use crate::cagg::{guard as guard_storage, routing};
use crate::guc;
use crate::ingest::guard::add_guards;
use crate::ingest::record;
use crate::pg::ffi;
use crate::pg::guard::{boundary, guard};
use crate::{planner, scan};

static mut PREVIOUS: pg_sys::planner_hook_type = None;

/// Puts ours before the one that is there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(plan);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn plan(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: i32,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            scan::mark(query);
            record::mark(query);
            let mut is_routed = false;
            let _session = (guc::enable_optimizations() && planner::references_hypertable(query)).then(|| {
                // A snapshot may be taken under locks that are held already, and then nothing else looks for chunks that it sees and the
                // relation cache doesn't.
                ffi::AcceptInvalidationMessages();
                planner::rewrite(query, parameters);
                is_routed = routing::is_enabled() && routing::route(query, parameters);
                planner::Session::new()
            });
            let statement = match PREVIOUS {
                Some(previous) => guard(|| previous(query, text, options, parameters)),
                None => ffi::standard_planner(query, text, options, parameters),
            };
            // Whose continuous aggregates were looked at depends on who asks.
            (*statement).dependsOnRole |= is_routed;
            if !(*statement).resultRelations.is_null() {
                guard_storage::check_plan(statement)?;
                add_guards(statement);
            }
            Ok(statement)
        })
    }
}
