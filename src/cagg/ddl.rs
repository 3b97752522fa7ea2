//! Continuous aggregates as objects: what belongs to one, and what becomes of it when one of them is changed or dropped.
//!
//! PostgreSQL's dependencies hold the views together: the partial view is internal to the direct view, which depends on what the query
//! reads; the user's view depends on both. So whatever takes the query's tables or storage away takes all views, and a dump, which
//! follows dependencies, has no cycle. What is left when the user's view has gone, storage at least, is this module's to drop.
//!
//! Nothing makes storage depend on a view that reads it: a drop that begins with a column of storage (of its type) would come back to
//! storage itself, which PostgreSQL doesn't expect of a table.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;

use super::definition::{self, views};
use super::valid::{self, Reader};
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::change::{self, place};
use crate::columnar::ddl::extension;
use crate::error::{Error, Result, SqlState};
use crate::pg::guard::on_error;
use crate::pg::relation::{Relation, name_string, qualified_name, relation_name};
use crate::pg::{acl, context, ffi, node, query, table};

thread_local! {
    /// The continuous aggregates whose user view is being dropped, by each of the statements that run now: a trigger may run further ones.
    static DROPPED: RefCell<Vec<Vec<ContinuousAgg>>> = const { RefCell::new(Vec::new()) };
    /// Parts are being changed together.
    static WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which may change parts by statements that users may not use for parts.
pub fn as_whole<T>(f: impl FnOnce() -> T) -> T {
    context::with_set(&WHOLE, true, f)
}

/// The continuous aggregate that a relation is a part of: its storage or one of its views.
pub fn of_part(relid: pg_sys::Oid) -> Option<ContinuousAgg> {
    if WHOLE.get() {
        return None;
    }
    // SAFETY: a syscache look-up.
    match unsafe { ffi::get_rel_relkind(relid) } as u8 {
        b'v' => continuous_agg::of_any_view(relid),
        b'p' => continuous_agg::of_storage(relid),
        _ => None,
    }
}

/// The same, also of a part of storage.
pub fn of_any_part(relid: pg_sys::Oid) -> Option<ContinuousAgg> {
    of_part(relid).or_else(|| {
        let storage = place::hypertable_of(relid).filter(|hypertable| hypertable.is_storage)?;
        of_part(storage.relid)
    })
}

/// Refuses what makes a part behave otherwise than it was made to: a rule or a trigger. Plans of whoever reads the hypertable rely on it.
pub fn refuse_behavior(relid: pg_sys::Oid, what: &str) -> Result<()> {
    let Some(agg) = of_any_part(relid) else { return Ok(()) };
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot create a {what} on \"{}\"", relation_name(relid))).detail(format!(
        "It is a part of continuous aggregate \"{}\", which shows what its query gives and takes no rows.",
        relation_name(agg.user_view)
    )))
}

/// Refuses what would bring rows into storage, or keep a refresh's rows out, beside what its query gives.
pub fn refuse_part_of_storage(relid: pg_sys::Oid, what: &str) -> Result<()> {
    let Some(agg) = of_any_part(relid).filter(|_| !acl::owns_extension(extension::NAME)) else { return Ok(()) };
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot {what} \"{}\"", relation_name(relid)))
        .detail(format!("It holds what continuous aggregate \"{}\" has computed, and nothing else.", relation_name(agg.user_view))))
}

/// The storage of the continuous aggregate whose view a relation is; else the relation itself. For functions that take either.
pub fn storage_of(relid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a syscache look-up.
    let is_view = unsafe { ffi::get_rel_relkind(relid) } as u8 == b'v';
    if is_view { continuous_agg::of_view(relid).map_or(relid, |agg| agg.storage) } else { relid }
}

/// Refuses to do something to a part of a continuous aggregate that is to be done to the whole.
pub fn refuse_part(agg: &ContinuousAgg, relid: pg_sys::Oid, what: &str) -> Error {
    let name = relation_name(agg.user_view);
    Error::new(SqlState::DEPENDENT_OBJECTS, format!("cannot {what} \"{}\": continuous aggregate \"{name}\" needs it", relation_name(relid)))
        .hint(format!("Use ALTER or DROP MATERIALIZED VIEW {}.", qualified_name(agg.user_view).unwrap_or(name)))
}

/// Ties the views together: see this module's first lines. The partial view is made to be needed by the user's view even if that reads
/// storage: so a script that drops objects one by one drops the user's view first.
pub fn tie(partial_view: pg_sys::Oid, direct_view: pg_sys::Oid, user_view: pg_sys::Oid) {
    let address = |relid| node::object_address(pg_sys::RelationRelationId, relid);
    // SAFETY: all of them exist.
    unsafe {
        ffi::recordDependencyOn(&address(partial_view), &address(direct_view), pg_sys::DependencyType::DEPENDENCY_INTERNAL);
        ffi::recordDependencyOn(&address(user_view), &address(partial_view), pg_sys::DependencyType::DEPENDENCY_NORMAL);
    }
    table::command_counter_increment();
}

