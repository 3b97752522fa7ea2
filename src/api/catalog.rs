//! The trigger on the extension's own catalog.

use pgrx::pg_sys;

use crate::catalog::cache;
use crate::sql_function;

sql_function!(tsc_catalog_changed, |_args| -> pg_sys::Datum {
    cache::invalidate_all();
    // A trigger of a statement returns no row; SQL's NULL would be an error.
    Ok(Some(pg_sys::Datum::null()))
});
