//! A database's scheduler: it starts jobs when they are due, cancels those that take too long, and looks after those that ended.

use std::collections::HashMap;
use std::time::Duration;

use pgrx::pg_sys;

use super::record::{self, End};
use super::state::{self, Kind, Outcome, Phase, Reason, Refusal, Slot, Ticket, Wanted};
use super::worker::took_too_long;
use super::{define, report};
use crate::catalog::job::{self, Job};
use crate::catalog::job_history::Failure;
use crate::catalog::job_stat::{self, JobStat};
use crate::pg::guard::boundary;
use crate::pg::process::{self, Handle, Signal, Worker};
use crate::pg::{datetime, role, xact};

const SECOND: i64 = 1_000_000;
/// What is told to nobody, as a prepared transaction's commit, is noticed after so long.
const LOOK_AGAIN: i64 = 300 * SECOND;
/// No sleep is longer: the clock may have been set.
const LONGEST_SLEEP: i64 = 60 * SECOND;
/// A job that does not heed its cancel is ended after so long.
const GRACE: i64 = 30 * SECOND;
/// A clock that is set back by less is left alone.
const CLOCK_STEP: i64 = 60 * SECOND;

const MOMENT: Duration = Duration::from_millis(20);
/// A scheduler that is to end waits so many moments for its jobs' ends.
const PATIENCE: u32 = 100;

/// The body of the background worker.
#[unsafe(export_name = "tsc_scheduler_main")]
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn main(argument: pg_sys::Datum) {
    // SAFETY: the outermost frame of this process.
    unsafe {
        boundary(|| {
            if let Some((ticket, slot)) = state::enter(argument) {
                work(ticket, &slot);
            }
            Ok(())
        });
    }
}

fn work(ticket: Ticket, slot: &Slot) {
    process::connect(slot.database, None);
    report::set_log_level();
    process::set_option(c"application_name", "timescale_compat scheduler", false);
    let outcome = Scheduler::new(ticket, slot.database).run();
    state::update(ticket, |slot| slot.outcome = outcome);
}

/// A job, and what is to be known for its next start.
struct Entry {
    job: Job,
    stat: JobStat,
    /// The owner, if it may not open a session.
    locked_out: Option<String>,
}

struct Scheduler {
    ticket: Ticket,
    database: pg_sys::Oid,
    /// The extension is gone: there is nothing to record any more.
    gone: bool,
    /// The table of jobs, when it was read last.
    table: pg_sys::Oid,
    entries: Vec<Entry>,
    /// When the entries were read; None: they are to be read again.
    read_at: Option<i64>,
    /// The entries lack what has happened since.
    outdated: bool,
    /// Jobs that were asked for, and may never begin.
    starting: HashMap<Ticket, Handle>,
    /// Jobs that are not to be tried again before (by the steady clock).
    not_before: HashMap<i32, i64>,
    /// Jobs of which nothing can be recorded, and until when that is not tried again.
    broken: HashMap<i32, i64>,
    /// Jobs that were cancelled, and when.
    cancelled: HashMap<Ticket, i64>,
    /// What has been reported of slots that were not to be had.
    reports: report::Reports,
}

/// What the scheduler found when it looked for jobs to start.
struct Look {
    /// When it is to look again (by the steady clock), if nothing wakes it.
    again: i64,
    /// What it waits for, for `pg_stat_activity`.
    next: Option<String>,
}

/// How a run ended that nobody is at and that nobody could record.
fn left_without_end(stat: &JobStat) -> End {
    let failure =
        |sqlstate: &str, message: &str| Failure { sqlstate: sqlstate.to_owned(), message: message.to_owned(), ..Failure::default() };
    if stat.last_start.is_some_and(state::ended_by_shutdown) {
        End::Stopped(failure("57P01", "the server was shut down before the job was done"))
    } else {
        End::Crash(failure("58000", "job crash detected, see server logs"))
    }
}

impl Scheduler {
    fn new(ticket: Ticket, database: pg_sys::Oid) -> Self {
        Self {
            ticket,
            database,
            gone: false,
            table: pg_sys::InvalidOid,
            entries: Vec::new(),
            read_at: None,
            outdated: false,
            starting: HashMap::new(),
            not_before: HashMap::new(),
            broken: HashMap::new(),
            cancelled: HashMap::new(),
            reports: report::Reports::default(),
        }
    }

