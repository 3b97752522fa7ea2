//! This process and others: background workers, latches, signals.

use std::ffi::{CStr, c_char, c_int};
use std::time::Duration;

use pgrx::pg_sys;

use super::ffi::{self, raw};

unsafe extern "C" {
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

/// Signals for other processes of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The running statement ends with an error.
    Cancel = 2,
    /// The session ends.
    Terminate = 15,
}

/// A process's latch. PostgreSQL keeps it for as long as the server runs, for one process after another; to set that of a process that
/// is gone does no harm.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Latch(*mut pg_sys::Latch);

impl Latch {
    /// This process's.
    pub fn own() -> Self {
        // SAFETY: reads a variable.
        Self(unsafe { pg_sys::MyLatch })
    }

    /// Wakes the process. Never fails.
    pub fn set(self) {
        if !self.0.is_null() {
            // SAFETY: a latch in shared memory.
            unsafe { raw::SetLatch(self.0) }
        }
    }
}

/// This process's id.
pub fn own_pid() -> i32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyProcPid }
}

/// The database that this process is connected to.
pub fn own_database() -> pg_sys::Oid {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyDatabaseId }
}

/// Sends a signal to a process of this server that is known to be alive.
pub fn signal(pid: i32, signal: Signal) {
    if pid > 0 {
        // SAFETY: a system call.
        unsafe { kill(pid, signal as c_int) };
    }
}

/// Whether a process of this server has this id.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: looks through shared memory.
    !unsafe { ffi::BackendPidGetProc(pid) }.is_null()
}

/// When this server was started; a crash after which it goes on by itself is no start.
pub fn server_start() -> i64 {
    // SAFETY: reads a variable that the postmaster set.
    unsafe { pg_sys::PgStartTime }
}

/// Whether the server that had these files before was shut down in order: before this one takes writes.
pub fn was_shut_down() -> bool {
    let mut is_sound = false;
    // SAFETY: the postmaster has read the same file already; the copy is palloc'd.
    unsafe {
        let control = ffi::get_controlfile(pg_sys::DataDir, &mut is_sound);
        let state = (*control).state;
        ffi::pfree(control.cast());
        is_sound && state == pg_sys::DBState::DB_SHUTDOWNED
    }
}

/// Waits until the latch is set or the time is up. Handles what came meanwhile: a cancel or the end of the session is an ERROR or ends
/// the process, and new settings are read in background workers, which call `reload` first.
pub fn sleep(at_most: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: waits for this process's latch.
    unsafe {
        ffi::WaitLatch(pg_sys::MyLatch, events as c_int, at_most.as_millis().min(86_400_000) as _, pg_sys::PG_WAIT_EXTENSION);
        ffi::ResetLatch(pg_sys::MyLatch);
    }
    check_interrupts();
}

/// `CHECK_FOR_INTERRUPTS`
pub fn check_interrupts() {
    // SAFETY: reads a variable; may be an ERROR.
    unsafe {
        if pg_sys::InterruptPending != 0 {
            ffi::ProcessInterrupts();
        }
    }
}

/// Reads the configuration again if this background worker was told to.
pub fn reload() {
    // SAFETY: variables of this process.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            ffi::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Forgets a cancel that came too late.
pub fn forget_cancel() {
    // SAFETY: a variable of this process.
    unsafe { pg_sys::QueryCancelPending = 0 }
}

/// A background worker of this extension, to be registered.
pub struct Worker<'a> {
    /// The exported function that is its body.
    pub function: &'a CStr,
    /// What `ps` shows.
    pub name: &'a str,
    /// What `pg_stat_activity` shows as its type.
    pub kind: &'a str,
    /// The argument of the function.
    pub argument: i64,
}

fn copy_text(to: &mut [c_char], text: &[u8]) {
    let room = to.len() - 1;
    for (to, from) in to.iter_mut().zip(text.iter().take(room)) {
        *to = *from as c_char;
    }
}

