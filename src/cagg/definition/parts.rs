//! Which hidden parts an output needs.

use pgrx::pg_sys;

use crate::cagg::parts;
use crate::pg::expr::Expr;
use crate::pg::{ffi, list};

/// The parts of all aggregates in an output. An output of which one aggregate has none can't be computed over larger groups: nothing
/// is kept for it.
pub fn of_output(output: Expr) -> Vec<Expr> {
    let flags = pg_sys::PVC_INCLUDE_AGGREGATES | pg_sys::PVC_INCLUDE_WINDOWFUNCS | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
    // SAFETY: an expression of an analysed query; the list holds its nodes.
    let found = unsafe { list::pointers::<pg_sys::Node>(ffi::pull_var_clause(output.as_ptr(), flags as i32)) };
    // SAFETY: as above.
    let aggregates = found.into_iter().filter_map(|node| unsafe { Expr::new(node) }.as_aggregate());
    aggregates.map(parts::parts_of).collect::<Option<Vec<_>>>().unwrap_or_default().into_iter().flatten().collect()
}
