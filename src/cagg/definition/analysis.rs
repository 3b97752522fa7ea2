//! Whether a query can define a continuous aggregate, and what it is over.

use pgrx::{PgLogLevel, pg_sys};
use tsc_kernel::axis::Axis;

use super::from::{self, Source};
use super::hierarchy;
use crate::cagg::bucket::{self, Bucket};
use crate::error::{Error, Result, SqlState};
use crate::pg::expr::{Column, Expr};
use crate::pg::relation::{optional_string, relation_name};
use crate::pg::{ffi, list, query};

/// A query that can define a continuous aggregate.
pub struct Analysis {
    /// The query as it was analysed; its own copy.
    pub query: *mut pg_sys::Query,
    /// What it is over.
    pub source: Source,
    /// The buckets that it groups by.
    pub bucket: Bucket,
    /// The target entry of the bucket, by its reference in the GROUP BY clause.
    pub bucket_reference: u32,
}

/// A query that can't, with the reason.
pub fn refuse(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid continuous aggregate query").detail(reason)
}

/// Checks a query.
pub fn analyze(query: *mut pg_sys::Query) -> Result<Analysis> {
    // SAFETY: a Query of the parser's, which nobody else changes.
    unsafe {
        check_clauses(&*query)?;
        let source = from::find(query)?;
        check_columns(query)?;
        let (bucket, bucket_reference) = bucket_of(query, &source)?;
        if let Some(parent) = &source.parent {
            hierarchy::check(&bucket, &super::load(parent)?.bucket, &relation_name(parent.user_view))?;
        }
        if ffi::contain_mutable_functions(query.cast()) {
            Error::new(
                SqlState("01000"),
                "using non-immutable functions in continuous aggregate view may lead to inconsistent results on rematerialization",
            )
            .detail("What such a function returns may change without a change to the hypertable, which nobody would notice.")
            .report(PgLogLevel::WARNING);
        }
        // Asks for the zone's clock now, so that an unknown one is an error here.
        bucket.range(0);
        Ok(Analysis { query, source, bucket, bucket_reference })
    }
}

fn check_clauses(query: &pg_sys::Query) -> Result<()> {
    let refused = [
        (!query.cteList.is_null(), "Common table expressions are not supported."),
        (!query.setOperations.is_null(), "UNION, INTERSECT and EXCEPT are not supported."),
        (query.hasSubLinks, "Subqueries in expressions are not supported."),
        (query.hasWindowFuncs, "Window functions are not supported."),
        (query.hasDistinctOn, "DISTINCT ON is not supported."),
        (!query.distinctClause.is_null(), "DISTINCT is not supported."),
        (!query.limitCount.is_null() || !query.limitOffset.is_null(), "LIMIT and OFFSET are not supported."),
        (!query.rowMarks.is_null() || query.hasForUpdate, "Locking rows is not supported."),
        (!query.groupingSets.is_null(), "GROUPING SETS, ROLLUP and CUBE are not supported."),
        (query.commandType != pg_sys::CmdType::CMD_SELECT || query.hasModifyingCTE, "Only SELECT is supported."),
    ];
    if let Some((_, reason)) = refused.iter().find(|(is_there, _)| *is_there) {
        return Err(refuse(*reason));
    }
    if query.groupClause.is_null() {
        return Err(refuse("The query has no GROUP BY clause.").hint("Group by time_bucket() of the hypertable's time column."));
    }
    Ok(())
}

/// # Safety
/// A Query.
unsafe fn check_columns(query: *mut pg_sys::Query) -> Result<()> {
    // SAFETY: the caller's promise.
    for target in unsafe { query::targets(query) } {
        // SAFETY: a name of the parser's or NULL.
        let name = unsafe { optional_string(target.resname) }.unwrap_or_default();
        if !target.resjunk && name.starts_with("_ts_meta_") {
            return Err(Error::new(SqlState::RESERVED_NAME, format!("column name \"{name}\" is reserved"))
                .detail("Names that begin with \"_ts_meta_\" are those of hidden columns.")
                .hint("Give the column another name with AS."));
        }
    }
    Ok(())
}

/// The one time_bucket of the time dimension in the GROUP BY clause.
///
/// # Safety
/// A Query.
unsafe fn bucket_of(query: *mut pg_sys::Query, source: &Source) -> Result<(Bucket, u32)> {
    let mut found = None;
    // SAFETY: the caller's promise: elements of a GROUP BY clause, each of which has its target.
    unsafe {
        for clause in list::pointers::<pg_sys::SortGroupClause>((*query).groupClause) {
            let target = ffi::get_sortgroupclause_tle(clause, (*query).targetList);
            let given = Expr::new((*target).expr);
            let call = bucket::settle(given);
            if call != given {
                query::replace_in_outputs(query, given, call);
            }
            let Some((bucket, time)) = Bucket::of_definition(call)? else { continue };
            let is_dimension = time.as_column() == Some(Column { relation: source.relation, attribute: source.time_attribute });
            if !is_dimension {
                return Err(refuse("time_bucket() is not of the time dimension of the hypertable.")
                    .hint(format!("Use time_bucket() of column \"{}\", without a cast.", source.time_column)));
            }
            if found.replace((bucket, (*clause).tleSortGroupRef)).is_some() {
                return Err(refuse("The query groups by more than one time_bucket()."));
            }
        }
    }
    let (bucket, reference) = found.ok_or_else(|| {
        refuse("The query does not group by a time_bucket() of the time dimension.")
            .hint(format!("Add time_bucket(.., {}) to the GROUP BY clause.", source.time_column))
    })?;
    if bucket.axis == Axis::Uuid {
        return Err(refuse("The time dimension is of type uuid."));
    }
    Ok((bucket, reference))
}
