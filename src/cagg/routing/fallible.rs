//! What may fail for some rows. Groups are computed of more rows than those that a query looks at, and of more expressions.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::target::Target;
use crate::pg::expr::{Column, Expr};
use crate::pg::{ffi, guard, list, node};

/// Whether an expression over rows, or over aggregates of them, may fail for some rows: it calls functions that are not known never to.
/// LEAKPROOF is what PostgreSQL knows of that.
/// Aggregates themselves count as functions that don't fail, and so does what puts the time into buckets, as is done with all rows.
pub fn is_fallible(expr: Expr, time: Column) -> bool {
    if expr.as_aggregate().is_none() && puts_into_buckets(expr, time) {
        return false;
    }
    let mut found = false;
    // SAFETY: a fresh copy, in which the aggregates are replaced; the context outlives the walk.
    unsafe {
        let context: *mut c_void = (&raw mut found).cast();
        let above = Expr::new(only_doubtful(expr.copy().as_ptr(), context));
        found || ffi::contain_leaked_vars(above.as_ptr())
    }
}

fn puts_into_buckets(expr: Expr, time: Column) -> bool {
    let target = Target::of(expr, std::ptr::null_mut());
    let column = target.and_then(|target| target.time.as_column());
    column.is_some_and(|column| column.relation == time.relation && column.attribute == time.attribute)
}

/// PostgreSQL's own functions that never fail, whatever they are given, though they are not marked LEAKPROOF. But for texts of hundreds of
/// megabytes: what `lower()` and its like need for one is refused by `palloc`.
#[rustfmt::skip]
const NEVER_FAIL: [u32; 44] = {
    use pg_sys::*;
    [
        F_LOWER_TEXT, F_UPPER_TEXT, F_INITCAP, F_LEFT, F_RIGHT, F_REVERSE,
        F_LENGTH_TEXT, F_CHAR_LENGTH_TEXT, F_CHARACTER_LENGTH_TEXT, F_OCTET_LENGTH_TEXT,
        F_BTRIM_TEXT, F_LTRIM_TEXT, F_RTRIM_TEXT, F_BTRIM_TEXT_TEXT, F_LTRIM_TEXT_TEXT, F_RTRIM_TEXT_TEXT,
        F_JSONB_OBJECT_FIELD, F_JSONB_OBJECT_FIELD_TEXT, F_JSONB_ARRAY_ELEMENT, F_JSONB_ARRAY_ELEMENT_TEXT,
        F_JSONB_EXTRACT_PATH, F_JSONB_EXTRACT_PATH_TEXT, F_JSONB_EXISTS,
        F_NUMERIC_EQ, F_NUMERIC_NE, F_NUMERIC_LT, F_NUMERIC_LE, F_NUMERIC_GT, F_NUMERIC_GE,
        F_ABS_NUMERIC, F_SIGN_NUMERIC,
        F_ABS_FLOAT4, F_ABS_FLOAT8, F_SIGN_FLOAT8, F_FLOOR_FLOAT8, F_CEIL_FLOAT8, F_CEILING_FLOAT8, F_ROUND_FLOAT8, F_TRUNC_FLOAT8,
        F_FLOAT4UM, F_FLOAT8UM, F_NUMERIC_UMINUS, F_FLOAT4UP, F_FLOAT8UP,
    ]
};

fn never_fails(function: pg_sys::Oid, arguments: &[Expr]) -> bool {
    use pg_sys::*;
    match function.to_u32() {
        F_INT2DIV | F_INT4DIV | F_INT8DIV | F_INT84DIV | F_INT2MOD | F_INT4MOD | F_INT8MOD => {
            arguments.get(1).is_some_and(|divisor| divides_all(*divisor))
        }
        // Of a unit that there isn't none can be had, so nothing is materialized.
        F_EXTRACT_TEXT_TIMESTAMP | F_EXTRACT_TEXT_DATE | F_EXTRACT_TEXT_TIME | F_DATE_PART_TEXT_TIMESTAMP => {
            arguments.first().is_some_and(|unit| unit.is_const())
        }
        other => NEVER_FAIL.contains(&other),
    }
}

/// Whether each integer can be divided by a value: not by 0, and the least one not by -1.
fn divides_all(divisor: Expr) -> bool {
    divisor.as_const().is_some_and(|(type_oid, datum)| match type_oid {
        pg_sys::INT2OID => !matches!(datum.value() as i16, 0 | -1),
        pg_sys::INT4OID => !matches!(datum.value() as i32, 0 | -1),
        pg_sys::INT8OID => !matches!(datum.value() as i64, 0 | -1),
        _ => false,
    })
}

/// The expression with columns in place of aggregates, and lists of their arguments in place of what never fails by itself. Notes in `found`
/// whether what aggregates look at may fail.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn only_doubtful(tree: *mut pg_sys::Node, found: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes, and the context that they were given; the tag says what the node is.
    unsafe {
        guard::boundary(|| {
            if node::tag(tree) == NodeTag::T_Aggref {
                let aggregate = &*tree.cast::<pg_sys::Aggref>();
                let arguments = list::pointers::<pg_sys::TargetEntry>(aggregate.args).into_iter().map(|argument| (*argument).expr.cast());
                let direct = list::pointers::<pg_sys::Node>(aggregate.aggdirectargs);
                for part in arguments.chain(direct).chain([aggregate.aggfilter.cast()]) {
                    *found.cast::<bool>() |= ffi::contain_leaked_vars(only_doubtful(part, found));
                }
                return Ok(ffi::makeVar(1, 1, aggregate.aggtype, -1, aggregate.aggcollid, 0).cast());
            }
            Ok(match harmless(tree) {
                None => ffi::expression_tree_mutator(tree, only_doubtful, found),
                Some(arguments) => {
                    let all: *mut pg_sys::ArrayExpr = node::make_node(NodeTag::T_ArrayExpr);
                    (*all).elements = ffi::expression_tree_mutator(arguments.cast(), only_doubtful, found).cast();
                    all.cast()
                }
            })
        })
    }
}

/// The arguments of a node that itself never fails.
///
/// # Safety
/// A node of an expression that may be changed, or NULL.
unsafe fn harmless(tree: *mut pg_sys::Node) -> Option<*mut pg_sys::List> {
    // SAFETY: the caller's promise; the tag says what the node is.
    unsafe {
        let (function, arguments) = match node::tag(tree) {
            NodeTag::T_CoalesceExpr => return Some((*tree.cast::<pg_sys::CoalesceExpr>()).args),
            NodeTag::T_FuncExpr => {
                let call = &*tree.cast::<pg_sys::FuncExpr>();
                (call.funcid, call.args)
            }
            NodeTag::T_OpExpr | NodeTag::T_DistinctExpr | NodeTag::T_NullIfExpr => {
                let call = tree.cast::<pg_sys::OpExpr>();
                ffi::set_opfuncid(call);
                ((*call).opfuncid, (*call).args)
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let call = tree.cast::<pg_sys::ScalarArrayOpExpr>();
                ffi::set_sa_opfuncid(call);
                ((*call).opfuncid, (*call).args)
            }
            _ => return None,
        };
        let expressions: Vec<Expr> = list::pointers::<pg_sys::Node>(arguments).into_iter().map(|argument| Expr::new(argument)).collect();
        never_fails(function, &expressions).then_some(arguments)
    }
}
