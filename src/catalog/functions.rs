//! Which functions of a query are ours: `time_bucket`, `first`, `last`.
//!
//! They are known by their C symbol, so a function of the same name in another schema is not mistaken for ours. What an OID
//! is, is remembered per backend until pg_proc changes.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::{FromDatum, pg_sys};

use crate::pg::ffi;
use crate::pg::syscache::CacheTuple;

/// A function that queries are looked through for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// `time_bucket(width, time [, origin])` of dates or timestamps.
    Bucket,
    /// `time_bucket(width, time, "offset" interval)` of dates or timestamps.
    BucketOffset,
    /// `time_bucket(width, time, timezone [, origin, offset])`.
    BucketZone,
    /// `time_bucket(width, value [, offset])` of integers.
    BucketInteger,
    /// `first(value, time)`
    First,
    /// `last(value, time)`
    Last,
}

/// `Anum_pg_aggregate_aggtransfn`
const AGGTRANSFN: u32 = 4;
/// `ClanguageId` of pg_language.dat.
const C_LANGUAGE: pg_sys::Oid = pg_sys::Oid::from_u32(13);

thread_local! {
    static CACHE: RefCell<HashMap<pg_sys::Oid, Option<Known>>> = RefCell::default();
}

/// What a function or aggregate is, if it is one of ours.
pub fn known(oid: pg_sys::Oid) -> Option<Known> {
    if oid.to_u32() < pg_sys::FirstNormalObjectId {
        return None;
    }
    if let Some(known) = CACHE.with_borrow(|cache| cache.get(&oid).copied()) {
        return known;
    }
    let known = look_up(oid);
    CACHE.with_borrow_mut(|cache| cache.insert(oid, known));
    known
}

fn look_up(oid: pg_sys::Oid) -> Option<Known> {
    Some(match symbol(transition_of(oid).unwrap_or(oid))?.as_str() {
        "tsc_time_bucket_timestamp" | "tsc_time_bucket_date" => Known::Bucket,
        "tsc_time_bucket_timestamp_offset" | "tsc_time_bucket_date_offset" => Known::BucketOffset,
        "tsc_time_bucket_zone" => Known::BucketZone,
        "tsc_time_bucket_int2" | "tsc_time_bucket_int4" | "tsc_time_bucket_int8" => Known::BucketInteger,
        "tsc_first_transition" => Known::First,
        "tsc_last_transition" => Known::Last,
        _ => return None,
    })
}

/// The transition function of an aggregate.
fn transition_of(oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let tuple = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::AGGFNOID, oid)?;
    // SAFETY: aggtransfn is a regproc.
    unsafe { pg_sys::Oid::from_datum(tuple.attribute(AGGTRANSFN)?, false) }
}

/// The symbol of a C function.
fn symbol(oid: pg_sys::Oid) -> Option<String> {
    let tuple = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::PROCOID, oid)?;
    // SAFETY: a tuple of pg_proc; prosrc is text.
    unsafe {
        if tuple.form::<pg_sys::FormData_pg_proc>().prolang != C_LANGUAGE {
            return None;
        }
        String::from_datum(tuple.attribute(pg_sys::Anum_pg_proc_prosrc)?, false)
    }
}

/// Installs the callback; once, at server start.
pub fn init() {
    // SAFETY: the callback is a plain function that calls nothing of PostgreSQL.
    unsafe { ffi::CacheRegisterSyscacheCallback(pg_sys::SysCacheIdentifier::PROCOID as i32, Some(on_invalidation), pg_sys::Datum::null()) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    CACHE.with(|cache| {
        // Never borrowed while PostgreSQL is called, so always free here.
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache.clear();
        }
    });
}
