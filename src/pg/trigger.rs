//! Triggers: making them, finding them, and being one.

use pgrx::pg_sys;

use super::fcinfo::Args;
use super::relation::Relation;
use super::{ffi, node};

/// `TRIGGER_EVENT_*` of a BEFORE INSERT trigger FOR EACH ROW.
const BEFORE_INSERT_ROW: u32 = pg_sys::TRIGGER_EVENT_BEFORE | pg_sys::TRIGGER_EVENT_ROW | pg_sys::TRIGGER_EVENT_INSERT;

/// The name of the trigger of intakes. Triggers fire in the order of their names, and those that a hypertable's row triggers left
/// on the intake must not see the row: they will when it enters its chunk.
pub const INTAKE: &str = "!intake";

/// True if rows that are inserted into the relation meet the trigger of intakes, whatever `session_replication_role` is.
///
/// # Safety
/// An open relation.
pub unsafe fn has_intake(relation: pg_sys::Relation) -> bool {
    // SAFETY: trigdesc is NULL for a table without triggers, else it has numtriggers elements with names.
    unsafe {
        let Some(triggers) = (*relation).trigdesc.as_ref() else { return false };
        (0..triggers.numtriggers as usize).map(|index| &*triggers.triggers.add(index)).any(|trigger| {
            trigger.tgenabled as u8 == pg_sys::TRIGGER_FIRES_ALWAYS
                && std::ffi::CStr::from_ptr(trigger.tgname).to_bytes() == INTAKE.as_bytes()
        })
    }
}

/// Creates a BEFORE trigger FOR EACH ROW that fires whatever `session_replication_role` is; `events` are `TRIGGER_TYPE_*`.
pub fn create_before(relation: &Relation, name: &str, events: u32, function: pg_sys::Oid) {
    create(relation, name, pg_sys::TRIGGER_TYPE_BEFORE | pg_sys::TRIGGER_TYPE_ROW, events, function, pg_sys::TRIGGER_FIRES_ALWAYS);
}

/// Creates an AFTER trigger that fires for logical replication only; FOR EACH ROW unless it is about TRUNCATE.
pub fn create_for_replication(relation: &Relation, name: &str, events: u32, function: pg_sys::Oid) {
    let kind = if events == pg_sys::TRIGGER_TYPE_TRUNCATE { 0 } else { pg_sys::TRIGGER_TYPE_ROW };
    create(relation, name, kind, events, function, pg_sys::TRIGGER_FIRES_ON_REPLICA);
}

/// `kind`: `TRIGGER_TYPE_BEFORE` or nothing, `TRIGGER_TYPE_ROW` or nothing.
fn create(relation: &Relation, name: &str, kind: u32, events: u32, function: pg_sys::Oid, fires: u8) {
    let statement: *mut pg_sys::CreateTrigStmt = node::make_node(pg_sys::NodeTag::T_CreateTrigStmt);
    // SAFETY: a fresh node; a function's OID spares its name.
    unsafe {
        (*statement).trigname = node::palloc_str(name);
        (*statement).row = kind & pg_sys::TRIGGER_TYPE_ROW != 0;
        (*statement).timing = (kind & pg_sys::TRIGGER_TYPE_BEFORE) as i16;
        (*statement).events = events as i16;
        ffi::CreateTriggerFiringOn(
            statement,
            std::ptr::null(),
            relation.oid(),
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            function,
            pg_sys::InvalidOid,
            std::ptr::null_mut(),
            false,
            false,
            fires as std::ffi::c_char,
        );
        ffi::CommandCounterIncrement();
    }
}

/// True if the relation has a trigger that calls the function.
pub fn calls(relation: &Relation, function: pg_sys::Oid) -> bool {
    // SAFETY: trigdesc is NULL for a table without triggers, else it has numtriggers elements.
    unsafe {
        let Some(triggers) = (*relation.as_ptr()).trigdesc.as_ref() else { return false };
        (0..triggers.numtriggers as usize).any(|index| (*triggers.triggers.add(index)).tgfoid == function)
    }
}

/// What a trigger is called with; None if the function is called by anything else.
fn data_of<'a>(args: Args) -> Option<&'a pg_sys::TriggerData> {
    // SAFETY: the tag says that the context is a TriggerData, which outlives the call.
    unsafe {
        let context = (*args.fcinfo()).context;
        (node::tag(context) == pg_sys::NodeTag::T_TriggerData).then(|| &*context.cast::<pg_sys::TriggerData>())
    }
}

