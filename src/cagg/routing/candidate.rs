//! The continuous aggregates of a hypertable, ready to be compared with queries; remembered per backend until one of their relations
//! or the hypertable changes.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::estimate::Known;
use super::fallible;
use super::form;
use super::trust::Calls;
use crate::cagg::bucket::Bucket;
use crate::cagg::definition::{self, Definition, Role};
use crate::cagg::grid::Grid;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::pg::expr::{Column, Expr};
use crate::pg::relation::{Relation, optional_string};
use crate::pg::{context, ffi, list, node, query, table, typecache};

/// A continuous aggregate that queries may be answered from.
pub struct Candidate {
    /// What it computes; the expressions name the hypertable by the number that it has in the live query.
    pub definition: Definition,
    /// Its name.
    pub name: String,
    /// The query of its partial view.
    pub partial: *mut pg_sys::Query,
    /// Of each of the definition's columns, the number in the partial view.
    pub positions: Vec<i16>,
    /// Whether computing the column may fail for some rows or groups, likewise.
    pub fallible: Vec<bool>,
    /// The conditions of its WHERE.
    pub own: Vec<Expr>,
    /// The boundaries of its buckets.
    pub grid: Option<Grid>,
    /// Why no query can be answered from it.
    pub unusable: Option<&'static str>,
    /// What its live side calls.
    pub calls: Calls,
    /// What was materialized of it a moment ago.
    pub known: RefCell<Option<Rc<Known>>>,
    #[expect(dead_code, reason = "held for its drop")]
    memory: Memory,
}

/// A memory context of its own.
struct Memory(pg_sys::MemoryContext);

impl Drop for Memory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made by `load`, a child of TopMemoryContext.
            unsafe { ffi::MemoryContextDelete(self.0) };
        }
    }
}

/// A continuous aggregate that may be a candidate. Its relations are not locked before it is to be looked at: their owner may be anyone.
pub struct Entry {
    /// Its row of the catalog.
    pub agg: ContinuousAgg,
    candidate: OnceCell<Option<Candidate>>,
}

impl Entry {
    /// What it computes; None: it is being dropped, or is broken.
    pub fn candidate(&self, raw: &Relation) -> Option<&Candidate> {
        self.candidate.get_or_init(|| load(&self.agg, raw)).as_ref()
    }

    fn needs(&self, relid: pg_sys::Oid) -> bool {
        [self.agg.storage, self.agg.partial_view, self.agg.user_view].contains(&relid)
    }
}

/// Those of one hypertable.
pub type Candidates = Rc<Vec<Entry>>;

#[derive(Default)]
struct Cache {
    of: HashMap<pg_sys::Oid, Candidates>,
    catalog: Option<pg_sys::Oid>,
    /// What fell, to be freed at a moment when PostgreSQL may be called.
    fallen: Vec<Candidates>,
    /// Counts invalidations, so that what was read while one arrived is not kept.
    generation: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
    static USED: Cell<bool> = const { Cell::new(false) };
}

/// The continuous aggregates over a hypertable.
pub fn of(relid: pg_sys::Oid) -> Candidates {
    let fallen = CACHE.with_borrow_mut(|cache| std::mem::take(&mut cache.fallen));
    drop(fallen);
    if let Some(found) = CACHE.with_borrow(|cache| cache.of.get(&relid).cloned()) {
        return found;
    }
    let generation = CACHE.with_borrow(|cache| cache.generation);
    let catalog = table::oid("continuous_agg");
    let entries = continuous_agg::of_source(relid).into_iter().map(|agg| Entry { agg, candidate: OnceCell::new() });
    let found: Candidates = Rc::new(entries.collect());
    CACHE.with_borrow_mut(|cache| {
        if cache.generation == generation {
            cache.catalog = catalog;
            cache.of.insert(relid, found.clone());
        }
    });
    found
}

/// Whether what was remembered of a hypertable still holds.
pub fn is_current(relid: pg_sys::Oid, candidates: &Candidates) -> bool {
    CACHE.with_borrow(|cache| cache.of.get(&relid).is_some_and(|current| Rc::ptr_eq(current, candidates)))
}

