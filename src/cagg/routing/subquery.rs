//! The subquery that takes the hypertable's place: the partial view's query, told what the query at hand wants to know.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::bounds::Bound;
use super::candidate::{Arms, Candidate};
use super::zoned;
use crate::pg::expr::{self, Column, Expr};
use crate::pg::relation::{c_string, optional_string};
use crate::pg::{ffi, guard, list, node, query};

/// The arguments of `cagg_valid` and `cagg_live` that say what is asked.
const ROUTING: usize = 2;
const ZONE: usize = 3;
const OPERATORS: usize = 4;
const BOUNDS: usize = 5;

/// Buckets of a time zone that a query asks for.
pub struct Zoned<'a> {
    /// The zone.
    pub zone: Option<&'a str>,
    /// What puts a time into them, each once; they become columns behind those of the partial view.
    pub calls: &'a [Expr],
    /// The time, as the calls name it.
    pub time: Column,
}

/// The entry of a range table that reads groups from storage where it is valid within the bounds, and computes them where not.
pub fn entry(candidate: &Candidate, bounds: &[Bound], zoned: &Zoned) -> Option<*mut pg_sys::RangeTblEntry> {
    let entry: *mut pg_sys::RangeTblEntry = node::make_node(NodeTag::T_RangeTblEntry);
    // SAFETY: the candidate's query is copied; fresh nodes.
    unsafe {
        let partial: *mut pg_sys::Query = ffi::copyObjectImpl(candidate.partial.cast()).cast();
        let arms = Arms::of(partial)?;
        ask(partial, candidate, bounds, zoned.zone);
        restrict(&arms, candidate, bounds);
        if !zoned::add_buckets(partial, &arms, candidate, zoned.calls, zoned.time) {
            return None;
        }
        rename(&arms, candidate);
        ffi::query_tree_walker(partial, waive_rights, std::ptr::null_mut(), pg_sys::QTW_EXAMINE_RTES_BEFORE as i32);
        let names =
            query::targets(partial).into_iter().map(|target| node::make_string(&optional_string(target.resname).unwrap_or_default()));
        (*entry).rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        (*entry).subquery = partial;
        (*entry).eref = ffi::makeAlias(c_string(&candidate.name).as_ptr(), list::from_pointers(names));
        (*entry).inFromCl = true;
    }
    Some(entry)
}

struct Asked {
    storage: pg_sys::Oid,
    arguments: [(usize, Expr); 4],
}

