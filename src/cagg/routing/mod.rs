//! Queries on raw hypertables, answered from continuous aggregates. `README.md` says which, and why the answer is the same.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::c_void;

use pgrx::pg_sys::NodeTag;
use pgrx::{PgLogLevel, pg_sys};

use tsc_kernel::ranges::Range;

use self::candidate::{Candidate, Candidates};
use self::level::{Answer, Level};
use self::matching::Refusal;
use self::trust::Asker;
use crate::catalog::cache;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::error::{Error, SqlState};
use crate::guc;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::{context, ffi, guard, list, node};

mod bounds;
mod candidate;
mod columns;
mod estimate;
mod fallible;
mod flatten;
mod form;
mod level;
mod matching;
mod subquery;
mod target;
mod trust;
mod zoned;

thread_local! {
    /// The storage that is being refreshed.
    static REFRESHED: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    /// The query that is being planned is answered from a continuous aggregate.
    static ROUTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which computes groups of a continuous aggregate: its queries may be answered from other ones, whatever the settings, and
/// never from this one itself.
pub fn while_refreshing<T>(storage: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    context::with_set(&REFRESHED, storage, f)
}

/// Whether queries may be answered from continuous aggregates now.
pub fn is_enabled() -> bool {
    guc::enable_cagg_rewrites() || REFRESHED.get() != pg_sys::InvalidOid
}

/// Has the levels of a query that group rows of a hypertable read groups of continuous aggregates instead, where that gives the same
/// rows and is likely to be cheaper. True if one does: the plan is then for the current role alone.
///
/// # Safety
/// `query` may be scribbled on: it is what a planner hook was given. The parameters are those whose values the plan may rely on.
pub unsafe fn route(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) -> bool {
    // Functions that are called to estimate may plan queries of their own.
    let outer = ROUTED.replace(false);
    // SAFETY: the caller's promise.
    unsafe { route_levels(query, parameters) };
    ROUTED.replace(outer)
}

/// # Safety
/// As for [`route`].
unsafe fn route_levels(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) {
    // SAFETY: the walker gets the parameters back as its context. Levels below come first: what is put into a level is done.
    unsafe {
        if (*query).commandType == pg_sys::CmdType::CMD_UTILITY {
            return;
        }
        ffi::query_tree_walker(query, route_below, parameters.cast(), 0);
        if level::has_groups(query) && !route_sources(query, parameters) {
            // A copy, so that the planner finds the query as it was unless something comes of it.
            if let Some(flat) = flatten::flattened(query)
                && route_sources(flat, parameters)
            {
                *query = *flat;
            }
        }
    }
}

/// # Safety
/// As for [`route`].
unsafe fn route_sources(query: *mut pg_sys::Query, parameters: pg_sys::ParamListInfo) -> bool {
    // SAFETY: the caller's promise.
    unsafe { level::sources(query).into_iter().any(|source| route_level(query, source, parameters)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn route_below(tree: *mut pg_sys::Node, parameters: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context that `route_levels` gave them.
    unsafe {
        guard::boundary(|| {
            match node::tag(tree) {
                NodeTag::T_Invalid => {}
                NodeTag::T_Query => route_levels(tree.cast(), parameters.cast()),
                _ => {
                    ffi::expression_tree_walker(tree, route_below, parameters);
                }
            }
            Ok(false)
        })
    }
}

/// A candidate that a level can be answered from.
struct Choice<'a> {
    candidate: &'a Candidate,
    answer: Answer,
    cost: f64,
}

/// # Safety
/// As for [`route`]; `source` is one of the level's sources.
unsafe fn route_level(query: *mut pg_sys::Query, source: usize, parameters: pg_sys::ParamListInfo) -> bool {
    // SAFETY: the caller's promise.
    let level = match unsafe { Level::of(query, source, parameters) } {
        Ok(level) => level,
        Err(refusal) => {
            tell(|| format!("no continuous aggregate is used: {refusal}"));
            return false;
        }
    };
    let raw = Relation::open(level.relid, pg_sys::NoLock);
    // SAFETY: the caller's promise; the query stays as it is until all candidates were looked at.
    let asker = unsafe { Asker::of(query, source, &raw) };
    let extent = cache::find(level.relid).and_then(|hypertable| estimate::extent(&raw, hypertable.time().axis()?));
    let candidates = candidate::of(level.relid);
    let mut best: Option<Choice> = None;
    for entry in candidates.iter().filter(|entry| entry.agg.storage != REFRESHED.get()) {
        if !asker.trusts_owner(&entry.agg) {
            refuse(&entry.agg, &"its owner has neither the rights of the hypertable's owner nor yours".into());
            continue;
        }
        let Some(candidate) = entry.candidate(&raw) else { continue };
        match consider(&level, candidate, &asker, extent, parameters) {
            Ok(choice) => {
                let loser = match best.take() {
                    Some(other) if other.cost <= choice.cost => {
                        best = Some(other);
                        choice
                    }
                    other => {
                        best = Some(choice);
                        let Some(other) = other else { continue };
                        other
                    }
                };
                refuse(&loser.candidate.definition.agg, &"another one is cheaper".into());
            }
            Err(refusal) => refuse(&entry.agg, &refusal),
        }
    }
    drop(raw);
    let Some(choice) = best else { return false };
    let done = put(&level, &candidates, choice);
    if done {
        // SAFETY: the level was changed just now; what was put into it is the last entry of its range table.
        unsafe { columns::trim(query, list::cells((*query).rtable).len()) };
        candidate::note_use();
        ROUTED.set(true);
    }
    done
}

fn consider<'a>(
    level: &Level,
    candidate: &'a Candidate,
    asker: &Asker,
    extent: Option<Range>,
    parameters: pg_sys::ParamListInfo,
) -> Result<Choice<'a>, Refusal> {
    let answer = level.answer(candidate)?;
    if !asker.trusts_calls(&candidate.calls) {
        return Err("it calls functions, or uses types, of a role that has not your rights, or that you may not call".into());
    }
    let asked = bounds::expected(&answer.bounds, candidate.definition.time_type, parameters);
    let cost = asked.zip(extent).and_then(|(asked, extent)| estimate::cost(candidate, asked, extent));
    let Some(cost) = cost else { return Err("there is nothing to read".into()) };
    if cost.raw > estimate::MOST_RAW {
        return Err(Cow::Owned(format!("{:.0} % of the time asked for would be read from the hypertable anyway", cost.raw * 100.0)));
    }
    Ok(Choice { candidate, answer, cost: cost.total })
}

/// Puts the choice into the query, unless the continuous aggregate was changed or dropped meanwhile.
fn put(level: &Level, candidates: &Candidates, choice: Choice) -> bool {
    let agg = &choice.candidate.definition.agg;
    // SAFETY: waits for whoever changes the storage; the lock is held to the end of the transaction, as the planner's own are.
    unsafe { ffi::LockRelationOid(agg.storage, pg_sys::AccessShareLock as i32) };
    if !candidate::is_current(level.relid, candidates) {
        refuse(agg, &"it is being changed".into());
        return false;
    }
    let name = &choice.candidate.name;
    let done = level.put(choice.candidate, choice.answer);
    if done {
        tell(|| format!("continuous aggregate \"{name}\" is used in place of \"{}\"", relation_name(level.relid)));
    }
    done
}

fn refuse(agg: &ContinuousAgg, refusal: &Refusal) {
    tell(|| format!("continuous aggregate \"{}\" is not used: {refusal}", relation_name(agg.user_view)));
}

/// Says how a query was planned, if the user wants to know.
fn tell(message: impl FnOnce() -> String) {
    if guc::cagg_rewrites_debug_info() {
        Error::new(SqlState("00000"), message()).report(PgLogLevel::INFO);
    }
}

/// Prepares caches; once, at server start.
pub fn init() {
    candidate::init();
}
