//! What policies do, a chunk at a time. The procedures in `sql/policies.sql` call this: each chunk is a transaction of its own, so that
//! one that is locked or fails is left for the next run and the others are done.

use std::collections::HashMap;

use pgrx::{PgLogLevel, pg_sys};

use super::by_value::{ByValue, Verdict};
use super::config::{self, Config, Due, Kind, Work};
use crate::cagg::growing::Growing;
use crate::catalog::hypertable::Hypertable;
use crate::catalog::naming::Known;
use crate::catalog::{columnar_chunk, columnstore, job};
use crate::chunk::list::{self, Chunk};
use crate::chunk::window::{Asked, Window};
use crate::chunk::{drop, place, size};
use crate::columnar::{compress, roll_up};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::relation_name;
use crate::pg::{datetime, ffi, partition_change, process, size as table_size};

/// A policy of reordering leaves so many slices at the end alone: rows are still coming.
const YOUNGEST: usize = 3;
/// After so long a policy's process looks for a deadlock, and calls off autovacuum, in milliseconds.
const DEADLOCK_TIMEOUT: i32 = 50;
/// After a chunk was found in use: who has it may have the next ones, too, and others wait behind each wait.
const SHORT_WAIT: i32 = 100;

impl Due {
    /// The window of chunks that are due now; None if the policy does not look at ages.
    fn window(self, hypertable: &Hypertable) -> Result<Option<Window>> {
        let older_than = self.after.map(|age| age.limit(hypertable)).transpose()?;
        let created_before = self.created_before.map(|span| (pg_sys::INTERVALOID, datetime::span_datum(span)));
        if older_than.is_none() && created_before.is_none() {
            return Ok(None);
        }
        Window::new(hypertable.time(), Asked { older_than, newer_than: None, created_before, created_after: None }).map(Some)
    }
}

/// Reads a job's config and says which chunks (of retention: slices) are due, in the order in which they are to be taken.
pub fn due(kind: Kind, config: &str) -> Result<Vec<pg_sys::Oid>> {
    // SAFETY: reads variables.
    if unsafe { ffi::IsTransactionBlock() } {
        return Err(in_a_block());
    }
    let Config { hypertable, work } = Config::read(kind, &config::parse(Some(config))?)?;
    match work {
        Work::Compress { due, recompress, .. } => {
            let unmerged = roll_up::candidates(&hypertable);
            let chunks = in_window(&hypertable, due)?.into_iter().map(|chunk| chunk.relid);
            Ok(chunks.filter(|chunk| is_to_compress(*chunk, recompress) || unmerged.contains(chunk)).collect())
        }
        Work::Drop { due, size, by } => slices_to_drop(&hypertable, due, size, by.as_ref()),
        Work::Reorder { index } => chunks_to_reorder(&hypertable, index),
        Work::Refresh(_) => Err(no_chunks()),
    }
}

/// The error for a policy that can't commit.
pub(super) fn in_a_block() -> Error {
    Error::new(SqlState("25001"), "a policy cannot run inside a transaction block")
        .detail("It commits after each chunk.")
        .hint("CALL run_job() outside of a transaction block.")
}

fn no_chunks() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "the policy is not one of chunks")
        .hint("CALL _timescaledb_functions.policy_refresh_continuous_aggregate().")
}

fn in_window(hypertable: &Hypertable, due: Due) -> Result<Vec<Chunk>> {
    Ok(due.window(hypertable)?.map_or_else(Vec::new, |window| drop::select(hypertable, &window)))
}

/// The same for one chunk, without a look at all the others.
fn is_in_window(hypertable: &Hypertable, due: Due, relid: pg_sys::Oid) -> Result<bool> {
    let (Some(window), Some(located)) = (due.window(hypertable)?, list::find(relid)) else { return Ok(false) };
    let Some(axis) = hypertable.time().axis().filter(|_| located.hypertable.id == hypertable.id) else { return Ok(false) };
    let created = || crate::catalog::chunk::find(relid).is_some_and(|chunk| window.holds_creation(chunk.creation_time));
    Ok(window.holds_slice(axis, located.chunk.slice) && (!window.is_about_creation() || created()))
}

