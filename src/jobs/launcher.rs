//! The launcher: it keeps a scheduler in every database that has the extension.
//!
//! Which those are can only be seen in the databases themselves. A scheduler is started in each that the launcher knows nothing of;
//! where it finds no extension it ends at once, and is not started again until a transaction there says that it should.

use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::time::Duration;

use pgrx::pg_sys;

use super::report::{self, Reports};
use super::state::{self, Kind, Outcome, Phase, Refusal, Slot, Ticket, Wanted};
use crate::pg::database::{self, Database};
use crate::pg::guard::boundary;
use crate::pg::process::{self, Handle, Signal, Worker};
use crate::pg::{datetime, xact};

const SECOND: i64 = 1_000_000;
/// A scheduler that lived longer did not fail at once.
const SOUND_LIFE: i64 = 60 * SECOND;
/// The pause before another try grows to so much.
const LONGEST_PAUSE: i64 = 60 * SECOND;
/// What is left of a job in a database where no scheduler looks after it is freed after so long. A scheduler that comes later finds a run
/// without end.
const FORGOTTEN: i64 = 600 * SECOND;
/// Seconds after which the postmaster starts the launcher again, should it fail.
const RESTART: c_int = 5;

/// Has the postmaster start it: from `_PG_init`.
pub fn register() {
    if crate::guc::max_background_workers() > 0 {
        Worker { function: c"tsc_launcher_main", name: "timescale_compat launcher", kind: "timescale_compat launcher", argument: 0 }
            .register_static(RESTART);
    }
}

/// The body of the background worker.
#[unsafe(export_name = "tsc_launcher_main")]
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn main(_argument: pg_sys::Datum) {
    // SAFETY: the outermost frame of this process.
    unsafe {
        boundary(|| {
            process::begin(None);
            process::connect_to_none();
            report::set_log_level();
            process::set_option(c"application_name", "timescale_compat launcher", false);
            state::attach_launcher();
            Launcher::default().run();
            Ok(())
        });
    }
}

/// Schedulers of a database that failed.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    not_before: i64,
}

#[derive(Default)]
struct Launcher {
    /// Databases without the extension.
    without: HashSet<pg_sys::Oid>,
    failures: HashMap<pg_sys::Oid, Failures>,
    /// Schedulers that were asked for, and may never begin.
    starting: HashMap<Ticket, Handle>,
    reports: Reports,
}

impl Launcher {
    fn run(mut self) {
        loop {
            process::reload();
            match state::take_suspects() {
                None => self.without.clear(),
                Some(suspects) => suspects.iter().for_each(|database| {
                    self.without.remove(database);
                    self.failures.remove(database);
                }),
            }
            let databases = xact::transaction(database::all);
            self.reap(&databases);
            Self::drop_holds(&databases);
            Self::stop_where_unused(&databases);
            let again = self.start(&databases);
            let poll = i64::try_from(crate::guc::bgw_launcher_poll_time()).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
            let pause = again.saturating_sub(datetime::steady()).clamp(0, poll);
            process::show_activity(false, "waiting for databases");
            process::sleep(Duration::from_micros(pause.unsigned_abs()));
        }
    }

    /// Frees the slots of schedulers that ended, and those of jobs that no scheduler looks after any more.
    fn reap(&mut self, databases: &[Database]) {
        let slots = state::slots_of(None);
        self.starting.retain(|ticket, _| slots.iter().any(|(other, _)| other == ticket));
        for (ticket, slot) in slots.iter().copied() {
            let ended = match (slot.kind, slot.phase) {
                (Kind::Scheduler, Phase::Ended) => true,
                (Kind::Scheduler, Phase::Starting) => {
                    self.starting.get(&ticket).is_none_or(Handle::has_ended)
                        && state::look(ticket).is_some_and(|slot| slot.phase == Phase::Starting)
                }
                (_, phase) => {
                    let known = databases.iter().any(|database| database.oid == slot.database);
                    let is_forgotten = || {
                        let is_scheduler = |other: &Slot| other.kind == Kind::Scheduler && other.database == slot.database;
                        datetime::steady() - slot.since > FORGOTTEN && !slots.iter().any(|(_, other)| is_scheduler(other))
                    };
                    phase == Phase::Ended && (!known || self.without.contains(&slot.database) || is_forgotten())
                }
            };
            if ended {
                if slot.kind == Kind::Scheduler {
                    self.note_end(&slot);
                }
                state::free(ticket);
            }
            if ended || slot.phase != Phase::Starting {
                self.starting.remove(&ticket);
            }
        }
    }

