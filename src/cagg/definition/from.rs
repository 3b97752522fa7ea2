//! The FROM clause of a continuous aggregate: one hypertable, or one continuous aggregate, and perhaps plain tables joined to it.

use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use tsc_kernel::axis::Axis;

use super::analysis::refuse;
use crate::cagg::requirements::{self, Unfit};
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::{cache, chunk};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, name_string, qualified_name, relation_name};
use crate::pg::{ffi, list, node, query};

/// What a continuous aggregate is over.
pub struct Source {
    /// Its place in the range table, from 1.
    pub relation: usize,
    /// The hypertable whose changes concern it.
    pub hypertable: Rc<Hypertable>,
    /// The continuous aggregate whose view it reads; then the hypertable is that one's storage.
    pub parent: Option<ContinuousAgg>,
    /// The time column's attribute number in the relation that the query names.
    pub time_attribute: i16,
    /// Its name there.
    pub time_column: String,
}

/// Finds the source and checks what else there is.
///
/// # Safety
/// A Query of the parser's.
pub unsafe fn find(query: *mut pg_sys::Query) -> Result<Source> {
    let mut found: Option<Source> = None;
    // SAFETY: the caller's promise.
    unsafe {
        require_rights(query);
        for (index, entry) in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).into_iter().enumerate() {
            let Some(source) = check_entry(&*entry, index + 1)? else { continue };
            if found.is_some() {
                return Err(refuse("The query reads more than one hypertable or continuous aggregate.")
                    .hint("Join the hypertable with plain tables only."));
            }
            found = Some(source);
        }
        let source = found.ok_or_else(|| {
            refuse("The query reads no hypertable.").hint("Select from a hypertable or from another continuous aggregate.")
        })?;
        check_joins((*query).jointree.cast(), source.relation)?;
        check_source(&source)?;
        Ok(source)
    }
}

/// # Safety
/// An entry of a range table.
unsafe fn check_entry(entry: &pg_sys::RangeTblEntry, index: usize) -> Result<Option<Source>> {
    use pg_sys::RTEKind::{RTE_FUNCTION, RTE_JOIN, RTE_RELATION, RTE_RESULT, RTE_SUBQUERY};
    match entry.rtekind {
        RTE_RELATION => check_relation(entry, index),
        RTE_JOIN | RTE_RESULT => Ok(None),
        RTE_FUNCTION if entry.lateral => Ok(None),
        RTE_SUBQUERY if entry.lateral => {
            // SAFETY: the entry's own subquery.
            for (relid, kind) in unsafe { query::relations(entry.subquery) } {
                if reads_hypertable(relid, kind) {
                    return Err(refuse("A LATERAL subquery reads a hypertable or continuous aggregate."));
                }
                check_row_security(relid, kind)?;
            }
            Ok(None)
        }
        RTE_SUBQUERY => Err(refuse("Subqueries in the FROM clause are not supported.").hint("Name the tables themselves, or use LATERAL.")),
        _ => Err(refuse("The FROM clause may have tables and views only.")),
    }
}

fn check_relation(entry: &pg_sys::RangeTblEntry, index: usize) -> Result<Option<Source>> {
    let (relid, kind) = (entry.relid, entry.relkind as u8);
    let name = relation_name(relid);
    if !entry.tablesample.is_null() {
        return Err(refuse("TABLESAMPLE is not supported."));
    }
    check_row_security(relid, kind)?;
    if chunk::find(relid).is_some() {
        return Err(refuse(format!("\"{name}\" is a chunk.")).hint("Select from its hypertable."));
    }
    if let Some(hypertable) = cache::find(relid) {
        if continuous_agg::of_storage(relid).is_some() {
            return Err(refuse(format!("\"{name}\" is the materialization hypertable of a continuous aggregate."))
                .hint("Select from the continuous aggregate's view."));
        }
        if !entry.inh {
            return Err(refuse("FROM ONLY is not supported for hypertables."));
        }
        let time = hypertable.time();
        let (time_attribute, time_column) = (time.attribute, time.column.clone());
        return Ok(Some(Source { relation: index, hypertable, parent: None, time_attribute, time_column }));
    }
    if kind != b'v' {
        return Ok(None);
    }
    if let Some(parent) = continuous_agg::of_view(relid) {
        return of_parent(parent, index).map(Some);
    }
    if reads_hypertable(relid, kind) {
        return Err(refuse(format!("View \"{name}\" reads a hypertable or continuous aggregate."))
            .hint("Select from the hypertable itself; changes are followed in what the query names."));
    }
    Ok(None)
}

/// Refuses a table, or a view that reads one, that does not show the same rows to everyone.
fn check_row_security(relid: pg_sys::Oid, kind: u8) -> Result<()> {
    check_row_security_of(relid, kind)?;
    if kind != b'v' || continuous_agg::of_view(relid).is_some() {
        return Ok(());
    }
    // SAFETY: a copy of the view's query.
    let below = unsafe { query::relations_below(query::of_view(&Relation::open(relid, pg_sys::AccessShareLock))) };
    below.into_iter().try_for_each(|(relid, kind)| check_row_security_of(relid, kind))
}

fn check_row_security_of(relid: pg_sys::Oid, kind: u8) -> Result<()> {
    // SAFETY: a syscache look-up.
    if unsafe { ffi::check_enable_rls(relid, pg_sys::InvalidOid, true) } != pg_sys::CheckEnableRlsResult::RLS_NONE as i32
        || kind != b'v' && Relation::open(relid, pg_sys::AccessShareLock).class().relrowsecurity
    {
        return Err(refuse(format!("Row-level security is enabled for table \"{}\".", relation_name(relid)))
            .hint("Rows that are aggregated are seen by whoever may read the continuous aggregate."));
    }
    Ok(())
}

