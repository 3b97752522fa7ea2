//! `object_access_hook`: when a table is dropped, by whatever command, its rows of the extension's catalog go with it.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::truncate;
use crate::cagg::ddl;
use crate::catalog::{chunk, columnar_chunk, continuous_agg, hypertable};
use crate::change::kept;
use crate::columnar::ddl::{extension, types};
use crate::columnar::settings_change;
use crate::error::Result;
use crate::jobs::{define, wake};
use crate::pg::guard::{boundary, guard};
use crate::pg::{ffi, table};

static mut PREVIOUS: pg_sys::object_access_hook_type = None;

/// Puts ours before the one that is there.
pub fn install() {
    // SAFETY: at server start, in the postmaster's only thread.
    unsafe {
        PREVIOUS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(access);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn access(
    kind: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: i32,
    argument: *mut c_void,
) {
    // SAFETY: PostgreSQL's own arguments are handed on.
    unsafe {
        boundary(|| {
            if let Some(previous) = PREVIOUS {
                guard(|| previous(kind, class, object, sub, argument));
            }
            if class == pg_sys::RelationRelationId {
                match (kind, sub) {
                    (pg_sys::ObjectAccessType::OAT_DROP, 0) => dropped(object)?,
                    (pg_sys::ObjectAccessType::OAT_DROP, column) => column_dropped(object, column as i16)?,
                    (pg_sys::ObjectAccessType::OAT_POST_CREATE, column) if column != 0 => types::check_row_type(object)?,
                    (pg_sys::ObjectAccessType::OAT_TRUNCATE, _) => truncate::note(object)?,
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// By whatever command: a type's DROP .. CASCADE, too.
fn column_dropped(relid: pg_sys::Oid, attribute: i16) -> Result<()> {
    if table::oid("columnar_chunk").is_none() {
        return Ok(());
    }
    types::check_row_type(relid)?;
    settings_change::drop_column(relid, attribute)
}

fn dropped(relid: pg_sys::Oid) -> Result<()> {
    extension::before_drop_of_catalog(relid)?;
    // SAFETY: a syscache look-up.
    match unsafe { ffi::get_rel_relkind(relid) } as u8 {
        b'p' => {
            kept::before_drop(relid);
            continuous_agg::delete(relid);
            if let Some(id) = hypertable::delete(relid) {
                define::delete_of_hypertable(id);
            }
        }
        b'v' => ddl::note_drop(relid),
        b'r' | b'f' => {
            ddl::note_drop_of_catalog(relid);
            kept::before_drop(relid);
            chunk::delete(relid);
            columnar_chunk::delete(relid);
            // The extension is being dropped: its scheduler is to notice.
            if table::oid("bgw_job") == Some(relid) {
                wake::at_commit();
            }
        }
        _ => {}
    }
    Ok(())
}