/// A row that is about to be inserted or updated, as a BEFORE trigger sees it.
#[derive(Clone, Copy)]
pub struct Change {
    /// The table, open.
    pub relation: pg_sys::Relation,
    /// The row.
    pub new: *mut pg_sys::TupleTableSlot,
    /// What it was, if it is updated.
    pub old: Option<*mut pg_sys::TupleTableSlot>,
    /// What a trigger returns that leaves the row as it is.
    pub result: pg_sys::Datum,
}

impl Change {
    /// The row for which a BEFORE INSERT OR UPDATE trigger FOR EACH ROW is called; None if the call is any other.
    pub fn of(args: Args) -> Option<Self> {
        let data = data_of(args)?;
        if data.tg_event & (pg_sys::TRIGGER_EVENT_TIMINGMASK | pg_sys::TRIGGER_EVENT_ROW)
            != pg_sys::TRIGGER_EVENT_BEFORE | pg_sys::TRIGGER_EVENT_ROW
        {
            return None;
        }
        let relation = data.tg_relation;
        match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => {
                Some(Self { relation, new: data.tg_trigslot, old: None, result: pg_sys::Datum::from(data.tg_trigtuple) })
            }
            pg_sys::TRIGGER_EVENT_UPDATE => {
                let (new, old) = (data.tg_newslot, Some(data.tg_trigslot));
                Some(Self { relation, new, old, result: pg_sys::Datum::from(data.tg_newtuple) })
            }
            _ => None,
        }
    }
}

/// What an AFTER trigger of [`create_for_replication`] sees.
pub struct Changed {
    /// The table.
    pub relid: pg_sys::Oid,
    /// The old and the new row, where there is one; neither after a TRUNCATE.
    pub rows: [Option<*mut pg_sys::TupleTableSlot>; 2],
}

impl Changed {
    /// What the trigger is called for; None if the call is any other.
    pub fn of(args: Args) -> Option<Self> {
        // SAFETY: the context of a trigger's call is a TriggerData, whose relation is open while the trigger runs.
        unsafe {
            let data = data_of(args)?;
            let rows = match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
                _ if data.tg_event & pg_sys::TRIGGER_EVENT_ROW == 0 => [None, None],
                pg_sys::TRIGGER_EVENT_UPDATE => [Some(data.tg_trigslot), Some(data.tg_newslot)],
                _ => [Some(data.tg_trigslot), None],
            };
            Some(Self { relid: (*data.tg_relation).rd_id, rows })
        }
    }
}

/// A row that is about to be inserted, as a BEFORE trigger sees it.
#[derive(Clone, Copy)]
pub struct NewRow {
    /// The table.
    pub relid: pg_sys::Oid,
    /// The same, open.
    pub relation: pg_sys::Relation,
    /// The row.
    pub slot: *mut pg_sys::TupleTableSlot,
}

impl NewRow {
    /// The row for which a BEFORE INSERT trigger FOR EACH ROW is called; None if the call is any other.
    pub fn of(args: Args) -> Option<Self> {
        // SAFETY: the context of a trigger's call is a TriggerData, whose relation is open while the trigger runs.
        unsafe {
            let data = data_of(args)?;
            let kind = pg_sys::TRIGGER_EVENT_TIMINGMASK | pg_sys::TRIGGER_EVENT_ROW | pg_sys::TRIGGER_EVENT_OPMASK;
            let relation = data.tg_relation;
            (data.tg_event & kind == BEFORE_INSERT_ROW).then(|| Self { relid: (*relation).rd_id, relation, slot: data.tg_trigslot })
        }
    }
}

/// The slot with the row for which an AFTER INSERT trigger FOR EACH ROW is called; None if the call is any other.
pub fn inserted(args: Args) -> Option<*mut pg_sys::TupleTableSlot> {
    // SAFETY: the context of a trigger's call is a TriggerData.
    unsafe {
        let context = (*args.fcinfo()).context;
        if node::tag(context) != pg_sys::NodeTag::T_TriggerData {
            return None;
        }
        let data = &*context.cast::<pg_sys::TriggerData>();
        let is_row = data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0;
        let is_insert = data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_INSERT;
        (is_row && is_insert && !data.tg_trigslot.is_null()).then_some(data.tg_trigslot)
    }
}