fn load(agg: &ContinuousAgg, raw: &Relation) -> Option<Candidate> {
    // One that is being dropped is waited for, and then it is gone.
    for relation in [agg.user_view, agg.partial_view, agg.storage] {
        Relation::try_open(relation, pg_sys::AccessShareLock)?;
    }
    // SAFETY: a context of its own, which lives as long as what is read into it; until that is complete, an error frees it with its parent.
    unsafe {
        let memory = ffi::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"timescale_compat continuous aggregate".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let found = context::with_context(memory, || read(agg, raw, memory));
        if found.is_some() {
            ffi::MemoryContextSetParent(memory, pg_sys::TopMemoryContext);
        } else {
            ffi::MemoryContextDelete(memory);
        }
        found
    }
}

/// # Safety
/// `memory` is the current context. What is returned owns it.
unsafe fn read(agg: &ContinuousAgg, raw: &Relation, memory: pg_sys::MemoryContext) -> Option<Candidate> {
    let mut definition = definition::load(agg).ok()?;
    let view = Relation::open(agg.partial_view, pg_sys::AccessShareLock);
    let partial = query::of_view(&view);
    // SAFETY: queries of views, in the current context; the name is palloc'd.
    let (name, stored, own, unusable, calls) = unsafe {
        let arms = Arms::of(partial)?;
        let calls = Calls::of(arms.groups);
        let unusable = unusable(&definition, raw.oid())
            .or_else(|| calls.mutable.then_some("it calls functions whose results depend on more than their arguments"))
            .or_else(|| (!form::is_as_made(partial, &arms, agg)).then_some("its partial view is not as it was made"));
        let stored: Vec<i16> = query::targets(arms.stored)
            .iter()
            .filter_map(|target| Expr::new(target.expr).as_column())
            .map(|column| column.attribute)
            .collect();
        let own = own_conditions(definition.live_query);
        (optional_string(ffi::get_rel_name(agg.user_view))?, stored, own, unusable, calls)
    };
    let positions: Option<Vec<i16>> = definition
        .columns
        .iter()
        .map(|column| stored.iter().position(|attribute| *attribute == column.attribute).and_then(|at| i16::try_from(at + 1).ok()))
        .collect();
    let not_null = |attribute: i16| raw.attributes().get(attribute as usize - 1).is_some_and(|column| column.attnotnull);
    for column in &mut definition.columns {
        column.expr = count_of_rows(column.expr, definition.time.relation, &not_null).unwrap_or(column.expr);
    }
    let time = Column { relation: definition.time.relation, attribute: definition.time.attribute };
    let fallible = definition.columns.iter().map(|column| fallible::is_fallible(column.expr, time)).collect();
    let (grid, positions, memory) = (Grid::of(&definition.bucket), positions?, Memory(memory));
    Some(Candidate { definition, name, partial, positions, fallible, own, grid, unusable, calls, known: RefCell::default(), memory })
}

/// The two sides of a partial view, and the query of groups in the second one.
pub struct Arms {
    /// Reads storage.
    pub stored: *mut pg_sys::Query,
    /// Calls `cagg_live` and computes groups.
    pub live: *mut pg_sys::Query,
    /// Computes groups.
    pub groups: *mut pg_sys::Query,
    /// The function's entry in the range table of `live`.
    pub function: *mut pg_sys::RangeTblEntry,
    /// The storage's entry in the range table of `stored`, and its number.
    pub storage: (*mut pg_sys::RangeTblEntry, usize),
}

