//! The trigger on chunks with a columnar part and unique keys.

use std::ffi::c_char;

use pgrx::pg_sys;

use crate::columnar::layout;
use crate::error::{Error, Result};
use crate::pg::fcinfo::Args;
use crate::pg::relation::{Relation, c_string};
use crate::pg::trigger::{self, Change};
use crate::pg::{ffi, function, node, table};

/// Its name. Triggers fire in the order of their names, and others may change the key.
const NAME: &str = "~unique";

/// The function that it calls.
fn function() -> Result<pg_sys::Oid> {
    function::find(&("_timescaledb_functions".to_owned(), "unique_guard".to_owned()), &[])
        .ok_or_else(|| Error::internal("the function unique_guard() is gone"))
}

/// Gives a chunk the trigger if it has unique keys and lacks it. To be called when a chunk has got its columnar part, or a new index.
pub fn ensure(chunk: &Relation) -> Result<()> {
    let function = function()?;
    if has_unique_key(chunk) && !trigger::calls(chunk, function) {
        trigger::create_before(chunk, NAME, pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE, function);
    }
    Ok(())
}

/// Takes the trigger away. To be called when a chunk has lost its columnar part.
pub fn remove(chunk: &Relation) {
    let name = c_string(NAME);
    // SAFETY: a look-up; nothing depends on the trigger.
    unsafe {
        let oid = ffi::get_trigger_oid(chunk.oid(), name.as_ptr().cast::<c_char>(), true);
        if oid != pg_sys::InvalidOid {
            let object = node::object_address(pg_sys::TriggerRelationId, oid);
            ffi::performDeletion(&object, pg_sys::DropBehavior::DROP_RESTRICT, pg_sys::PERFORM_DELETION_INTERNAL as i32);
            table::command_counter_increment();
        }
    }
}

/// True if no other trigger is called BEFORE INSERT FOR EACH ROW.
pub fn is_alone(triggers: &pg_sys::TriggerDesc) -> bool {
    is_alone_before(triggers, pg_sys::TRIGGER_TYPE_INSERT)
}

/// True if triggers may give rows that come or change other values: any called BEFORE INSERT OR UPDATE FOR EACH ROW but this one.
pub fn may_change_rows(triggers: &pg_sys::TriggerDesc) -> bool {
    !is_alone(triggers) || !is_alone_before(triggers, pg_sys::TRIGGER_TYPE_UPDATE)
}

fn is_alone_before(triggers: &pg_sys::TriggerDesc, event: u32) -> bool {
    let wanted = pg_sys::TRIGGER_TYPE_ROW | pg_sys::TRIGGER_TYPE_BEFORE | event;
    // SAFETY: as many elements, with names.
    unsafe {
        (0..triggers.numtriggers as usize).map(|index| &*triggers.triggers.add(index)).all(|trigger| {
            let is_called = trigger.tgtype as u32 & wanted == wanted;
            !is_called || std::ffi::CStr::from_ptr(trigger.tgname).to_bytes() == NAME.as_bytes()
        })
    }
}

fn has_unique_key(chunk: &Relation) -> bool {
    chunk.index_oids().into_iter().any(|oid| {
        let index = Relation::open(oid, pg_sys::AccessShareLock);
        // SAFETY: an open index has rd_index.
        unsafe { (*(*index.as_ptr()).rd_index).indisunique }
    })
}

/// The trigger itself: returns the row as it is.
pub fn fire(args: Args) -> Result<Option<pg_sys::Datum>> {
    let change = Change::of(args).ok_or_else(|| {
        Error::new(crate::error::SqlState("39P01"), "unique_guard() was not called as a BEFORE INSERT OR UPDATE trigger FOR EACH ROW")
    })?;
    // SAFETY: the running trigger's table and rows.
    unsafe {
        if layout::find((*change.relation).rd_id).is_some() {
            super::check(change.relation, change.new, change.old)?;
        }
    }
    Ok(Some(change.result))
}
