//! Stopping jobs, and all processes of a database, and waiting until they are gone.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::Duration;

use pgrx::pg_sys;

use super::state::{self, Kind, Reason};
use super::wake;
use crate::error::{Error, Result, SqlState};
use crate::pg::process::{self, Signal};
use crate::pg::{guard, role};

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

const MOMENT: Duration = Duration::from_millis(20);
/// Processes that don't heed that they should end are ended after so many moments. A scheduler first records what became of its jobs.
const PATIENCE: u32 = 150;
/// Those that record how their run went, after so many times that.
const LONG_PATIENCE: u32 = 10;

/// Stops a job of this database that runs, unless it is this process that runs it, and waits until it is gone. Its owner's transaction
/// is rolled back.
pub fn stop_job(id: i32) {
    let database = process::own_database();
    let is_it = |slot: &state::Slot| slot.kind == Kind::Job && slot.database == database && slot.job_id == id;
    if state::stop(Reason::Changed, Signal::Terminate, is_it) == 0 {
        return;
    }
    guard::notice(format!("stopping job {id}, which is running"));
    while state::stop(Reason::Changed, Signal::Terminate, is_it) > 0 {
        process::sleep(MOMENT);
    }
}

/// Stops the scheduler and the jobs of a database and waits until they are gone.
fn stop_all(database: pg_sys::Oid) {
    let (mut moments, mut rounds) = (0, 0);
    while state::stop(Reason::Stopped, Signal::Terminate, |slot| slot.database == database) > 0 {
        if moments == PATIENCE {
            rounds += 1;
            state::terminate(database, rounds > LONG_PATIENCE);
            moments = 0;
        }
        moments += 1;
        process::sleep(MOMENT);
    }
}

/// This session ends while it holds a database: a FATAL error unwinds nothing.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: c_int, _argument: pg_sys::Datum) {
    state::unhold_all(process::own_pid());
}

/// Runs a statement on a database that needs it for itself, and meanwhile keeps our processes out of it. Whoever may not do that to the
/// database runs the statement, too, to get the error that is due.
pub fn without_workers(database: Option<pg_sys::Oid>, statement: impl FnOnce()) {
    let Some(database) = database.filter(|database| role::owns_database(*database)) else { return statement() };
    let holder = process::own_pid();
    if !REGISTERED.replace(true) {
        process::at_exit(at_exit);
    }
    // Without room for the hold a scheduler may come back; PostgreSQL then waits for it, and says so.
    state::hold(database, holder);
    guard::on_error(
        || {
            stop_all(database);
            statement();
        },
        || state::unhold(database, holder),
    );
    state::unhold(database, holder);
}

fn require_rights(verb: &str) -> Result<pg_sys::Oid> {
    let database = process::own_database();
    if role::owns_database(database) {
        return Ok(database);
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {verb} background workers"))
        .hint("Only the owner of the database or a superuser can do this."))
}

/// Keeps this database's processes from being started. If they were not kept before, they are only if what comes next is completed:
/// a cancel or the end of this session, which may be a job that is stopped, must not leave the database without jobs.
fn hold() -> Result<pg_sys::Oid> {
    let database = require_rights("stop")?;
    if state::is_held_by(database, 0) {
        return Ok(database);
    }
    wake::stopping(true);
    if state::hold(database, 0) {
        return Ok(database);
    }
    wake::stopping(false);
    Err(Error::new(SqlState("53400"), "too many databases have their background workers stopped")
        .hint("Call _timescaledb_functions.start_background_workers() in some of them."))
}

/// Stops this database's processes until [`start`] or the server's next start.
pub fn stop() -> Result<()> {
    let database = hold()?;
    stop_all(database);
    wake::stopping(false);
    Ok(())
}

/// Starts them again, when the transaction commits.
pub fn start() -> Result<()> {
    require_rights("start")?;
    wake::start_at_commit();
    Ok(())
}

/// Stops them, and starts them when the transaction has ended, with what it has set.
pub fn restart() -> Result<()> {
    let database = hold()?;
    wake::start_at_end();
    stop_all(database);
    wake::stopping(false);
    Ok(())
}
