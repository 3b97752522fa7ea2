//! Heavyweight locks on what is no relation, but has to do with one.

use pgrx::pg_sys;

use super::ffi;

/// What is locked: PostgreSQL locks relations by tags of another kind, and none of their columns, so that these numbers are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum About {
    /// The log of a hypertable's changes.
    Changes = 0x7a01,
}

/// SET_LOCKTAG_OBJECT of lock.h.
fn tag(about: About, relation: pg_sys::Oid) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: a variable of the backend.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.into(),
        locktag_field2: pg_sys::RelationRelationId.into(),
        locktag_field3: relation.into(),
        locktag_field4: about as u16,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}

/// Takes a lock that is held to the end of the transaction.
pub fn acquire(about: About, relation: pg_sys::Oid, mode: u32) {
    // SAFETY: the tag is copied.
    unsafe { ffi::LockAcquire(&tag(about, relation), mode as i32, false, false) };
}

/// Waits for all transactions to end that hold now what conflicts with `mode`, without taking the lock: who comes later is not
/// waited for.
pub fn wait_for_holders(about: About, relation: pg_sys::Oid, mode: u32) {
    // SAFETY: the tag is passed by value.
    unsafe { ffi::WaitForLockers(tag(about, relation), mode as i32, false) };
}
