//! The process that runs one job, as the job's owner, and records how it went.

use pgrx::pg_sys;

use super::record::{self, End, Start, Started};
use super::state::{self, Outcome, Phase, Reason, Slot, Ticket};
use super::{function, report};
use crate::catalog::job_history::Failure;
use crate::error::{Error, SqlState};
use crate::pg::guard::{self, Caught, boundary};
use crate::pg::{process, statement, xact};

/// The body of the background worker.
#[unsafe(export_name = "tsc_job_main")]
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
    process::connect(slot.database, Some(slot.role));
    report::set_log_level();
    process::show_activity(true, "starting");
    let begun = record::transaction(|| {
        let start = record::start(slot.job_id, slot.role);
        if matches!(start, Start::Begun(_)) {
            // Before the commit: a start that is not recorded after all is no run that was lost.
            state::update(ticket, |slot| slot.start_recorded = true);
        }
        start
    });
    let outcome = match begun {
        Some(Start::Begun(started)) => run(ticket, &started),
        Some(Start::Busy) => Outcome::Busy,
        Some(Start::Outdated) | None => Outcome::Recorded,
    };
    state::update(ticket, |slot| slot.outcome = outcome);
}

fn run(ticket: Ticket, started: &Started) -> Outcome {
    let job = &started.job;
    process::set_option(c"application_name", &job.application_name, false);
    let result = guard::attempt(|| {
        let text = xact::transaction(|| function::statement(job))?;
        process::show_activity(true, &text);
        statement::run(&text)
    });
    if result.is_err() {
        xact::abort();
    }
    statement::stop_clock();
    // From here on nobody cancels it any more, and a cancel that came too late is no error.
    let mut reason = Reason::None;
    state::update(ticket, |slot| {
        slot.phase = Phase::Finishing;
        reason = slot.reason;
    });
    process::forget_cancel();
    process::set_option(c"lock_timeout", "0", true);
    process::show_activity(true, "recording how it went");
    let end = result.map_or_else(|caught| End::Failure(explain(started, caught, reason)), |()| End::Success);
    let outcome = record(ticket, started, &end);
    if let End::Failure(failure) = end {
        log(started, failure);
    }
    outcome
}

/// Records the end of a run as soon as nobody changes the job. Who changes it may wait for this process to be gone: it then leaves the
/// record to the scheduler.
fn record(ticket: Ticket, started: &Started, end: &End) -> Outcome {
    while record::transaction(|| record::finish(started, end)) == Some(false) {
        if state::look(ticket).is_none_or(|slot| matches!(slot.reason, Reason::Changed | Reason::Stopped)) {
            return if *end == End::Success { Outcome::Succeeded } else { Outcome::Unknown };
        }
        process::sleep(record::MOMENT);
    }
    Outcome::Recorded
}

/// A cancel of ours says more than PostgreSQL's words for it.
fn explain(started: &Started, caught: Caught, reason: Reason) -> Failure {
    let Caught { sqlstate, message, detail, hint, context } = caught;
    if reason == Reason::TookTooLong {
        return Failure { context, ..took_too_long(started.job.id) };
    }
    Failure { sqlstate, message, detail, hint, context }
}

/// What is recorded of a job that exceeds its `max_runtime`.
pub fn took_too_long(id: i32) -> Failure {
    Failure {
        sqlstate: "57014".to_owned(),
        message: format!("job {id} was cancelled because it ran longer than max_runtime"),
        hint: Some(format!("Use SELECT alter_job({id}, max_runtime => ...) to give it more time.")),
        ..Failure::default()
    }
}

fn log(started: &Started, failure: Failure) {
    let job = &started.job;
    let mut warning = Error::new(SqlState("01000"), format!("job {} ({}) failed: {}", job.id, job.application_name, failure.message));
    let detail = failure.detail.map_or_else(String::new, |detail| format!(" {detail}"));
    warning = warning.detail(format!("SQLSTATE {}.{detail}", failure.sqlstate));
    if let Some(hint) = failure.hint {
        warning = warning.hint(hint);
    }
    warning.report(pgrx::PgLogLevel::WARNING);
}
