//! A running statement's view of the partitions, and how to renew it when a chunk was added.
//!
//! The executor pins the partition descriptor that it saw first (`es_partition_directory`) and routes by it. A chunk made since
//! then is unknown to it. Renewal sets both aside and lets the executor look again; what was set aside is still referred to by
//! open result relations and pruning steps, so it is released when the statement ends.

use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, Slice};

use crate::chunk::create::{self, Ensured};
use crate::error::Result;
use crate::hypertable::slice;
use crate::pg::partition::{self, Found};
use crate::pg::relation::Relation;
use crate::pg::{context, ffi};

/// What renewals set aside: lists in the query's memory context.
#[derive(Clone, Copy)]
pub struct SetAside {
    routings: *mut pg_sys::List,
    directories: *mut pg_sys::List,
    /// The directory by which the node's routing was made. Another ModifyTable of the statement (in a CTE) may have put a
    /// newer one in its place, of which this node's routing knows nothing.
    routed_by: pg_sys::PartitionDirectory,
    /// The descriptor's memory before the first renewal: it and what is older may be in use by anybody.
    keep: pg_sys::MemoryContext,
    /// How many executors had started when the routing was last renewed.
    starts: u64,
}

/// How many executors this backend has started.
static STARTS: AtomicU64 = AtomicU64::new(0);

/// Says that an executor starts: it may pin partition descriptors of its own.
pub fn note_executor_start() {
    STARTS.fetch_add(1, Ordering::Relaxed);
}

impl SetAside {
    /// Nothing yet.
    pub const NONE: Self = Self {
        routings: std::ptr::null_mut(),
        directories: std::ptr::null_mut(),
        routed_by: std::ptr::null_mut(),
        keep: std::ptr::null_mut(),
        starts: 0,
    };

    /// The node's routing has just been set up.
    ///
    /// # Safety
    /// `estate` is the node's executor state.
    pub unsafe fn begin(&mut self, estate: *mut pg_sys::EState) {
        // SAFETY: the caller's promise.
        self.routed_by = unsafe { (*estate).es_partition_directory };
    }

    /// Releases everything; the statement has ended.
    ///
    /// # Safety
    /// `mtstate` is the node for which [`cover`] was called, and no row is routed any more.
    pub unsafe fn release(&mut self, mtstate: *mut pg_sys::ModifyTableState) {
        // SAFETY: the lists hold what `renew` put there.
        unsafe {
            for routing in crate::pg::list::pointers(self.routings) {
                ffi::ExecCleanupTupleRouting(mtstate, routing);
            }
            for directory in crate::pg::list::pointers(self.directories) {
                ffi::DestroyPartitionDirectory(directory);
            }
        }
        *self = Self::NONE;
    }
}

/// Makes sure that the statement can route a row at `position`, and returns the slice for which that holds.
///
/// # Safety
/// `mtstate` is a running ModifyTable whose root is partitioned by range on one column of the axis.
pub unsafe fn cover(mtstate: *mut pg_sys::ModifyTableState, axis: Axis, position: i64, aside: &mut SetAside) -> Result<Ensured> {
    // SAFETY: the caller's promise.
    unsafe {
        let estate = (*mtstate).ps.state;
        let root = Relation::open((*(*(*mtstate).rootResultRelInfo).ri_RelationDesc).rd_id, pg_sys::NoLock);
        if let Some(slice) = pinned_slice(estate, &root, axis, position) {
            if aside.routed_by != (*estate).es_partition_directory {
                renew_routing(mtstate, estate, aside);
            }
            return Ok(Ensured { slice, created: false });
        }
        if aside.keep.is_null() {
            aside.keep = partition::descriptor_memory(&root);
        }
        // Building a descriptor leaves its scraps in the current context, which may be the query's.
        let ensured = context::with_temporary(|| {
            let ensured = create::ensure(&root, position);
            root.refresh();
            partition::build_descriptor(&root);
            ensured
        })?;
        set_directory_aside(estate, aside);
        renew_routing(mtstate, estate, aside);
        free_superseded(estate, &root, aside);
        Ok(ensured)
    }
}

/// Frees the descriptors of earlier renewals, which only routings that were set aside still point to, and never follow: a load
/// into thousands of new chunks would pile up as many descriptors of thousands of partitions. If an executor started since the
/// last renewal (a trigger's, a function's), it may have pinned one of them; then they stay until the statement ends. So they do
/// if another ModifyTable of the statement may route by one.
///
/// # Safety
/// As [`cover`], after a renewal.
unsafe fn free_superseded(estate: *mut pg_sys::EState, root: &Relation, aside: &mut SetAside) {
    let starts = STARTS.load(Ordering::Relaxed);
    // SAFETY: see above.
    unsafe {
        let alone = (*estate).es_auxmodifytables.is_null() && (*estate).es_epq_active.is_null();
        if alone && aside.starts == starts && !aside.keep.is_null() {
            partition::free_descriptors(root, aside.keep);
        } else {
            aside.keep = partition::descriptor_memory(root);
        }
    }
    aside.starts = starts;
}

/// The slice at `position` in the descriptor by which the statement routes. If it pinned none yet, it will take the relcache's.
///
/// # Safety
/// As [`cover`].
unsafe fn pinned_slice(estate: *mut pg_sys::EState, root: &Relation, axis: Axis, position: i64) -> Option<Slice> {
    // SAFETY: a directory returns the descriptor that it pinned.
    let found = unsafe {
        let directory = (*estate).es_partition_directory;
        if directory.is_null() {
            partition::find(root, axis, position)
        } else {
            partition::find_in(ffi::PartitionDirectoryLookup(directory, root.as_ptr()), axis, position)
        }
    };
    match found {
        Found::Partition(partition) if partition.is_leaf || slice::is_whole(partition.oid) => Some(partition.slice),
        Found::Partition(_) => None,
        Found::Gap(_) => None,
    }
}

/// # Safety
/// As [`cover`].
unsafe fn set_directory_aside(estate: *mut pg_sys::EState, aside: &mut SetAside) {
    // SAFETY: the query's context outlives the node; what was there is kept for `release`.
    unsafe {
        context::with_context((*estate).es_query_cxt, || {
            if !(*estate).es_partition_directory.is_null() {
                aside.directories = ffi::lappend(aside.directories, (*estate).es_partition_directory.cast());
                (*estate).es_partition_directory = std::ptr::null_mut();
            }
        });
    }
}

/// # Safety
/// As [`cover`].
unsafe fn renew_routing(mtstate: *mut pg_sys::ModifyTableState, estate: *mut pg_sys::EState, aside: &mut SetAside) {
    // SAFETY: as above.
    unsafe {
        context::with_context((*estate).es_query_cxt, || {
            // An UPDATE sets its routing up when the first row moves.
            if !(*mtstate).mt_partition_tuple_routing.is_null() {
                aside.routings = ffi::lappend(aside.routings, (*mtstate).mt_partition_tuple_routing.cast());
                (*mtstate).mt_partition_tuple_routing =
                    ffi::ExecSetupPartitionTupleRouting(estate, (*(*mtstate).rootResultRelInfo).ri_RelationDesc);
            }
        });
        aside.begin(estate);
    }
}
