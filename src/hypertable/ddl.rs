//! DDL on a hypertable that PostgreSQL does not pass on to partitions by itself, or that would break the catalog.

use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::create::register_partitions;
use crate::catalog::hypertable::{self as hypertable_catalog, Hypertable};
use crate::catalog::naming::{self, Known};
use crate::catalog::{chunk as chunk_catalog, columnar_chunk, dimension};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::Relation;
use crate::pg::{acl, alter, ffi, list, partition, table};

/// The tables below a hypertable, divided slices included, parents first, locked.
pub fn descendants(relid: pg_sys::Oid, lock: u32) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalog scan; the list holds OIDs, the table itself first.
    let all = unsafe { list::oids(ffi::find_all_inheritors(relid, lock as i32, std::ptr::null_mut())) };
    all.into_iter().filter(|oid| *oid != relid).collect()
}

fn is_leaf(relid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_rel_relkind(relid) as u8 != b'p' }
}

/// Brings the chunk catalog in line after partitions were attached, detached or created by plain DDL.
pub fn sync_partitions(hypertable: &Hypertable) {
    for chunk in chunk_catalog::of_hypertable(hypertable.id) {
        if partition::root_of(chunk.relid) != hypertable.relid {
            chunk_catalog::delete(chunk.relid);
        }
    }
    table::command_counter_increment();
    register_partitions(hypertable, hypertable.relid);
}

/// Repeats one ALTER TABLE command on each leaf, or on each table below the hypertable.
///
/// # Safety
/// `command` is a valid AlterTableCmd.
pub unsafe fn repeat_on_chunks(relid: pg_sys::Oid, command: *mut pg_sys::AlterTableCmd, leaves_only: bool) {
    for oid in descendants(relid, pg_sys::AccessExclusiveLock) {
        if !leaves_only || is_leaf(oid) {
            // SAFETY: ALTER TABLE may scribble on the command, so it gets a copy.
            unsafe {
                let copy: *mut pg_sys::AlterTableCmd = ffi::copyObjectImpl(command.cast()).cast();
                alter::run(oid, &[copy]);
            }
        }
    }
}

/// Gives the tables below a hypertable its owner.
pub fn follow_owner(relid: pg_sys::Oid) {
    let owner = Relation::open(relid, pg_sys::NoLock).class().relowner;
    for oid in descendants(relid, pg_sys::AccessExclusiveLock) {
        // SAFETY: `recursing` skips the checks that were made for the hypertable.
        unsafe { ffi::ATExecChangeOwner(oid, owner, true, pg_sys::AccessExclusiveLock as i32) };
        table::command_counter_increment();
    }
}

/// Repeats one ALTER TABLE command that is about owners or storage on the batches of a chunk, or of all chunks below a table.
///
/// # Safety
/// `command` is a valid AlterTableCmd.
pub unsafe fn repeat_on_batches(relid: pg_sys::Oid, command: *mut pg_sys::AlterTableCmd) {
    for oid in std::iter::once(relid).chain(descendants(relid, pg_sys::NoLock)) {
        if let Some(part) = columnar_chunk::find(oid) {
            // SAFETY: ALTER TABLE may scribble on the command, so it gets a copy.
            unsafe {
                let copy: *mut pg_sys::AlterTableCmd = ffi::copyObjectImpl(command.cast()).cast();
                if (*command).subtype == pg_sys::AlterTableType::AT_ChangeOwner {
                    let owner = Relation::open(oid, pg_sys::NoLock).class().relowner;
                    ffi::ATExecChangeOwner(part.batches, owner, true, pg_sys::AccessExclusiveLock as i32);
                } else {
                    alter::run(part.batches, &[copy]);
                }
            }
            table::command_counter_increment();
        }
    }
}

/// Row security guards the hypertable only: while it is on, chunks are for the owner alone. When it goes off they get the
/// hypertable's privileges back.
pub fn follow_row_security(relid: pg_sys::Oid) {
    let root = Relation::open(relid, pg_sys::NoLock);
    for oid in descendants(relid, pg_sys::AccessExclusiveLock) {
        acl::follow(&root, &Relation::open(oid, pg_sys::NoLock));
    }
}

