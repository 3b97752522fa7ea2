//! One level of a query that groups rows of a hypertable: said as a query of a continuous aggregate's groups.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::bounds::{Bound, bound_of};
use super::candidate::Candidate;
use super::matching::{Matcher, Mode, Refusal};
use super::subquery::{self, Zoned};
use crate::catalog::cache;
use crate::pg::expr::{self, Column, Expr};
use crate::pg::relation::Relation;
use crate::pg::{ffi, list, node, query};

/// A level, and the hypertable in it that might be replaced.
pub struct Level {
    query: *mut pg_sys::Query,
    parameters: pg_sys::ParamListInfo,
    /// The hypertable's number in the range table.
    source: usize,
    /// The hypertable.
    pub relid: pg_sys::Oid,
    time: Column,
    /// The level's outputs, without columns of joins.
    targets: Vec<*mut pg_sys::TargetEntry>,
    jointree: *mut pg_sys::FromExpr,
    having: *mut pg_sys::Node,
    laterals: Vec<(usize, *mut pg_sys::Query)>,
    not_null: Vec<bool>,
}

/// What takes a level's place.
pub struct Answer {
    mode: Mode,
    targets: Vec<*mut pg_sys::TargetEntry>,
    jointree: *mut pg_sys::FromExpr,
    having: Option<Expr>,
    laterals: Vec<(usize, *mut pg_sys::Query)>,
    /// What the query says of time.
    pub bounds: Vec<Bound>,
    zone: Option<String>,
    zoned: Vec<Expr>,
}

/// Whether a query has groups, which is what continuous aggregates have.
///
/// # Safety
/// A Query.
pub unsafe fn has_groups(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the caller's promise.
    let query = unsafe { &*query };
    query.commandType == pg_sys::CmdType::CMD_SELECT
        && (query.hasAggs || !query.groupClause.is_null() || !query.groupingSets.is_null())
        && query.setOperations.is_null()
        && !query.jointree.is_null()
}

/// The hypertables with continuous aggregates that a level reads, by their numbers in its range table.
///
/// # Safety
/// A Query.
pub unsafe fn sources(query: *mut pg_sys::Query) -> Vec<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let entries = list::pointers::<pg_sys::RangeTblEntry>((*query).rtable);
        let is_source = |entry: &pg_sys::RangeTblEntry| {
            entry.rtekind == pg_sys::RTEKind::RTE_RELATION
                && entry.relkind as u8 == b'p'
                && cache::find(entry.relid).is_some_and(|hypertable| hypertable.grain.is_some())
        };
        let of_tree = |number: &usize| place((*query).jointree.cast(), *number, false).is_some();
        (1..=entries.len()).filter(|number| is_source(&*entries[number - 1])).filter(of_tree).collect()
    }
}

/// Whether a relation of a join tree may be filled up with NULLs; None if it is not there.
///
/// # Safety
/// A node of a join tree.
pub unsafe fn place(tree: *mut pg_sys::Node, number: usize, nullable: bool) -> Option<bool> {
    // SAFETY: the tags say what the nodes are.
    unsafe {
        match node::tag(tree) {
            NodeTag::T_RangeTblRef => ((*tree.cast::<pg_sys::RangeTblRef>()).rtindex as usize == number).then_some(nullable),
            NodeTag::T_FromExpr => {
                list::pointers((*tree.cast::<pg_sys::FromExpr>()).fromlist).into_iter().find_map(|item| place(item, number, nullable))
            }
            NodeTag::T_JoinExpr => {
                let join = &*tree.cast::<pg_sys::JoinExpr>();
                let (left, right) = match join.jointype {
                    pg_sys::JoinType::JOIN_INNER => (false, false),
                    pg_sys::JoinType::JOIN_LEFT => (false, true),
                    pg_sys::JoinType::JOIN_RIGHT => (true, false),
                    _ => (true, true),
                };
                place(join.larg, number, nullable || left).or_else(|| place(join.rarg, number, nullable || right))
            }
            _ => None,
        }
    }
}

