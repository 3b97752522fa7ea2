//! Continuous aggregates as objects: what belongs to one, and what becomes of it when one of them is changed or dropped.
//!
//! PostgreSQL's dependencies hold them together: storage and the partial view are internal to the direct view, which depends on what the
//! query reads; the user's view depends on storage or on the partial view. So whatever takes the query's tables away takes all of it,
//! and a dump, which follows dependencies, has no cycle. Only the way from the user's view to the others is this module's.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;

use super::definition::{self, views};
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, name_string, qualified_name, relation_name};
use crate::pg::{ffi, node, query, table};

thread_local! {
    /// Ids of continuous aggregates whose user view is being dropped.
    static DROPPED: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
    /// Parts are being changed together.
    static WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which may change parts by statements that users may not use for parts.
pub fn as_whole<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            WHOLE.set(self.0);
        }
    }
    let _restore = Restore(WHOLE.replace(true));
    f()
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

/// Ties the parts together: see this module's first lines. `parts` are storage and the partial view, of which the last one is made to be
/// needed by the user's view even if that reads storage: so a script that drops objects one by one drops the user's view first.
pub fn tie(parts: [pg_sys::Oid; 2], direct_view: pg_sys::Oid, user_view: pg_sys::Oid) {
    let address = |relid| node::object_address(pg_sys::RelationRelationId, relid);
    let direct = address(direct_view);
    for part in parts {
        // SAFETY: all of them exist.
        unsafe { ffi::recordDependencyOn(&address(part), &direct, pg_sys::DependencyType::DEPENDENCY_INTERNAL) };
    }
    // SAFETY: as above.
    unsafe { ffi::recordDependencyOn(&address(user_view), &address(parts[1]), pg_sys::DependencyType::DEPENDENCY_NORMAL) };
    table::command_counter_increment();
}

/// Drops continuous aggregates. With RESTRICT it is an ERROR if something else depends on them.
pub fn drop(aggs: &[ContinuousAgg], behavior: pg_sys::DropBehavior::Type) {
    // SAFETY: the list lives until it is freed; the relations are locked before, the views that are read through first.
    unsafe {
        let objects = ffi::new_object_addresses();
        for agg in aggs {
            for relid in [agg.user_view, agg.partial_view, agg.storage, agg.direct_view] {
                ffi::LockRelationOid(relid, pg_sys::AccessExclusiveLock as i32);
                ffi::add_exact_object_address(&node::object_address(pg_sys::RelationRelationId, relid), objects);
            }
        }
        ffi::performMultipleDeletions(objects, behavior, 0);
        ffi::free_object_addresses(objects);
    }
    table::command_counter_increment();
}

/// A view is being dropped, by whatever command. The rest of its continuous aggregate follows when the command has ended.
pub fn note_drop(view: pg_sys::Oid) {
    if let Some(agg) = continuous_agg::of_view(view) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(agg.id));
    }
}

/// Drops what is left of continuous aggregates whose views were dropped.
pub fn finish_drops() {
    for id in DROPPED.take() {
        // The command may have dropped the rest itself, or have been rolled back.
        let Some(agg) = continuous_agg::find(id) else { continue };
        // SAFETY: look-ups and a deletion of what exists.
        unsafe {
            if ffi::get_rel_relkind(agg.user_view) == 0 && ffi::get_rel_relkind(agg.direct_view) != 0 {
                let direct = node::object_address(pg_sys::RelationRelationId, agg.direct_view);
                ffi::LockRelationOid(agg.direct_view, pg_sys::AccessExclusiveLock as i32);
                ffi::performDeletion(&direct, pg_sys::DropBehavior::DROP_CASCADE, 0);
                ffi::CommandCounterIncrement();
            }
        }
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
    let from = if materialized_only { agg.storage } else { agg.partial_view };
    let from = qualified_name(from).ok_or_else(|| Error::internal("a part of a continuous aggregate is gone"))?;
    // SAFETY: a query that was just analysed, of the view's columns.
    unsafe { query::define_view(agg.user_view, views::user(&from, &names)?, true) };
    continuous_agg::set_materialized_only(agg, materialized_only);
    Ok(())
}

/// Refuses to replace the query of one of the views, unless it is the stand-in that a restore put in its place.
pub fn check_replace(relid: pg_sys::Oid) -> Result<()> {
    match of_part(relid) {
        Some(agg) if definition::load(&agg).is_ok() => Err(refuse_part(&agg, relid, "replace the query of view")),
        _ => Ok(()),
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
