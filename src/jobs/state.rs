//! What all processes know of schedulers and running jobs: a slot per process, in shared memory.
//!
//! A slot is reserved by who wants a process, taken by the process when it begins, marked when it ends, and freed by who looks after it:
//! the launcher after schedulers, a scheduler after jobs. A generation tells a process that comes late that its slot is another's.

use std::ffi::c_int;

use pgrx::pg_sys;

pub use super::slot::{Kind, Outcome, Phase, Reason, Slot};
use crate::pg::datetime;
use crate::pg::process::{self, Latch, Signal};
use crate::pg::shmem::{Region, Zeroed};

/// Processes of a database are not to be started.
#[derive(Clone, Copy)]
#[repr(C)]
struct Hold {
    /// The database; InvalidOid: no hold.
    database: pg_sys::Oid,
    /// Who holds, as long as it lives; 0: until somebody starts them again.
    holder: i32,
}

const HOLDS: usize = 128;
const SUSPECTS: usize = 64;

/// What is no process's.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Head {
    launcher: Latch,
    generation: u32,
    holds: [Hold; HOLDS],
    /// Databases that may have got the extension.
    suspects: [pg_sys::Oid; SUSPECTS],
    suspect_count: usize,
    /// More than there is room for.
    all_suspect: bool,
    /// The server before this one was shut down in order: runs that it left without end did not crash.
    was_shut_down: bool,
}

// SAFETY: numbers, enums with a variant 0, and null pointers.
unsafe impl Zeroed for Head {}

/// Slots of processes that ended stay until somebody has looked at them.
fn slot_count() -> usize {
    crate::guc::max_background_workers() * 2 + 16
}

static STATE: Region<Head, Slot> = Region::new(c"timescale_compat jobs", slot_count);

/// Asks for the memory: in `shmem_request_hook`.
pub fn request() {
    STATE.request();
}

/// Makes it: in `shmem_startup_hook`.
pub fn make() {
    STATE.make();
    let was_shut_down = process::was_shut_down();
    STATE.with(|head, _| head.was_shut_down = was_shut_down);
}

/// Whether a run that began then and has no end was ended by a shutdown of the server.
pub fn ended_by_shutdown(begun: i64) -> bool {
    begun < process::server_start() && STATE.with(|head, _| head.was_shut_down).unwrap_or(false)
}

/// A slot, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Ticket {
    index: u32,
    generation: u32,
}

impl Ticket {
    /// As the argument of a worker's body.
    pub fn to_argument(self) -> i64 {
        i64::from(self.generation) << 32 | i64::from(self.index)
    }

    /// From the argument of a worker's body.
    pub fn from_argument(argument: i64) -> Self {
        Self { index: argument as u32, generation: (argument >> 32) as u32 }
    }

    fn find(self, slots: &mut [Slot]) -> Option<&mut Slot> {
        slots.get_mut(self.index as usize).filter(|slot| slot.generation == self.generation && slot.kind != Kind::Free)
    }
}

/// Why a slot is not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There are as many as `timescaledb.max_background_workers` allows.
    Full,
    /// It is another database's turn.
    Turn,
    /// The database's processes are held.
    Held,
    /// There is such a process already.
    Exists,
}

fn is_held(head: &Head, database: pg_sys::Oid) -> bool {
    head.holds.iter().any(|hold| hold.database == database)
}

/// Its process is there, or to come.
pub fn is_active(slot: &Slot) -> bool {
    slot.kind != Kind::Free && slot.phase != Phase::Ended
}

/// What is asked for with [`reserve`].
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// What is to run.
    pub kind: Kind,
    /// Where.
    pub database: pg_sys::Oid,
    /// A job: as whom.
    pub role: pg_sys::Oid,
    /// A job: which.
    pub job_id: i32,
    /// A job: the table that it stands in.
    pub table: pg_sys::Oid,
    /// A job: since when it has been due. The database whose job waited longest has the next slot.
    pub due: i64,
    /// Now.
    pub now: i64,
}

