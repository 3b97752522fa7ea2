//! The subquery that takes the hypertable's place: the partial view's query, told what the query at hand wants to know.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::bounds::Bound;
use super::candidate::{Arms, Candidate};
use super::zoned;
use crate::pg::expr::{self, Column, Expr};
use crate::pg::relation::{c_string, optional_string};
use crate::pg::{ffi, list, node, query};

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
        ask(&arms, candidate, bounds, zoned.zone);
        restrict(&arms, candidate, bounds);
        if !zoned::add_buckets(partial, &arms, candidate, zoned.calls, zoned.time) {
            return None;
        }
        rename(&arms, candidate);
        waive_rights(&arms, candidate)?;
        let names =
            query::targets(partial).into_iter().map(|target| node::make_string(&optional_string(target.resname).unwrap_or_default()));
        (*entry).rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        (*entry).subquery = partial;
        (*entry).eref = ffi::makeAlias(c_string(&candidate.name).as_ptr(), list::from_pointers(names));
        (*entry).inFromCl = true;
    }
    Some(entry)
}

/// Tells the two functions what is asked. The form of the candidate's query was looked at when it was loaded (`form.rs`).
///
/// # Safety
/// The arms of a query that may be changed.
unsafe fn ask(arms: &Arms, candidate: &Candidate, bounds: &[Bound], zone: Option<&str>) {
    let operators: Vec<&str> = bounds.iter().map(|bound| bound.operator()).collect();
    let operators = expr::text_constant(Some(&operators.join(" ")));
    let values: Vec<Expr> = bounds.iter().map(|bound| bound.value).collect();
    let values = expr::array(candidate.definition.time_type, &values);
    // SAFETY: the caller's promise; fresh nodes are put into calls of six arguments.
    unsafe {
        let functions = list::pointers::<pg_sys::RangeTblFunction>((*arms.function).functions);
        let live = functions[0];
        let calls = [((*(*arms.stored).jointree).quals, once(values, arms.stored)), ((*live).funcexpr, values)];
        for (call, values) in calls {
            let routing = Expr::new(ffi::makeBoolConst(true, false));
            for (index, argument) in [(ROUTING, routing), (ZONE, expr::text_constant(zone)), (OPERATORS, operators), (BOUNDS, values)] {
                (*(*(*call.cast::<pg_sys::FuncExpr>()).args).elements.add(index)).ptr_value = argument.copy().as_ptr();
            }
        }
    }
}

/// A value that is computed once for all rows of a query that is run.
///
/// # Safety
/// A Query that may be changed.
unsafe fn once(value: Expr, query: *mut pg_sys::Query) -> Expr {
    if expr::fold(value, std::ptr::null_mut()).as_const().is_some() {
        return value;
    }
    // SAFETY: fresh nodes, as the parser makes them of `(SELECT value)`.
    unsafe {
        let select: *mut pg_sys::Query = node::make_node(NodeTag::T_Query);
        (*select).commandType = pg_sys::CmdType::CMD_SELECT;
        (*select).querySource = pg_sys::QuerySource::QSRC_ORIGINAL;
        (*select).canSetTag = true;
        (*select).jointree = ffi::makeFromExpr(std::ptr::null_mut(), std::ptr::null_mut());
        (*select).targetList = list::from_pointers([ffi::makeTargetEntry(value.as_ptr(), 1, node::palloc_str("bounds"), false)]);
        let link: *mut pg_sys::SubLink = node::make_node(NodeTag::T_SubLink);
        (*link).subLinkType = pg_sys::SubLinkType::EXPR_SUBLINK;
        (*link).subselect = select.cast();
        (*link).location = -1;
        (*query).hasSubLinks = true;
        Expr::new(link)
    }
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

/// The rights that count are those on the hypertable, which stays in the query's range table. Whose functions are called was looked at
/// (`trust.rs`).
///
/// # Safety
/// The arms of a query that may be changed.
unsafe fn waive_rights(arms: &Arms, candidate: &Candidate) -> Option<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let hypertable = query::entry(arms.groups, candidate.definition.time.relation);
        let is_known = (*arms.storage.0).relid == candidate.definition.agg.storage && hypertable.relid == candidate.definition.agg.source;
        for entry in [arms.storage.0, std::ptr::from_mut(hypertable)] {
            (*entry).requiredPerms = 0;
        }
        is_known.then_some(())
    }
}
