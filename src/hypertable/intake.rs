//! The intake of a hypertable: a DEFAULT partition that never holds a row.
//!
//! Logical replication routes rows by itself, without a planner or an executor that could be hooked, and fails for a range
//! without a chunk. The intake is where its routing ends then: a trigger takes the row, makes the chunk and stores the row there
//! (`ingest::intake`). A hypertable gets one when it becomes the target of a subscription. It is no chunk: the catalog does not know it.

use pgrx::pg_sys;

use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result, SqlState};
use crate::pg::new_partition::{self, NewPartition};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::{context, ffi, function, intake_am, partition, spi, table, trigger};

/// The trigger's function.
fn trigger_function() -> Option<pg_sys::Oid> {
    function::find(&("_timescaledb_functions".to_owned(), "intake".to_owned()), &[])
}

/// True if the relation is a hypertable's intake, or was one: it has the trigger.
pub fn is_intake(relid: pg_sys::Oid) -> bool {
    trigger_function().is_some_and(|function| trigger::calls(&Relation::open(relid, pg_sys::AccessShareLock), function))
}

/// The intake of a hypertable, made if it is missing. An error if there is another DEFAULT partition.
pub fn ensure(relid: pg_sys::Oid) -> Result<pg_sys::Oid> {
    super::slice::lock(relid);
    let root = Relation::open(relid, pg_sys::NoLock);
    root.rebuild();
    let hypertable = cache::find(root.oid())
        .ok_or_else(|| Error::new(SqlState::HYPERTABLE_NOT_EXIST, format!("table \"{}\" is not a hypertable", root.name())))?;
    match partition::default_of(&root) {
        Some(default) if is_intake(default) => Ok(default),
        Some(default) => Err(Error::new(
            SqlState::OPERATION_NOT_SUPPORTED,
            format!("hypertable \"{}\" has a default partition, \"{}\"", root.name(), relation_name(default)),
        )
        .hint("Detach it first.")),
        None => context::with_temporary(|| context::as_user(root.class().relowner, || create(&root, &hypertable))),
    }
}

fn create(root: &Relation, hypertable: &Hypertable) -> Result<pg_sys::Oid> {
    let function = trigger_function().ok_or_else(|| Error::internal("the function intake() is gone"))?;
    let schema = super::slice::schema(hypertable)?;
    let name = format!("{}_intake", hypertable.associated_prefix);
    let tablespace = root.class().reltablespace;
    let access_method = Some(intake_am::oid().ok_or_else(|| Error::internal("the access method of intakes is gone"))?);
    // A layout of its own makes routing ask for a slot of the intake (see `pg::intake_am`).
    let new = NewPartition { schema, name: &name, tablespace, options: &[], access_method, reversed: true, hash_column: None };
    let oid = new_partition::create(root, &new);
    let intake = Relation::open(oid, pg_sys::AccessExclusiveLock);
    new_partition::attach(root, &intake, partition::default_bound());
    super::replica_identity::set(root, &intake);
    trigger::create_before(&intake, trigger::INTAKE, pg_sys::TRIGGER_TYPE_INSERT, function);
    Ok(oid)
}

/// Makes the intakes that hypertables lack which are targets of subscriptions. One with a DEFAULT partition of the user's own
/// keeps it.
///
/// A publication FOR ALL TABLES has the tables of the extension's catalog, too: those are not for another server, whose chunks
/// are its own, and are taken out of the subscription.
pub fn ensure_for_subscriptions() -> Result<()> {
    for (subscription, relid) in subscribed()? {
        // SAFETY: look-ups; the mapping exists.
        unsafe {
            if table::schema() == Some(ffi::get_rel_namespace(relid)) {
                ffi::RemoveSubscriptionRel(subscription, relid);
            } else if cache::find(relid).is_some() {
                ensure_unless_default(relid)?;
            }
            watch(relid)?;
        }
    }
    Ok(())
}

/// The triggers that record what logical replication changes.
const RECORD: &str = "timescale_compat_record";
const RECORD_TRUNCATE: &str = "timescale_compat_record_truncate";

/// Has what logical replication does to a hypertable with continuous aggregates recorded, or to the hypertable that a table is a part of:
/// its workers change rows without a planner or an executor that could be hooked, but triggers fire.
fn watch(relid: pg_sys::Oid) -> Result<()> {
    let Some(hypertable) = cache::find(partition::root_of(relid)).filter(|hypertable| hypertable.grain.is_some()) else { return Ok(()) };
    let function = function::find(&("_timescaledb_functions".to_owned(), "record_change".to_owned()), &[])
        .ok_or_else(|| Error::internal("the function record_change() is gone"))?;
    let root = Relation::open(hypertable.relid, pg_sys::ShareRowExclusiveLock);
    if !trigger::calls(&root, function) {
        context::as_user(root.class().relowner, || {
            let events = pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE | pg_sys::TRIGGER_TYPE_DELETE;
            trigger::create_for_replication(&root, RECORD, events, function);
            trigger::create_for_replication(&root, RECORD_TRUNCATE, pg_sys::TRIGGER_TYPE_TRUNCATE, function);
        });
    }
    Ok(())
}

/// Has what logical replication does to a hypertable recorded if it, or a chunk of it, is the target of a subscription. To be called when
/// it has got its first continuous aggregate; subscriptions that come later see to it themselves.
pub fn watch_if_subscribed(hypertable: pg_sys::Oid) -> Result<()> {
    let is_target = subscribed()?.into_iter().any(|(_, target)| partition::root_of(target) == hypertable);
    if is_target { watch(hypertable) } else { Ok(()) }
}

/// Makes the intake of a new hypertable if the table is the target of a subscription already.
pub fn ensure_if_subscribed(relid: pg_sys::Oid) -> Result<()> {
    let is_target = subscribed()?.into_iter().any(|(_, target)| target == relid);
    if is_target { ensure_unless_default(relid) } else { Ok(()) }
}

fn ensure_unless_default(relid: pg_sys::Oid) -> Result<()> {
    let default = partition::default_of(&Relation::open(relid, pg_sys::AccessShareLock));
    if default.is_none() { ensure(relid).map(drop) } else { Ok(()) }
}

/// The subscriptions of this database with their targets.
fn subscribed() -> Result<Vec<(pg_sys::Oid, pg_sys::Oid)>> {
    // Most databases have none.
    if !exists_any() {
        return Ok(Vec::new());
    }
    let oid = |text: Option<String>| text?.parse::<u32>().ok().map(pg_sys::Oid::from);
    let rows = spi::query("SELECT srsubid, srrelid FROM pg_catalog.pg_subscription_rel")?;
    Ok(rows.into_iter().filter_map(|mut row| Some((oid(row.swap_remove(0))?, oid(row.pop()?)?))).collect())
}

/// `SubscriptionRelRelationId`
const SUBSCRIPTION_REL: pg_sys::Oid = pg_sys::Oid::from_u32(6102);

fn exists_any() -> bool {
    let catalog = Relation::open(SUBSCRIPTION_REL, pg_sys::AccessShareLock);
    // SAFETY: a scan without keys that ends here; the tuple is not read.
    unsafe {
        let scan = ffi::systable_beginscan(catalog.as_ptr(), pg_sys::InvalidOid, false, std::ptr::null_mut(), 0, std::ptr::null_mut());
        let found = !ffi::systable_getnext(scan).is_null();
        ffi::systable_endscan(scan);
        found
    }
}
