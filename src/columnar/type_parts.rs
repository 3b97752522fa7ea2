//! What values of a type are made of: elements of arrays and ranges, fields, the base of a domain.

use pgrx::pg_sys;

use crate::pg::ffi;
use crate::pg::relation::Relation;
use crate::pg::syscache::CacheTuple;

/// The first type that is wanted among a type and, at any depth, its parts.
pub fn find(type_oid: pg_sys::Oid, wanted: &dyn Fn(pg_sys::Oid) -> bool) -> Option<pg_sys::Oid> {
    if wanted(type_oid) {
        return Some(type_oid);
    }
    let (kind, base, relation) = describe(type_oid)?;
    // SAFETY: look-ups in the catalog; an element type is no array of the array.
    unsafe {
        let element = ffi::get_element_type(type_oid);
        if element != pg_sys::InvalidOid {
            return find(element, wanted);
        }
        match kind {
            b'd' => find(base, wanted),
            b'r' => find(ffi::get_range_subtype(type_oid), wanted),
            b'm' => find(ffi::get_multirange_range(type_oid), wanted),
            // Composite types can't hold themselves.
            b'c' => Relation::try_open(relation, pg_sys::AccessShareLock).and_then(|relation| {
                let live = relation.attributes().iter().filter(|attribute| !attribute.attisdropped);
                live.map(|attribute| attribute.atttypid).find_map(|part| find(part, wanted))
            }),
            _ => None,
        }
    }
}

/// `typtype`, `typbasetype`, `typrelid`
fn describe(type_oid: pg_sys::Oid) -> Option<(u8, pg_sys::Oid, pg_sys::Oid)> {
    let tuple = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::TYPEOID, type_oid)?;
    // SAFETY: a row of pg_type.
    let form = unsafe { tuple.form::<pg_sys::FormData_pg_type>() };
    Some((form.typtype as u8, form.typbasetype, form.typrelid))
}