impl Worker<'_> {
    fn registration(&self) -> pg_sys::BackgroundWorker {
        let mut worker = pg_sys::BackgroundWorker {
            bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as c_int,
            bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
            bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
            bgw_main_arg: pg_sys::Datum::from(self.argument),
            ..Default::default()
        };
        copy_text(&mut worker.bgw_name, self.name.as_bytes());
        copy_text(&mut worker.bgw_type, self.kind.as_bytes());
        copy_text(&mut worker.bgw_library_name, b"timescale_compat");
        copy_text(&mut worker.bgw_function_name, self.function.to_bytes());
        worker
    }

    /// Has the postmaster start it when the server takes writes, and again `restart` seconds after it ended by an error: only while
    /// shared_preload_libraries is processed.
    pub fn register_static(&self, restart: c_int) {
        let mut worker = pg_sys::BackgroundWorker { bgw_restart_time: restart, ..self.registration() };
        // SAFETY: the structure is copied.
        unsafe { ffi::RegisterBackgroundWorker(&mut worker) }
    }

    /// Has the postmaster start it now, once, and tell this process when it starts and ends. None if it has no room
    /// (max_worker_processes).
    pub fn start(&self) -> Option<Handle> {
        let mut worker = pg_sys::BackgroundWorker { bgw_notify_pid: own_pid(), ..self.registration() };
        let mut handle = std::ptr::null_mut();
        // SAFETY: the structure is copied; the handle is palloc'd in a context that lives as long as the process.
        unsafe {
            super::context::with_context(pg_sys::TopMemoryContext, || {
                ffi::RegisterDynamicBackgroundWorker(&mut worker, &mut handle).then(|| Handle(handle))
            })
        }
    }
}

/// A worker that this process had started.
#[derive(Debug)]
pub struct Handle(*mut pg_sys::BackgroundWorkerHandle);

impl Handle {
    /// Whether the worker has ended, or will never start.
    pub fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: a handle from RegisterDynamicBackgroundWorker.
        unsafe { ffi::GetBackgroundWorkerPid(self.0, &mut pid) == pg_sys::BgwHandleStatus::BGWH_STOPPED }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: palloc'd by RegisterDynamicBackgroundWorker.
            unsafe { ffi::pfree(self.0.cast()) }
        }
    }
}

/// What [`begin`] has called when a worker ends, and its argument.
pub type AtExit = (unsafe extern "C-unwind" fn(c_int, pg_sys::Datum), pg_sys::Datum);

/// The first thing that a worker's body does: SIGTERM ends it, SIGHUP has it read the configuration, and `at_exit` is called when it
/// ends, however it does, after its transaction was rolled back.
pub fn begin(at_exit: Option<AtExit>) {
    // SAFETY: in a background worker, before it connects. Callbacks are called in the reverse order of their registration, and that
    // which ends the transaction is registered by the connection.
    unsafe {
        ffi::pqsignal(15, Some(raw::die));
        ffi::pqsignal(1, Some(raw::SignalHandlerForConfigReload));
        if let Some((callback, argument)) = at_exit {
            ffi::before_shmem_exit(Some(callback), argument);
        }
        ffi::BackgroundWorkerUnblockSignals();
    }
}

/// Has `callback` called when this process ends, however it does.
pub fn at_exit(callback: unsafe extern "C-unwind" fn(c_int, pg_sys::Datum)) {
    // SAFETY: a function of this library.
    unsafe { ffi::before_shmem_exit(Some(callback), pg_sys::Datum::null()) }
}

/// Connects a worker to no database, to see what all have in common.
pub fn connect_to_none() {
    // SAFETY: in a background worker, once.
    unsafe { ffi::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) }
}

/// Connects a worker to a database, as a role, or as the server itself for None. Ends the process if that can't be.
pub fn connect(database: pg_sys::Oid, role: Option<pg_sys::Oid>) {
    // SAFETY: in a background worker, once.
    unsafe { ffi::BackgroundWorkerInitializeConnectionByOid(database, role.unwrap_or(pg_sys::InvalidOid), 0) }
}

/// What `pg_stat_activity` shows as the process's statement; `busy` decides on its state.
pub fn show_activity(busy: bool, text: &str) {
    let text = super::relation::c_string(text);
    let state = if busy { pg_sys::BackendState::STATE_RUNNING } else { pg_sys::BackendState::STATE_IDLE };
    // SAFETY: copies the text.
    unsafe { ffi::pgstat_report_activity(state, text.as_ptr()) }
}

/// Sets a setting of this process, whatever the role may set.
pub fn set_option(name: &CStr, value: &str, keep: bool) {
    let value = super::relation::c_string(value);
    let source = if keep { pg_sys::GucSource::PGC_S_OVERRIDE } else { pg_sys::GucSource::PGC_S_SESSION };
    // SAFETY: copies the value; an ERROR if there is no such setting.
    unsafe { ffi::SetConfigOption(name.as_ptr(), value.as_ptr(), pg_sys::GucContext::PGC_SUSET, source) }
}

/// The same for a background worker only: a session shows what its client sent.
pub fn show_progress(text: &str) {
    // SAFETY: reads a variable that the postmaster set.
    if unsafe { !pg_sys::MyBgworkerEntry.is_null() } {
        show_activity(true, text);
    }
}

/// Sets a setting until the transaction ends, whatever the role may set.
pub fn set_local(name: &CStr, value: &str) {
    let value = super::relation::c_string(value);
    // SAFETY: copies the value; an ERROR if there is no such setting.
    unsafe {
        ffi::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}
