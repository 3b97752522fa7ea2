//! What may fail for some rows. Groups are computed of more rows than those that a query looks at, and of more expressions.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::grid::Target;
use crate::pg::expr::{Column, Expr};
use crate::pg::{ffi, guard, list, node};

/// Whether an expression over rows, or over aggregates of them, may fail for some rows: it calls functions that are not known never to.
/// Aggregates themselves count as functions that don't fail, and so does what puts the time into buckets, as is done with all rows.
pub fn is_fallible(expr: Expr, time: Column) -> bool {
    if expr.as_aggregate().is_none() && puts_into_buckets(expr, time) {
        return false;
    }
    let mut found = false;
    // SAFETY: a fresh copy, in which the aggregates are replaced; the context outlives the walk.
    unsafe {
        let context: *mut c_void = (&raw mut found).cast();
        let above = Expr::new(without_aggregates(expr.copy().as_ptr(), context));
        found || ffi::contain_leaked_vars(above.as_ptr())
    }
}

fn puts_into_buckets(expr: Expr, time: Column) -> bool {
    let target = Target::of(expr, std::ptr::null_mut());
    let column = target.and_then(|target| target.time.as_column());
    column.is_some_and(|column| column.relation == time.relation && column.attribute == time.attribute)
}

/// The expression with columns in place of aggregates; notes in `found` whether what these look at may fail.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn without_aggregates(tree: *mut pg_sys::Node, found: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes, and the context that they were given; the tag says what the node is.
    unsafe {
        guard::boundary(|| {
            if node::tag(tree) != NodeTag::T_Aggref {
                return Ok(ffi::expression_tree_mutator(tree, without_aggregates, found));
            }
            let aggregate = &*tree.cast::<pg_sys::Aggref>();
            let arguments = list::pointers::<pg_sys::TargetEntry>(aggregate.args).into_iter().map(|argument| (*argument).expr.cast());
            let direct = list::pointers::<pg_sys::Node>(aggregate.aggdirectargs);
            for part in arguments.chain(direct).chain([aggregate.aggfilter.cast()]) {
                *found.cast::<bool>() |= ffi::contain_leaked_vars(part);
            }
            Ok(ffi::makeVar(1, 1, aggregate.aggtype, -1, aggregate.aggcollid, 0).cast())
        })
    }
}
