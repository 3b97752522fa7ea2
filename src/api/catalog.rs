//! The trigger on the extension's own catalog.

use pgrx::pg_sys;

use crate::catalog::cache;
use crate::sql_function;

sql_function!(tsc_catalog_changed, |_args| -> pg_sys::Datum {
    cache::invalidate_all();
    Ok(None)
});
