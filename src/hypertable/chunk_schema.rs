//! The schema of a hypertable's chunks.
//!
//! It is no member of the extension, or DROP EXTENSION would take the chunks with it and a dump would leave it out; so the first
//! hypertable makes it.

use pgrx::pg_sys;

use crate::error::{Error, Result, SqlState};
use crate::pg::relation::quote_identifier;
use crate::pg::{acl, context, ffi, function, spi, table};

/// The schema of chunks if none is given.
pub const DEFAULT: &str = "_timescaledb_internal";

/// The schema that was asked for, or the default one; made if it is missing and the role may.
pub fn resolve(name: Option<&str>, owner: pg_sys::Oid) -> Result<String> {
    match name {
        None | Some(DEFAULT) => ensure_default(owner)?,
        Some(name) => match function::schema_oid(name) {
            None => spi::execute(&format!("CREATE SCHEMA {}", quote_identifier(name)))?,
            Some(oid) => {
                acl::require_create_in_schema(oid, name, owner)?;
                acl::require_create_in_schema(oid, name, context::current_user())?;
            }
        },
    }
    Ok(name.unwrap_or(DEFAULT).to_owned())
}

/// Makes the default schema as the extension's owner. One that belongs to somebody else is refused: its owner could drop chunks.
fn ensure_default(owner: pg_sys::Oid) -> Result<()> {
    if function::schema_oid(DEFAULT).is_none()
        && let Some(catalog) = table::oid("hypertable")
    {
        // Two sessions may make their first hypertables at once: the second waits here, and then finds the schema.
        // SAFETY: the table exists.
        unsafe { ffi::LockRelationOid(catalog, pg_sys::ShareRowExclusiveLock as i32) };
    }
    let extension_owner = extension_owner()?;
    let Some(oid) = function::schema_oid(DEFAULT) else {
        return context::as_user(extension_owner, || {
            spi::execute(&format!("CREATE SCHEMA {DEFAULT}"))?;
            spi::execute(&format!("GRANT USAGE ON SCHEMA {DEFAULT} TO PUBLIC"))
        });
    };
    let schema_owner = function::schema_owner(oid);
    // SAFETY: a look-up of a role.
    if schema_owner == extension_owner || schema_owner == owner || unsafe { ffi::superuser_arg(schema_owner) } {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("schema \"{DEFAULT}\" belongs to another role"))
        .detail("The owner of a schema can drop the tables in it, and chunks would lie there.")
        .hint("Give the schema to the owner of the extension, or name another one with associated_schema_name."))
}

fn extension_owner() -> Result<pg_sys::Oid> {
    spi::query("SELECT extowner::pg_catalog.oid::pg_catalog.text FROM pg_catalog.pg_extension WHERE extname = 'timescale_compat'")?
        .first()
        .and_then(|row| row.first()?.as_ref()?.parse::<u32>().ok())
        .map(pg_sys::Oid::from)
        .ok_or_else(|| Error::internal("the extension is missing"))
}
