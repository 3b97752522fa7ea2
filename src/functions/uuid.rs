//! Version 7 UUIDs: made of a time and random bits, and their time read back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::pg_sys;
use tsc_kernel::uuid::{self, STEP_NANOS};

use crate::error::{Error, Result};
use crate::pg::datetime::{put_uuid, strong_random};

/// The time of the last UUID that this backend made, in Unix nanoseconds.
static LAST: AtomicI64 = AtomicI64::new(0);

/// The time for the next UUID: now, but always above the last one, so that the UUIDs of a session ascend even if its clock is
/// coarse or set back.
fn next_time() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_nanos()).ok());
    let now = now.ok_or_else(|| Error::internal("the system clock is out of range"))?;
    let next = now.max(LAST.load(Ordering::Relaxed).saturating_add(STEP_NANOS));
    LAST.store(next, Ordering::Relaxed);
    Ok(next)
}

fn random() -> Result<[u8; 8]> {
    strong_random().ok_or_else(|| Error::internal("could not generate random values"))
}

sql_function!(tsc_generate_uuidv7, |_args| -> pg_sys::Datum {
    Ok(Some(put_uuid(uuid::from_unix_nanos(i128::from(next_time()?), random()?)?)))
});

sql_function!(tsc_to_uuidv7, |args| -> pg_sys::Datum {
    match args.get(0) {
        Some(ts) => Ok(Some(put_uuid(uuid::from_timestamp(ts, random()?)?))),
        None => Ok(None),
    }
});

sql_function!(tsc_to_uuidv7_boundary, |args| -> pg_sys::Datum {
    match args.get(0) {
        Some(ts) => Ok(Some(put_uuid(uuid::from_timestamp(ts, [0; 8])?))),
        None => Ok(None),
    }
});

sql_function!(tsc_uuid_timestamp, |args| -> i64 { Ok(args.uuid(0).and_then(|bytes| uuid::timestamp_millis(&bytes))) });

sql_function!(tsc_uuid_timestamp_micros, |args| -> i64 { Ok(args.uuid(0).and_then(|bytes| uuid::timestamp_micros(&bytes))) });

sql_function!(tsc_uuid_version, |args| -> i32 { Ok(args.uuid(0).map(|bytes| uuid::version(&bytes))) });
