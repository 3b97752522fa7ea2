//! Rows of storage are what refreshes have computed. Whoever reads the hypertable may be answered from them, so nobody changes them by a
//! statement of their own, the owner included. Who owns the extension may: a restore loads them.

use std::cell::Cell;

use pgrx::pg_sys;

use crate::catalog::{cache, columnar_chunk, continuous_agg};
use crate::change::place;
use crate::columnar::ddl::extension;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{qualified_name, relation_name};
use crate::pg::{acl, context, ffi, list};

thread_local! {
    /// The storage that the next statement to change it is a refresh's.
    static REFRESHED: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Runs a statement of a refresh, which changes a storage. Statements of functions that it calls are not the refresh's.
pub fn refreshing<T>(storage: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    context::with_set(&REFRESHED, storage, f)
}

/// Refuses to change rows of storage. To be called before the executor starts.
///
/// # Safety
/// A planned statement.
pub unsafe fn check_statement(statement: *const pg_sys::PlannedStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    check_tables(&unsafe { targets(statement) })
}

/// Refuses to change batches of storage. That a table holds such does not change, so it is enough to ask when the statement is planned.
///
/// # Safety
/// A planned statement.
pub unsafe fn check_plan(statement: *const pg_sys::PlannedStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { targets(statement) }.into_iter().try_for_each(check_batches)
}

/// A table whose rows a statement changes.
struct Target {
    relid: pg_sys::Oid,
    is_partition: bool,
    /// The statement requires privileges for it, which it does not for what inherits from the named ones.
    is_named: bool,
}

/// The tables whose rows a statement changes, those that inherit from what it names included. If all that it names are hypertables, their
/// chunks are left out: they belong to nothing else.
///
/// # Safety
/// A planned statement.
unsafe fn targets(statement: *const pg_sys::PlannedStmt) -> Vec<pg_sys::Oid> {
    let changing = u64::from(pg_sys::ACL_INSERT | pg_sys::ACL_UPDATE | pg_sys::ACL_DELETE);
    // SAFETY: the caller's promise: the indexes are those of entries of the range table, from 1.
    unsafe {
        if (*statement).resultRelations.is_null() {
            return Vec::new();
        }
        let entries = list::cells((*statement).rtable);
        let mut targets: Vec<Target> = Vec::new();
        for index in list::ints((*statement).resultRelations) {
            let entry = &*entries[index as usize - 1].ptr_value.cast::<pg_sys::RangeTblEntry>();
            targets.push(Target {
                relid: entry.relid,
                is_partition: ffi::get_rel_relispartition(entry.relid),
                is_named: u64::from(entry.requiredPerms) & changing != 0,
            });
        }
        let mut whole = targets.iter().filter(|target| !target.is_partition).peekable();
        if whole.peek().is_some() && whole.all(|target| cache::find(target.relid).is_some()) {
            targets.retain(|target| target.is_named || !target.is_partition);
        }
        targets.into_iter().map(|target| target.relid).collect()
    }
}

/// Refuses to change rows of a table if it is storage, or a part of one.
pub fn check_table(relid: pg_sys::Oid) -> Result<()> {
    check_tables(&[relid])
}

/// Refuses to change rows of tables if one of them is storage, or a part of one. A refresh's statement is the first to ask for its storage.
fn check_tables(relids: &[pg_sys::Oid]) -> Result<()> {
    let mut is_refresh = false;
    for relid in relids {
        match storage_of(*relid) {
            Some(storage) if REFRESHED.get() == storage => is_refresh = true,
            Some(storage) => require_owner_of_extension(*relid, storage)?,
            None => {}
        }
    }
    if is_refresh {
        REFRESHED.set(pg_sys::InvalidOid);
    }
    Ok(())
}

/// Refuses to change rows of a table if it holds batches of storage.
pub fn check_batches(relid: pg_sys::Oid) -> Result<()> {
    let storage = columnar_chunk::of_batches(relid).and_then(storage_of);
    storage.map_or(Ok(()), |storage| require_owner_of_extension(relid, storage))
}

fn storage_of(relid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    place::hypertable_of(relid).filter(|hypertable| hypertable.is_storage).map(|hypertable| hypertable.relid)
}

fn require_owner_of_extension(relid: pg_sys::Oid, storage: pg_sys::Oid) -> Result<()> {
    match continuous_agg::of_storage(storage) {
        Some(agg) if !acl::owns_extension(extension::NAME) => {
            Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot change rows of \"{}\"", relation_name(relid)))
                .detail(format!("It holds what continuous aggregate \"{}\" has computed.", relation_name(agg.user_view)))
                .hint(format!(
                    "Change the rows that it is computed from, or use CALL refresh_continuous_aggregate('{}', NULL, NULL, force => true).",
                    qualified_name(agg.user_view).unwrap_or_default()
                )))
        }
        _ => Ok(()),
    }
}