    /// Until it is told to stop, or the extension is gone. Jobs that still run go first.
    fn run(mut self) -> Outcome {
        let outcome = self.serve();
        self.gone = outcome == Outcome::NoExtension;
        for _ in 0..PATIENCE {
            self.end_jobs(|_| true);
            if self.reap().is_none() || self.slots().is_empty() {
                break;
            }
            process::sleep(MOMENT);
        }
        outcome
    }

    /// Ends jobs, some or all.
    fn end_jobs(&self, which: impl Fn(&Slot) -> bool) {
        state::stop(Reason::Stopped, Signal::Terminate, |slot| slot.kind == Kind::Job && slot.database == self.database && which(slot));
    }

    fn serve(&mut self) -> Outcome {
        loop {
            process::reload();
            let mut changed = false;
            let alive = state::update(self.ticket, |own| changed = std::mem::take(&mut own.jobs_changed));
            if !alive || state::look(self.ticket).is_none_or(|own| own.stop) {
                return Outcome::Recorded;
            }
            if changed {
                self.read_at = None;
            }
            let Some(retry) = self.reap() else { return Outcome::NoExtension };
            let now = datetime::now();
            if self.read_at.is_none_or(|at| at > now || now - at > LOOK_AGAIN) && !self.read() {
                return Outcome::NoExtension;
            }
            let mut look = self.start_due();
            if self.outdated && self.read_at.is_some_and(|at| datetime::now() - at > SECOND / 5 || !self.has_due(datetime::now())) {
                if !self.read() {
                    return Outcome::NoExtension;
                }
                look = self.start_due();
            }
            let again = look.again.min(self.cancel_long_runs()).min(retry);
            let pause = again.saturating_sub(datetime::steady()).clamp(0, LONGEST_SLEEP);
            process::show_activity(false, &look.next.unwrap_or_else(|| "no job is scheduled".to_owned()));
            process::sleep(Duration::from_micros(pause.unsigned_abs()));
        }
    }

    fn slots(&self) -> Vec<(Ticket, Slot)> {
        let mut slots = state::slots_of(Some(self.database));
        slots.retain(|(_, slot)| slot.kind == Kind::Job);
        slots
    }

    /// Looks after jobs that ended. Returns when it is to do so again; None if the extension is gone.
    fn reap(&mut self) -> Option<i64> {
        let mut again = i64::MAX;
        for (ticket, slot) in self.slots() {
            let now = datetime::steady();
            let done = match slot.phase {
                // Of the extension's life before this one.
                Phase::Ended if self.gone || self.table != pg_sys::InvalidOid && slot.table != self.table => true,
                Phase::Ended => self.settle(&slot)?,
                // It was asked for by a scheduler before this one, or will never begin.
                Phase::Starting => {
                    self.starting.get(&ticket).is_none_or(Handle::has_ended) && {
                        self.not_before.insert(slot.job_id, now + 5 * SECOND);
                        state::look(ticket).is_some_and(|slot| slot.phase == Phase::Starting)
                    }
                }
                _ => false,
            };
            if done {
                state::free(ticket);
                self.outdated = true;
            } else if slot.phase == Phase::Ended {
                again = again.min(now + SECOND);
            }
            if slot.phase != Phase::Starting || done {
                self.starting.remove(&ticket);
            }
        }
        let slots = self.slots();
        self.cancelled.retain(|ticket, _| slots.iter().any(|(other, _)| other == ticket));
        self.starting.retain(|ticket, _| slots.iter().any(|(other, _)| other == ticket));
        Some(again)
    }

