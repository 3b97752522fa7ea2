//! The triggers on the extension's own catalog.

use pgrx::pg_sys;

use crate::catalog::{cache, continuous_agg};
use crate::change;
use crate::sql_function;

sql_function!(tsc_catalog_changed, |_args| -> pg_sys::Datum {
    cache::invalidate_all();
    // A trigger of a statement returns no row; SQL's NULL would be an error.
    Ok(Some(pg_sys::Datum::null()))
});

sql_function!(tsc_ranges_changed, |_args| -> pg_sys::Datum {
    for agg in continuous_agg::all() {
        change::announce(agg.source, false);
    }
    Ok(Some(pg_sys::Datum::null()))
});
