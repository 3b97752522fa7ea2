//! The form of a partial view, as `definition/views.rs` makes it: what takes a hypertable's place is not checked for rights, so nothing
//! else may be in it.

use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, RTEKind};

use super::candidate::Arms;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::pg::expr::Expr;
use crate::pg::relation::optional_string;
use crate::pg::{ffi, function, list, node, query};

/// The number of arguments of `cagg_valid` and `cagg_live`.
const ARGUMENTS: usize = 6;
/// The one of `cagg_valid` that is a column.
const BUCKET: usize = 1;

/// The arguments of a call of one of the two functions, about a storage.
fn arguments_of(expr: Expr, name: &str, storage: pg_sys::Oid) -> Option<Vec<Expr>> {
    let (oid, arguments) = expr.as_call()?;
    // SAFETY: look-ups in system caches; names are palloc'd.
    let (found, schema) = unsafe { (optional_string(ffi::get_func_name(oid)), ffi::get_func_namespace(oid)) };
    let storage = pg_sys::Datum::from(storage);
    let is_call = arguments.len() == ARGUMENTS
        && arguments[0].as_const().is_some_and(|(type_oid, value)| type_oid == pg_sys::REGCLASSOID && value == storage)
        && found.as_deref() == Some(name)
        && function::schema_oid("_timescaledb_functions") == Some(schema);
    is_call.then_some(arguments)
}

/// Whether the query of a partial view consists of what it was made of. Of its groups only that they are read from one relation.
///
/// # Safety
/// A query of a view, and its arms.
pub unsafe fn is_as_made(partial: *mut pg_sys::Query, arms: &Arms, agg: &ContinuousAgg) -> bool {
    // SAFETY: the caller's promise; the lists of a Query hold what their names say.
    unsafe {
        let operation = &*(*partial).setOperations.cast::<pg_sys::SetOperationStmt>();
        // A view's query begins with two entries for the view itself, which nothing refers to; their rights stay as they are.
        let others = entries(partial).into_iter().filter(|entry| entry.rtekind != RTEKind::RTE_RELATION);
        operation.op == pg_sys::SetOperation::SETOP_UNION
            && operation.all
            && others.map(|entry| entry.rtekind).collect::<Vec<_>>() == [RTEKind::RTE_SUBQUERY, RTEKind::RTE_SUBQUERY]
            && is_plain(partial)
            && (*(*partial).jointree).fromlist.is_null()
            && (*(*partial).jointree).quals.is_null()
            && (*partial).groupClause.is_null()
            && gives_columns(partial)
            && is_stored(arms, agg)
            && is_live(arms, agg)
            && is_plain(arms.groups)
            && matches!(entries(arms.groups)[..], [entry] if is_whole_table(entry))
    }
}

/// # Safety
/// As for [`is_as_made`].
unsafe fn is_stored(arms: &Arms, agg: &ContinuousAgg) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let quals = (*(*arms.stored).jointree).quals;
        let is_valid = |call: Expr| {
            arguments_of(call, "cagg_valid", agg.storage).is_some_and(|arguments| {
                arguments
                    .into_iter()
                    .enumerate()
                    .all(|(index, argument)| if index == BUCKET { is_column(argument) } else { is_const(argument) })
            })
        };
        is_side(arms.stored)
            && matches!(entries(arms.stored)[..], [entry] if is_whole_table(entry) && entry.relid == agg.storage)
            && !quals.is_null()
            && is_valid(Expr::new(quals))
    }
}

/// # Safety
/// As for [`is_as_made`].
unsafe fn is_live(arms: &Arms, agg: &ContinuousAgg) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let [called, groups] = entries(arms.live)[..] else { return false };
        let functions = list::pointers::<pg_sys::RangeTblFunction>(called.functions);
        let [only] = functions[..] else { return false };
        is_side(arms.live)
            && (*(*arms.live).jointree).quals.is_null()
            && called.rtekind == RTEKind::RTE_FUNCTION
            && !called.funcordinality
            && groups.rtekind == RTEKind::RTE_SUBQUERY
            && groups.securityQuals.is_null()
            && arguments_of(Expr::new((*only).funcexpr), "cagg_live", agg.storage).is_some_and(|all| all.into_iter().all(is_const))
    }
}

/// A SELECT of columns from what is in FROM.
///
/// # Safety
/// A Query.
unsafe fn is_side(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let from = list::pointers::<pg_sys::Node>((*(*query).jointree).fromlist);
        is_plain(query)
            && (*query).groupClause.is_null()
            && !(*query).hasAggs
            && (*query).setOperations.is_null()
            && from.iter().all(|item| node::tag(*item) == NodeTag::T_RangeTblRef)
            && gives_columns(query)
    }
}

/// A SELECT that has nothing but outputs, FROM, WHERE and GROUP BY, or is a UNION.
///
/// # Safety
/// A Query.
unsafe fn is_plain(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the caller's promise.
    let query = unsafe { &*query };
    let flags = [
        query.hasWindowFuncs,
        query.hasTargetSRFs,
        query.hasSubLinks,
        query.hasDistinctOn,
        query.hasRecursive,
        query.hasModifyingCTE,
        query.hasForUpdate,
        query.hasRowSecurity,
    ];
    let clauses = [
        query.cteList,
        query.groupingSets,
        query.windowClause,
        query.distinctClause,
        query.sortClause,
        query.rowMarks,
        query.returningList,
        query.withCheckOptions,
    ];
    query.commandType == pg_sys::CmdType::CMD_SELECT
        && !flags.contains(&true)
        && clauses.iter().all(|clause| clause.is_null())
        && [query.havingQual, query.limitCount, query.limitOffset].iter().all(|clause| clause.is_null())
}

/// # Safety
/// A Query.
unsafe fn gives_columns(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the caller's promise.
    unsafe { query::targets(query).into_iter().all(|target| !target.resjunk && is_column(Expr::new(target.expr))) }
}

/// # Safety
/// A Query that outlives the result.
unsafe fn entries<'a>(query: *mut pg_sys::Query) -> Vec<&'a pg_sys::RangeTblEntry> {
    // SAFETY: the caller's promise.
    unsafe { list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).into_iter().map(|entry| &*entry).collect() }
}

fn is_whole_table(entry: &pg_sys::RangeTblEntry) -> bool {
    entry.rtekind == RTEKind::RTE_RELATION && entry.inh && entry.tablesample.is_null() && entry.securityQuals.is_null()
}

fn is_column(expr: Expr) -> bool {
    expr.as_column().is_some()
}

fn is_const(expr: Expr) -> bool {
    expr.tag() == NodeTag::T_Const
}
