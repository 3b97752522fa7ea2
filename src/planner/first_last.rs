//! `SELECT first(v, t), last(w, t) FROM hypertable`: each aggregate becomes a subquery that reads one row by the index on t.
//!
//! The rules are those of PostgreSQL's own min and max: nothing but such aggregates, no grouping, and an index that leads
//! with t, or with columns that are held equal to something and then t.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::level::Level;
use crate::catalog::cache;
use crate::catalog::functions::{Known, known};
use crate::pg::expr::{self, Column, Comparison, Expr};
use crate::pg::relation::Relation;
use crate::pg::{ffi, guard, index, list, node};

/// Rewrites a query whose aggregates are all `first` and `last`.
///
/// # Safety
/// The level's query may be scribbled on.
pub unsafe fn rewrite(level: Level) {
    // SAFETY: the caller's promise.
    unsafe {
        let query = level.query();
        let Some(source) = Source::of(level) else { return };
        let mut search = Search { source: &source, ok: true, found: 0 };
        let context = (&raw mut search).cast::<c_void>();
        let target_list = (*query).targetList;
        check((*query).targetList.cast(), context);
        if !search.ok || search.found == 0 {
            return;
        }
        (*query).targetList = ffi::expression_tree_mutator(target_list.cast(), replace, context).cast();
        // What is left reads no table: one row, as an aggregate without GROUP BY gives.
        (*query).jointree = ffi::makeFromExpr(std::ptr::null_mut(), std::ptr::null_mut());
        (*query).hasAggs = false;
        (*query).hasSubLinks = true;
    }
}

/// The hypertable of a query that has but one, and the columns that an index lets one find first or last.
struct Source {
    level: Level,
    ordered: Vec<Column>,
}

struct Search<'a> {
    source: &'a Source,
    ok: bool,
    found: usize,
}

impl Source {
    /// # Safety
    /// The level's query is alive.
    unsafe fn of(level: Level) -> Option<Self> {
        // SAFETY: the fields of a Query are what their names say.
        unsafe {
            let query = &*level.query();
            let plain = query.commandType == pg_sys::CmdType::CMD_SELECT
                && query.hasAggs
                && !(query.hasWindowFuncs || query.hasTargetSRFs || query.hasDistinctOn || query.hasModifyingCTE)
                && [query.groupClause, query.groupingSets, query.distinctClause, query.rowMarks, query.windowClause]
                    .iter()
                    .all(|list| list.is_null())
                && query.havingQual.is_null()
                && query.setOperations.is_null();
            if !plain || query.jointree.is_null() {
                return None;
            }
            let [item] = list::pointers::<pg_sys::Node>((*query.jointree).fromlist)[..] else { return None };
            if node::tag(item) != NodeTag::T_RangeTblRef {
                return None;
            }
            let relation = (*item.cast::<pg_sys::RangeTblRef>()).rtindex as usize;
            let entry = level.relation(relation)?;
            if entry.rtekind != pg_sys::RTEKind::RTE_RELATION
                || !entry.tablesample.is_null()
                || !entry.inh
                || cache::find(entry.relid).is_none()
            {
                return None;
            }
            let quals = (*query.jointree).quals;
            if !quals.is_null() && ffi::contain_volatile_functions(quals) {
                return None;
            }
            let mut equal = Vec::new();
            if !quals.is_null() {
                equal_columns(Expr::new(quals), relation, &mut equal);
            }
            let ordered = ordered_columns(entry.relid, relation, &equal);
            (!ordered.is_empty()).then_some(Self { level, ordered })
        }
    }

    /// The aggregate's value, its time and whether it is `last`; None if it must stay as it is.
    fn parts(&self, aggregate: &pg_sys::Aggref) -> Option<(Expr, Expr, bool)> {
        let last = match known(aggregate.aggfnoid)? {
            Known::First => false,
            Known::Last => true,
            _ => return None,
        };
        let filter = aggregate.aggfilter;
        if !aggregate.aggorder.is_null() || !aggregate.aggdistinct.is_null() {
            return None;
        }
        // SAFETY: the arguments of an aggregate are target entries.
        let arguments = unsafe { list::pointers::<pg_sys::TargetEntry>(aggregate.args) };
        let [value, time] = arguments[..] else { return None };
        // SAFETY: as above.
        let (value, time) = unsafe { (Expr::new((*value).expr), Expr::new((*time).expr)) };
        // SAFETY: expressions of the query.
        let volatile = unsafe {
            ffi::contain_volatile_functions(value.as_ptr()) || !filter.is_null() && ffi::contain_volatile_functions(filter.cast())
        };
        (!volatile && self.ordered.contains(&time.as_column()?)).then_some((value, time, last))
    }