/// Refuses to drop or retype a dimension's column: PostgreSQL does so for the range key, and for hash keys of existing slices only.
pub fn check_column_change(hypertable: &Hypertable, column: &str, what: &str) -> Result<()> {
    if !hypertable.dimensions.iter().any(|dimension| dimension.column == column) {
        return Ok(());
    }
    Err(Error::new(
        SqlState::OPERATION_NOT_SUPPORTED,
        format!("cannot {what} column \"{column}\" of {}", Known::of(hypertable.relid).described()),
    )
    .detail("The column is a dimension: the hypertable is partitioned by it."))
}

/// Refuses DROP NOT NULL on the time column.
pub fn check_drop_not_null(hypertable: &Hypertable, column: &str) -> Result<()> {
    if hypertable.time().column != column {
        return Ok(());
    }
    Err(Error::new(SqlState::OPERATION_NOT_SUPPORTED, "cannot drop not-null constraint from a time-partitioned column")
        .detail(format!("A row without \"{column}\" has no chunk.")))
}

/// Refuses a unique index or constraint that lacks a dimension's column. `columns` are its plain key columns.
pub fn check_unique(hypertable: &Hypertable, index: Option<&str>, columns: &[String]) -> Result<()> {
    match hypertable.dimensions.iter().find(|dimension| !columns.contains(&dimension.column)) {
        Some(missing) => Err(super::checks::unique_error(index.unwrap_or("(unnamed)"), &missing.column)),
        None => Ok(()),
    }
}

/// Follows `ALTER TABLE ... RENAME COLUMN`.
pub fn rename_column(hypertable: &Hypertable, from: &str, to: &str) {
    dimension::rename_column(hypertable.id, hypertable.relid, from, to);
}

/// `ALTER TABLE hypertable SET (fillfactor = ...)` and RESET: for all chunks, and for those to come.
///
/// # Safety
/// `options` is a list of DefElem nodes.
pub unsafe fn set_storage_options(hypertable: &Hypertable, options: *mut pg_sys::List, reset: bool) -> Result<()> {
    naming::require_owner(hypertable.relid)?;
    super::slice::lock(hypertable.relid);
    let (toast, main): (Vec<String>, Vec<String>) =
        hypertable.chunk_options.iter().cloned().partition(|option| option.starts_with("toast."));
    let toast: Vec<String> = toast.iter().map(|option| option.trim_start_matches("toast.").to_owned()).collect();
    // SAFETY: the caller's promise; unknown names are refused by heap_reloptions.
    let all = unsafe {
        let mut all = transform(main, options, std::ptr::null(), reset, b'r');
        all.extend(transform(toast, options, c"toast".as_ptr(), reset, b't').into_iter().map(|option| format!("toast.{option}")));
        all
    };
    hypertable_catalog::set_chunk_options(hypertable.relid, &all);
    let command: *mut pg_sys::AlterTableCmd = crate::pg::node::make_node(pg_sys::NodeTag::T_AlterTableCmd);
    // SAFETY: a fresh node.
    unsafe {
        (*command).subtype = if reset { pg_sys::AlterTableType::AT_ResetRelOptions } else { pg_sys::AlterTableType::AT_SetRelOptions };
        (*command).def = options.cast();
        repeat_on_chunks(hypertable.relid, command, true);
    }
    Ok(())
}

/// # Safety
/// As [`set_storage_options`].
unsafe fn transform(
    old: Vec<String>,
    options: *mut pg_sys::List,
    namespace: *const std::ffi::c_char,
    reset: bool,
    kind: u8,
) -> Vec<String> {
    let old = if old.is_empty() { None } else { old.into_datum() };
    let mut namespaces = [c"toast".as_ptr().cast_mut(), std::ptr::null_mut()];
    // SAFETY: the array of namespaces ends with NULL; the result is a text[] or 0.
    unsafe {
        let new = ffi::transformRelOptions(old.unwrap_or(pg_sys::Datum::null()), options, namespace, namespaces.as_mut_ptr(), false, reset);
        ffi::heap_reloptions(kind as std::ffi::c_char, new, true);
        if new.is_null() { Vec::new() } else { Vec::<String>::from_datum(new, false).unwrap_or_default() }
    }
}
