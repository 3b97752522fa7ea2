//! The tablespaces that the new chunks of a hypertable take in turn.

use pgrx::pg_sys;

use super::dimensions;
use crate::catalog::naming::Known;
use crate::catalog::{hypertable as hypertable_catalog, tablespace};
use crate::error::{Error, Result, SqlState};
use crate::pg::{acl, function, guard, syscache};

/// The tablespaces of a hypertable in the order of attachment.
pub fn show(relid: pg_sys::Oid) -> Result<Vec<String>> {
    Ok(tablespace::of_hypertable(dimensions::require(relid)?.id))
}

/// Attaches a tablespace, in which the table's owner must be able to create tables.
pub fn attach(relid: pg_sys::Oid, name: &str, if_not_attached: bool) -> Result<()> {
    let hypertable = dimensions::require_owned(relid)?;
    let oid = function::tablespace_oid(name).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist"))
            .hint("The tablespace needs to be created before attaching it to a hypertable.")
    })?;
    if oid == pg_sys::GLOBALTABLESPACE_OID {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "only shared relations can be placed in tablespace \"pg_global\""));
    }
    // SAFETY: reads a variable. Everyone may create in the database's own tablespace.
    if oid != unsafe { pg_sys::MyDatabaseTableSpace } {
        acl::require_create_in_tablespace(oid, name, owner_of(relid))?;
    }
    if tablespace::of_hypertable(hypertable.id).iter().any(|attached| attached == name) {
        let message = format!("tablespace \"{name}\" is already attached to {}", Known::of(relid).described());
        if !if_not_attached {
            return Err(Error::new(SqlState::TABLESPACE_ALREADY_ATTACHED, message).hint("Pass if_not_attached => true to skip it."));
        }
        guard::notice(format!("{message}, skipping"));
        return Ok(());
    }
    tablespace::insert(hypertable.id, name);
    Ok(())
}

fn owner_of(relid: pg_sys::Oid) -> pg_sys::Oid {
    syscache::CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid)
        // SAFETY: a tuple of pg_class.
        .map_or(pg_sys::InvalidOid, |class| unsafe { class.form::<pg_sys::FormData_pg_class>() }.relowner)
}

/// Detaches a tablespace from one hypertable. Chunks that are there stay. Returns how many attachments went.
pub fn detach(relid: pg_sys::Oid, name: &str, if_attached: bool) -> Result<i32> {
    let hypertable = dimensions::require_owned(relid)?;
    if tablespace::delete(hypertable.id, Some(name)) > 0 {
        return Ok(1);
    }
    if function::tablespace_oid(name).is_none() {
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist")));
    }
    let message = format!("tablespace \"{name}\" is not attached to {}", Known::of(relid).described());
    if !if_attached {
        return Err(Error::new(SqlState::TABLESPACE_NOT_ATTACHED, message).hint("Pass if_attached => true to skip it."));
    }
    guard::notice(format!("{message}, skipping"));
    Ok(0)
}

/// Detaches a tablespace from every hypertable that the role owns.
pub fn detach_everywhere(name: &str) -> Result<i32> {
    let (mut detached, mut kept) = (0, 0);
    for id in tablespace::hypertables_of(name) {
        let Some(relid) = hypertable_catalog::relid_of(id) else { continue };
        if acl::require_owner(relid).is_ok() {
            detached += detach(relid, name, true)?;
        } else {
            kept += 1;
        }
    }
    if detached + kept == 0 && function::tablespace_oid(name).is_none() {
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist")));
    }
    if kept > 0 {
        guard::notice(format!("tablespace \"{name}\" remains attached to {kept} hypertable(s) due to lack of permissions"));
    }
    Ok(detached)
}

/// Detaches all tablespaces from a hypertable.
pub fn detach_all(relid: pg_sys::Oid) -> Result<i32> {
    Ok(tablespace::delete(dimensions::require_owned(relid)?.id, None) as i32)
}

/// Refuses to drop a tablespace that is attached in this database: the next chunk would fail. Other databases can't be looked into;
/// there the error comes with the next chunk, and says to detach the tablespace.
pub fn check_drop(name: &str) -> Result<()> {
    let count = tablespace::hypertables_of(name).len();
    if count == 0 {
        return Ok(());
    }
    Err(Error::new(
        SqlState("2BP01"),
        format!("tablespace \"{name}\" is still attached to {count} hypertable{}", if count == 1 { "" } else { "s" }),
    )
    .hint("Detach the tablespace from all hypertables before removing it."))
}
