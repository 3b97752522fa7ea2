//! Fetching blocks from the TOAST table of a batch table.
//!
//! PostgreSQL opens that table and its index, and begins a scan of them, for each value that it fetches. A query that reads one row of a
//! batch fetches a block for each column, so they are opened once here. What is read, with which snapshot, and what has to be there is
//! what `heap_fetch_toast_slice` says.

use pgrx::pg_sys;

use crate::error::Error;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::boundary;
use crate::pg::slot;

/// `TOAST_MAX_CHUNK_SIZE` with pages of 8 kB.
const CHUNK: usize = 1996;

/// `va_header` and `va_tag` of a value that lies in a TOAST table.
const ON_DISK: [u8; 2] = [0x01, pg_sys::vartag_external::VARTAG_ONDISK as u8];

/// A TOAST table that is being read. What it holds is freed by [`Self::end`], or with the query's resource owner and memory context.
pub struct Blocks {
    batches: pg_sys::Relation,
    toast: pg_sys::Relation,
    index: pg_sys::Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    key: pg_sys::ScanKeyData,
    snapshot: Box<pg_sys::SnapshotData>,
    /// The query's memory: the scan keeps things in what is current.
    context: pg_sys::MemoryContext,
}

impl Blocks {
    /// For the blocks of a batch table, which stays open, within the current memory context. Nothing is opened before [`Self::fetch`].
    pub fn new(batches: pg_sys::Relation) -> Self {
        Self {
            batches,
            toast: std::ptr::null_mut(),
            index: std::ptr::null_mut(),
            scan: std::ptr::null_mut(),
            slot: std::ptr::null_mut(),
            key: pg_sys::ScanKeyData::default(),
            snapshot: Box::default(),
            // SAFETY: reads a variable.
            context: unsafe { pg_sys::CurrentMemoryContext },
        }
    }

    /// A value in the current memory context; None if it does not lie in this TOAST table as it is, or something is wrong with it there:
    /// then PostgreSQL will fetch it, or say what.
    ///
    /// # Safety
    /// A varlena of a row that a snapshot of the running query sees. May jump.
    pub unsafe fn fetch(&mut self, value: *const pg_sys::varlena) -> Option<*mut pg_sys::varlena> {
        // SAFETY: the caller's promise; the bytes after the header of such a value are a pointer, not aligned.
        unsafe {
            let bytes = value.cast::<u8>();
            if [*bytes, *bytes.add(1)] != ON_DISK {
                return None;
            }
            let pointer = bytes.add(2).cast::<pg_sys::varatt_external>().read_unaligned();
            let size = pointer.va_extinfo & pg_sys::VARLENA_EXTSIZE_MASK;
            let is_compressed = (size as i32) < pointer.va_rawsize - pg_sys::VARHDRSZ as i32;
            if is_compressed || size == 0 || pointer.va_toastrelid != (*(*self.batches).rd_rel).reltoastrelid {
                return None;
            }
            if self.scan.is_null() {
                self.open();
            }
            let size = size as usize;
            let result = raw::palloc(size + pg_sys::VARHDRSZ).cast::<pg_sys::varlena>();
            pgrx::set_varsize_4b(result, (size + pg_sys::VARHDRSZ) as i32);
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            let is_complete = self.read(pointer.va_valueid, result.cast::<u8>().add(pg_sys::VARHDRSZ), size);
            pg_sys::CurrentMemoryContext = outer;
            is_complete.then_some(result)
        }
    }

    /// Reads all chunks of a value; false if they are not as they have to be. The scan is read to its end, and holds no page then.
    unsafe fn read(&mut self, value: pg_sys::Oid, to: *mut u8, size: usize) -> bool {
        // SAFETY: as for `fetch`; an open scan.
        unsafe {
            self.look();
            self.key.sk_argument = value.into();
            raw::index_rescan(self.scan, &mut self.key, 1, std::ptr::null_mut(), 0);
            let (mut next, mut done, mut is_sound) = (0, 0, true);
            while raw::index_getnext_slot(self.scan, pg_sys::ScanDirection::ForwardScanDirection, self.slot) {
                let number = slot::attribute(self.slot, 2).map(|number| number.value() as i32);
                let chunk = slot::attribute(self.slot, 3).map(|chunk| chunk.cast_mut_ptr::<pg_sys::varlena>());
                let (Some(number), Some(chunk)) = (number, chunk) else {
                    is_sound = false;
                    continue;
                };
                let length = if pgrx::varlena::varatt_is_1b_e(chunk) { 0 } else { pgrx::varsize_any_exhdr(chunk) };
                is_sound = is_sound && number == next && length > 0 && length == CHUNK.min(size - done);
                if is_sound {
                    to.add(done).copy_from_nonoverlapping(pgrx::vardata_any(chunk).cast(), length);
                    done += length;
                    next += 1;
                }
            }
            slot::clear(self.slot);
            is_sound && done == size
        }
    }

    /// `init_toast_snapshot`
    unsafe fn look(&mut self) {
        // SAFETY: a snapshot of this session.
        unsafe {
            let oldest = raw::GetOldestSnapshot();
            if oldest.is_null() {
                boundary(|| Err::<(), _>(Error::internal("cannot fetch toast data without an active snapshot")));
                return;
            }
            self.snapshot.snapshot_type = pg_sys::SnapshotType::SNAPSHOT_TOAST;
            self.snapshot.lsn = (*oldest).lsn;
            self.snapshot.whenTaken = (*oldest).whenTaken;
        }
    }

    /// As `toast_open_indexes`.
    #[cold]
    unsafe fn open(&mut self) {
        // SAFETY: nothing with a destructor is pending. The lock on the batch table guards its TOAST table.
        unsafe {
            self.look();
            boundary(|| {
                crate::pg::context::with_context(self.context, || {
                    let lock = pg_sys::AccessShareLock as i32;
                    self.toast = ffi::table_open((*(*self.batches).rd_rel).reltoastrelid, lock);
                    for index in crate::pg::list::oids(ffi::RelationGetIndexList(self.toast)) {
                        self.index = ffi::index_open(index, lock);
                        if (*(*self.index).rd_index).indisvalid {
                            break;
                        }
                        ffi::index_close(self.index, lock);
                        self.index = std::ptr::null_mut();
                    }
                    if self.index.is_null() {
                        return Err(Error::internal("a TOAST table has no valid index"));
                    }
                    self.slot = ffi::table_slot_create(self.toast, std::ptr::null_mut());
                    ffi::ScanKeyInit(&mut self.key, 1, pg_sys::BTEqualStrategyNumber as u16, pg_sys::F_OIDEQ.into(), pg_sys::Datum::null());
                    self.scan = ffi::index_beginscan(self.toast, self.index, &raw mut *self.snapshot, 1, 0);
                    Ok(())
                })
            });
        }
    }

    /// Closes the TOAST table.
    ///
    /// # Safety
    /// Called once, within the query that used it.
    pub unsafe fn end(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.scan.is_null() {
                return;
            }
            ffi::index_endscan(self.scan);
            ffi::ExecDropSingleTupleTableSlot(self.slot);
            ffi::index_close(self.index, pg_sys::AccessShareLock as i32);
            ffi::table_close(self.toast, pg_sys::AccessShareLock as i32);
            self.scan = std::ptr::null_mut();
        }
    }
}
