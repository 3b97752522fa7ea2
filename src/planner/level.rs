//! One level of a query: which of its columns are a hypertable's time, and its conditions.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::bucket::{Bucket, Said};
use super::{grouped, now, propagate};
use crate::catalog::cache;
use crate::guc;
use crate::pg::expr::{self, Column, Comparison, Expr};
use crate::pg::{list, node};

/// How deep a column is followed through subqueries.
const MAX_DEPTH: usize = 16;

/// A query level that is being planned.
#[derive(Clone, Copy)]
pub struct Level {
    query: *mut pg_sys::Query,
    parameters: pg_sys::ParamListInfo,
}

impl Level {
    /// # Safety
    /// `query` is alive, and so are the parameters, which may be NULL.
    pub unsafe fn new(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) -> Self {
        Self { query, parameters }
    }

    /// PostgreSQL's pointer.
    pub fn query(self) -> *mut pg_sys::Query {
        self.query
    }

    /// The parameters whose values the plan may rely on.
    pub fn parameters(self) -> pg_sys::ParamListInfo {
        self.parameters
    }

    /// The level of a subquery.
    ///
    /// # Safety
    /// `query` is alive.
    pub unsafe fn of(self, query: *mut pg_sys::Query) -> Self {
        Self { query, ..self }
    }

    /// An entry of the range table, by its number from 1.
    ///
    /// # Safety
    /// The query is alive.
    pub unsafe fn relation<'a>(self, relation: usize) -> Option<&'a pg_sys::RangeTblEntry> {
        // SAFETY: a range table holds entries.
        unsafe {
            let cell = list::cells((*self.query).rtable).get(relation.checked_sub(1)?)?;
            cell.ptr_value.cast::<pg_sys::RangeTblEntry>().as_ref()
        }
    }

    /// The column that a join's column stands for; the column itself if it is no join's.
    pub fn unjoined(self, column: Column) -> Column {
        // SAFETY: the query is alive; joinaliasvars holds one expression for each column.
        let source = unsafe {
            self.relation(column.relation).filter(|relation| relation.rtekind == pg_sys::RTEKind::RTE_JOIN).and_then(|join| {
                let index = usize::try_from(column.attribute).ok()?.checked_sub(1)?;
                let alias = list::pointers::<pg_sys::Node>(join.joinaliasvars).get(index).copied()?;
                Expr::new(alias).as_column()
            })
        };
        match source {
            Some(source) if source != column => self.unjoined(source),
            _ => column,
        }
    }

    /// Whether a column is the time of a hypertable, perhaps seen through joins and subqueries.
    pub fn is_time(self, column: Column) -> bool {
        self.is_time_within(column, MAX_DEPTH)
    }

    fn is_time_within(self, column: Column, depth: usize) -> bool {
        let column = self.unjoined(column);
        // SAFETY: the query is alive.
        let Some(relation) = (unsafe { self.relation(column.relation) }) else { return false };
        match relation.rtekind {
            pg_sys::RTEKind::RTE_RELATION if relation.relkind as u8 == b'p' => cache::find(relation.relid).is_some_and(|hypertable| {
                let time = hypertable.time();
                time.attribute == column.attribute && time.partitioning_func.is_none()
            }),
            pg_sys::RTEKind::RTE_SUBQUERY if depth > 0 => {
                // SAFETY: a subquery in a range table is alive as long as the query.
                let below = unsafe { Self::new(relation.subquery, self.parameters) };
                below.output(column.attribute).is_some_and(|column| below.is_time_within(column, depth - 1))
            }
            _ => false,
        }
    }

    /// The column that this query gives as its n-th, if it is one.
    fn output(self, number: i16) -> Option<Column> {
        // SAFETY: the query is alive; a target list holds entries.
        unsafe {
            let index = usize::try_from(number).ok()?.checked_sub(1)?;
            let entry = list::pointers::<pg_sys::TargetEntry>((*self.query).targetList).get(index).copied()?;
            Expr::new((*entry).expr).as_column()
        }
    }

    /// Says the conditions of this level anew, so that PostgreSQL can see what they say of time.
    pub fn rewrite(self) {
        // SAFETY: the query is alive, its join tree well formed.
        unsafe {
            self.rewrite_tree((*self.query).jointree.cast());
            // The conditions of MERGE are no WHERE: rows that fail them are acted on, too.
            if guc::enable_qual_propagation() && (*self.query).commandType != pg_sys::CmdType::CMD_MERGE {
                propagate::propagate(self);
                grouped::push_down(self);
            }
        }
    }

    /// # Safety
    /// `tree` is a node of the query's join tree.
    unsafe fn rewrite_tree(self, tree: *mut pg_sys::Node) {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            match node::tag(tree) {
                NodeTag::T_FromExpr => {
                    let from = tree.cast::<pg_sys::FromExpr>();
                    list::pointers((*from).fromlist).into_iter().for_each(|item| self.rewrite_tree(item));
                    self.rewrite_quals(&mut (*from).quals);
                }
                NodeTag::T_JoinExpr => {
                    let join = tree.cast::<pg_sys::JoinExpr>();
                    self.rewrite_tree((*join).larg);
                    self.rewrite_tree((*join).rarg);
                    self.rewrite_quals(&mut (*join).quals);
                }
                _ => {}
            }
        }
    }

    /// # Safety
    /// `quals` is NULL or a boolean expression.
    unsafe fn rewrite_quals(self, quals: &mut *mut pg_sys::Node) {
        if quals.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        if let Some(new) = self.rewrite_condition(unsafe { Expr::new(*quals) }) {
            *quals = new.as_ptr();
        }
    }

    /// The condition said anew; None if there is nothing better. It is true for the same rows, and so it may replace any
    /// condition that is not negated.
    fn rewrite_condition(self, condition: Expr) -> Option<Expr> {
        if let Some((is_and, parts)) = condition.as_and_or() {
            let new: Vec<Option<Expr>> = parts.iter().map(|part| self.rewrite_condition(*part)).collect();
            if new.iter().all(Option::is_none) {
                return None;
            }
            let parts: Vec<Expr> = new.into_iter().zip(&parts).map(|(new, old)| new.unwrap_or(*old)).collect();
            return Some(expr::junction(is_and, &parts));
        }
        let said = self.rewrite_comparison(condition).or_else(|| self.rewrite_comparison(condition.commuted()?))?;
        Some(match said {
            Said::Instead(new) => new,
            Said::Besides(new) => expr::junction(true, &[condition, new]),
        })
    }

    fn rewrite_comparison(self, condition: Expr) -> Option<Said> {
        let (comparison, left, right) = condition.as_comparison()?;
        if let Some(bucket) = Bucket::of(left) {
            let of_time = bucket.time.as_column().is_some_and(|time| self.is_time(time));
            if !of_time || right.varies() {
                return None;
            }
            let said = bucket.conditions(comparison, right, self.parameters)?;
            return Some(match (said, self.now_bound(bucket.time, comparison, right)) {
                (Said::Besides(said), Some(bound)) => Said::Besides(expr::junction(true, &[said, bound])),
                (said, _) => said,
            });
        }
        if !left.as_column().is_some_and(|column| self.is_time(column)) {
            return None;
        }
        self.now_bound(left, comparison, right).map(Said::Besides)
    }

    /// A constant bound on a time that is not before `value`, if that is made from `now()`.
    fn now_bound(self, time: Expr, comparison: Comparison, value: Expr) -> Option<Expr> {
        let rising = matches!(comparison, Comparison::Greater | Comparison::GreaterEqual);
        if rising && guc::enable_now_constify() { now::bound(time, value, self.parameters) } else { None }
    }
}