    /// `(SELECT value FROM hypertable WHERE quals AND time IS NOT NULL ORDER BY time LIMIT 1)`
    unsafe fn subquery(&self, aggregate: &pg_sys::Aggref) -> Option<*mut pg_sys::Node> {
        let (value, time, last) = self.parts(aggregate)?;
        // SAFETY: nodes of the query are copied into a query of the same range table, one level further down.
        unsafe {
            let outer = &*self.level.query();
            let query: *mut pg_sys::Query = node::make_node(NodeTag::T_Query);
            (*query).commandType = pg_sys::CmdType::CMD_SELECT;
            (*query).canSetTag = true;
            (*query).rtable = ffi::copyObjectImpl(outer.rtable.cast()).cast();
            (*query).jointree = ffi::copyObjectImpl(outer.jointree.cast()).cast();
            (*query).hasSubLinks = outer.hasSubLinks;
            (*query).hasRowSecurity = outer.hasRowSecurity;
            let from = (*query).jointree;
            let quals = [(*from).quals, ffi::copyObjectImpl(aggregate.aggfilter.cast()).cast(), is_not_null(time)];
            let quals: Vec<Expr> = quals.into_iter().filter(|qual| !qual.is_null()).map(|qual| Expr::new(qual)).collect();
            (*from).quals = expr::junction(true, &quals).as_ptr();
            let key = ffi::makeTargetEntry(time.copy().as_ptr(), 2, std::ptr::null_mut(), true);
            (*key).ressortgroupref = 1;
            let result = ffi::makeTargetEntry(value.copy().as_ptr(), 1, std::ptr::null_mut(), false);
            (*query).targetList = list::from_pointers([result, key]);
            (*query).sortClause = list::from_pointers([sort_clause(time, last)?]);
            (*query).limitCount = node::make_const(pg_sys::INT8OID, pg_sys::Datum::from(1i64)).cast();
            ffi::IncrementVarSublevelsUp(query.cast(), 1, 1);
            let link: *mut pg_sys::SubLink = node::make_node(NodeTag::T_SubLink);
            (*link).subLinkType = pg_sys::SubLinkType::EXPR_SUBLINK;
            (*link).subselect = query.cast();
            (*link).location = aggregate.location;
            Some(link.cast())
        }
    }
}

/// # Safety
/// `time` is a column.
unsafe fn is_not_null(time: Expr) -> *mut pg_sys::Node {
    // SAFETY: a fresh node.
    unsafe {
        let test: *mut pg_sys::NullTest = node::make_node(NodeTag::T_NullTest);
        (*test).arg = time.copy().as_ptr();
        (*test).nulltesttype = pg_sys::NullTestType::IS_NOT_NULL;
        (*test).location = -1;
        test.cast()
    }
}

/// Ascending with NULLs last or descending with NULLs first, as an index gives it forwards and backwards.
unsafe fn sort_clause(time: Expr, descending: bool) -> Option<*mut pg_sys::SortGroupClause> {
    let (sort, equal) = expr::sort_operators(time.type_oid(), descending)?;
    let clause: *mut pg_sys::SortGroupClause = node::make_node(NodeTag::T_SortGroupClause);
    // SAFETY: a fresh node.
    unsafe {
        (*clause).tleSortGroupRef = 1;
        (*clause).eqop = equal;
        (*clause).sortop = sort;
        (*clause).nulls_first = descending;
    }
    Some(clause)
}

/// The columns of a relation that AND-ed conditions hold equal to something that is the same for all rows.
fn equal_columns(condition: Expr, relation: usize, found: &mut Vec<i16>) {
    if let Some((true, parts)) = condition.as_and_or() {
        return parts.into_iter().for_each(|part| equal_columns(part, relation, found));
    }
    for condition in [Some(condition), condition.commuted()].into_iter().flatten() {
        if let Some((Comparison::Equal, left, right)) = condition.as_comparison()
            && let Some(column) = left.as_column().filter(|column| column.relation == relation)
            && !right.varies()
        {
            found.push(column.attribute);
        }
    }
}

/// The columns by which some index finds rows in order, once its leading columns are held equal.
fn ordered_columns(relid: pg_sys::Oid, relation: usize, equal: &[i16]) -> Vec<Column> {
    let table = Relation::open(relid, pg_sys::NoLock);
    let mut found = Vec::new();
    for oid in table.index_oids() {
        let keys = index::btree_columns(oid);
        let leading = keys.iter().take_while(|key| equal.contains(key)).count();
        // An index on expressions has column 0 there.
        found.extend(keys.iter().take(leading + 1).filter(|key| **key > 0).map(|key| Column { relation, attribute: *key }));
    }
    found
}

/// Looks for aggregates that must stay, and columns outside of aggregates.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn check(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context is `rewrite`'s search.
    unsafe {
        guard::boundary(|| {
            if tree.is_null() {
                return Ok(false);
            }
            let search = &mut *context.cast::<Search>();
            if let Some(aggregate) = Expr::new(tree).as_aggregate() {
                search.found += 1;
                search.ok &= search.source.parts(aggregate).is_some();
                return Ok(!search.ok);
            }
            // A subquery or aggregate of another level might refer to this level's table.
            if matches!(node::tag(tree), NodeTag::T_Aggref | NodeTag::T_SubLink | NodeTag::T_GroupingFunc) {
                search.ok = false;
                return Ok(true);
            }
            Ok(ffi::expression_tree_walker(tree, check, context))
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn replace(tree: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: as for `check`, which found that every aggregate can be replaced.
    unsafe {
        guard::boundary(|| {
            if tree.is_null() {
                return Ok(tree);
            }
            if let Some(aggregate) = Expr::new(tree).as_aggregate() {
                let search = &*context.cast::<Search>();
                return search.source.subquery(aggregate).ok_or_else(|| crate::error::Error::internal("aggregate cannot be replaced"));
            }
            Ok(ffi::expression_tree_mutator(tree, replace, context))
        })
    }
}
