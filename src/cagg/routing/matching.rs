//! The expressions of a query on a hypertable, said in columns of a continuous aggregate's partial view.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::candidate::{Candidate, count_of_rows, is_identity};
use super::fallible;
use super::target::Target;
use crate::cagg::grid::Grid;
use crate::cagg::parts;
use crate::pg::expr::{self, Expr};
use crate::pg::relation::optional_string;
use crate::pg::{ffi, guard, list, node, query, zone_offsets};

/// Why a query can't be answered from a continuous aggregate.
pub type Refusal = Cow<'static, str>;

/// A unit that no clock but UTC's is a multiple of ahead.
const ONLY_UTC: i64 = i64::MAX;

/// How the groups of the query relate to those of the continuous aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are the same: values are read.
    Same,
    /// They are unions of them: parts are merged.
    Merged,
}

/// Says expressions anew.
pub struct Matcher<'a> {
    candidate: &'a Candidate,
    /// The candidate's columns as the query would write them.
    exprs: Vec<Expr>,
    mode: Mode,
    /// The hypertable's number in the query's range table.
    source: usize,
    /// That of the partial view.
    target: usize,
    not_null: &'a dyn Fn(i16) -> bool,
    parameters: pg_sys::ParamListInfo,
    /// How many query levels below the query's own the walk is.
    depth: u32,
    /// What is walked is evaluated for each row rather than for a group.
    per_row: bool,
    /// The zone in whose buckets the buckets of the candidate must lie.
    pub zone: Option<String>,
    /// What puts a time into that zone's buckets, as the query writes it.
    pub zoned: Vec<Expr>,
    /// Which of the candidate's columns the query groups by.
    pub covered: Vec<bool>,
    /// Which of them what was said reads, or might have read.
    pub used: Vec<Cell<bool>>,
    refusal: Option<Refusal>,
}

impl<'a> Matcher<'a> {
    /// A matcher for one query level.
    pub fn new(
        candidate: &'a Candidate,
        mode: Mode,
        (source, target): (usize, usize),
        not_null: &'a dyn Fn(i16) -> bool,
        parameters: pg_sys::ParamListInfo,
    ) -> Self {
        Self {
            exprs: candidate.expressions(source),
            parameters,
            covered: vec![false; candidate.definition.columns.len()],
            used: vec![Cell::new(false); candidate.definition.columns.len()],
            candidate,
            mode,
            source,
            target,
            not_null,
            depth: 0,
            per_row: false,
            zone: None,
            zoned: Vec::new(),
            refusal: None,
        }
    }

    /// An expression of the level that is evaluated for groups.
    pub fn for_groups(&mut self, expr: Expr) -> Result<Expr, Refusal> {
        self.walk(expr, false)
    }

    /// An expression of the level that is evaluated for rows: what decides which rows there are, and which group they are in.
    pub fn for_rows(&mut self, expr: Expr) -> Result<Expr, Refusal> {
        self.walk(expr, true)
    }

    /// What rows are grouped by.
    pub fn for_grouping(&mut self, expr: Expr) -> Result<Expr, Refusal> {
        if let Some(index) = self.grouping_column(expr) {
            self.covered[index] = true;
            return Ok(self.column(index));
        }
        if let Some((bucket, same)) = self.bucket(expr)? {
            self.covered[self.candidate.definition.bucket_column] |= same;
            return Ok(bucket);
        }
        self.for_rows(expr)
    }

    /// A subquery of the level's range table that may refer to the level's relations.
    ///
    /// # Safety
    /// A Query.
    pub unsafe fn for_lateral(&mut self, query: *mut pg_sys::Query) -> Result<*mut pg_sys::Query, Refusal> {
        // SAFETY: the caller's promise.
        self.walk(unsafe { Expr::new(query) }, true).map(Expr::as_ptr)
    }