    /// Records what a job that ended did not record itself. False: later. None: the extension is gone.
    fn settle(&mut self, slot: &Slot) -> Option<bool> {
        let id = slot.job_id;
        match slot.outcome {
            Outcome::Recorded | Outcome::NoExtension => return Some(true),
            Outcome::Busy => {
                self.not_before.insert(id, datetime::steady() + SECOND);
                return Some(true);
            }
            Outcome::Succeeded | Outcome::Unknown => {}
        }
        let ended = |message: &str| Failure { sqlstate: "57P01".to_owned(), message: message.to_owned(), ..Failure::default() };
        // Whatever is wrong with this job, the others go on.
        let retry = || datetime::now().saturating_add(LOOK_AGAIN);
        let (end, begun, pid) = (slot.reason, slot.start_recorded, Some(slot.pid));
        let succeeded = slot.outcome == Outcome::Succeeded;
        let settled = record::attempt(id, || match (begun, end) {
            _ if succeeded => record::finish_other(id, pid, &End::Success),
            (true, Reason::TookTooLong) => record::finish_other(id, pid, &End::Failure(took_too_long(id))),
            (true, Reason::None) => {
                record::finish_other(id, pid, &End::Failure(ended("the process of the job was terminated before it was done")))
            }
            (true, _) => record::finish_other(id, pid, &End::Stopped(ended("the job was stopped before it was done"))),
            (false, Reason::None) => record::refuse(
                id,
                Failure {
                    hint: Some("The server log says why. The owner of the job must be able to connect to the database.".to_owned()),
                    ..ended("the process of the job could not be started")
                },
            ),
            (false, _) => true,
        });
        settled.or_else(|()| record::attempt(id, || record::close(id, retry(), succeeded))).unwrap_or_else(|()| {
            self.not_before.insert(id, datetime::steady() + SECOND);
            Some(true)
        })
    }

    /// Reads all jobs. Runs that nobody finished and nobody is at were ended by a crash. False if the extension is gone.
    fn read(&mut self) -> bool {
        let slots = self.slots();
        let broken = &self.broken;
        let read = record::transaction(|| {
            let table = job::table();
            let jobs = job::all();
            let mut stats: HashMap<i32, JobStat> = job_stat::all().into_iter().map(|stat| (stat.job_id, stat)).collect();
            if jobs.iter().any(|job| !stats.contains_key(&job.id)) {
                define::reconcile();
                stats = job_stat::all().into_iter().map(|stat| (stat.job_id, stat)).collect();
            }
            let (mut complete, mut failed) = (true, Vec::new());
            for stat in stats.values_mut().filter(|stat| slots.iter().all(|(_, slot)| slot.job_id != stat.job_id)) {
                let now = datetime::now();
                let id = stat.job_id;
                if broken.get(&id).is_some_and(|until| *until > now) {
                    continue;
                }
                let settled = if stat.is_unfinished() {
                    let end = left_without_end(stat);
                    xact::attempt(|| record::finish_other(id, None, &end))
                } else if stat.last_finish.is_some_and(|finish| finish > now.saturating_add(CLOCK_STEP)) {
                    xact::attempt(|| record::heed_clock(id))
                } else {
                    continue;
                };
                match settled {
                    Ok(settled) => complete &= settled,
                    Err(caught) => {
                        record::warn(id, caught);
                        failed.push(id);
                        continue;
                    }
                }
                if let Some(new) = job_stat::find(stat.job_id) {
                    *stat = new;
                }
            }
            let entry = |job: Job| {
                let stat = stats.get(&job.id).copied()?;
                // A run without an end is not to be begun anew before it has one.
                (!stat.is_unfinished() || slots.iter().any(|(_, slot)| slot.job_id == job.id)).then(|| Entry {
                    locked_out: (role::can_login(job.owner) != Some(true)).then(|| role::name(job.owner)),
                    job,
                    stat,
                })
            };
            (job::all().into_iter().filter_map(entry).collect::<Vec<_>>(), table, complete, failed)
        });
        let Some((entries, table, complete, failed)) = read else { return false };
        let until = datetime::now().saturating_add(LOOK_AGAIN);
        self.broken.retain(|_, at| *at > until - LOOK_AGAIN && *at <= until);
        self.broken.extend(failed.into_iter().map(|id| (id, until)));
        self.entries = entries;
        self.table = table;
        self.end_jobs(|slot| slot.table != table);
        let now = datetime::now();
        // What could not be settled is looked at again in a second.
        self.read_at = Some(if complete { now } else { now - LOOK_AGAIN + SECOND });
        self.outdated = false;
        let steady = datetime::steady();
        self.not_before.retain(|_, at| *at > steady);
        true
    }

    fn due_at(&self, entry: &Entry, slots: &[(Ticket, Slot)]) -> Option<i64> {
        let busy = slots.iter().any(|(_, slot)| slot.job_id == entry.job.id);
        (entry.job.scheduled && !busy).then(|| {
            // By the clock on the wall, which is set at times.
            let left = |at: &i64| datetime::now().saturating_add(at - datetime::steady());
            let not_before = self.not_before.get(&entry.job.id).map_or(i64::MIN, left);
            entry.stat.next_start.max(not_before)
        })
    }