impl Level {
    /// Looks at a level for which [`has_groups`] is true.
    ///
    /// # Safety
    /// A Query that may be scribbled on, and one of its [`sources`].
    pub unsafe fn of(query: *mut pg_sys::Query, source: usize, parameters: pg_sys::ParamListInfo) -> Result<Self, Refusal> {
        // SAFETY: the caller's promise; the fields of a Query are what their names say.
        unsafe {
            let entry = query::entry(query, source);
            let raw = Relation::open(entry.relid, pg_sys::NoLock);
            if !entry.securityQuals.is_null() || raw.class().relrowsecurity {
                return Err("rows of the hypertable have security policies".into());
            }
            if !entry.inh || !entry.tablesample.is_null() || !(*query).rowMarks.is_null() {
                return Err("it reads a part of the hypertable, or locks rows".into());
            }
            if place((*query).jointree.cast(), source, false) == Some(true) {
                return Err("an outer join may fill up its columns".into());
            }
            let hypertable = cache::find(entry.relid).filter(|hypertable| hypertable.time().partitioning_func.is_none());
            let Some(hypertable) = hypertable else { return Err("time is a function of a column".into()) };
            if ffi::contain_volatile_functions(query.cast()) {
                return Err("it calls volatile functions".into());
            }
            let mut level = Self {
                query,
                parameters,
                source,
                relid: entry.relid,
                time: Column { relation: source, attribute: hypertable.time().attribute },
                targets: list::pointers((*query).targetList),
                jointree: (*query).jointree,
                having: (*query).havingQual,
                laterals: Vec::new(),
                not_null: raw.attributes().iter().map(|attribute| attribute.attnotnull).collect(),
            };
            level.find_laterals()?;
            level.without_joined_columns();
            Ok(level)
        }
    }

    /// # Safety
    /// The query is alive.
    unsafe fn find_laterals(&mut self) -> Result<(), Refusal> {
        // SAFETY: entries of the range table.
        unsafe {
            for (index, entry) in list::pointers::<pg_sys::RangeTblEntry>((*self.query).rtable).into_iter().enumerate() {
                if !(*entry).lateral {
                    continue;
                }
                if (*entry).rtekind != pg_sys::RTEKind::RTE_SUBQUERY {
                    return Err("something else in FROM is lateral".into());
                }
                self.laterals.push((index, (*entry).subquery));
            }
        }
        Ok(())
    }

    /// Columns of joins are those of the joined relations, as the planner says them later on, too.
    ///
    /// # Safety
    /// The query is alive.
    unsafe fn without_joined_columns(&mut self) {
        // SAFETY: copies are made of what is changed.
        unsafe {
            let entries = list::pointers::<pg_sys::RangeTblEntry>((*self.query).rtable);
            if !entries.iter().any(|entry| (**entry).rtekind == pg_sys::RTEKind::RTE_JOIN) {
                return;
            }
            let flat = |tree: *mut pg_sys::Node| ffi::flatten_join_alias_vars(self.query, ffi::copyObjectImpl(tree.cast()).cast());
            self.targets = self.targets.iter().map(|target| flat(target.cast()).cast()).collect();
            self.having = flat(self.having);
            self.jointree = flat(self.jointree.cast()).cast();
            self.laterals = self.laterals.iter().map(|(index, subquery)| (*index, flat(subquery.cast()).cast())).collect();
        }
    }

    /// What takes the level's place if it is answered from a continuous aggregate.
    pub fn answer(&self, candidate: &Candidate) -> Result<Answer, Refusal> {
        if let Some(unusable) = candidate.unusable {
            return Err(unusable.into());
        }
        match self.try_answer(candidate, Mode::Same) {
            Ok(answer) => Ok(answer),
            Err(_) => self.try_answer(candidate, Mode::Merged),
        }
    }

