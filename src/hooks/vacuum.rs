//! VACUUM and ANALYZE: a chunk's batches are vacuumed with it, and its rows in batches count.

use pgrx::pg_sys;

use crate::catalog::columnar_chunk;
use crate::columnar::statistics::{self, Wanted};
use crate::pg::relation::optional_string;
use crate::pg::{context, ffi, list, node, size};

/// Runs the statement.
///
/// # Safety
/// `statement` may be changed.
pub unsafe fn run(statement: *mut pg_sys::VacuumStmt, forward: impl FnOnce()) {
    // SAFETY: the caller's promise.
    unsafe {
        let named = list::pointers::<pg_sys::VacuumRelation>((*statement).rels);
        let found: Vec<Wanted> =
            named.iter().filter_map(|relation| resolve(**relation).map(|relid| Wanted { relid, columns: (**relation).va_cols })).collect();
        let everything = named.is_empty();
        let analyzes = !(*statement).is_vacuumcmd || is_set(statement, "analyze");
        if (*statement).is_vacuumcmd {
            add_batches(statement, &found);
        }
        forward();
        if !analyzes {
            return;
        }
        if everything {
            let all = statistics::all_roots().into_iter().map(|relid| Wanted { relid, columns: std::ptr::null_mut() });
            statistics::after_analyze(&all.collect::<Vec<_>>());
        } else {
            statistics::after_analyze(&found);
        }
    }
}

/// # Safety
/// A node of the parser's.
unsafe fn resolve(relation: pg_sys::VacuumRelation) -> Option<pg_sys::Oid> {
    if relation.relation.is_null() {
        return None;
    }
    let missing = pg_sys::RVROption::RVR_MISSING_OK;
    // SAFETY: the caller's promise; InvalidOid if there is none.
    let oid = unsafe { ffi::RangeVarGetRelidExtended(relation.relation, pg_sys::NoLock as i32, missing, None, std::ptr::null_mut()) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// # Safety
/// A statement of the parser's.
unsafe fn is_set(statement: *mut pg_sys::VacuumStmt, option: &str) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let options = list::pointers::<pg_sys::DefElem>((*statement).options);
        let named = options.into_iter().filter(|element| optional_string((**element).defname).as_deref() == Some(option));
        named.last().is_some_and(|element| ffi::defGetBoolean(element))
    }
}

/// Adds the batch tables of the chunks at or below tables.
///
/// # Safety
/// A statement of our own.
unsafe fn add_batches(statement: *mut pg_sys::VacuumStmt, tables: &[Wanted]) {
    for table in tables {
        let parts: Vec<pg_sys::Oid> = context::with_temporary(|| {
            size::inheritors(table.relid).into_iter().filter_map(columnar_chunk::find).map(|part| part.batches).collect()
        });
        for batches in parts {
            // SAFETY: the caller's promise; names of an existing table.
            unsafe {
                let schema = optional_string(ffi::get_namespace_name(ffi::get_rel_namespace(batches)));
                let name = optional_string(ffi::get_rel_name(batches));
                let Some((schema, name)) = schema.zip(name) else { continue };
                let relation = ffi::makeVacuumRelation(node::make_range_var(&schema, &name), pg_sys::InvalidOid, std::ptr::null_mut());
                (*statement).rels = ffi::lappend((*statement).rels, relation.cast());
            }
        }
    }
}
