//! What a partition inherits beside its columns and foreign keys: indexes and row triggers.
//!
//! The same work as `DefineRelation` and the static `CloneRowTriggersToPartition` of tablecmds.c do for PARTITION OF.

use pgrx::pg_sys;

use super::catalog_scan::{attribute, scan};
use super::relation::Relation;
use super::syscache::form;
use super::{ffi, list, node};

/// `TRIGGER_TYPE_TIMING_MASK` of pg_trigger.h.
const TIMING_MASK: i16 = (pg_sys::TRIGGER_TYPE_BEFORE | pg_sys::TRIGGER_TYPE_INSTEAD) as i16;
/// `TRIGGER_TYPE_EVENT_MASK` of pg_trigger.h.
const EVENT_MASK: i16 =
    (pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_DELETE | pg_sys::TRIGGER_TYPE_UPDATE | pg_sys::TRIGGER_TYPE_TRUNCATE) as i16;

/// Creates the parent's indexes on the partition.
pub fn indexes(parent: &Relation, partition: &Relation) {
    for index_oid in parent.index_oids() {
        // SAFETY: the index belongs to the open parent; the statement is made for DefineIndex, as DefineRelation does.
        unsafe {
            let index = ffi::index_open(index_oid, pg_sys::AccessShareLock as i32);
            let map = ffi::build_attrmap_by_name((*partition.as_ptr()).rd_att, (*parent.as_ptr()).rd_att);
            let mut constraint = pg_sys::InvalidOid;
            let statement = ffi::generateClonedIndexStmt(std::ptr::null_mut(), index, map, &mut constraint);
            let tablespace = partition.class().reltablespace;
            if (*statement).tableSpace.is_null() && tablespace != pg_sys::InvalidOid {
                (*statement).tableSpace = ffi::get_tablespace_name(tablespace);
            }
            ffi::DefineIndex(partition.oid(), statement, pg_sys::InvalidOid, index_oid, constraint, false, false, false, false, false);
            ffi::index_close(index, pg_sys::AccessShareLock as i32);
        }
    }
}

/// Creates the parent's row triggers on the partition.
pub fn row_triggers(parent: &Relation, partition: &Relation) {
    // SAFETY: trigdesc is NULL for a table without triggers.
    if unsafe { (*parent.as_ptr()).trigdesc.is_null() } {
        return;
    }
    let catalog = Relation::open(pg_sys::TriggerRelationId, pg_sys::RowExclusiveLock);
    for tuple in scan(&catalog, pg_sys::TriggerRelidNameIndexId, pg_sys::Anum_pg_trigger_tgrelid, parent.oid()) {
        // SAFETY: a tuple of pg_trigger.
        let trigger = unsafe { &*form::<pg_sys::FormData_pg_trigger>(tuple) };
        // Internal triggers come with their constraints; statement triggers stay with the parent.
        if (trigger.tgtype as u32 & pg_sys::TRIGGER_TYPE_ROW) != 0 && !trigger.tgisinternal {
            // SAFETY: as above.
            unsafe { row_trigger(&catalog, tuple, trigger, parent, partition) };
        }
    }
}

/// # Safety
/// `tuple` is the row of `trigger` in pg_trigger (`catalog`).
unsafe fn row_trigger(
    catalog: &Relation,
    tuple: pg_sys::HeapTuple,
    trigger: &pg_sys::FormData_pg_trigger,
    parent: &Relation,
    partition: &Relation,
) {
    // SAFETY: the caller's promise; columns are read by their attribute numbers, and the statement is as CreateTrigger wants it.
    unsafe {
        let column = |number: u32| attribute(catalog, tuple, number);
        let condition = column(pg_sys::Anum_pg_trigger_tgqual).map_or(std::ptr::null_mut(), |text| {
            let old = pg_sys::PRS2_OLD_VARNO as i32;
            let new = pg_sys::PRS2_NEW_VARNO as i32;
            let expression = ffi::stringToNode(ffi::text_to_cstring(text.cast_mut_ptr())).cast();
            let expression = ffi::map_partition_varattnos(expression, old, partition.as_ptr(), parent.as_ptr());
            ffi::map_partition_varattnos(expression, new, partition.as_ptr(), parent.as_ptr()).cast::<pg_sys::Node>()
        });
        let columns = trigger.tgattr.values.as_slice(trigger.tgattr.dim1 as usize).iter().map(|number| {
            let name = super::relation::name_string(&parent.attributes()[*number as usize - 1].attname);
            node::make_string(&name)
        });
        let arguments = column(pg_sys::Anum_pg_trigger_tgargs).map_or_else(Vec::new, |bytes| trigger_arguments(bytes, trigger.tgnargs));
        let statement: *mut pg_sys::CreateTrigStmt = node::make_node(pg_sys::NodeTag::T_CreateTrigStmt);
        (*statement).isconstraint = trigger.tgconstraint != pg_sys::InvalidOid;
        (*statement).trigname = ffi::pstrdup(trigger.tgname.data.as_ptr());
        (*statement).args = list::from_pointers(arguments.iter().map(|argument| node::make_string(argument)));
        (*statement).row = true;
        (*statement).timing = trigger.tgtype & TIMING_MASK;
        (*statement).events = trigger.tgtype & EVENT_MASK;
        (*statement).columns = list::from_pointers(columns);
        (*statement).deferrable = trigger.tgdeferrable;
        (*statement).initdeferred = trigger.tginitdeferred;
        ffi::CreateTriggerFiringOn(
            statement,
            std::ptr::null(),
            partition.oid(),
            trigger.tgconstrrelid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            trigger.tgfoid,
            trigger.oid,
            condition,
            false,
            true,
            trigger.tgenabled,
        );
    }
}

/// The arguments of a trigger: NUL-terminated strings one after the other.
///
/// # Safety
/// `bytes` is the Datum of tgargs.
unsafe fn trigger_arguments(bytes: pg_sys::Datum, count: i16) -> Vec<String> {
    use pgrx::FromDatum;
    // SAFETY: a bytea.
    let bytes = unsafe { Vec::<u8>::from_datum(bytes, false) }.unwrap_or_default();
    bytes.split(|byte| *byte == 0).take(count as usize).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}