impl Arms {
    /// # Safety
    /// The query of a partial view.
    pub unsafe fn of(partial: *mut pg_sys::Query) -> Option<Self> {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            let operation = (*partial).setOperations;
            if node::tag(operation) != NodeTag::T_SetOperationStmt {
                return None;
            }
            let operation = &*operation.cast::<pg_sys::SetOperationStmt>();
            let (stored, _) = entry(partial, operation.larg)?;
            let (live, _) = entry(partial, operation.rarg)?;
            let (stored, live) = ((*stored).subquery, (*live).subquery);
            let [storage] = list::pointers::<pg_sys::Node>((*(*stored).jointree).fromlist)[..] else { return None };
            let [function, groups] = list::pointers::<pg_sys::Node>((*(*live).jointree).fromlist)[..] else { return None };
            let (groups, _) = entry(live, groups)?;
            let arms =
                Self { stored, live, groups: (*groups).subquery, function: entry(live, function)?.0, storage: entry(stored, storage)? };
            (!arms.groups.is_null()).then_some(arms)
        }
    }
}

/// # Safety
/// A Query and a node of it.
unsafe fn entry(query: *mut pg_sys::Query, reference: *mut pg_sys::Node) -> Option<(*mut pg_sys::RangeTblEntry, usize)> {
    // SAFETY: the caller's promise.
    unsafe {
        (node::tag(reference) == NodeTag::T_RangeTblRef).then(|| {
            let number = (*reference.cast::<pg_sys::RangeTblRef>()).rtindex as usize;
            (std::ptr::from_mut(query::entry(query, number)), number)
        })
    }
}

/// The conditions of the live query that are not the range of time that it is called for.
///
/// # Safety
/// A live query.
unsafe fn own_conditions(live: *mut pg_sys::Query) -> Vec<Expr> {
    // SAFETY: the caller's promise.
    unsafe {
        let quals = (*(*live).jointree).quals;
        let all = if quals.is_null() { Vec::new() } else { Expr::new(quals).conjuncts() };
        all.into_iter().filter(|condition| !ffi::contain_vars_of_level(condition.as_ptr(), 1)).collect()
    }
}

/// # Safety
/// The definition's query is alive.
unsafe fn unusable(definition: &Definition, relid: pg_sys::Oid) -> Option<&'static str> {
    // SAFETY: the caller's promise.
    unsafe {
        let live = &*definition.live_query;
        let from = list::pointers::<pg_sys::Node>((*live.jointree).fromlist);
        let [only] = from[..] else { return Some("it joins tables") };
        if entry(definition.live_query, only).is_none_or(|(entry, _)| (*entry).relid != relid || !(*entry).inh) {
            return Some("it is not defined over the hypertable alone");
        }
        if !live.havingQual.is_null() {
            return Some("it has HAVING");
        }
        if !live.groupingSets.is_null() || live.hasSubLinks || live.hasTargetSRFs || live.hasWindowFuncs {
            return Some("it is more than groups and their aggregates");
        }
        (ffi::contain_volatile_functions(definition.live_query.cast())).then_some("it calls volatile functions")
    }
}

/// `count(*)` in place of the count of a column that is never NULL.
pub fn count_of_rows(expr: Expr, relation: usize, not_null: &dyn Fn(i16) -> bool) -> Option<Expr> {
    let aggregate = expr.as_aggregate()?;
    if aggregate.aggfnoid.to_u32() != pg_sys::F_COUNT_ANY || !aggregate.aggdistinct.is_null() || !aggregate.aggorder.is_null() {
        return None;
    }
    // SAFETY: the argument of an aggregate is a target entry; a copy is changed.
    unsafe {
        let [argument] = list::pointers::<pg_sys::TargetEntry>(aggregate.args)[..] else { return None };
        let column = Expr::new((*argument).expr).as_column()?;
        if column.relation != relation || column.attribute <= 0 || !not_null(column.attribute) {
            return None;
        }
        let copy = expr.copy().as_ptr::<pg_sys::Aggref>();
        (*copy).aggfnoid = pg_sys::Oid::from(pg_sys::F_COUNT_);
        (*copy).args = std::ptr::null_mut();
        (*copy).aggargtypes = std::ptr::null_mut();
        (*copy).aggstar = true;
        (*copy).inputcollid = pg_sys::InvalidOid;
        Some(Expr::new(copy))
    }
}

