//! Dropping the extension: what it alone can read must not go with it.
//!
//! A batch table depends on the catalog of batches and is a part of its chunk, so `DROP EXTENSION .. CASCADE` would drop compressed
//! chunks with all their rows. That is refused, by whatever command it comes about: `DROP OWNED BY`, or `DROP SCHEMA .. CASCADE` of the
//! schema that the extension is in.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::chunk::row_form;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{optional_string, qualified_name};
use crate::pg::{acl, ffi, list, partition_change, table};

/// The extension's name.
pub const NAME: &CStr = c"timescale_compat";

/// Before `DROP EXTENSION`: refused while a chunk is compressed. Tables of batches that were decompressed, and are needed by nobody any
/// more, go now, lest their chunks be dropped with them.
///
/// # Safety
/// A DropStmt.
pub unsafe fn before_drop(statement: *mut pg_sys::DropStmt) -> Result<()> {
    // SAFETY: the caller's promise: the objects are names, as nodes of the parser's.
    let names_ours = unsafe {
        (*statement).removeType == pg_sys::ObjectType::OBJECT_EXTENSION
            && list::pointers::<pg_sys::String>((*statement).objects)
                .into_iter()
                .any(|name| optional_string((*name).sval).as_deref() == NAME.to_str().ok())
    };
    // Whoever may not drop it is told so by PostgreSQL.
    if !names_ours || !acl::owns_extension(NAME) {
        return Ok(());
    }
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(c"DROP EXTENSION".as_ptr()) };
    let parts: Vec<ColumnarChunk> = columnar_chunk::all().into_iter().filter_map(columnar_chunk::find).collect();
    check(parts.iter().filter(|part| part.compressed).map(|part| part.relid).collect())?;
    for part in parts {
        partition_change::lock(part.relid, pg_sys::AccessExclusiveLock);
        row_form::require_locked(part.relid, "drop the extension under")?;
    }
    Ok(())
}

/// The catalog of batches is about to be dropped, by whatever command, which may have dropped chunks before: refused if there was a
/// chunk with batches when the command began.
pub fn before_drop_of_catalog(relid: pg_sys::Oid) -> Result<()> {
    if table::oid("columnar_chunk") != Some(relid) {
        return Ok(());
    }
    check(columnar_chunk::lost_by_command())
}

fn check(chunks: Vec<pg_sys::Oid>) -> Result<()> {
    if chunks.is_empty() {
        return Ok(());
    }
    // None if the same command has dropped them all.
    let first = chunks.iter().find_map(|chunk| qualified_name(*chunk)).map_or_else(String::new, |name| format!(" ({name} and others)"));
    let detail = match chunks.len() {
        1 => format!("A chunk is compressed{}: nothing but the extension can read its rows.", first.replace(" and others", "")),
        count => format!("{count} chunks are compressed{first}: nothing but the extension can read their rows."),
    };
    Err(Error::new(SqlState::DEPENDENT_OBJECTS, "cannot drop extension timescale_compat while chunks are compressed").detail(detail).hint(
        "Bring chunks back into row form with decompress_chunk(), or drop them with drop_chunks() or DROP TABLE, in a statement of its own.",
    ))
}
