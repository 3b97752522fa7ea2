//! `show_chunks` and `drop_chunks`.
//!
//! Dropping takes AccessExclusiveLock on the hypertable, then on each chunk, as `DROP TABLE` of a partition does: who reads or
//! writes the hypertable waits, and then plans without the chunks.

use std::collections::HashMap;

use pgrx::pg_sys;

use super::list::{self, Chunk};
use super::row_form;
use super::window::{Asked, Window};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::{cache, chunk as chunk_catalog, naming};
use crate::error::{Error, Result, SqlState};
use crate::pg::partition_change::{drop_tables, lock};
use crate::pg::relation::qualified_name;
use crate::pg::spi;

/// The chunks within a window, by time.
pub fn show(relid: pg_sys::Oid, asked: Asked) -> Result<Vec<pg_sys::Oid>> {
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let window = Window::new(hypertable.time(), asked)?;
    Ok(select(&hypertable, &window).into_iter().map(|chunk| chunk.relid).collect())
}

/// The chunks of a hypertable within a window. A slice that is divided by hash is in it as a whole or not at all.
pub fn select(hypertable: &Hypertable, window: &Window) -> Vec<Chunk> {
    let chunks = list::of_hypertable(hypertable);
    if window.is_unlimited() {
        return chunks;
    }
    let Some(axis) = hypertable.time().axis() else { return Vec::new() };
    let created: HashMap<pg_sys::Oid, i64> = if window.is_about_creation() {
        chunk_catalog::of_hypertable(hypertable.id).into_iter().map(|chunk| (chunk.relid, chunk.creation_time)).collect()
    } else {
        HashMap::new()
    };
    let holds_creation = |chunk: &Chunk| created.get(&chunk.relid).is_some_and(|time| window.holds_creation(*time));
    list::by_slice(&chunks)
        .filter(|slice| slice.iter().all(|chunk| window.holds_slice(axis, chunk.slice)))
        .filter(|slice| !window.is_about_creation() || slice.iter().all(holds_creation))
        .flatten()
        .cloned()
        .collect()
}

/// Drops the chunks within a window, and returns their names.
pub fn drop_chunks(relid: pg_sys::Oid, asked: Asked, verbose: bool) -> Result<Vec<String>> {
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    naming::require_owner(relid)?;
    if Window::new(hypertable.time(), asked)?.is_unlimited() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid time range for dropping chunks")
            .hint("At least one of older_than, newer_than, created_before and created_after must be provided."));
    }
    // Nothing to drop is no reason to wait for all queries, and to make all others wait.
    if select(&hypertable, &Window::new(hypertable.time(), asked)?).is_empty() {
        return Ok(Vec::new());
    }
    drop(hypertable);
    lock(relid, pg_sys::AccessExclusiveLock);
    naming::require_owner(relid)?;
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let window = Window::new(hypertable.time(), asked)?;
    let doomed = select(&hypertable, &window);
    let names = doomed.iter().filter_map(|chunk| qualified_name(chunk.relid)).collect::<Vec<_>>();
    if verbose {
        for name in &names {
            Error::new(SqlState("00000"), format!("dropping chunk {name}")).report(pgrx::PgLogLevel::INFO);
        }
    }
    drop_slices(&hypertable, &doomed)?;
    Ok(names)
}

/// Drops one chunk.
pub fn drop_chunk(relid: pg_sys::Oid) -> Result<()> {
    let located = list::require(relid)?;
    naming::require_owner(located.hypertable.relid)?;
    refuse_part(&located.chunk, "drop").map_err(|error| error.hint("Drop all chunks of the slice with drop_chunks()."))?;
    lock(located.hypertable.relid, pg_sys::AccessExclusiveLock);
    let located = list::require(relid)?;
    drop_slices(&located.hypertable, &[located.chunk])
}

/// Drops one slice, the partition `table` of a hypertable, if `goes` says so once all others are locked out of both: it is given the hypertable, all
/// chunks and the slice's. Returns the names of its chunks; none if the slice stays, or is gone already.
pub fn drop_slice(
    relid: pg_sys::Oid,
    table: pg_sys::Oid,
    goes: impl FnOnce(&Hypertable, &[Chunk], &[Chunk]) -> Result<bool>,
) -> Result<Vec<String>> {
    naming::require_owner(relid)?;
    lock(relid, pg_sys::AccessExclusiveLock);
    naming::require_owner(relid)?;
    let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
    let chunks = list::of_hypertable(&hypertable);
    let Some(slice) = list::by_slice(&chunks).find(|slice| slice[0].table == table) else { return Ok(Vec::new()) };
    // Who names a chunk does not lock the hypertable.
    lock_slices(slice);
    let chunks = list::of_hypertable(&hypertable);
    let Some(slice) = list::by_slice(&chunks).find(|slice| slice[0].table == table) else { return Ok(Vec::new()) };
    if !goes(&hypertable, &chunks, slice)? {
        return Ok(Vec::new());
    }
    let names = slice.iter().filter_map(|chunk| qualified_name(chunk.relid)).collect();
    drop_slices(&hypertable, slice)?;
    Ok(names)
}

/// A chunk that is one hash part of a slice can't go without the others: their rows would have no place.
pub fn refuse_part(chunk: &Chunk, action: &str) -> Result<()> {
    if chunk.parts.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot {action} a single hash partition \"{}\"", crate::pg::relation::relation_name(chunk.relid)),
    )
    .detail("New rows of its time range would have no chunk to go to."))
}

/// Locks all others out of slices. The caller holds AccessExclusiveLock on the hypertable.
fn lock_slices(chunks: &[Chunk]) {
    for chunk in chunks {
        lock(chunk.table, pg_sys::AccessExclusiveLock);
        lock(chunk.relid, pg_sys::AccessExclusiveLock);
    }
}

/// Drops whole slices. The caller holds AccessExclusiveLock on the hypertable.
fn drop_slices(hypertable: &Hypertable, chunks: &[Chunk]) -> Result<()> {
    let tables: Vec<pg_sys::Oid> = list::by_slice(chunks).filter_map(|slice| slice.first()).map(|chunk| chunk.table).collect();
    if tables.is_empty() {
        return Ok(());
    }
    lock_slices(chunks);
    if is_referenced(hypertable.relid)? {
        row_form::while_dropping(|| detach_all(hypertable.relid, &tables))?;
    }
    for chunk in chunks {
        chunk_catalog::delete(chunk.relid);
    }
    // The hook on DROP deletes the rows as well, and must see that they are gone.
    crate::pg::table::command_counter_increment();
    drop_tables(&tables);
    Ok(())
}

/// True if a foreign key refers to the table.
fn is_referenced(relid: pg_sys::Oid) -> Result<bool> {
    let oid = relid.to_u32();
    let rows = spi::query(&format!("SELECT FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = {oid} LIMIT 1"))?;
    Ok(!rows.is_empty())
}

/// Detaches partitions first, which fails for one with rows that a foreign key refers to.
fn detach_all(root: pg_sys::Oid, tables: &[pg_sys::Oid]) -> Result<()> {
    let gone = || Error::internal("a table is gone despite its lock");
    for table in tables {
        let (root, table) = (qualified_name(root).ok_or_else(gone)?, qualified_name(*table).ok_or_else(gone)?);
        spi::execute(&format!("ALTER TABLE {root} DETACH PARTITION {table}"))?;
    }
    Ok(())
}
