//! Jobs, and the processes that run them.

use pgrx::{IntoDatum, pg_sys};

use crate::catalog::job::Job;
use crate::error::{Error, Result, SqlState};
use crate::jobs::define::{self, Changes, NewJob, USER_DEFINED};
use crate::jobs::{function, policy, run, state, stop};
use crate::pg::fcinfo::Args;
use crate::pg::function::FunctionName;
use crate::pg::relation::{c_string, quote_identifier};
use crate::pg::srf::ResultSet;
use crate::pg::{context, datetime, ffi, json, process, table};
use crate::sql_function;

/// On a replica, and in a read-only transaction, this is the error.
fn require_writable(args: Args) {
    let function = args.function_name();
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(c_string(&format!("{function}()")).as_ptr()) };
}

/// An argument of type jsonb, as text.
fn json_arg(args: Args, index: usize) -> Option<String> {
    // SAFETY: the SQL declaration gives the argument the type jsonb.
    args.datum(index).map(|datum| unsafe { json::text(datum) })
}

/// An argument of type timestamptz, in microseconds since 2000-01-01 UTC.
fn instant_arg(args: Args, index: usize) -> Option<i64> {
    args.datum(index).map(|datum| datum.value() as i64)
}

/// An argument of type regproc that names a check function; None within: that there be none (`0` or `-`).
fn check_arg(args: Args, index: usize) -> Result<Option<Option<FunctionName>>> {
    match args.get::<pg_sys::Oid>(index) {
        None => Ok(None),
        Some(pg_sys::InvalidOid) => Ok(Some(None)),
        Some(oid) => function::for_check(oid).map(|name| Some(Some(name))),
    }
}

sql_function!(
    /// `add_job(proc, schedule_interval, config, initial_start, scheduled, check_config, fixed_schedule, timezone, job_name)`
    tsc_add_job,
    |args| -> i32 {
        require_writable(args);
        let missing = |what: &'static str| Error::new(SqlState::INVALID_PARAMETER_VALUE, what);
        let proc = args.get::<pg_sys::Oid>(0).ok_or_else(|| missing("function or procedure cannot be NULL"))?;
        let interval = args.span(1).ok_or_else(|| missing("schedule interval cannot be NULL"))?;
        let name = args.get::<String>(8).unwrap_or_else(|| USER_DEFINED.to_owned());
        let id = define::add(NewJob {
            config: json_arg(args, 2),
            initial_start: instant_arg(args, 3),
            scheduled: args.get_or(4, true),
            check: check_arg(args, 5)?.flatten(),
            fixed_schedule: args.get_or(6, true),
            timezone: args.get(7),
            ..NewJob::of(&name, function::for_job(proc)?, interval, context::current_user())
        })?;
        Ok(Some(id))
    }
);

/// A job as `alter_job` returns it.
fn row_of(job: &Job, next_start: i64) -> [Option<pg_sys::Datum>; 13] {
    let check = job.check.as_ref().map(|(schema, name)| format!("{}.{}", quote_identifier(schema), quote_identifier(name)));
    [
        job.id.into_datum(),
        Some(datetime::span_datum(job.schedule_interval)),
        Some(datetime::span_datum(job.max_runtime)),
        job.max_retries.into_datum(),
        Some(datetime::span_datum(job.retry_period)),
        job.scheduled.into_datum(),
        job.config.as_deref().map(json::datum),
        Some(pg_sys::Datum::from(next_start)),
        check.and_then(IntoDatum::into_datum),
        job.fixed_schedule.into_datum(),
        job.initial_start.map(pg_sys::Datum::from),
        job.timezone.as_deref().and_then(IntoDatum::into_datum),
        table::name_datum(&job.application_name),
    ]
}

sql_function!(
    /// `alter_job(job_id, ...)`
    tsc_alter_job,
    |args| -> pg_sys::Datum {
        require_writable(args);
        let id: i32 = args.require(0, "job_id")?;
        let mut rows = ResultSet::new(args);
        if crate::catalog::job::find(id).is_none() && args.get_or(8, false) {
            define::note_missing(id);
            return Ok(None);
        }
        let changes = Changes {
            schedule_interval: args.span(1),
            max_runtime: args.span(2),
            max_retries: args.get(3),
            retry_period: args.span(4),
            scheduled: args.get(5),
            config: json_arg(args, 6),
            next_start: instant_arg(args, 7),
            check: check_arg(args, 9)?,
            fixed_schedule: args.get(10),
            initial_start: instant_arg(args, 11),
            timezone: args.get(12),
            name: args.get(13),
        };
        let is_told_otherwise = changes.config.is_some();
        let (job, next_start) = define::alter(id, changes)?;
        if is_told_otherwise {
            policy::check_altered(&job)?;
        }
        rows.push(&row_of(&job, next_start));
        Ok(None)
    }
);

sql_function!(
    /// `delete_job(job_id)`
    tsc_delete_job,
    |args| -> pg_sys::Datum {
        require_writable(args);
        define::delete(args.require(0, "job_id")?)?;
        Ok(None)
    }
);

sql_function!(
    /// `run_job(job_id)`
    tsc_run_job,
    |args| -> pg_sys::Datum {
        run::run(args.require(0, "job_id")?, args.is_non_atomic())?;
        Ok(None)
    }
);

sql_function!(
    /// `_timescaledb_functions.running_jobs()`
    tsc_running_jobs,
    |args| -> pg_sys::Datum {
        let mut rows = ResultSet::new(args);
        for (_, slot) in state::slots_of(Some(process::own_database())) {
            if slot.kind == state::Kind::Job && state::is_active(&slot) && slot.pid != 0 {
                rows.push(&[slot.job_id.into_datum(), slot.pid.into_datum(), Some(pg_sys::Datum::from(slot.asked_at))]);
            }
        }
        Ok(None)
    }
);

sql_function!(
    /// The trigger on the table of jobs.
    tsc_jobs_changed,
    |_args| -> pg_sys::Datum {
        define::reconcile();
        // A trigger of a statement returns no row; SQL's NULL would be an error.
        Ok(Some(pg_sys::Datum::null()))
    }
);

sql_function!(
    /// `_timescaledb_functions.start_background_workers()`
    tsc_start_background_workers,
    |_args| -> bool { stop::start().map(|()| Some(true)) }
);

sql_function!(
    /// `_timescaledb_functions.stop_background_workers()`
    tsc_stop_background_workers,
    |_args| -> bool { stop::stop().map(|()| Some(true)) }
);

sql_function!(
    /// `_timescaledb_functions.restart_background_workers()`
    tsc_restart_background_workers,
    |_args| -> bool { stop::restart().map(|()| Some(true)) }
);
