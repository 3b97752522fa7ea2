//! Row triggers that may change the times of rows above the nodes that record them: what they may have done is seen when the rows
//! have ended, from where rows went.

use pgrx::pg_sys;

use crate::change::place;
use crate::columnar::dml::unique;
use crate::pg::list;

/// True if triggers may change rows on their way into the table.
///
/// # Safety
/// An initialised result relation.
pub unsafe fn may_change_rows(relation: *mut pg_sys::ResultRelInfo) -> bool {
    // SAFETY: NULL or the relation's triggers.
    unsafe { (*relation).ri_TrigDesc.as_ref() }.is_some_and(unique::trigger::may_change_rows)
}

/// # Safety
/// As [`may_change_rows`].
unsafe fn oid(relation: *mut pg_sys::ResultRelInfo) -> pg_sys::Oid {
    // SAFETY: its relation is open.
    unsafe { (*(*relation).ri_RelationDesc).rd_id }
}

/// Records whatever a ModifyTable may have done to chunks with such triggers. A trigger that changes a row's time may send the row to
/// any chunk on its way, but to no other once it has been routed.
///
/// # Safety
/// The node is running, and has stored all its rows.
pub unsafe fn note(modify: *mut pg_sys::ModifyTableState) {
    // SAFETY: the caller's promise.
    unsafe {
        // Rows that an UPDATE moved, and those that a MERGE inserted, may have gone to a chunk that the statement scans. An UPDATE
        // changes rows by the triggers of the chunks where they were, whatever those have that it moves them to.
        let scans = (*modify).operation != pg_sys::CmdType::CMD_INSERT && !(*modify).mt_partition_tuple_routing.is_null();
        let mut scanned = (0..(*modify).mt_nrels as usize).map(|index| (*modify).resultRelInfo.add(index));
        let changed_before = scans && scanned.any(|relation| may_change_rows(relation));
        for relation in list::pointers((*(*modify).ps.state).es_tuple_routing_result_relations) {
            if changed_before || may_change_rows(relation) {
                place::note_table(oid(relation));
            }
        }
        if changed_before {
            note_scanned(modify);
        }
    }
}

/// Records that any row of the chunks which a ModifyTable scans may change.
///
/// # Safety
/// As [`may_change_rows`].
pub unsafe fn note_scanned(modify: *mut pg_sys::ModifyTableState) {
    // SAFETY: the caller's promise.
    unsafe {
        for index in 0..(*modify).mt_nrels as usize {
            place::note_table(oid((*modify).resultRelInfo.add(index)));
        }
    }
}