    fn try_answer(&self, candidate: &Candidate, mode: Mode) -> Result<Answer, Refusal> {
        let not_null =
            |attribute: i16| usize::try_from(attribute - 1).ok().and_then(|index| self.not_null.get(index)).copied() == Some(true);
        // SAFETY: the query is alive.
        let (target, is_alone) = unsafe {
            let from = list::pointers::<pg_sys::Node>((*self.jointree).fromlist);
            let is_alone = from.len() == 1 && node::tag(from[0]) == NodeTag::T_RangeTblRef;
            (list::cells((*self.query).rtable).len() + 1, is_alone)
        };
        let grouping = self.grouping();
        // SAFETY: as above.
        if mode == Mode::Same && (!is_alone || grouping.is_empty() || unsafe { !(*self.query).groupingSets.is_null() }) {
            return Err("its groups are not those of the query".into());
        }
        let mut matcher = Matcher::new(candidate, mode, (self.source, target), &not_null, self.parameters);
        // SAFETY: nodes of the query are copied.
        unsafe {
            let mut targets = Vec::with_capacity(self.targets.len());
            for entry in &self.targets {
                let groups = (**entry).ressortgroupref != 0 && grouping.contains(&(**entry).ressortgroupref);
                let expr = Expr::new((**entry).expr);
                if mode == Mode::Same && groups && ffi::expression_returns_set(expr.as_ptr()) {
                    return Err("it groups by a set-returning function".into());
                }
                let said = if groups { matcher.for_grouping(expr)? } else { matcher.for_groups(expr)? };
                let copy = ffi::flatCopyTargetEntry(*entry);
                (*copy).expr = said.as_ptr();
                targets.push(copy);
            }
            if !(*self.query).groupingSets.is_null() && self.confuses(&targets, &grouping) {
                return Err("two of what it groups by in sets would be the same column".into());
            }
            let is_group = |index: usize| candidate.is_grouping(index);
            if mode == Mode::Same && (0..matcher.covered.len()).any(|index| is_group(index) && !matcher.covered[index]) {
                return Err("its groups are finer than those of the query".into());
            }
            if mode == Mode::Merged
                && (0..matcher.covered.len()).any(|index| is_group(index) && candidate.fallible[index] && !matcher.covered[index])
            {
                return Err("what it groups by, and the query does not, may fail for a row".into());
            }
            let having = if self.having.is_null() { None } else { Some(matcher.for_groups(Expr::new(self.having))?) };
            let own = candidate.conditions(self.source);
            let mut conditions =
                Conditions { level: self, candidate, target, own: own.iter().map(|own| (*own, false)).collect(), bounds: Vec::new() };
            let jointree: *mut pg_sys::FromExpr = conditions.of_tree(self.jointree.cast(), true, &mut matcher)?.cast();
            if conditions.own.iter().any(|(_, met)| !met) {
                return Err("it holds only some of the rows, by a condition that the query does not have".into());
            }
            let bounds = conditions.bounds;
            if mode == Mode::Same && having.is_some() && ffi::contain_subplans((*jointree).quals) {
                return Err("WHERE asks a subquery before HAVING is asked".into());
            }
            let sifts = !is_alone
                || ffi::contain_subplans((*jointree).quals)
                || having.is_some_and(|having| ffi::contain_subplans(having.as_ptr()));
            if sifts
                && (0..candidate.fallible.len()).any(|index| candidate.fallible[index] && (is_group(index) || matcher.used[index].get()))
            {
                // Other conditions are asked of rows before these are grouped, since PostgreSQL moves them there.
                return Err("what it computes may fail for a row that a join or a subquery leaves out".into());
            }
            let mut laterals = Vec::new();
            for (index, subquery) in &self.laterals {
                laterals.push((*index, matcher.for_lateral(*subquery)?));
            }
            if mode == Mode::Same && !matcher.zoned.is_empty() {
                // What is computed live is grouped by these, too.
                return Err("its groups know no time zone".into());
            }
            Ok(Answer { mode, targets, jointree, having, laterals, bounds, zone: matcher.zone, zoned: matcher.zoned })
        }
    }