impl Candidate {
    /// The buckets.
    pub fn bucket(&self) -> &Bucket {
        &self.definition.bucket
    }

    /// Whether rows are grouped by one of the definition's columns.
    pub fn is_grouping(&self, index: usize) -> bool {
        matches!(self.definition.columns[index].role, Role::Bucket | Role::Group)
    }

    /// The number of columns that rows are grouped by, the bucket among them.
    pub fn groups(&self) -> usize {
        (0..self.definition.columns.len()).filter(|index| self.is_grouping(*index)).count()
    }

    /// The columns' expressions with the hypertable under another number.
    pub fn expressions(&self, relation: usize) -> Vec<Expr> {
        let own = self.definition.time.relation;
        self.definition
            .columns
            .iter()
            .map(|column| if own == relation { column.expr } else { renumbered(column.expr, own, relation) })
            .collect()
    }

    /// The conditions of its WHERE, likewise.
    pub fn conditions(&self, relation: usize) -> Vec<Expr> {
        let own = self.definition.time.relation;
        self.own.iter().map(|condition| if own == relation { *condition } else { renumbered(*condition, own, relation) }).collect()
    }
}

/// A copy of an expression with a relation under another number.
pub fn renumbered(expr: Expr, from: usize, to: usize) -> Expr {
    let copy = expr.copy();
    // SAFETY: a copy, changed in place.
    unsafe { ffi::ChangeVarNodes(copy.as_ptr(), from as i32, to as i32, 0) };
    copy
}

/// Whether values that are equal, by the order that groups go by, are the same in every respect.
pub fn is_identity(expr: Expr) -> bool {
    // SAFETY: look-ups in system caches.
    unsafe {
        match expr.type_oid() {
            pg_sys::BOOLOID
            | pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::OIDOID
            | pg_sys::CHAROID
            | pg_sys::DATEOID
            | pg_sys::TIMEOID
            | pg_sys::TIMESTAMPOID
            | pg_sys::TIMESTAMPTZOID
            | pg_sys::UUIDOID
            | pg_sys::BYTEAOID => true,
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::NAMEOID => {
                let collation = ffi::exprCollation(expr.as_ptr());
                collation == pg_sys::InvalidOid || ffi::get_collation_isdeterministic(collation)
            }
            other => typecache::is_enum(other),
        }
    }
}

/// A plan of this backend reads a continuous aggregate because its owner has the rights for it.
pub fn note_use() {
    USED.set(true);
}

/// Installs the callbacks; once, at server start.
pub fn init() {
    // SAFETY: the callbacks are plain functions.
    unsafe {
        ffi::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null());
        for cache in [pg_sys::SysCacheIdentifier::AUTHOID, pg_sys::SysCacheIdentifier::AUTHMEMROLEMEM] {
            ffi::CacheRegisterSyscacheCallback(cache as i32, Some(on_change_of_roles), pg_sys::Datum::null());
        }
    }
}

/// PostgreSQL's plans don't depend on who is a member of which role; those that were made here do.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_change_of_roles(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    if USED.get() {
        // SAFETY: as the plan cache does itself when a system cache changes: plans are marked, nothing is looked up.
        unsafe { ffi::raw::ResetPlanCache() };
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    CACHE.with(|cache| {
        // Never borrowed while PostgreSQL is called, so always free here.
        let Ok(mut cache) = cache.try_borrow_mut() else { return };
        let cache = &mut *cache;
        cache.generation += 1;
        if relid == pg_sys::InvalidOid || cache.catalog == Some(relid) {
            cache.fallen.extend(cache.of.drain().map(|(_, candidates)| candidates));
        } else {
            // The storage of one is the hypertable of those that are defined over it.
            let Cache { of, fallen, .. } = cache;
            of.retain(|hypertable, candidates| {
                let keep = *hypertable != relid && !candidates.iter().any(|entry| entry.needs(relid));
                if !keep {
                    fallen.push(candidates.clone());
                }
                keep
            });
        }
    });
}
