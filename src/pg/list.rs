//! PostgreSQL's `List`, read as iterators and built from Rust values.

use pgrx::pg_sys;

use super::ffi;

/// Copies a list of OIDs; NIL is empty.
///
/// # Safety
/// `list` is NIL or an OidList.
pub unsafe fn oids(list: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    // SAFETY: the caller's promise.
    unsafe { cells(list) }.iter().map(|cell| unsafe { cell.oid_value }).collect()
}

/// Copies a list of integers; NIL is empty.
///
/// # Safety
/// `list` is NIL or an IntList.
pub unsafe fn ints(list: *mut pg_sys::List) -> Vec<i32> {
    // SAFETY: the caller's promise.
    unsafe { cells(list) }.iter().map(|cell| unsafe { cell.int_value }).collect()
}

/// The pointers in a list; NIL is empty.
///
/// # Safety
/// `list` is NIL or a List of pointers to `T`.
pub unsafe fn pointers<T>(list: *mut pg_sys::List) -> Vec<*mut T> {
    // SAFETY: the caller's promise.
    unsafe { cells(list) }.iter().map(|cell| unsafe { cell.ptr_value }.cast()).collect()
}

/// The cells themselves, without a copy.
///
/// # Safety
/// `list` is NIL or a list that is not changed while the slice lives.
pub unsafe fn cells<'a>(list: *mut pg_sys::List) -> &'a [pg_sys::ListCell] {
    if list.is_null() {
        return &[];
    }
    // SAFETY: a list has `length` elements.
    unsafe { std::slice::from_raw_parts((*list).elements, (*list).length as usize) }
}

/// Builds a list of pointers in the current memory context.
pub fn from_pointers<T>(pointers: impl IntoIterator<Item = *mut T>) -> *mut pg_sys::List {
    // SAFETY: lappend allocates in the current memory context.
    pointers.into_iter().fold(std::ptr::null_mut(), |list, pointer| unsafe { ffi::lappend(list, pointer.cast()) })
}
