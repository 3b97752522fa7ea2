//! Bounds on one time, copied to the times that are equal to it.

use std::collections::HashSet;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::level::Level;
use crate::pg::expr::{self, Column, Comparison, Expr};
use crate::pg::{list, node};

/// `column comparison value`, where the value is the same for all rows.
#[derive(Clone, Copy)]
pub struct Bound {
    /// The column.
    pub column: Column,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// How it compares.
    pub comparison: Comparison,
    /// What with.
    pub value: Expr,
}

/// What is true of every row of a part of the join tree.
#[derive(Clone, Default)]
struct Facts {
    bounds: Vec<Bound>,
    /// Columns of one type that are equal, and an expression of each.
    equal: Vec<[(Column, Expr); 2]>,
    /// Outer joins below, whose rows are rows of this part.
    outer: Vec<*mut pg_sys::JoinExpr>,
}

/// Adds to the conditions of a query level, and of its outer joins, what they imply.
///
/// # Safety
/// The level's query is alive and not a MERGE.
pub unsafe fn propagate(level: Level) {
    // SAFETY: a query's join tree is a FromExpr.
    unsafe {
        let from = (*level.query()).jointree;
        if from.is_null() {
            return;
        }
        let mut facts = Facts::default();
        facts.of_tree(level, from.cast());
        let implied = facts.implied(level, |_| true);
        (*from).quals = conjoin((*from).quals, &implied);
        for join in std::mem::take(&mut facts.outer) {
            propagate_outer(level, join, &facts);
        }
    }
}

/// The bounds that all rows of a query level obey, whose value does not depend on the row.
///
/// # Safety
/// The level's query is alive and not a MERGE.
pub unsafe fn bounds(level: Level) -> Vec<Bound> {
    let mut facts = Facts::default();
    // SAFETY: a query's join tree is a FromExpr.
    unsafe { facts.of_tree(level, (*level.query()).jointree.cast()) };
    facts.bounds
}

/// The rows of an outer join that survive obey `above`. So a row of its nullable side that is matched may be taken to obey
/// what follows from `above` for the other side's columns and from the join's own condition.
unsafe fn propagate_outer(level: Level, join: *mut pg_sys::JoinExpr, above: &Facts) {
    // SAFETY: a JoinExpr of the level's join tree.
    unsafe {
        let (kept, nullable) =
            if (*join).jointype == pg_sys::JoinType::JOIN_LEFT { ((*join).larg, (*join).rarg) } else { ((*join).rarg, (*join).larg) };
        let (kept, inside) = (relations(kept), relations(nullable));
        let mut facts = Facts {
            bounds: above.bounds.iter().copied().filter(|bound| kept.contains(&bound.column.relation)).collect(),
            equal: above.equal.iter().copied().filter(|pair| pair.iter().all(|(column, _)| kept.contains(&column.relation))).collect(),
            outer: Vec::new(),
        };
        facts.of_quals(level, (*join).quals);
        facts.of_tree(level, nullable);
        let implied = facts.implied(level, |column| inside.contains(&column.relation));
        (*join).quals = conjoin((*join).quals, &implied);
    }
}