    fn walk(&mut self, expr: Expr, per_row: bool) -> Result<Expr, Refusal> {
        self.per_row = per_row;
        // SAFETY: a node of the query; what comes out is a copy.
        let said = unsafe { Expr::new(self.say(expr.as_ptr())) };
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => Ok(said),
        }
    }

    fn refuse(&mut self, refusal: impl Into<Refusal>) {
        self.refusal.get_or_insert(refusal.into());
    }

    /// A column of the partial view.
    fn column(&self, index: usize) -> Expr {
        self.used[index].set(true);
        expr::column(self.target, self.candidate.positions[index], self.exprs[index], self.depth)
    }

    /// The candidate's column that is grouped by the expression.
    fn grouping_column(&self, expr: Expr) -> Option<usize> {
        (0..self.exprs.len()).find(|index| self.candidate.is_grouping(*index) && self.is_column(*index, expr))
    }

    fn is_column(&self, index: usize, expr: Expr) -> bool {
        self.exprs[index].tag() == expr.tag() && self.exprs[index].equals(expr)
    }

    /// The candidate's column that holds an expression over aggregates.
    fn held(&self, expr: Expr) -> Option<usize> {
        let rows = count_of_rows(expr, self.source, self.not_null);
        let expr = rows.unwrap_or(expr);
        (0..self.exprs.len()).find(|index| !self.candidate.is_grouping(*index) && self.is_column(*index, expr))
    }

    /// # Safety
    /// NULL or a node of the query, at the depth that the walk is at.
    unsafe fn say(&mut self, tree: *mut pg_sys::Node) -> *mut pg_sys::Node {
        if tree.is_null() || self.refusal.is_some() {
            return tree;
        }
        // SAFETY: the caller's promise.
        let expr = unsafe { Expr::new(tree) };
        let said = if self.depth == 0 { self.say_here(expr) } else { None };
        if let Some(said) = said {
            return said.as_ptr();
        }
        // SAFETY: as above; the tags say what the nodes are.
        unsafe {
            match node::tag(tree) {
                NodeTag::T_Var => {
                    let var = &*tree.cast::<pg_sys::Var>();
                    if var.varlevelsup == self.depth && var.varno as usize == self.source {
                        return self.say_column(expr).as_ptr();
                    }
                }
                NodeTag::T_Aggref if (*tree.cast::<pg_sys::Aggref>()).agglevelsup == self.depth => {
                    self.refuse("an aggregate of it stands in a subquery");
                    return tree;
                }
                NodeTag::T_GroupingFunc if self.mode == Mode::Same || self.depth > 0 => {
                    self.refuse("it says GROUPING");
                    return tree;
                }
                NodeTag::T_OpExpr | NodeTag::T_ScalarArrayOpExpr => {
                    if let Some(said) = self.say_comparison(expr) {
                        return said.as_ptr();
                    }
                }
                NodeTag::T_Query => {
                    self.depth += 1;
                    let copy = ffi::query_tree_mutator(tree.cast(), step, std::ptr::from_mut(self).cast(), 0);
                    self.depth -= 1;
                    return copy.cast();
                }
                _ => {}
            }
            ffi::expression_tree_mutator(tree, step, std::ptr::from_mut(self).cast())
        }
    }

    /// What a whole expression of the query's own level is.
    fn say_here(&mut self, expr: Expr) -> Option<Expr> {
        if let Some(aggregate) = expr.as_aggregate() {
            return Some(self.say_aggregate(expr, aggregate));
        }
        if matches!(expr.tag(), NodeTag::T_Var | NodeTag::T_Const | NodeTag::T_TargetEntry | NodeTag::T_List) {
            return None;
        }
        if let Some(index) = self.grouping_column(expr) {
            return Some(self.grouped(index));
        }
        match self.bucket(expr) {
            Ok(Some((bucket, _))) => return Some(bucket),
            Ok(None) => {}
            Err(refusal) => {
                self.refuse(refusal);
                return Some(expr);
            }
        }
        if self.mode == Mode::Same && !self.per_row { self.held(expr).map(|index| self.column(index)) } else { None }
    }

    /// A column of the hypertable, at any depth.
    fn say_column(&mut self, expr: Expr) -> Expr {
        match expr::lowered(expr, self.depth).and_then(|own| self.grouping_column(own)) {
            Some(index) => self.grouped(index),
            None => {
                self.refuse("it uses a column that groups don't have");
                expr
            }
        }
    }

    /// A grouping column where its value is looked at.
    fn grouped(&mut self, index: usize) -> Expr {
        if self.per_row && !is_identity(self.exprs[index]) {
            self.refuse("rows of one group may differ in what it asks of a grouping column");
        }
        self.column(index)
    }

    /// A comparison by which values are equal that groups find equal: it is true for all rows of a group or for none.
    fn say_comparison(&mut self, expr: Expr) -> Option<Expr> {
        let operator = expr.as_comparison_operator()?;
        let arguments: Vec<Expr> = expr.arguments();
        let columns: Vec<Option<usize>> = arguments
            .iter()
            .map(|argument| {
                let own = expr::lowered(*argument, self.depth)?;
                let index = (own.as_column()?.relation == self.source).then(|| self.grouping_column(own)).flatten()?;
                // Values that one collation finds equal may differ by another one.
                let column = self.exprs[index];
                (is_identity(column) || column.collation() == expr.input_collation()).then_some(index)
            })
            .collect();
        if columns.iter().all(Option::is_none) || !expr::is_in_default_order(operator, arguments[0]) {
            return None;
        }
        let arguments: Vec<Expr> = arguments
            .iter()
            .zip(columns)
            .map(|(argument, column)| match column {
                Some(index) => self.column(index),
                // SAFETY: an argument of the expression.
                None => unsafe { Expr::new(self.say(argument.as_ptr())) },
            })
            .collect();
        Some(expr.with_arguments(&arguments))
    }

    /// An expression that puts the time into buckets of which each holds whole buckets of the candidate, and whether these are the same.
    fn bucket(&mut self, expr: Expr) -> Result<Option<(Expr, bool)>, Refusal> {
        if expr.as_call().is_none() {
            return Ok(None);
        }
        let definition = &self.candidate.definition;
        let Some(target) = Target::of(expr, self.parameters) else { return Ok(None) };
        let is_time =
            target.time.as_column().is_some_and(|time| time.relation == self.source && time.attribute == definition.time.attribute);
        if !is_time {
            return Ok(None);
        }
        let Some(grid) = self.candidate.grid else { return Err("its buckets are not those of the query".into()) };
        if !target.grid.is_coarser(grid, definition.bucket.axis) {
            return Err("its buckets do not fit into those of the query".into());
        }
        match (&target.zone, &definition.bucket.zone) {
            (None, None) => {}
            (Some(asked), Some(own))
                if asked == own && target.wide && definition.bucket.nominal_width() >= tsc_kernel::axis::DAY_MICROS => {}
            (Some(asked), None) => {
                // Buckets that don't begin with a unit of UTC may hold a moment at which clocks are changed.
                let unit = match grid {
                    Grid::Fixed { width, phase: 0 } => width,
                    _ => ONLY_UTC,
                };
                if zone_offsets::even_from(asked, unit) == i64::MAX {
                    return Err("its buckets do not fit into those of the query's time zone".into());
                }
                if self.zone.as_ref().is_some_and(|zone| zone != asked) {
                    return Err("it asks for the buckets of two time zones".into());
                }
                self.zone = Some(asked.clone());
                return Ok(Some((self.zoned_column(target.call), false)));
            }
            _ => return Err("its buckets are those of another time zone".into()),
        }
        let same = target.grid == grid;
        let bucket = self.column(definition.bucket_column);
        let is_bucket = same && target.zone.is_none() && expr.type_oid() == bucket.type_oid();
        let said = if is_bucket { bucket } else { expr::put(target.call, target.time, bucket) };
        Ok(Some((said, same)))
    }

    /// The column behind those of the partial view that holds a bucket of a zone.
    fn zoned_column(&mut self, call: Expr) -> Expr {
        let at = self.zoned.iter().position(|known| known.equals(call)).unwrap_or_else(|| {
            self.zoned.push(call);
            self.zoned.len() - 1
        });
        // SAFETY: the candidate's query is alive.
        let width = unsafe { query::targets(self.candidate.partial) }.len();
        expr::column(self.target, (width + at + 1) as i16, call, self.depth)
    }

    fn say_aggregate(&mut self, expr: Expr, aggregate: &pg_sys::Aggref) -> Expr {
        if self.per_row {
            self.refuse("an aggregate stands where rows are looked at");
            return expr;
        }
        let said = match self.mode {
            Mode::Same => self.held(expr).map(|index| self.column(index)),
            Mode::Merged => {
                self.merge(aggregate).or_else(|| self.merge_filtered(expr)).or_else(|| self.say_aggregate_of_groups(expr, aggregate))
            }
        };
        said.unwrap_or_else(|| {
            // SAFETY: a syscache look-up; the name is palloc'd.
            let name = unsafe { optional_string(ffi::get_func_name(aggregate.aggfnoid)) }.unwrap_or_default();
            self.refuse(match self.mode {
                Mode::Same => format!("it does not hold an aggregate \"{name}\""),
                Mode::Merged => format!("an aggregate \"{name}\" can't be had from what it holds"),
            });
            expr
        })
    }

    /// The aggregate from its parts.
    fn merge(&self, aggregate: &pg_sys::Aggref) -> Option<Expr> {
        parts::merged(aggregate, &self.parts(aggregate)?, None)
    }

    fn parts(&self, aggregate: &pg_sys::Aggref) -> Option<Vec<Expr>> {
        parts::parts_of(aggregate)?.into_iter().map(|part| self.held(part).map(|index| self.column(index))).collect()
    }

    /// An aggregate whose FILTER says which groups count.
    fn merge_filtered(&mut self, expr: Expr) -> Option<Expr> {
        let copy = expr.copy();
        // SAFETY: a copy of an aggregate, changed in place.
        let (aggregate, filter) = unsafe {
            let aggregate = copy.as_ptr::<pg_sys::Aggref>();
            let filter = std::mem::replace(&mut (*aggregate).aggfilter, std::ptr::null_mut());
            (&*aggregate, filter)
        };
        if filter.is_null() {
            return None;
        }
        if fallible::is_fallible(copy, self.candidate.definition.time) {
            // Arguments are computed for rows, too, that the filter keeps out.
            return None;
        }
        let columns = self.parts(aggregate)?;
        // SAFETY: a node of the copy.
        let filter = self.say_per_row(unsafe { Expr::new(filter) })?;
        parts::merged(aggregate, &columns, Some(filter))
    }

    /// An aggregate of grouping columns that does not care how often a value is there.
    fn say_aggregate_of_groups(&mut self, expr: Expr, aggregate: &pg_sys::Aggref) -> Option<Expr> {
        let name = || {
            // SAFETY: a syscache look-up; the name is palloc'd.
            unsafe { optional_string(ffi::get_func_name(aggregate.aggfnoid)) }.unwrap_or_default()
        };
        let indifferent = !aggregate.aggdistinct.is_null()
            || aggregate.aggfnoid.to_u32() < pg_sys::FirstNormalObjectId
                && ["min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or"].contains(&name().as_str());
        if !indifferent {
            return None;
        }
        let copy = expr.copy();
        // SAFETY: a copy of an aggregate, changed in place; its lists hold target entries and expressions.
        unsafe {
            let aggregate = &mut *copy.as_ptr::<pg_sys::Aggref>();
            for argument in list::pointers::<pg_sys::TargetEntry>(aggregate.args) {
                (*argument).expr = self.say_per_row(Expr::new((*argument).expr))?.as_ptr();
            }
            if !aggregate.aggfilter.is_null() {
                aggregate.aggfilter = self.say_per_row(Expr::new(aggregate.aggfilter))?.as_ptr();
            }
        }
        Some(copy)
    }

    /// What is evaluated for rows within something that is evaluated for groups. None: it can't be said, which is no refusal yet.
    fn say_per_row(&mut self, expr: Expr) -> Option<Expr> {
        let outer = std::mem::replace(&mut self.per_row, true);
        // SAFETY: a node of the query.
        let said = unsafe { Expr::new(self.say(expr.as_ptr())) };
        self.per_row = outer;
        match self.refusal.take() {
            Some(_) => None,
            None => Some(said),
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn step(tree: *mut pg_sys::Node, matcher: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes, and the matcher, which is not used otherwise meanwhile.
    unsafe { guard::boundary(|| Ok((*matcher.cast::<Matcher>()).say(tree))) }
}