/// Drops relations together; they are locked before, in this order.
fn drop_relations(relations: impl IntoIterator<Item = pg_sys::Oid>, behavior: pg_sys::DropBehavior::Type) {
    // SAFETY: the list lives until it is freed; what others have dropped meanwhile is passed over.
    unsafe {
        let objects = ffi::new_object_addresses();
        for relid in relations {
            ffi::LockRelationOid(relid, pg_sys::AccessExclusiveLock as i32);
            if ffi::get_rel_relkind(relid) != 0 {
                ffi::add_exact_object_address(&node::object_address(pg_sys::RelationRelationId, relid), objects);
            }
        }
        ffi::performMultipleDeletions(objects, behavior, 0);
        ffi::free_object_addresses(objects);
    }
    table::command_counter_increment();
}

/// Drops continuous aggregates. With RESTRICT it is an ERROR if something else depends on them.
pub fn drop(aggs: &[ContinuousAgg], behavior: pg_sys::DropBehavior::Type) {
    // The views that are read through first.
    drop_relations(aggs.iter().flat_map(|agg| [agg.user_view, agg.partial_view, agg.storage, agg.direct_view]), behavior);
}

/// A view is being dropped, by whatever command. The rest of its continuous aggregate follows when the command has ended.
pub fn note_drop(view: pg_sys::Oid) {
    if let Some(agg) = continuous_agg::of_view(view) {
        note(vec![agg]);
    }
}

/// A table is being dropped: if it is the catalog, with the extension, the views of all continuous aggregates go as well, and nothing
/// will tell then what belonged to them.
pub fn note_drop_of_catalog(relid: pg_sys::Oid) {
    if continuous_agg::is_catalog(relid) {
        note(continuous_agg::all());
    }
}

fn note(aggs: Vec<ContinuousAgg>) {
    DROPPED.with_borrow_mut(|dropped| dropped.last_mut().map(|statement| statement.extend(aggs)));
}

/// Runs a statement, and drops what is left of the continuous aggregates whose views it dropped. One that fails has dropped nothing.
pub fn follow_drops(statement: impl FnOnce() -> Result<()>) -> Result<()> {
    DROPPED.with_borrow_mut(|dropped| dropped.push(Vec::new()));
    let result = on_error(statement, || std::mem::drop(DROPPED.with_borrow_mut(Vec::pop)));
    let dropped = DROPPED.with_borrow_mut(Vec::pop).unwrap_or_default();
    result?;
    // SAFETY: reads a variable. After a ROLLBACK there is nothing to drop, and no catalog to look into.
    if !dropped.is_empty() && unsafe { ffi::IsTransactionState() } {
        dropped.iter().for_each(finish_drop);
    }
    Ok(())
}

fn finish_drop(agg: &ContinuousAgg) {
    // SAFETY: a syscache look-up.
    let is_there = |relid: &pg_sys::Oid| unsafe { ffi::get_rel_relkind(*relid) } != 0;
    // Of what the statement dropped it may have rolled back some.
    if is_there(&agg.user_view) {
        return;
    }
    let left: Vec<pg_sys::Oid> = [agg.partial_view, agg.storage, agg.direct_view].into_iter().filter(is_there).collect();
    if !left.is_empty() {
        drop_relations(left, pg_sys::DropBehavior::DROP_CASCADE);
    }
}

/// Sets whether the user's view shows what is in storage and no more.
pub fn set_materialized_only(agg: &ContinuousAgg, materialized_only: bool) -> Result<()> {
    if agg.materialized_only == materialized_only {
        return Ok(());
    }
    let view = Relation::open(agg.user_view, pg_sys::AccessExclusiveLock);
    let names: Vec<String> = view.attributes().iter().map(|attribute| name_string(&attribute.attname)).collect();
    std::mem::drop(view);
    if materialized_only {
        // What others have computed from what it showed live is to be computed anew from what it still shows.
        // SAFETY: a statement has a snapshot; nothing is remembered.
        let shown = unsafe { valid::usable(std::ptr::null_mut(), agg.storage, Reader::View) }?;
        shown.buckets.complement().as_slice().iter().for_each(|range| change::note(agg.storage, *range));
    }
    let from = if materialized_only { agg.storage } else { agg.partial_view };
    let from = qualified_name(from).ok_or_else(|| Error::internal("a part of a continuous aggregate is gone"))?;
    // SAFETY: a query that was just analysed, of the view's columns.
    unsafe { query::define_view(agg.user_view, views::user(&from, &names)?, true) };
    continuous_agg::set_materialized_only(agg, materialized_only);
    Ok(())
}

/// Refuses to replace the query of one of the views: who reads the hypertable relies on it. But a restore, by who owns the extension,
/// puts a stand-in in its place, and the query in the place of that.
pub fn check_replace(relid: pg_sys::Oid, is_stand_in: bool) -> Result<()> {
    match of_part(relid) {
        Some(_) if acl::owns_extension(extension::NAME) && is_stand_in => Ok(()),
        Some(agg) if acl::owns_extension(extension::NAME) && definition::load(&agg).is_err() => Ok(()),
        Some(agg) => Err(refuse_part(&agg, relid, "replace the query of view")),
        None => Ok(()),
    }
}

/// Refuses names that hidden columns have.
pub fn check_column_name(name: &str) -> Result<()> {
    if !name.starts_with(definition::HIDDEN_PREFIX) {
        return Ok(());
    }
    Err(Error::new(SqlState::RESERVED_NAME, format!("column name \"{name}\" is reserved"))
        .detail("Names that begin with \"_ts_meta_\" are those of hidden columns."))
}
