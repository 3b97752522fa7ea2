//! The generic part of this extension's CustomScan nodes: method tables, state, thunks.
//!
//! A node is a [`Node`] that lives inside PostgreSQL's `CustomScanState`. It is plain data without a destructor, since PostgreSQL
//! frees it with the query's memory context and an ERROR may skip `end`.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::guard::boundary;
use crate::pg::{ffi, node};

/// A kind of CustomScan node. `Self` is its execution state.
pub trait Node: Copy + 'static {
    /// What EXPLAIN calls it.
    const NAME: &'static CStr;

    /// Makes the state from the plan node. Runs in the query's memory context.
    ///
    /// # Safety
    /// `plan` is a plan node that this kind made.
    unsafe fn create(plan: *mut pg_sys::CustomScan) -> Result<Self>;

    /// Initialises children; `state.node` is what `create` made.
    ///
    /// # Safety
    /// Called once by the executor.
    unsafe fn begin(state: &mut State<Self>, estate: *mut pg_sys::EState, flags: i32) -> Result<()>;

    /// The next row. Called without a guard: an ERROR jumps, so nothing with a destructor may be pending around calls into
    /// PostgreSQL; slow paths go through [`boundary`].
    ///
    /// # Safety
    /// Called by the executor between `begin` and `end`.
    unsafe fn next(state: &mut State<Self>) -> *mut pg_sys::TupleTableSlot;

    /// Starts over.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn rescan(state: &mut State<Self>) -> Result<()>;

    /// Ends children and frees what the memory context does not.
    ///
    /// # Safety
    /// Called once by the executor.
    unsafe fn end(state: &mut State<Self>) -> Result<()>;

    /// Adds lines to EXPLAIN.
    ///
    /// # Safety
    /// Called by EXPLAIN after `begin`.
    unsafe fn explain(_state: &mut State<Self>, _explain: *mut pg_sys::ExplainState) -> Result<()> {
        Ok(())
    }

    /// As [`Self::explain`], with the plans above, which names in expressions may refer to.
    ///
    /// # Safety
    /// As [`Self::explain`].
    unsafe fn explain_below(state: &mut State<Self>, _ancestors: *mut pg_sys::List, explain: *mut pg_sys::ExplainState) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { Self::explain(state, explain) }
    }

    /// The shared memory that the node's part of a parallel plan needs. Only plans that are `parallel_aware` are asked.
    ///
    /// # Safety
    /// Called by the executor after `begin`.
    unsafe fn shared_size(_state: &mut State<Self>) -> Result<usize> {
        Ok(0)
    }

    /// Fills the shared memory, in the leader.
    ///
    /// # Safety
    /// `shared` is as large as asked for.
    unsafe fn share(_state: &mut State<Self>, _shared: *mut c_void) -> Result<()> {
        Ok(())
    }

    /// Fills the shared memory anew before a rescan.
    ///
    /// # Safety
    /// As [`Self::share`]; no worker is running.
    unsafe fn share_again(_state: &mut State<Self>, _shared: *mut c_void) -> Result<()> {
        Ok(())
    }

    /// Joins the scan, in a worker.
    ///
    /// # Safety
    /// `shared` was filled by the leader.
    unsafe fn join(_state: &mut State<Self>, _shared: *mut c_void) -> Result<()> {
        Ok(())
    }

    /// Hands on what shared memory holds, before it goes.
    ///
    /// # Safety
    /// Called by the executor once the node gives no more rows.
    unsafe fn shut_down(_state: &mut State<Self>) -> Result<()> {
        Ok(())
    }
}

/// PostgreSQL's state, then ours.
#[repr(C)]
pub struct State<N: Node> {
    /// PostgreSQL's part; must come first.
    pub scan: pg_sys::CustomScanState,
    /// The node's own part.
    pub node: N,
}

impl<N: Node> State<N> {
    /// The state of the only child (`outerPlanState`).
    pub fn child(&self) -> *mut pg_sys::PlanState {
        self.scan.ss.ps.lefttree
    }

    /// The child's next row, as ExecProcNode gives it, without a guard.
    ///
    /// # Safety
    /// The node runs and has a child. May jump: nothing is pending.
    #[inline]
    pub unsafe fn next_of_child(&self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the caller's promise.
        unsafe {
            let child = self.child();
            if !(*child).chgParam.is_null() {
                ffi::raw::ExecReScan(child);
            }
            (*child).ExecProcNode.map_or(std::ptr::null_mut(), |exec| exec(child))
        }
    }

    /// Starts the child again, but for what the executor does by itself: one with changed parameters.
    ///
    /// # Safety
    /// The node runs and has a child.
    pub unsafe fn rescan_child(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            let child = self.child();
            if (*child).chgParam.is_null() {
                ffi::ExecReScan(child);
            }
        }
    }

    /// True if `planstate` is a node of this kind.
    ///
    /// # Safety
    /// `planstate` is NULL or a plan state.
    pub unsafe fn cast<'a>(planstate: *mut pg_sys::PlanState) -> Option<&'a mut Self> {
        // SAFETY: the tag says that it is a CustomScanState, the methods whose.
        unsafe {
            if node::tag(planstate) != pg_sys::NodeTag::T_CustomScanState {
                return None;
            }
            let state = planstate.cast::<Self>();
            (CStr::from_ptr((*(*state).scan.methods).CustomName) == N::NAME).then(|| &mut *state)
        }
    }
}

