//! Shared memory: a structure with an array behind it, under one lock, and numbers without one.

use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use pgrx::pg_sys;

use super::ffi::{self, raw};
use super::guard::guard;

/// `AddinShmemInitLock` of lwlocknames.h
const ADDIN_SHMEM_INIT_LOCK: usize = 21;

/// Memory that all processes share under a name: made by the first who asks, in `shmem_startup_hook`.
fn find_or_make(name: &std::ffi::CStr, size: usize, initialize: impl FnOnce(*mut u8)) -> *mut u8 {
    // SAFETY: called by the hook; ShmemInitStruct gives that much memory, aligned for anything, or fails.
    unsafe {
        let init_lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        ffi::LWLockAcquire(init_lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let place = ffi::ShmemInitStruct(name.as_ptr(), size, &mut found).cast::<u8>();
        if !found {
            initialize(place);
        }
        ffi::LWLockRelease(init_lock);
        place
    }
}

/// What may lie in shared memory: plain data, and valid when all its bytes are zero.
///
/// # Safety
/// So it is.
pub unsafe trait Zeroed: Copy {}

// SAFETY: nothing at all; for regions without elements.
unsafe impl Zeroed for () {}

/// A head and an array of elements in shared memory. Requested and made while the server starts; processes inherit where it is.
pub struct Region<H, E> {
    name: &'static std::ffi::CStr,
    count: fn() -> usize,
    place: AtomicPtr<Head<H>>,
    elements: PhantomData<E>,
}

#[repr(C)]
struct Head<H> {
    lock: *mut pg_sys::LWLock,
    count: usize,
    head: H,
}

// SAFETY: what lies behind the pointer is reached under its lock only.
unsafe impl<H, E> Sync for Region<H, E> {}

impl<H: Zeroed, E: Zeroed> Region<H, E> {
    /// A region of `count()` elements, which is asked once, when settings are known.
    pub const fn new(name: &'static std::ffi::CStr, count: fn() -> usize) -> Self {
        Self { name, count, place: AtomicPtr::new(std::ptr::null_mut()), elements: PhantomData }
    }

    fn elements_at() -> usize {
        size_of::<Head<H>>().next_multiple_of(align_of::<E>().max(8))
    }

    fn size(&self) -> usize {
        Self::elements_at() + (self.count)() * size_of::<E>()
    }

    /// Asks for the memory and the lock: in `shmem_request_hook`.
    pub fn request(&self) {
        // SAFETY: called by the hook.
        unsafe {
            ffi::RequestAddinShmemSpace(self.size());
            ffi::RequestNamedLWLockTranche(self.name.as_ptr(), 1);
        }
    }

    /// Makes it: in `shmem_startup_hook`. After a crash it is made anew.
    pub fn make(&self) {
        let head = find_or_make(self.name, self.size(), |place| {
            let head = place.cast::<Head<H>>();
            // SAFETY: aligned memory of that size, which nobody else sees yet; the tranche was asked for.
            unsafe {
                std::ptr::write_bytes(place, 0, self.size());
                (*head).lock = &raw mut (*ffi::GetNamedLWLockTranche(self.name.as_ptr())).lock;
                (*head).count = (self.count)();
            }
        });
        self.place.store(head.cast(), Ordering::Release);
    }

    /// Runs `f` alone. It holds the lock meanwhile: it is short and calls nothing of PostgreSQL that may fail. None where there is no
    /// shared memory of ours, as in a server that runs without the postmaster.
    pub fn with<T>(&self, f: impl FnOnce(&mut H, &mut [E]) -> T) -> Option<T> {
        let head = self.place.load(Ordering::Acquire);
        if head.is_null() {
            return None;
        }
        // SAFETY: made by `make`, and not freed while a process lives that can see it. The lock makes the references the only ones. If
        // `f` panics, PostgreSQL releases the lock when it handles the error.
        unsafe {
            guard(|| raw::LWLockAcquire((*head).lock, pg_sys::LWLockMode::LW_EXCLUSIVE));
            let elements = head.cast::<u8>().add(Self::elements_at()).cast::<E>();
            let result = f(&mut (*head).head, std::slice::from_raw_parts_mut(elements, (*head).count));
            raw::LWLockRelease((*head).lock);
            Some(result)
        }
    }
}

/// Numbers in shared memory that are read and changed without a lock. Zero at first, and after a crash.
pub struct Words {
    name: &'static std::ffi::CStr,
    count: fn() -> usize,
    place: AtomicPtr<AtomicU64>,
}

impl Words {
    /// `count()` numbers, which is asked when settings are known.
    pub const fn new(name: &'static std::ffi::CStr, count: fn() -> usize) -> Self {
        Self { name, count, place: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Asks for the memory: in `shmem_request_hook`.
    pub fn request(&self) {
        // SAFETY: called by the hook.
        unsafe { ffi::RequestAddinShmemSpace((self.count)() * size_of::<AtomicU64>()) }
    }

    /// Makes it: in `shmem_startup_hook`.
    pub fn make(&self) {
        let (count, size) = ((self.count)(), (self.count)() * size_of::<AtomicU64>());
        let words = find_or_make(self.name, size, |place| {
            let words = place.cast::<AtomicU64>();
            // SAFETY: that much memory, which nobody else sees yet.
            (0..count).for_each(|index| unsafe { words.add(index).write(AtomicU64::new(0)) });
        });
        self.place.store(words.cast(), Ordering::Release);
    }

    /// All of them; none where there is no shared memory of ours.
    pub fn all(&self) -> &[AtomicU64] {
        let words = self.place.load(Ordering::Acquire);
        if words.is_null() {
            return &[];
        }
        // SAFETY: made by `make`, and not freed while a process lives that can see it; count() doesn't change while the server runs.
        unsafe { std::slice::from_raw_parts(words, (self.count)()) }
    }
}
