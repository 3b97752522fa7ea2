//! Heavyweight locks on what is no relation: a class of objects of our own, which the OID of one of the extension's tables stands for.

use pgrx::pg_sys;

use super::ffi;

/// SET_LOCKTAG_OBJECT of lock.h.
fn tag(class: pg_sys::Oid, object: pg_sys::Oid) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: a variable of the backend.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.into(),
        locktag_field2: class.into(),
        locktag_field3: object.into(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}

/// Takes a lock that is held to the end of the transaction.
pub fn acquire(class: pg_sys::Oid, object: pg_sys::Oid, mode: u32) {
    // SAFETY: the tag is copied.
    unsafe { ffi::LockAcquire(&tag(class, object), mode as i32, false, false) };
}

/// Waits for all transactions to end that hold now what conflicts with `mode`, without taking the lock: who comes later is not
/// waited for.
pub fn wait_for_holders(class: pg_sys::Oid, object: pg_sys::Oid, mode: u32) {
    // SAFETY: the tag is passed by value.
    unsafe { ffi::WaitForLockers(tag(class, object), mode as i32, false) };
}