fn is_to_compress(chunk: pg_sys::Oid, recompress: bool) -> bool {
    match columnar_chunk::find(chunk).filter(|part| part.compressed) {
        None => true,
        Some(_) => recompress && table_size::has_rows(chunk),
    }
}

/// The end of a chunk in internal form.
fn end_of(hypertable: &Hypertable, chunk: &Chunk) -> i64 {
    hypertable.time().axis().and_then(|axis| chunk.slice.end.map(|end| axis.to_internal(end))).unwrap_or(i64::MAX)
}

/// What retention by value and by age makes of a slice.
fn verdict(hypertable: &Hypertable, due: Due, by: Option<&ByValue>, chunk: &Chunk) -> Result<Verdict> {
    by.map_or(Ok(Verdict::Keep), |by| by.verdict(hypertable, due.after, end_of(hypertable, chunk)))
}

fn slices_to_drop(hypertable: &Hypertable, due: Due, limit: Option<i64>, by: Option<&ByValue>) -> Result<Vec<pg_sys::Oid>> {
    if limit.is_none() && by.is_none() {
        return Ok(list::by_slice(&in_window(hypertable, due)?).map(|slice| slice[0].table).collect());
    }
    let chunks = list::of_hypertable(hypertable);
    let aged = if by.is_none() { in_window(hypertable, due)? } else { Vec::new() };
    let sizes: HashMap<pg_sys::Oid, i64> =
        limit.iter().flat_map(|_| chunks.iter().map(|chunk| (chunk.relid, size_of(chunk.relid)))).collect();
    let mut excess = limit.map_or(0, |limit| sizes.values().sum::<i64>() - limit);
    let slices: Vec<&[Chunk]> = list::by_slice(&chunks).collect();
    let mut found = Vec::new();
    for (place, slice) in slices.iter().enumerate() {
        let is_youngest = place + 1 == slices.len();
        let verdict = verdict(hypertable, due, by, &slice[0])?;
        let by_age = verdict == Verdict::Drop || aged.iter().any(|chunk| chunk.table == slice[0].table);
        let by_size = excess > 0 && !is_youngest;
        if by_age || by_size {
            excess -= slice.iter().filter_map(|chunk| sizes.get(&chunk.relid)).sum::<i64>();
        }
        if by_age || by_size || verdict != Verdict::Keep {
            found.push(slice[0].table);
        }
    }
    Ok(found)
}

fn chunks_to_reorder(hypertable: &Hypertable, index: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    let chunks = list::of_hypertable(hypertable);
    let slices: Vec<&[Chunk]> = list::by_slice(&chunks).collect();
    // The latest first: they are read most.
    let settled = slices.iter().rev().skip(YOUNGEST).flat_map(|slice| slice.iter());
    Ok(settled.map(|chunk| chunk.relid).filter(|chunk| is_to_reorder(*chunk, hypertable.relid, index)).collect())
}

/// A chunk that was put in the order of the index is marked so, as by CLUSTER; the columnstore has its own order.
fn is_to_reorder(chunk: pg_sys::Oid, root: pg_sys::Oid, index: pg_sys::Oid) -> bool {
    columnar_chunk::find(chunk).is_none_or(|part| !part.compressed)
        && place::chunk_index(chunk, root, index).is_ok_and(|index| !place::is_clustered(index))
}

/// The job that a run is for, as it was when the run began.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// Its id.
    pub id: i32,
    /// What the run was told to do.
    pub config: &'a str,
    /// False: it was started by hand, or with `run_job`, while it was paused.
    pub was_scheduled: bool,
}

impl Watched<'_> {
    /// False once the job is gone, paused, or told to do something else.
    pub fn is_as_it_was(self) -> bool {
        job::find(self.id).is_some_and(|job| job.config.as_deref() == Some(self.config) && (job.scheduled || !self.was_scheduled))
    }
}

/// Whether the job of a policy's run is scheduled; None if there is no such job: somebody calls the policy by hand.
pub fn is_scheduled(kind: Kind, job_id: i32) -> Option<bool> {
    job::find(job_id).filter(|job| super::kind_of(job) == Some(kind)).map(|job| job.scheduled)
}

