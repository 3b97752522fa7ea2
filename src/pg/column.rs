//! Column settings that PostgreSQL does not pass on to partitions.

use pgrx::pg_sys;

use super::relation::{Relation, name_str};
use super::syscache::CacheTuple;
use super::{ffi, table};

/// Copies `attoptions` (such as `n_distinct`) from the columns of `from` to those of the same name of `to`.
pub fn copy_options(from: &Relation, to: &Relation) {
    let mut changed = false;
    for source in from.attributes().iter().filter(|column| !column.attisdropped) {
        if let Some(options) = options(from.oid(), source.attnum) {
            // SAFETY: the column exists in both.
            let target = unsafe { ffi::get_attnum(to.oid(), name_str(&source.attname).as_ptr()) };
            set_options(to.oid(), target, options);
            changed = true;
        }
    }
    if changed {
        table::command_counter_increment();
    }
}

/// The name of a column; None if there is none of that number, or it was dropped.
pub fn name_of(relid: pg_sys::Oid, attribute: i16) -> Option<String> {
    // SAFETY: a palloc'd name or NULL.
    unsafe { super::relation::optional_string(ffi::get_attname(relid, attribute, true)) }
}

fn attribute_tuple(relid: pg_sys::Oid, attribute: i16) -> Option<CacheTuple> {
    CacheTuple::by_keys(pg_sys::SysCacheIdentifier::ATTNUM, pg_sys::Datum::from(relid), pg_sys::Datum::from(attribute))
}

fn options(relid: pg_sys::Oid, attribute: i16) -> Option<pg_sys::Datum> {
    let tuple = attribute_tuple(relid, attribute)?;
    let options = tuple.attribute(pg_sys::Anum_pg_attribute_attoptions)?;
    // SAFETY: attoptions is text[], a varlena; the copy outlives the cache tuple.
    Some(unsafe { ffi::datumCopy(options, false, -1) })
}

fn set_options(relid: pg_sys::Oid, attribute: i16, options: pg_sys::Datum) {
    let Some(tuple) = attribute_tuple(relid, attribute) else { return };
    super::syscache::update(pg_sys::AttributeRelationId, &tuple, &[(pg_sys::Anum_pg_attribute_attoptions, Some(options))]);
}
