//! Statements that name parts of hypertables: what they bring, take away or load is recorded for continuous aggregates.

use pgrx::pg_sys::{self, AlterTableType as Kind};
use tsc_kernel::ranges::Range;

use crate::catalog::cache;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::change::{Recorder, kept, place};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::size::is_without_pages;
use crate::pg::{ffi, list};

/// # Safety
/// A RangeVar of the parser's.
unsafe fn resolve(relation: *mut pg_sys::RangeVar) -> Option<pg_sys::Oid> {
    let missing = pg_sys::RVROption::RVR_MISSING_OK;
    // SAFETY: the caller's promise; InvalidOid if there is none.
    let oid = unsafe { ffi::RangeVarGetRelidExtended(relation, pg_sys::NoLock as i32, missing, None, std::ptr::null_mut()) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Before an ALTER TABLE that may attach or detach partitions: what is materialized of those to be detached is kept. That is noted
/// beforehand, since DETACH CONCURRENTLY commits on its way. Returns the tables to be attached.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn before_alter(statement: *mut pg_sys::AlterTableStmt) -> Result<Vec<pg_sys::Oid>> {
    let mut attached = Vec::new();
    // SAFETY: the definition of these commands is a PartitionCmd.
    unsafe {
        for command in list::pointers::<pg_sys::AlterTableCmd>((*statement).cmds) {
            let kind = (*command).subtype;
            if !matches!(kind, Kind::AT_AttachPartition | Kind::AT_DetachPartition) {
                continue;
            }
            let partition = (*command).def.cast::<pg_sys::PartitionCmd>();
            let Some(relid) = resolve((*partition).name) else { continue };
            if kind == Kind::AT_AttachPartition {
                refuse_hypertable(relid)?;
                attached.push(relid);
            } else {
                kept::before_drop(relid);
                if (*partition).concurrent {
                    // Refreshes go on until the first of its transactions is committed: what they materialize meanwhile is not kept.
                    place::note_table(relid);
                }
            }
        }
    }
    Ok(attached)
}

fn refuse_hypertable(relid: pg_sys::Oid) -> Result<()> {
    if cache::find(relid).is_none() {
        return Ok(());
    }
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot attach hypertable \"{}\" as a partition", relation_name(relid)))
        .detail("Rows that come through another table would find no chunk, and continuous aggregates would not learn of them.")
        .hint("Insert into the hypertable itself, or read several of them through a view with UNION ALL."))
}

/// Rows came with tables that were attached.
pub fn after_alter(attached: &[pg_sys::Oid]) {
    attached.iter().for_each(|relid| place::note_table(*relid));
}

/// What the continuous aggregates of a table say of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// There are none, or they are not known yet.
    Unknown,
    /// They came with a dump, and nothing has been done with them since.
    Pending,
    /// They are in use.
    Over,
}

/// Whether the continuous aggregates over a table's hypertable, or the one that it is the storage of, came with a dump just now.
pub fn restore_of(relid: pg_sys::Oid) -> Restore {
    let hypertable = place::hypertable_of(relid);
    restore_by(&hypertable.map_or_else(Vec::new, |hypertable| kept::concerned(hypertable.relid, hypertable.grain.is_some())))
}

/// What they say.
pub fn restore_by(aggregates: &[ContinuousAgg]) -> Restore {
    match aggregates.iter().all(|agg| agg.is_restored) {
        true if aggregates.is_empty() => Restore::Unknown,
        true => Restore::Pending,
        false => Restore::Over,
    }
}

/// Whether a table is as it was when it was created. If a dump is being restored into it, indexes come later.
pub fn is_untouched(relid: pg_sys::Oid) -> bool {
    Relation::try_open(relid, pg_sys::AccessShareLock)
        .is_some_and(|table| table.class().relkind as u8 == b'r' && !table.class().relhasindex && is_without_pages(&table))
}

/// Before a COPY into a table that is no hypertable: if it is a part of one, nobody looks at its rows one by one.
///
/// # Safety
/// A COPY FROM of the parser's.
pub unsafe fn before_copy(statement: *mut pg_sys::CopyStmt) {
    // SAFETY: the caller's promise.
    unsafe {
        if !(*statement).relation.is_null()
            && let Some(relid) = resolve((*statement).relation)
            && let Some((hypertable, range)) = place::locate(relid)
        {
            // If a dump is being restored into it, its continuous aggregates know its rows. They may come at any moment, so they are
            // looked up once.
            let is_restored = restore_by(&kept::concerned(hypertable.relid, hypertable.grain.is_some())) == Restore::Pending;
            if !(is_restored && is_untouched(relid)) {
                Recorder::of(&hypertable).note_range(range.unwrap_or(Range::ALL));
            }
        }
    }
}
