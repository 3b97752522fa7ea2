//! Which buckets are read from storage.

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;

use crate::catalog::dimension::axis_of_type;
use crate::pg::srf::ResultSet;
use crate::sql_function;

sql_function!(tsc_cagg_valid, |_args| -> bool { Ok(Some(false)) });

sql_function!(tsc_cagg_live, |args| -> pg_sys::Datum {
    let mut rows = ResultSet::new(args);
    let (low, high) = match axis_of_type(args.arg_type(1)) {
        Some(Axis::Int2) => (i16::MIN.into(), i16::MAX.into()),
        Some(Axis::Int4 | Axis::Date) => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    rows.push(&[Some(pg_sys::Datum::from(low)), Some(pg_sys::Datum::from(high))]);
    Ok(None)
});