/// Takes up one chunk that was due a moment ago. Waits no longer than a moment for a lock, since others wait behind it; `hurried`: hardly
/// at all. Returns how many chunks the run has moved to the columnstore, of which `done` before; None if it is to end.
pub fn step(kind: Kind, config: &str, relid: pg_sys::Oid, hurried: bool, job: Option<Watched>, done: i32) -> Result<Option<i32>> {
    let goes_on = || job.is_none_or(Watched::is_as_it_was);
    if !goes_on() {
        note_end(kind);
        return Ok(None);
    }
    let Config { hypertable, work } = Config::read(kind, &config::parse(Some(config))?)?;
    let name = relation_name(relid);
    process::show_progress(&match kind {
        Kind::Compression => format!("moving chunk \"{name}\" to the columnstore"),
        Kind::Retention => format!("retention of chunk \"{name}\""),
        Kind::Reorder => format!("putting chunk \"{name}\" in order"),
        Kind::Refresh => return Err(no_chunks()),
    });
    limit_waiting(hurried);
    match work {
        Work::Compress { due, most, recompress, verbose } => {
            if most.is_some_and(|most| done as usize >= most) {
                return Ok(None);
            }
            // Settings that nobody gave are chosen by the hypertable's indexes. Who drops a table locks it before its chunks.
            if columnstore::find(hypertable.id).is_some_and(|said| said.segmentby.is_none() || said.orderby.is_none()) {
                partition_change::lock(hypertable.relid, pg_sys::AccessShareLock);
            }
            // It may be dropped while its lock is waited for.
            let is_due = || is_in_window(&hypertable, due, relid);
            if !is_due()? || !lock_chunk(&hypertable, relid, pg_sys::ExclusiveLock) || !goes_on() || !is_due()? {
                return Ok(Some(done));
            }
            let is_to_compress = is_to_compress(relid, recompress);
            if is_to_compress {
                if verbose {
                    Error::new(SqlState("00000"), format!("moving chunk \"{}\" to the columnstore", relation_name(relid)))
                        .report(PgLogLevel::LOG);
                }
                compress::compress(relid, true, false)?;
            }
            roll_up::run(relid)?;
            return Ok(Some(done + i32::from(is_to_compress)));
        }
        Work::Drop { due, size, by } => drop_step(&hypertable, due, size, by.as_ref(), relid, &goes_on)?,
        Work::Refresh(_) => return Err(no_chunks()),
        Work::Reorder { index } => {
            let is_due = || is_to_reorder(relid, hypertable.relid, index);
            if is_chunk_of(&hypertable, relid)
                && is_due()
                && lock_chunk(&hypertable, relid, pg_sys::AccessExclusiveLock)
                && goes_on()
                && is_due()
            {
                place::reorder(relid, Some(index), false)?;
            }
        }
    }
    Ok(Some(done))
}

fn note_end(kind: Kind) {
    Error::new(SqlState("00000"), format!("the run of the {} policy ends early", kind.noun()))
        .detail("Its job was changed, paused or deleted meanwhile.")
        .report(PgLogLevel::NOTICE);
}

fn is_chunk_of(hypertable: &Hypertable, relid: pg_sys::Oid) -> bool {
    list::find(relid).is_some_and(|located| located.hypertable.id == hypertable.id)
}

/// Locks a chunk until the transaction ends; false if it has gone meanwhile.
fn lock_chunk(hypertable: &Hypertable, relid: pg_sys::Oid, lock: u32) -> bool {
    partition_change::lock(relid, lock);
    is_chunk_of(hypertable, relid)
}

/// For this transaction, unless the role has set less. Where a policy and another session wait for each other, the policy is to be the one
/// that gives in: it stops waiting before the other one looks for a deadlock, and looks for one itself at once.
fn limit_waiting(hurried: bool) {
    // SAFETY: reads settings.
    let (set, deadlock) = unsafe { (pg_sys::LockTimeout, pg_sys::DeadlockTimeout) };
    let longest = if hurried { SHORT_WAIT } else { (deadlock / 4 * 3).max(SHORT_WAIT) };
    if set == 0 || set > longest {
        process::set_local(c"lock_timeout", &longest.to_string());
    }
    if deadlock > DEADLOCK_TIMEOUT {
        process::set_local(c"deadlock_timeout", &DEADLOCK_TIMEOUT.to_string());
    }
}

