//! What all processes know of one of ours.

use pgrx::pg_sys;

use crate::pg::process::Latch;
use crate::pg::shmem::Zeroed;

/// What runs in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing.
    Free = 0,
    /// A database's scheduler.
    Scheduler = 1,
    /// A job.
    Job = 2,
}

/// How far its process has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// It was asked for.
    Starting = 0,
    /// It is there.
    Running = 1,
    /// It is about to record how it went: too late to stop it.
    Finishing = 2,
    /// It is gone.
    Ended = 3,
}

/// What is to be known of a process that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// It did not get to say.
    Unknown = 0,
    /// All is recorded.
    Recorded = 1,
    /// A job that could not be started now, since somebody else is changing it.
    Busy = 2,
    /// A scheduler that found no extension in its database.
    NoExtension = 3,
    /// A job that did what it should, but could not record it, since somebody is changing it and told it to stop.
    Succeeded = 4,
}

/// Why a process was told to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reason {
    /// It was not, by any of us.
    None = 0,
    /// It ran longer than `max_runtime`.
    TookTooLong = 1,
    /// Its job is being deleted, or given to another role.
    Changed = 2,
    /// All of its database's processes are.
    Stopped = 3,
}

/// A process of ours.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slot {
    /// What it is.
    pub kind: Kind,
    /// How far it has come.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was told to stop.
    pub reason: Reason,
    /// A job: its start is in the catalog.
    pub start_recorded: bool,
    /// A scheduler: the catalog changed since it looked.
    pub jobs_changed: bool,
    /// A scheduler: it is to end.
    pub stop: bool,
    /// Who it is, among all that had the slot.
    pub generation: u32,
    /// Its database.
    pub database: pg_sys::Oid,
    /// A job: as whom.
    pub role: pg_sys::Oid,
    /// A job: which.
    pub job_id: i32,
    /// A job: the table that it stands in. With the extension made anew, another job may have its id.
    pub table: pg_sys::Oid,
    /// Its process, once it is there.
    pub pid: i32,
    /// Its latch, once it is there.
    pub(super) latch: Latch,
    /// A job: when it was asked for.
    pub asked_at: i64,
    /// When it was asked for, or ended, by a clock that nobody sets ([`datetime::steady`](crate::pg::datetime::steady)).
    pub since: i64,
    /// A scheduler: since when the job that waits for a slot has been due; 0: none waits.
    pub waiting_since: i64,
    /// A scheduler: since when it has left the next slot to another one; 0: it does not.
    pub(super) stood_back_since: i64,
}

// SAFETY: numbers, enums with a variant 0, and null pointers.
unsafe impl Zeroed for Slot {}