/// The method tables of a kind of node.
pub struct Methods {
    /// Referred to by plans.
    pub scan: *const pg_sys::CustomScanMethods,
    exec: *const pg_sys::CustomExecMethods,
}

struct Tables<N>(PhantomData<N>);

/// Method tables are read by PostgreSQL only.
#[repr(transparent)]
struct Shared<T>(T);
// SAFETY: constant tables of function pointers.
unsafe impl<T> Sync for Shared<T> {}

impl<N: Node> Tables<N> {
    const SCAN: &'static Shared<pg_sys::CustomScanMethods> =
        &Shared(pg_sys::CustomScanMethods { CustomName: N::NAME.as_ptr(), CreateCustomScanState: Some(create_state::<N>) });
    const EXEC: &'static Shared<pg_sys::CustomExecMethods> = &Shared(pg_sys::CustomExecMethods {
        CustomName: N::NAME.as_ptr(),
        BeginCustomScan: Some(begin::<N>),
        ExecCustomScan: Some(next::<N>),
        EndCustomScan: Some(end::<N>),
        ReScanCustomScan: Some(rescan::<N>),
        MarkPosCustomScan: None,
        RestrPosCustomScan: None,
        EstimateDSMCustomScan: Some(shared_size::<N>),
        InitializeDSMCustomScan: Some(share::<N>),
        ReInitializeDSMCustomScan: Some(share_again::<N>),
        InitializeWorkerCustomScan: Some(join::<N>),
        ShutdownCustomScan: Some(shut_down::<N>),
        ExplainCustomScan: Some(explain::<N>),
    });
}

/// The method tables of `N`. The compiler may make several copies of them, so compare names, not addresses.
pub fn methods<N: Node>() -> Methods {
    Methods { scan: &raw const Tables::<N>::SCAN.0, exec: &raw const Tables::<N>::EXEC.0 }
}

/// Makes the node known by name, so that plans that hold it can be read back.
pub fn register<N: Node>() {
    // SAFETY: a table that lives for ever.
    unsafe { ffi::RegisterCustomScanMethods(methods::<N>().scan) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn create_state<N: Node>(plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL passes a plan node with our methods; the state is zeroed memory with the right tag.
    unsafe {
        boundary(|| {
            let state: *mut State<N> = node::make_node(pg_sys::NodeTag::T_CustomScanState);
            (*state).scan.methods = methods::<N>().exec;
            (&raw mut (*state).node).write(N::create(plan)?);
            Ok(state.cast())
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn begin<N: Node>(state: *mut pg_sys::CustomScanState, estate: *mut pg_sys::EState, flags: i32) {
    // SAFETY: a state made by create_state.
    unsafe { boundary(|| N::begin(&mut *state.cast(), estate, flags)) }
}

/// No guard here: this runs for each row.
unsafe extern "C-unwind" fn next<N: Node>(state: *mut pg_sys::CustomScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: a state made by create_state, initialised by begin.
    unsafe { N::next(&mut *state.cast()) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn rescan<N: Node>(state: *mut pg_sys::CustomScanState) {
    // SAFETY: as above.
    unsafe { boundary(|| N::rescan(&mut *state.cast())) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn end<N: Node>(state: *mut pg_sys::CustomScanState) {
    // SAFETY: as above.
    unsafe { boundary(|| N::end(&mut *state.cast())) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn explain<N: Node>(
    state: *mut pg_sys::CustomScanState,
    ancestors: *mut pg_sys::List,
    explain: *mut pg_sys::ExplainState,
) {
    // SAFETY: as above.
    unsafe { boundary(|| N::explain_below(&mut *state.cast(), ancestors, explain)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn shared_size<N: Node>(
    state: *mut pg_sys::CustomScanState,
    _context: *mut pg_sys::ParallelContext,
) -> pg_sys::Size {
    // SAFETY: as above.
    unsafe { boundary(|| N::shared_size(&mut *state.cast())) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn share<N: Node>(
    state: *mut pg_sys::CustomScanState,
    _context: *mut pg_sys::ParallelContext,
    shared: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { boundary(|| N::share(&mut *state.cast(), shared)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn share_again<N: Node>(
    state: *mut pg_sys::CustomScanState,
    _context: *mut pg_sys::ParallelContext,
    shared: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { boundary(|| N::share_again(&mut *state.cast(), shared)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn join<N: Node>(state: *mut pg_sys::CustomScanState, _toc: *mut pg_sys::shm_toc, shared: *mut c_void) {
    // SAFETY: as above.
    unsafe { boundary(|| N::join(&mut *state.cast(), shared)) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn shut_down<N: Node>(state: *mut pg_sys::CustomScanState) {
    // SAFETY: as above.
    unsafe { boundary(|| N::shut_down(&mut *state.cast())) }
}