    /// Whether expressions that the query groups by, which grouping sets must tell apart, become one.
    ///
    /// # Safety
    /// Target entries in the order of the query's.
    unsafe fn confuses(&self, said: &[*mut pg_sys::TargetEntry], grouping: &[u32]) -> bool {
        // SAFETY: the caller's promise.
        let of = |entry: &*mut pg_sys::TargetEntry| unsafe { (Expr::new((**entry).expr), (**entry).ressortgroupref) };
        let groups: Vec<(Expr, Expr)> = self
            .targets
            .iter()
            .zip(said)
            .filter(|(raw, _)| grouping.contains(&of(raw).1))
            .map(|(raw, said)| (of(raw).0, of(said).0))
            .collect();
        let alike = |(raw, said): &(Expr, Expr)| groups.iter().any(|(other, other_said)| !raw.equals(*other) && said.equals(*other_said));
        groups.iter().any(alike)
    }

    /// The numbers by which GROUP BY refers to outputs.
    fn grouping(&self) -> Vec<u32> {
        // SAFETY: the elements of a GROUP BY clause.
        unsafe {
            let clauses = list::pointers::<pg_sys::SortGroupClause>((*self.query).groupClause);
            clauses.into_iter().map(|clause| (*clause).tleSortGroupRef).collect()
        }
    }

    /// Puts the answer into the query. The hypertable's entry stays, for the rights on it to be checked, but nothing refers to it.
    pub fn put(&self, candidate: &Candidate, answer: Answer) -> bool {
        let zoned = Zoned { zone: answer.zone.as_deref(), calls: &answer.zoned, time: self.time };
        let Some(entry) = subquery::entry(candidate, &answer.bounds, &zoned) else { return false };
        // SAFETY: the query may be scribbled on.
        unsafe {
            let query = &mut *self.query;
            query.rtable = ffi::lappend(query.rtable, entry.cast());
            query.targetList = list::from_pointers(answer.targets);
            query.jointree = answer.jointree;
            query.havingQual = answer.having.map_or(std::ptr::null_mut(), Expr::as_ptr);
            for (index, subquery) in answer.laterals {
                query::entry(self.query, index + 1).subquery = subquery;
            }
            forget_joined_columns(self.query, self.source);
            if answer.mode == Mode::Same {
                let tree = &mut *query.jointree;
                tree.quals = where_and_having(tree.quals, query.havingQual);
                query.havingQual = std::ptr::null_mut();
                query.groupClause = std::ptr::null_mut();
                query.groupDistinct = false;
                query.hasAggs = false;
            }
        }
        true
    }
}

/// The condition of groups that are read rather than made. HAVING is asked of groups whose rows WHERE let pass, and may fail for others;
/// of conditions that are merely AND-ed PostgreSQL chooses the order.
///
/// # Safety
/// Boolean expressions, or NULL; the first has no subqueries if there are both.
unsafe fn where_and_having(quals: *mut pg_sys::Node, having: *mut pg_sys::Node) -> *mut pg_sys::Node {
    if quals.is_null() || having.is_null() {
        return if quals.is_null() { having } else { quals };
    }
    // SAFETY: the caller's promise.
    let (quals, having) = unsafe { (Expr::new(quals), Expr::new(having)) };
    // Plainly, too, for what can be done with a plain condition.
    let mut all = quals.conjuncts();
    all.push(expr::guarded(quals.copy(), having));
    expr::junction(true, &all).as_ptr()
}