/// Tells the two functions what is asked.
///
/// # Safety
/// A query that may be changed.
unsafe fn ask(partial: *mut pg_sys::Query, candidate: &Candidate, bounds: &[Bound], zone: Option<&str>) {
    let operators: Vec<&str> = bounds.iter().map(|bound| bound.operator()).collect();
    let values: Vec<Expr> = bounds.iter().map(|bound| bound.value).collect();
    // SAFETY: a boolean constant.
    let routing = unsafe { Expr::new(ffi::makeBoolConst(true, false)) };
    let mut asked = Asked {
        storage: candidate.definition.agg.storage,
        arguments: [
            (ROUTING, routing),
            (ZONE, expr::text_constant(zone)),
            (OPERATORS, expr::text_constant(Some(&operators.join(" ")))),
            (BOUNDS, expr::array(candidate.definition.time_type, &values)),
        ],
    };
    // SAFETY: the walker gets the arguments back as its context.
    unsafe { ffi::query_tree_walker(partial, ask_calls, std::ptr::from_mut(&mut asked).cast(), 0) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn ask_calls(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context from above. The query is a copy that nobody else uses.
    unsafe {
        guard::boundary(|| {
            match node::tag(tree) {
                NodeTag::T_Invalid => return Ok(false),
                NodeTag::T_Query => return Ok(ffi::query_tree_walker(tree.cast(), ask_calls, context, 0)),
                NodeTag::T_FuncExpr => {
                    let call = &*tree.cast::<pg_sys::FuncExpr>();
                    let asked = &*context.cast::<Asked>();
                    let cells = list::cells(call.args);
                    if cells.len() == BOUNDS + 1 && is_of(call.funcid, Expr::new(cells[0].ptr_value), asked.storage) {
                        for (index, argument) in asked.arguments {
                            (*(*call.args).elements.add(index)).ptr_value = argument.copy().as_ptr();
                        }
                        return Ok(false);
                    }
                }
                _ => {}
            }
            Ok(ffi::expression_tree_walker(tree, ask_calls, context))
        })
    }
}

/// Whether a call is one of the two about a storage.
fn is_of(function: pg_sys::Oid, first: Expr, storage: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up; the name is palloc'd.
    let name = || unsafe { optional_string(ffi::get_func_name(function)) };
    first.as_const().is_some_and(|(type_oid, value)| type_oid == pg_sys::REGCLASSOID && value == pg_sys::Datum::from(storage))
        && name().is_some_and(|name| name == "cagg_valid" || name == "cagg_live")
}

/// Says the bounds to both sides as plain conditions, so that chunks are left out. A bucket that lies wholly within the bounds begins
/// within them.
///
/// # Safety
/// The arms of a query that may be changed.
unsafe fn restrict(arms: &Arms, candidate: &Candidate, bounds: &[Bound]) {
    let stored = stored_bucket(arms, candidate);
    // SAFETY: the Vars are of the relations that these numbers have there.
    unsafe {
        for (query, time) in [(arms.stored, stored), (arms.groups, time_of(candidate))] {
            let quals = &mut (*(*query).jointree).quals;
            let mut all = if quals.is_null() { Vec::new() } else { Expr::new(*quals).conjuncts() };
            all.extend(bounds.iter().filter_map(|bound| expr::compare(time, bound.comparison, bound.value)));
            *quals = if all.is_empty() { std::ptr::null_mut() } else { expr::junction(true, &all).as_ptr() };
        }
    }
}

/// The bucket in the query of storage.
pub fn stored_bucket(arms: &Arms, candidate: &Candidate) -> Expr {
    let bucket = candidate.definition.bucket_column();
    expr::column(arms.storage.1, bucket.attribute, bucket.expr, 0)
}

/// The time column in the live query.
pub fn time_of(candidate: &Candidate) -> Expr {
    let definition = &candidate.definition;
    // SAFETY: a fresh Var of the time column's type, which has no collation.
    unsafe {
        let column = definition.time;
        Expr::new(ffi::makeVar(column.relation as i32, column.attribute, definition.time_type, -1, pg_sys::InvalidOid, 0))
    }
}

/// Has EXPLAIN call what is read by the continuous aggregate's name.
///
/// # Safety
/// The arms of a query that may be changed.
unsafe fn rename(arms: &Arms, candidate: &Candidate) {
    let name = c_string(&candidate.name);
    // SAFETY: entries of a copy; names are copied.
    unsafe {
        for entry in [arms.storage.0, arms.function] {
            (*entry).alias = ffi::makeAlias(name.as_ptr(), std::ptr::null_mut());
            (*(*entry).eref).aliasname = node::palloc_str(&candidate.name);
        }
    }
}

/// The rights that count are those on the hypertable, which stays in the query's range table.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn waive_rights(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, of a copy that may be changed.
    unsafe {
        guard::boundary(|| {
            Ok(match node::tag(tree) {
                NodeTag::T_Invalid => false,
                NodeTag::T_RangeTblEntry => {
                    (*tree.cast::<pg_sys::RangeTblEntry>()).requiredPerms = 0;
                    false
                }
                NodeTag::T_Query => ffi::query_tree_walker(tree.cast(), waive_rights, context, pg_sys::QTW_EXAMINE_RTES_BEFORE as i32),
                _ => ffi::expression_tree_walker(tree, waive_rights, context),
            })
        })
    }
}
