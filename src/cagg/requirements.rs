//! What continuous aggregates ask of the tables that they read, when they are made and from then on.

use pgrx::{PgLogLevel, pg_sys};

use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::change::place;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, qualified_name, relation_name};
use crate::pg::{context, ffi, list, query};

/// What may not be done any more to a table that continuous aggregates read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A crash would empty it.
    Unlogged,
    /// Not everyone would see the same rows.
    RowSecurity,
}

fn refuse(relid: pg_sys::Oid, agg: &ContinuousAgg, change: Change) -> Error {
    let (name, view) = (relation_name(relid), relation_name(agg.user_view));
    let (message, detail) = match change {
        Change::Unlogged => (format!("cannot make table \"{name}\" unlogged"), unlearnt(agg)),
        Change::RowSecurity => (
            format!("cannot enable row-level security for table \"{name}\""),
            format!("Continuous aggregate \"{view}\" reads it, and shows what it has computed to whoever may read that."),
        ),
    };
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail)
}

fn unlearnt(agg: &ContinuousAgg) -> String {
    format!("Continuous aggregate \"{}\" would not learn that a crash has emptied it.", relation_name(agg.user_view))
}

/// Refuses a change to a table. To be asked again when the table is locked: a continuous aggregate may have been made meanwhile.
pub fn check_change(relid: pg_sys::Oid, change: Change) -> Result<()> {
    let aggregates: Vec<_> = match change {
        Change::Unlogged => of_tree(relid).into_iter().collect(),
        Change::RowSecurity => continuous_agg::all().into_iter().filter(|agg| names(agg, relid)).collect(),
    };
    // Who could once read a table has no say in how its owner secures it. What was read is read.
    match aggregates.into_iter().find(|agg| change != Change::RowSecurity || is_mine(agg)) {
        None => Ok(()),
        Some(agg) => {
            let view = qualified_name(agg.user_view).unwrap_or_default();
            Err(refuse(relid, &agg, change).hint(format!("Drop it first, with DROP MATERIALIZED VIEW {view}.")))
        }
    }
}

/// Says for whom a change that was not refused makes no difference.
pub fn warn_of_change(relid: pg_sys::Oid, change: Change) {
    if change != Change::RowSecurity {
        return;
    }
    for agg in continuous_agg::all().into_iter().filter(|agg| !is_mine(agg) && names(agg, relid)) {
        let (name, view) = (relation_name(relid), qualified_name(agg.user_view).unwrap_or_default());
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("row-level security for table \"{name}\" does not hold for {view}"))
            .detail("This continuous aggregate reads the table, and shows what it has computed to whoever may read that.")
            .hint("Ask its owner to drop it.")
            .report(PgLogLevel::WARNING);
    }
}

fn is_mine(agg: &ContinuousAgg) -> bool {
    // SAFETY: a look-up.
    unsafe { ffi::pg_class_ownercheck(agg.user_view, context::current_user()) }
}

/// Refuses a table that has become a part of a hypertable if nothing would tell that its rows have changed.
pub fn check_part(relid: pg_sys::Oid) -> Result<()> {
    let Some((part, reason)) = first_unfit(relid) else { return Ok(()) };
    let Some(agg) = of_tree(relid) else { return Ok(()) };
    let refuse = |kind| {
        let (part, whole) = (relation_name(part), relation_name(agg.source));
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{kind} table \"{part}\" cannot be a part of \"{whole}\""))
    };
    Err(match reason {
        Unfit::Unlogged => refuse("unlogged").detail(unlearnt(&agg)).hint("Make it logged before, with ALTER TABLE .. SET LOGGED."),
        Unfit::Foreign => refuse("foreign")
            .detail(format!("Continuous aggregate \"{}\" would not learn that its rows have changed.", relation_name(agg.user_view)))
            .hint("Copy its rows into the hypertable."),
    })
}

/// A continuous aggregate over the hypertable that a table is a part of, or the one that it is the storage of.
fn of_tree(relid: pg_sys::Oid) -> Option<ContinuousAgg> {
    let hypertable = place::hypertable_of(relid)?.relid;
    continuous_agg::of_source(hypertable).into_iter().next().or_else(|| continuous_agg::of_storage(hypertable))
}

/// Whether the defining query names a table, or a view that reads it.
fn names(agg: &ContinuousAgg, relid: pg_sys::Oid) -> bool {
    Relation::try_open(agg.direct_view, pg_sys::AccessShareLock)
        // SAFETY: a copy of the view's query.
        .is_some_and(|view| unsafe { query::relations_below(query::of_view(&view)) }.into_iter().any(|(named, _)| named == relid))
}

/// Why the rows of a table may change untold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A crash would empty it.
    Unlogged,
    /// It is of another server.
    Foreign,
}

/// The first one of a table and the tables below it whose rows may change untold.
pub fn first_unfit(relid: pg_sys::Oid) -> Option<(pg_sys::Oid, Unfit)> {
    // SAFETY: catalog look-ups; the list holds OIDs. Of one that is being dropped nothing matters.
    unsafe {
        let all = list::oids(ffi::find_all_inheritors(relid, pg_sys::NoLock as i32, std::ptr::null_mut()));
        all.into_iter().find_map(|relid| match ffi::get_rel_relkind(relid) as u8 {
            0 => None,
            pg_sys::RELKIND_FOREIGN_TABLE => Some((relid, Unfit::Foreign)),
            _ if ffi::get_rel_persistence(relid) as u8 == pg_sys::RELPERSISTENCE_UNLOGGED => Some((relid, Unfit::Unlogged)),
            _ => None,
        })
    }
}
