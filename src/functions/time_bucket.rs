//! `time_bucket`: the start of the slice of time, or of numbers, that a value falls into.
//!
//! `timestamptz` is bucketed in UTC unless a time zone is given, and offsets are added there too, so that no result depends on
//! the session. The variants with a time zone alone take NULL for origin and offset.

use tsc_kernel::bucket::{TimeBucket, bucket_date, bucket_integer};
use tsc_kernel::span::Span;
use tsc_kernel::uuid;
use tsc_kernel::zoned::{self, Clock};

use crate::error::Result;
use crate::pg::fcinfo::Args;

/// The start of the bucket of a timestamp.
fn bucket_timestamp(width: Span, ts: i64, origin: Option<i64>, offset: Option<Span>) -> Result<Option<i64>> {
    Ok(Some(TimeBucket::new(width, origin, offset)?.start(ts)?))
}

/// The time of a UUID argument; None if it is NULL or no version 7 UUID.
fn uuid_time(args: Args, index: usize) -> Option<i64> {
    args.uuid(index).and_then(|bytes| uuid::timestamp_micros(&bytes))
}

/// The variants with a time zone: NULL if width, time or zone is.
fn bucket_zoned(args: Args, ts: Option<i64>) -> Result<Option<i64>> {
    let (Some(width), Some(ts), Some(zone)) = (args.span(0), ts, args.zone(2)) else {
        return Ok(None);
    };
    let origin = args.get::<i64>(3).map(|origin| zone.to_local(origin));
    let bucket = TimeBucket::new(width, origin, args.span(4))?;
    Ok(Some(zoned::start(&bucket, &zone, ts)?))
}

sql_function!(tsc_time_bucket_timestamp, |args| -> i64 {
    match (args.span(0), args.get(1)) {
        (Some(width), Some(ts)) => bucket_timestamp(width, ts, args.get(2), None),
        _ => Ok(None),
    }
});

sql_function!(tsc_time_bucket_timestamp_offset, |args| -> i64 {
    match (args.span(0), args.get(1)) {
        (Some(width), Some(ts)) => bucket_timestamp(width, ts, None, args.span(2)),
        _ => Ok(None),
    }
});

sql_function!(tsc_time_bucket_uuid, |args| -> i64 {
    match (args.span(0), uuid_time(args, 1)) {
        (Some(width), Some(ts)) => bucket_timestamp(width, ts, args.get(2), None),
        _ => Ok(None),
    }
});

sql_function!(tsc_time_bucket_uuid_offset, |args| -> i64 {
    match (args.span(0), uuid_time(args, 1)) {
        (Some(width), Some(ts)) => bucket_timestamp(width, ts, None, args.span(2)),
        _ => Ok(None),
    }
});

sql_function!(tsc_time_bucket_zone, |args| -> i64 { bucket_zoned(args, args.get(1)) });

sql_function!(tsc_time_bucket_uuid_zone, |args| -> i64 { bucket_zoned(args, uuid_time(args, 1)) });

sql_function!(tsc_time_bucket_date, |args| -> i32 {
    match (args.span(0), args.get(1)) {
        (Some(width), Some(date)) => Ok(Some(bucket_date(width, date, args.get(2), None)?)),
        _ => Ok(None),
    }
});

sql_function!(tsc_time_bucket_date_offset, |args| -> i32 {
    match (args.span(0), args.get(1)) {
        (Some(width), Some(date)) => Ok(Some(bucket_date(width, date, None, args.span(2))?)),
        _ => Ok(None),
    }
});

/// The variants for integers: (width, ts [, offset]).
macro_rules! integer_bucket {
    ($name:ident, $int:ty) => {
        sql_function!($name, |args| -> $int {
            match (args.get::<$int>(0), args.get::<$int>(1)) {
                (Some(width), Some(value)) => {
                    let offset = args.get_or::<$int>(2, 0);
                    let start = bucket_integer(i64::from(width), i64::from(value), i64::from(offset), i64::from(<$int>::MIN))?;
                    // At least the type's smallest value and at most `value`: it fits.
                    Ok(Some(start as $int))
                }
                _ => Ok(None),
            }
        });
    };
}

integer_bucket!(tsc_time_bucket_int2, i16);
integer_bucket!(tsc_time_bucket_int4, i32);
integer_bucket!(tsc_time_bucket_int8, i64);