/// An ERROR if the current role may not read a column of the query: PostgreSQL asks the owner of a view when the view is used; here it is
/// asked when the view is made.
///
/// # Safety
/// A Query.
unsafe fn require_rights(query: *mut pg_sys::Query) {
    // SAFETY: the caller's promise: the lists of subqueries' relations are their own.
    unsafe {
        for relations in query::range_tables(query) {
            ffi::ExecCheckRTPerms(relations, true);
        }
    }
}

/// The view of a continuous aggregate has its bucket's column at the same place as its storage has it among the visible ones.
fn of_parent(parent: ContinuousAgg, index: usize) -> Result<Source> {
    let definition = super::load(&parent)?;
    let visible: Vec<_> = definition.columns.iter().filter(|column| column.visible).collect();
    let bucket = definition.bucket_column();
    let place = visible.iter().position(|column| column.attribute == bucket.attribute).ok_or_else(|| {
        refuse(format!("Continuous aggregate \"{}\" has no column for its bucket.", relation_name(parent.user_view)))
            .hint("Select time_bucket() in its query.")
    })?;
    let hypertable = cache::find(parent.storage).ok_or_else(|| Error::internal("a continuous aggregate without storage"))?;
    let view = Relation::open(parent.user_view, pg_sys::AccessShareLock);
    let time_column = view.attributes().get(place).map(|attribute| name_string(&attribute.attname)).unwrap_or_default();
    Ok(Source { relation: index, hypertable, parent: Some(parent), time_attribute: place as i16 + 1, time_column })
}

/// Whether a relation is a hypertable, a chunk or a continuous aggregate, or a view that reads one.
fn reads_hypertable(relid: pg_sys::Oid, kind: u8) -> bool {
    match kind {
        b'p' => cache::find(relid).is_some(),
        b'v' => {
            continuous_agg::of_any_view(relid).is_some()
                // SAFETY: a copy of the view's query.
                || unsafe { query::relations(query::of_view(&Relation::open(relid, pg_sys::AccessShareLock))) }
                    .into_iter()
                    // A rule's query names its own view as OLD and NEW.
                    .any(|(below, kind)| below != relid && reads_hypertable(below, kind))
        }
        _ => chunk::find(relid).is_some(),
    }
}

/// Joins are inner ones, or left ones whose left side has the source: every row of it that qualifies has its time.
///
/// # Safety
/// A node of a join tree.
unsafe fn check_joins(tree: *mut pg_sys::Node, source: usize) -> Result<bool> {
    // SAFETY: the caller's promise.
    unsafe {
        match node::tag(tree) {
            NodeTag::T_RangeTblRef => Ok((*tree.cast::<pg_sys::RangeTblRef>()).rtindex as usize == source),
            NodeTag::T_FromExpr => {
                let mut has = false;
                for item in list::pointers::<pg_sys::Node>((*tree.cast::<pg_sys::FromExpr>()).fromlist) {
                    has |= check_joins(item, source)?;
                }
                Ok(has)
            }
            NodeTag::T_JoinExpr => {
                let join = &*tree.cast::<pg_sys::JoinExpr>();
                let (left, right) = (check_joins(join.larg, source)?, check_joins(join.rarg, source)?);
                match join.jointype {
                    pg_sys::JoinType::JOIN_INNER => Ok(left || right),
                    pg_sys::JoinType::JOIN_LEFT if right => Err(refuse("The hypertable is on the optional side of a LEFT JOIN.")),
                    pg_sys::JoinType::JOIN_LEFT => Ok(left),
                    _ => Err(refuse("Only INNER and LEFT joins are supported.")),
                }
            }
            _ => Err(refuse("The FROM clause may have tables and views only.")),
        }
    }
}

fn check_source(source: &Source) -> Result<()> {
    let time = source.hypertable.time();
    let name = relation_name(source.hypertable.relid);
    require_fit(source.hypertable.relid)?;
    if time.partitioning_func.is_some() {
        return Err(refuse(format!("Hypertable \"{name}\" has a time partitioning function.")));
    }
    match time.axis() {
        Some(Axis::Uuid) | None => Err(refuse(format!("The time dimension of hypertable \"{name}\" is of type uuid."))
            .hint("A hypertable by a column of type timestamptz can have continuous aggregates.")),
        Some(Axis::Int2 | Axis::Int4 | Axis::Int8) if time.integer_now_func.is_none() => {
            Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("custom time function required on hypertable \"{name}\""))
                .detail("An integer-based hypertable requires a custom time function to support continuous aggregates.")
                .hint("Set a custom time function on the hypertable with set_integer_now_func()."))
        }
        _ => Ok(()),
    }
}

/// Refuses a hypertable if nothing would tell that rows of a part of it have changed. To be asked again when it is locked.
pub fn require_fit(hypertable: pg_sys::Oid) -> Result<()> {
    let Some((relid, reason)) = requirements::first_unfit(hypertable) else { return Ok(()) };
    let (name, qualified) = (relation_name(relid), qualified_name(relid).unwrap_or_default());
    Err(match reason {
        Unfit::Unlogged => refuse(format!("Table \"{name}\" is unlogged: a crash would empty it, and nothing would tell."))
            .hint(format!("Use ALTER TABLE {qualified} SET LOGGED.")),
        Unfit::Foreign => refuse(format!("Table \"{name}\" is a foreign table: its rows would change, and nothing would tell."))
            .hint("Detach it, and copy its rows into the hypertable."),
    })
}