/// What joins call columns of a relation that is not there any more is not asked again: all expressions were said without them.
///
/// # Safety
/// A Query that may be changed.
unsafe fn forget_joined_columns(query: *mut pg_sys::Query, source: usize) {
    // SAFETY: the aliases of a join are nodes, or NULL for dropped columns.
    unsafe {
        for entry in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) {
            if (*entry).rtekind != pg_sys::RTEKind::RTE_JOIN {
                continue;
            }
            let forget = |alias: *mut pg_sys::Node| {
                if alias.is_null() || !expr::mentions(Expr::new(alias), source) {
                    return alias;
                }
                ffi::makeNullConst(ffi::exprType(alias), ffi::exprTypmod(alias), ffi::exprCollation(alias)).cast()
            };
            (*entry).joinaliasvars = list::from_pointers(list::pointers::<pg_sys::Node>((*entry).joinaliasvars).into_iter().map(forget));
        }
    }
}

/// The walk over the conditions of a join tree.
struct Conditions<'a> {
    level: &'a Level,
    candidate: &'a Candidate,
    target: usize,
    /// The candidate's own conditions, and whether the query has them.
    own: Vec<(Expr, bool)>,
    bounds: Vec<Bound>,
}

impl Conditions<'_> {
    /// A copy of a part of the join tree. `inner`: its conditions must be true of all rows of the level.
    ///
    /// # Safety
    /// A node of the level's join tree.
    unsafe fn of_tree(&mut self, tree: *mut pg_sys::Node, inner: bool, matcher: &mut Matcher) -> Result<*mut pg_sys::Node, Refusal> {
        // SAFETY: the tags say what the nodes are; copies are changed.
        unsafe {
            let copy: *mut pg_sys::Node = ffi::copyObjectImpl(tree.cast()).cast();
            match node::tag(copy) {
                NodeTag::T_RangeTblRef => {
                    let reference = &mut *copy.cast::<pg_sys::RangeTblRef>();
                    if reference.rtindex as usize == self.level.source {
                        reference.rtindex = self.target as i32;
                    }
                }
                NodeTag::T_FromExpr => {
                    let from = &mut *copy.cast::<pg_sys::FromExpr>();
                    let mut items = Vec::new();
                    for item in list::pointers::<pg_sys::Node>(from.fromlist) {
                        items.push(self.of_tree(item, inner, matcher)?);
                    }
                    from.fromlist = list::from_pointers(items);
                    from.quals = self.of_quals(from.quals, inner, matcher)?;
                }
                NodeTag::T_JoinExpr => {
                    let join = &mut *copy.cast::<pg_sys::JoinExpr>();
                    let kept = |side| inner && (join.jointype == pg_sys::JoinType::JOIN_INNER || join.jointype == side);
                    let (left, right) = (kept(pg_sys::JoinType::JOIN_LEFT), kept(pg_sys::JoinType::JOIN_RIGHT));
                    join.larg = self.of_tree(join.larg, left, matcher)?;
                    join.rarg = self.of_tree(join.rarg, right, matcher)?;
                    join.quals = self.of_quals(join.quals, left && right, matcher)?;
                }
                _ => return Err("its join tree has an unknown part".into()),
            }
            Ok(copy)
        }
    }

    /// # Safety
    /// NULL or a condition of the level.
    unsafe fn of_quals(&mut self, quals: *mut pg_sys::Node, inner: bool, matcher: &mut Matcher) -> Result<*mut pg_sys::Node, Refusal> {
        if quals.is_null() {
            return Ok(quals);
        }
        let mut said = Vec::new();
        // SAFETY: the caller's promise.
        for condition in unsafe { Expr::new(quals) }.conjuncts() {
            if inner && self.is_own(condition) {
                continue;
            }
            let bound = if inner { bound_of(condition, self.level.time, self.candidate.definition.time_type) } else { None };
            match bound {
                Some(bound) => self.bounds.push(bound),
                None => said.push(matcher.for_rows(condition)?),
            }
        }
        Ok(if said.is_empty() { std::ptr::null_mut() } else { expr::junction(true, &said).as_ptr() })
    }

    fn is_own(&mut self, condition: Expr) -> bool {
        let own = self.own.iter_mut().find(|(own, _)| own.equals(condition));
        own.map(|(_, met)| *met = true).is_some()
    }
}
