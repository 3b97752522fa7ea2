//! `object_access_hook`: when a table is dropped, by whatever command, its rows of the extension's catalog go with it.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::truncate;
use crate::catalog::{chunk, columnar_chunk, hypertable};
use crate::columnar::settings_change;
use crate::pg::ffi;
use crate::pg::guard::{boundary, guard};

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
                    (pg_sys::ObjectAccessType::OAT_DROP, 0) => dropped(object),
                    (pg_sys::ObjectAccessType::OAT_DROP, column) => settings_change::drop_column(object, column as i16)?,
                    (pg_sys::ObjectAccessType::OAT_TRUNCATE, _) => truncate::note(object),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn dropped(relid: pg_sys::Oid) {
    // SAFETY: a syscache look-up.
    match unsafe { ffi::get_rel_relkind(relid) } as u8 {
        b'p' => drop(hypertable::delete(relid)),
        b'r' | b'f' => {
            chunk::delete(relid);
            columnar_chunk::delete(relid);
        }
        _ => {}
    }
}