    fn has_due(&self, now: i64) -> bool {
        let slots = self.slots();
        self.entries.iter().any(|entry| self.due_at(entry, &slots).is_some_and(|at| at <= now))
    }

    /// Starts the jobs that are due, those first that have been for longest, for as long as there are slots.
    fn start_due(&mut self) -> Look {
        let slots = self.slots();
        let now = datetime::now();
        let mut plan: Vec<(i64, usize)> =
            self.entries.iter().enumerate().filter_map(|(at, entry)| Some((self.due_at(entry, &slots)?, at))).collect();
        plan.sort_by_key(|(due, at)| (*due, self.entries[*at].job.id));
        let mut look = Look { again: i64::MAX, next: None };
        if crate::guc::restoring() {
            look.next = Some("jobs wait for timescaledb_post_restore()".to_owned());
            plan.clear();
        }
        for (due, at) in plan {
            let id = self.entries[at].job.id;
            if due > now {
                look.again = look.again.min(datetime::steady().saturating_add(due.saturating_sub(now)));
                look.next.get_or_insert_with(|| format!("waiting until job {id} is due"));
                break;
            }
            if let Err(again) = self.start(at, due, now) {
                look.again = look.again.min(again);
                look.next = Some(format!("job {id} waits for a background worker"));
                return look;
            }
        }
        state::update(self.ticket, |own| own.waiting_since = 0);
        self.reports.all_is_well();
        look
    }

    /// Starts a job. An error says when to try again.
    fn start(&mut self, at: usize, due: i64, now: i64) -> Result<(), i64> {
        let Entry { job, locked_out, .. } = &self.entries[at];
        let id = job.id;
        if let Some(name) = locked_out {
            let failure = Failure {
                sqlstate: "42501".to_owned(),
                message: format!("permission denied to start background process as role \"{name}\""),
                hint: Some("The owner of a job must have the LOGIN attribute.".to_owned()),
                ..Failure::default()
            };
            let refused = record::attempt(id, || record::refuse(id, failure.clone()));
            self.not_before.insert(id, datetime::steady() + if refused.is_ok() { SECOND } else { LOOK_AGAIN });
            let refused = refused.ok().flatten().unwrap_or(true);
            self.outdated |= refused;
            return Ok(());
        }
        let wanted = Wanted { kind: Kind::Job, database: self.database, role: job.owner, job_id: id, table: self.table, due, now };
        let steady = datetime::steady();
        match state::reserve(wanted) {
            Ok(ticket) => {
                let worker = Worker {
                    function: c"tsc_job_main",
                    name: &job.application_name,
                    kind: "timescale_compat job",
                    argument: ticket.to_argument(),
                };
                match worker.start() {
                    Some(handle) => {
                        self.starting.insert(ticket, handle);
                        Ok(())
                    }
                    None => {
                        state::free(ticket);
                        self.reports.no_process(steady);
                        Err(steady + SECOND)
                    }
                }
            }
            Err(Refusal::Full) => {
                self.reports.no_slot(steady);
                Err(steady + 10 * SECOND)
            }
            Err(Refusal::Turn) => Err(steady + SECOND / 10),
            Err(Refusal::Held) => Err(steady + SECOND),
            Err(Refusal::Exists) => Ok(()),
        }
    }

    /// Cancels the runs that have taken longer than they may, and ends those that don't heed it. Returns when to look again.
    fn cancel_long_runs(&mut self) -> i64 {
        let mut again = i64::MAX;
        for (ticket, slot) in self.slots() {
            let limit = self.entries.iter().find(|entry| entry.job.id == slot.job_id).map(|entry| entry.job.max_runtime);
            let Some(limit) = limit.and_then(super::schedule::limit) else { continue };
            if matches!(slot.phase, Phase::Finishing | Phase::Ended) {
                continue;
            }
            let now = datetime::steady();
            let (deadline, signal) = match self.cancelled.get(&ticket) {
                None => (slot.since.saturating_add(limit), Signal::Cancel),
                Some(at) => (at.saturating_add(GRACE), Signal::Terminate),
            };
            if deadline > now || slot.phase == Phase::Starting {
                again = again.min(deadline.max(now + SECOND / 10));
                continue;
            }
            state::stop(Reason::TookTooLong, signal, |other| other.generation == slot.generation && other.phase == Phase::Running);
            self.cancelled.insert(ticket, now);
            again = again.min(now.saturating_add(GRACE));
        }
        again
    }
}