    fn note_end(&mut self, slot: &Slot) {
        match slot.outcome {
            // Something changed there after it had looked.
            Outcome::NoExtension if slot.jobs_changed => {
                self.failures.remove(&slot.database);
            }
            Outcome::NoExtension => {
                self.without.insert(slot.database);
                self.failures.remove(&slot.database);
            }
            Outcome::Recorded => {
                self.failures.remove(&slot.database);
            }
            _ => {
                let now = datetime::steady();
                let lived = datetime::now() - slot.asked_at;
                let known = self.failures.entry(slot.database).or_default();
                known.count = if lived > SOUND_LIFE { 1 } else { known.count.saturating_add(1) };
                let pause = (SECOND / 4).saturating_mul(1 << known.count.min(10)).min(LONGEST_PAUSE);
                known.not_before = if known.count > 1 { now.saturating_add(pause) } else { now };
            }
        }
    }

    fn drop_holds(databases: &[Database]) {
        let gone: Vec<i32> = state::holders().into_iter().filter(|holder| !process::is_alive(*holder)).collect();
        state::drop_holds(|holder, held| gone.contains(&holder) || databases.iter().all(|database| database.oid != held));
    }

    /// A database that takes no connections any more, or became a template, has no use for a scheduler.
    fn stop_where_unused(databases: &[Database]) {
        for database in databases.iter().filter(|database| !database.is_used) {
            state::stop(state::Reason::Stopped, Signal::Terminate, |slot| slot.database == database.oid && slot.kind == Kind::Scheduler);
        }
    }

    /// Starts the schedulers that are missing. Returns when to look again.
    fn start(&mut self, databases: &[Database]) -> i64 {
        let now = datetime::steady();
        let (mut again, mut full) = (i64::MAX, false);
        let wanted = databases.iter().filter(|database| database.is_used && !self.without.contains(&database.oid));
        for database in wanted.cloned().collect::<Vec<_>>() {
            let not_before = self.failures.get(&database.oid).map_or(now, |failures| failures.not_before);
            if not_before > now {
                again = again.min(not_before);
                continue;
            }
            let none = pg_sys::InvalidOid;
            let wall = datetime::now();
            let request =
                Wanted { kind: Kind::Scheduler, database: database.oid, role: none, job_id: 0, table: none, due: wall, now: wall };
            match state::reserve(request) {
                Ok(ticket) => again = again.min(self.start_scheduler(&database, ticket, now)),
                Err(Refusal::Full) => full = true,
                Err(_) => {}
            }
        }
        if full {
            // Many databases are looked into at the server's start: that passes.
            self.reports.no_slot(now);
            again = again.min(now + SECOND);
        } else if again == i64::MAX {
            self.reports.all_is_well();
        }
        again
    }

    fn start_scheduler(&mut self, database: &Database, ticket: Ticket, now: i64) -> i64 {
        let worker = Worker {
            function: c"tsc_scheduler_main",
            name: &format!("timescale_compat scheduler for {}", database.name),
            kind: "timescale_compat scheduler",
            argument: ticket.to_argument(),
        };
        match worker.start() {
            Some(handle) => {
                self.starting.insert(ticket, handle);
                i64::MAX
            }
            None => {
                state::free(ticket);
                self.reports.no_process(now);
                now + 5 * SECOND
            }
        }
    }
}