/// A database that does not use its turn within this time (microseconds) loses it.
const PATIENCE: i64 = 2_000_000;

/// Reserves a slot for a process that is about to be started.
pub fn reserve(wanted: Wanted) -> Result<Ticket, Refusal> {
    STATE.with(|head, slots| try_reserve(head, slots, wanted)).unwrap_or(Err(Refusal::Full))
}

fn try_reserve(head: &mut Head, slots: &mut [Slot], wanted: Wanted) -> Result<Ticket, Refusal> {
    let Wanted { kind, database, job_id, .. } = wanted;
    let steady = datetime::steady();
    if is_held(head, database) {
        return Err(Refusal::Held);
    }
    let same = |slot: &&Slot| slot.kind == kind && slot.database == database && slot.job_id == job_id;
    if slots.iter().any(|slot| same(&slot)) {
        return Err(Refusal::Exists);
    }
    let most = crate::guc::max_background_workers();
    let active = slots.iter().filter(|slot| is_active(slot)).count();
    let free_slots = most.saturating_sub(active);
    // Schedulers leave one for jobs, or none would ever run.
    let reserved = usize::from(kind == Kind::Scheduler && most > 1);
    let before_us = |slot: &&Slot| {
        slot.kind == Kind::Scheduler
            && is_active(slot)
            && slot.database != database
            && slot.waiting_since != 0
            && slot.waiting_since < wanted.due
    };
    if kind == Kind::Job {
        let others = slots.iter().filter(before_us).count();
        let own = slots.iter().position(|slot| slot.kind == Kind::Scheduler && slot.database == database);
        let stood_back_since = own.map_or(0, |own| slots[own].stood_back_since);
        let patient = stood_back_since == 0 || steady - stood_back_since < PATIENCE;
        let refusal = match free_slots {
            0 => Some(Refusal::Full),
            free if free <= others && patient => Some(Refusal::Turn),
            _ => None,
        };
        if refusal == Some(Refusal::Turn) {
            slots.iter().filter(before_us).for_each(|slot| slot.latch.set());
        }
        if let Some(own) = own.and_then(|own| slots.get_mut(own)) {
            own.waiting_since = if refusal.is_some() { wanted.due.max(1) } else { 0 };
            own.stood_back_since = match refusal {
                Some(Refusal::Turn) if stood_back_since == 0 => steady,
                Some(Refusal::Turn) => stood_back_since,
                _ => 0,
            };
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    } else if free_slots <= reserved {
        return Err(Refusal::Full);
    }
    let index = slots.iter().position(|slot| slot.kind == Kind::Free).ok_or(Refusal::Full)?;
    head.generation = head.generation.wrapping_add(1);
    slots[index] = Slot {
        kind,
        phase: Phase::Starting,
        outcome: Outcome::Unknown,
        reason: Reason::None,
        start_recorded: false,
        jobs_changed: false,
        stop: false,
        generation: head.generation,
        database,
        role: wanted.role,
        job_id,
        table: wanted.table,
        pid: 0,
        latch: slots[index].latch,
        asked_at: wanted.now,
        since: steady,
        waiting_since: 0,
        stood_back_since: 0,
    };
    Ok(Ticket { index: index as u32, generation: head.generation })
}

/// Frees a slot, unless it is another's by now.
pub fn free(ticket: Ticket) {
    STATE.with(|_, slots| {
        if let Some(slot) = ticket.find(slots) {
            slot.kind = Kind::Free;
        }
        wake_waiting(slots);
    });
}

/// Those that wait for a slot are told that there may be one.
fn wake_waiting(slots: &[Slot]) {
    slots.iter().filter(|slot| slot.kind == Kind::Scheduler && slot.waiting_since != 0).for_each(|slot| slot.latch.set());
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn leave(_code: c_int, argument: pg_sys::Datum) {
    detach(Ticket::from_argument(argument.value() as i64));
}

/// The first thing that a process with a slot does: it takes the slot, and leaves it when it ends. `argument` is that of its body. None
/// if the slot is not its own any more: nobody waits for it.
pub fn enter(argument: pg_sys::Datum) -> Option<(Ticket, Slot)> {
    process::begin(Some((leave, argument)));
    let ticket = Ticket::from_argument(argument.value() as i64);
    attach(ticket).map(|slot| (ticket, slot))
}

fn attach(ticket: Ticket) -> Option<Slot> {
    STATE
        .with(|_, slots| {
            let slot = ticket.find(slots)?;
            slot.pid = process::own_pid();
            slot.latch = Latch::own();
            slot.phase = Phase::Running;
            Some(*slot)
        })
        .flatten()
}

/// The process is gone: at its exit.
fn detach(ticket: Ticket) {
    STATE.with(|head, slots| {
        let Some(slot) = ticket.find(slots) else { return };
        slot.phase = Phase::Ended;
        slot.since = datetime::steady();
        let gone = *slot;
        if gone.kind == Kind::Scheduler {
            // News that it did not get to see.
            if gone.jobs_changed {
                suspect(head, gone.database);
            }
            head.launcher.set();
        } else {
            match slots.iter().find(|slot| slot.kind == Kind::Scheduler && is_active(slot) && slot.database == gone.database) {
                Some(scheduler) => scheduler.latch.set(),
                None => head.launcher.set(),
            }
        }
        wake_waiting(slots);
    });
}

/// Changes the slot of this process, or of one that it looks after. False if that is another's by now.
pub fn update(ticket: Ticket, change: impl FnOnce(&mut Slot)) -> bool {
    STATE.with(|_, slots| ticket.find(slots).map(change).is_some()).unwrap_or(false)
}

/// The slot as it is.
pub fn look(ticket: Ticket) -> Option<Slot> {
    STATE.with(|_, slots| ticket.find(slots).copied()).flatten()
}

/// The slots of a database, or of all.
pub fn slots_of(database: Option<pg_sys::Oid>) -> Vec<(Ticket, Slot)> {
    let mut found = Vec::with_capacity(slot_count());
    STATE.with(|_, slots| {
        for (index, slot) in slots.iter().enumerate() {
            if slot.kind != Kind::Free && database.is_none_or(|database| slot.database == database) {
                found.push((Ticket { index: index as u32, generation: slot.generation }, *slot));
            }
        }
    });
    found
}

/// Tells processes to stop: a scheduler ends when it sees it, a job's session is ended, or cancelled. One that has not begun will not.
/// Returns how many are still there. `which` must be quick.
pub fn stop(reason: Reason, signal: Signal, which: impl Fn(&Slot) -> bool) -> usize {
    STATE
        .with(|_, slots| {
            let mut left = 0;
            for slot in slots.iter_mut().filter(|slot| is_active(slot) && slot.pid != process::own_pid() && which(slot)) {
                match (slot.phase, slot.kind) {
                    (Phase::Starting, _) => {
                        slot.kind = Kind::Free;
                        continue;
                    }
                    (_, Kind::Scheduler) => {
                        slot.stop = true;
                        slot.latch.set();
                    }
                    (phase, _) => {
                        slot.reason = reason;
                        // What it has done it may still record.
                        if phase == Phase::Running {
                            process::signal(slot.pid, signal);
                        }
                    }
                }
                left += 1;
            }
            left
        })
        .unwrap_or(0)
}

/// Ends the processes of a database that did not heed that they should end; those that record how their run went only if `all`.
pub fn terminate(database: pg_sys::Oid, all: bool) {
    STATE.with(|_, slots| {
        let own = process::own_pid();
        let others = slots.iter().filter(|slot| is_active(slot) && slot.database == database && slot.pid != own);
        others.filter(|slot| all || slot.phase != Phase::Finishing).for_each(|slot| process::signal(slot.pid, Signal::Terminate));
    });
}

/// The launcher is there.
pub fn attach_launcher() {
    STATE.with(|head, _| head.launcher = Latch::own());
}

/// Has the launcher look at what there is.
pub fn wake_launcher() {
    STATE.with(|head, _| head.launcher.set());
}

fn suspect(head: &mut Head, database: pg_sys::Oid) {
    match head.suspects.get_mut(head.suspect_count) {
        Some(place) => {
            *place = database;
            head.suspect_count += 1;
        }
        None => head.all_suspect = true,
    }
    head.launcher.set();
}

/// Jobs of a database changed: its scheduler looks again. If it has none, the launcher looks whether it should.
pub fn note_change(database: pg_sys::Oid) {
    STATE.with(|head, slots| {
        let scheduler = slots.iter_mut().find(|slot| slot.kind == Kind::Scheduler && slot.database == database);
        let ended = scheduler.is_none_or(|slot| {
            // Of one that ended the launcher sees so that what it found is outdated.
            slot.jobs_changed = true;
            slot.latch.set();
            slot.phase == Phase::Ended
        });
        if ended {
            suspect(head, database);
        }
    });
}

/// Databases that may have got the extension since the last call; None: all may have.
pub fn take_suspects() -> Option<Vec<pg_sys::Oid>> {
    let mut found = Vec::with_capacity(SUSPECTS);
    let all = STATE
        .with(|head, _| {
            found.extend_from_slice(&head.suspects[..head.suspect_count]);
            head.suspect_count = 0;
            std::mem::take(&mut head.all_suspect)
        })
        .unwrap_or(false);
    (!all).then_some(found)
}

/// Whether this holder keeps a database's processes from being started.
pub fn is_held_by(database: pg_sys::Oid, holder: i32) -> bool {
    STATE.with(|head, _| head.holds.iter().any(|hold| hold.database == database && hold.holder == holder)).unwrap_or(false)
}

/// Keeps a database's processes from being started. False if there is no room for one more hold.
pub fn hold(database: pg_sys::Oid, holder: i32) -> bool {
    STATE
        .with(|head, _| {
            if head.holds.iter().any(|hold| hold.database == database && hold.holder == holder) {
                return true;
            }
            let free = head.holds.iter_mut().find(|hold| hold.database == pg_sys::InvalidOid);
            free.map(|place| *place = Hold { database, holder }).is_some()
        })
        .unwrap_or(true)
}

/// Lets them be started again.
pub fn unhold(database: pg_sys::Oid, holder: i32) {
    STATE.with(|head, _| {
        for hold in head.holds.iter_mut().filter(|hold| hold.database == database && hold.holder == holder) {
            hold.database = pg_sys::InvalidOid;
        }
        head.launcher.set();
    });
}

/// Forgets all holds of a process that ends.
pub fn unhold_all(holder: i32) {
    STATE.with(|head, _| {
        for hold in head.holds.iter_mut().filter(|hold| hold.database != pg_sys::InvalidOid && hold.holder == holder) {
            hold.database = pg_sys::InvalidOid;
        }
        head.launcher.set();
    });
}

/// The processes that hold databases.
pub fn holders() -> Vec<i32> {
    let mut found = Vec::with_capacity(HOLDS);
    STATE.with(|head, _| {
        found.extend(head.holds.iter().filter(|hold| hold.database != pg_sys::InvalidOid && hold.holder != 0).map(|hold| hold.holder))
    });
    found
}

/// Forgets the holds of a process that is gone, or those of databases that are.
pub fn drop_holds(gone: impl Fn(i32, pg_sys::Oid) -> bool) {
    STATE.with(|head, _| {
        for hold in head.holds.iter_mut().filter(|hold| hold.database != pg_sys::InvalidOid && gone(hold.holder, hold.database)) {
            hold.database = pg_sys::InvalidOid;
        }
    });
}
