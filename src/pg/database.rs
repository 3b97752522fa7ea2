//! The databases of the cluster.

use pgrx::pg_sys;

use super::relation::{Relation, name_string, optional_string};
use super::{ffi, syscache};

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// Its name.
    pub name: String,
    /// Whether sessions may be opened in it and its rows are meant to live: it is no template, takes connections, and is not half dropped.
    pub is_used: bool,
}

/// All databases; also from a process that is connected to none.
pub fn all() -> Vec<Database> {
    let catalog = Relation::open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock);
    let mut found = Vec::new();
    // SAFETY: rows of pg_database, which live until the next one is read.
    unsafe {
        let scan = ffi::table_beginscan_catalog(catalog.as_ptr(), 0, std::ptr::null_mut());
        loop {
            let tuple = ffi::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let form = syscache::form::<pg_sys::FormData_pg_database>(tuple);
            let is_used = (*form).datallowconn && !(*form).datistemplate && !ffi::database_is_invalid_form(form);
            found.push(Database { oid: (*form).oid, name: name_string(&(*form).datname), is_used });
        }
        // `table_endscan`
        ffi::heap_endscan(scan);
    }
    found
}

/// The name of a database; None if it is gone.
pub fn name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a palloc'd string or NULL.
    unsafe { optional_string(ffi::get_database_name(oid)) }
}