fn drop_step(
    hypertable: &Hypertable,
    due: Due,
    limit: Option<i64>,
    by: Option<&ByValue>,
    table: pg_sys::Oid,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    let chunks = list::of_hypertable(hypertable);
    let Some(slice) = list::by_slice(&chunks).find(|slice| slice[0].table == table) else { return Ok(()) };
    // A first look, without locks: nobody is held up for a slice that stays.
    let too_large = is_too_large(&chunks, limit);
    let verdict = verdict(hypertable, due, by, &slice[0])?;
    let emptied = verdict.deletes() && slice.iter().all(|chunk| size::is_empty(chunk.relid));
    let mut aged = by.is_none();
    for chunk in slice {
        aged = aged && is_in_window(hypertable, due, chunk.relid)?;
    }
    if !too_large && !emptied && !aged && verdict != Verdict::Drop {
        return match by.filter(|_| verdict.deletes()) {
            Some(by) => {
                // PostgreSQL reads the bound of a partition from its parent, which is to be locked first.
                partition_change::lock(hypertable.relid, pg_sys::AccessShareLock);
                slice.iter().try_for_each(|chunk| delete_step(hypertable, due, by, chunk.relid, goes_on))
            }
            None => Ok(()),
        };
    }
    let relid = hypertable.relid;
    // While the locks were waited for, the slice may have been merged with another one, rows may have come, and others may have dropped
    // slices: what is to be dropped is judged by what is there now.
    let growing = Growing::of(relid);
    let names = drop::drop_slice(relid, table, |hypertable, all, slice| {
        if !goes_on() {
            return Ok(false);
        }
        let is_youngest = all.last().is_none_or(|last| last.table == table);
        let is_oldest = all.first().is_some_and(|first| first.table == table);
        let verdict = self::verdict(hypertable, due, by, &slice[0])?;
        let aged = match by {
            Some(_) => verdict == Verdict::Drop,
            None => in_window(hypertable, due)?.iter().any(|chunk| chunk.table == table),
        };
        let is_empty = || verdict.deletes() && slice.iter().all(|chunk| size::is_empty(chunk.relid));
        Ok(aged || (emptied && !is_youngest && is_empty()) || (too_large && is_oldest && !is_youngest && is_too_large(all, limit)))
    })?;
    if !names.is_empty() {
        Error::new(
            SqlState("00000"),
            format!("applying retention policy to {}: dropping {}", Known::of(relid).described(), names.join(", ")),
        )
        .report(PgLogLevel::LOG);
        growing.warn();
    }
    Ok(())
}

/// Deletes rows of a chunk by what it is once it is locked: it may have become a longer one while the lock was waited for. The caller has
/// locked the hypertable, so that it stays what it is.
fn delete_step(hypertable: &Hypertable, due: Due, by: &ByValue, relid: pg_sys::Oid, goes_on: &dyn Fn() -> bool) -> Result<()> {
    partition_change::lock(relid, pg_sys::RowExclusiveLock);
    if !goes_on() {
        return Ok(());
    }
    let Some(located) = list::find(relid).filter(|located| located.hypertable.id == hypertable.id) else { return Ok(()) };
    by.delete(relid, &verdict(&located.hypertable, due, Some(by), &located.chunk)?)
}

fn is_too_large(chunks: &[Chunk], limit: Option<i64>) -> bool {
    limit.is_some_and(|limit| chunks.iter().map(|chunk| size_of(chunk.relid)).sum::<i64>() > limit)
}

/// The bytes of a chunk and its batches. What somebody has locked counts nothing: rather too little is dropped than too much, and nobody is
/// waited for.
fn size_of(chunk: pg_sys::Oid) -> i64 {
    let batches = columnar_chunk::find(chunk).and_then(|part| table_size::total(part.batches));
    table_size::total(chunk).unwrap_or(0) + batches.unwrap_or(0)
}
