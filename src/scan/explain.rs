//! What EXPLAIN says of a scan.

use pgrx::pg_sys;

use super::exec::ColumnarScan;
use super::plan;
use crate::custom::State;
use crate::pg::{ffi, list};

/// Adds the conditions on vectors, and what was read and what was not.
///
/// # Safety
/// As `ExplainCustomScan` is called.
pub unsafe fn explain(state: &mut State<ColumnarScan>, ancestors: *mut pg_sys::List, explain: *mut pg_sys::ExplainState) {
    // SAFETY: the caller's promise. As show_qual.
    unsafe {
        let plan = state.scan.ss.ps.plan.cast::<pg_sys::CustomScan>();
        let conditions = list::from_pointers(plan::conditions(plan));
        if !conditions.is_null() {
            let context = ffi::set_deparse_context_plan((*explain).deparse_cxt, plan.cast(), ancestors);
            let condition = ffi::make_ands_explicit(conditions);
            let text = ffi::deparse_expression(condition.cast(), context, (*explain).verbose, false);
            ffi::ExplainPropertyText(c"Vectorized Filter".as_ptr(), text, explain);
        }
        if !(*explain).analyze {
            return;
        }
        if state.node.layout.is_null() {
            return;
        }
        let counters = state.node.batches.as_ref().map(|batches| batches.counters).unwrap_or_default();
        let number =
            |label: &std::ffi::CStr, value: u64| ffi::ExplainPropertyInteger(label.as_ptr(), std::ptr::null(), value as i64, explain);
        if !conditions.is_null() {
            number(c"Rows Removed by Vectorized Filter", counters.removed);
        }
        number(c"Batches Read", counters.read);
        if counters.skipped > 0 || (*explain).format != pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT {
            number(c"Batches Skipped", counters.skipped);
        }
    }
}