impl Facts {
    /// # Safety
    /// `tree` is a node of the level's join tree.
    unsafe fn of_tree(&mut self, level: Level, tree: *mut pg_sys::Node) {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            match node::tag(tree) {
                NodeTag::T_FromExpr => {
                    let from = tree.cast::<pg_sys::FromExpr>();
                    list::pointers((*from).fromlist).into_iter().for_each(|item| self.of_tree(level, item));
                    self.of_quals(level, (*from).quals);
                }
                NodeTag::T_JoinExpr => self.of_join(level, tree.cast()),
                _ => {}
            }
        }
    }

    unsafe fn of_join(&mut self, level: Level, join: *mut pg_sys::JoinExpr) {
        // SAFETY: as for `of_tree`.
        unsafe {
            match (*join).jointype {
                pg_sys::JoinType::JOIN_INNER => {
                    self.of_tree(level, (*join).larg);
                    self.of_tree(level, (*join).rarg);
                    self.of_quals(level, (*join).quals);
                }
                pg_sys::JoinType::JOIN_LEFT => {
                    self.of_tree(level, (*join).larg);
                    self.outer.push(join);
                }
                pg_sys::JoinType::JOIN_RIGHT => {
                    self.of_tree(level, (*join).rarg);
                    self.outer.push(join);
                }
                _ => {}
            }
        }
    }

    /// # Safety
    /// `quals` is NULL or a boolean expression of the level.
    unsafe fn of_quals(&mut self, level: Level, quals: *mut pg_sys::Node) {
        if !quals.is_null() {
            // SAFETY: the caller's promise.
            self.of_condition(level, unsafe { Expr::new(quals) });
        }
    }

    fn of_condition(&mut self, level: Level, condition: Expr) {
        match condition.as_and_or() {
            Some((true, parts)) => return parts.into_iter().for_each(|part| self.of_condition(level, part)),
            Some((false, _)) => return,
            None => {}
        }
        if !self.of_comparison(level, condition)
            && let Some(commuted) = condition.commuted()
        {
            self.of_comparison(level, commuted);
        }
    }

    /// Takes in `column comparison value` and `column = column`; false if it is neither.
    fn of_comparison(&mut self, level: Level, condition: Expr) -> bool {
        let Some((comparison, left, right)) = condition.as_comparison() else { return false };
        let Some(column) = left.as_column().map(|column| level.unjoined(column)) else { return false };
        match right.as_column() {
            Some(other) if comparison == Comparison::Equal && left.type_oid() == right.type_oid() => {
                self.equal.push([(column, left), (level.unjoined(other), right)]);
            }
            None if !right.varies() => self.bounds.push(Bound { column, type_oid: left.type_oid(), comparison, value: right }),
            _ => return false,
        }
        true
    }

    /// The bounds on times `wanted` that follow and are not there yet.
    fn implied(&mut self, level: Level, wanted: impl Fn(Column) -> bool) -> Vec<Expr> {
        let mut implied = Vec::new();
        // A bound that is found is looked at again itself, so chains of equal columns are followed to their end.
        let mut next = 0;
        while next < self.bounds.len() {
            let bound = self.bounds[next];
            next += 1;
            if bound.comparison == Comparison::Equal {
                // PostgreSQL itself carries what a column equals along equalities.
                continue;
            }
            for [a, b] in self.equal.clone() {
                for (from, (column, to)) in [(a.0, b), (b.0, a)] {
                    if from == bound.column && !self.has(column, &bound) && level.is_time(column) {
                        let Some(condition) = expr::compare(to, bound.comparison, bound.value) else { continue };
                        self.bounds.push(Bound { column, type_oid: to.type_oid(), ..bound });
                        if wanted(column) {
                            implied.push(condition);
                        }
                    }
                }
            }
        }
        implied
    }

    fn has(&self, column: Column, bound: &Bound) -> bool {
        self.bounds.iter().any(|other| other.column == column && other.comparison == bound.comparison && other.value.equals(bound.value))
    }
}

/// The relations of a part of a join tree, its joins included.
///
/// # Safety
/// `tree` is a node of a join tree.
unsafe fn relations(tree: *mut pg_sys::Node) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut open = vec![tree];
    while let Some(tree) = open.pop() {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            match node::tag(tree) {
                NodeTag::T_RangeTblRef => {
                    found.insert((*tree.cast::<pg_sys::RangeTblRef>()).rtindex as usize);
                }
                NodeTag::T_FromExpr => open.extend(list::pointers::<pg_sys::Node>((*tree.cast::<pg_sys::FromExpr>()).fromlist)),
                NodeTag::T_JoinExpr => {
                    let join = tree.cast::<pg_sys::JoinExpr>();
                    found.insert((*join).rtindex as usize);
                    open.extend([(*join).larg, (*join).rarg]);
                }
                _ => {}
            }
        }
    }
    found
}

/// The conditions and more of them.
///
/// # Safety
/// `quals` is NULL or a boolean expression.
pub unsafe fn conjoin(quals: *mut pg_sys::Node, more: &[Expr]) -> *mut pg_sys::Node {
    if more.is_empty() {
        return quals;
    }
    let mut parts = more.to_vec();
    if !quals.is_null() {
        // SAFETY: the caller's promise.
        parts.insert(0, unsafe { Expr::new(quals) });
    }
    expr::junction(true, &parts).as_ptr()
}
