//! Scans of PostgreSQL's system catalogs by one OID.

use pgrx::pg_sys;

use super::ffi;
use super::relation::Relation;

/// Copies of the tuples of a system catalog whose column equals an OID. Index 0 stands for a sequential scan.
pub fn scan(catalog: &Relation, index: u32, column: u32, oid: pg_sys::Oid) -> Vec<pg_sys::HeapTuple> {
    let mut key = pg_sys::ScanKeyData::default();
    let mut tuples = Vec::new();
    // SAFETY: the key lives until the scan ends; the tuples are copied before the scan moves on.
    unsafe {
        ffi::ScanKeyInit(
            &mut key,
            column as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::Oid::from(pg_sys::F_OIDEQ),
            pg_sys::Datum::from(oid),
        );
        let scan = ffi::systable_beginscan(catalog.as_ptr(), pg_sys::Oid::from(index), index != 0, std::ptr::null_mut(), 1, &mut key);
        loop {
            let tuple = ffi::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            tuples.push(ffi::heap_copytuple(tuple));
        }
        ffi::systable_endscan(scan);
    }
    tuples
}

/// A column of a catalog's tuple by attribute number; None if NULL.
///
/// # Safety
/// `tuple` is one of `catalog`'s.
pub unsafe fn attribute(catalog: &Relation, tuple: pg_sys::HeapTuple, number: u32) -> Option<pg_sys::Datum> {
    let count = catalog.attributes().len();
    let mut values = vec![pg_sys::Datum::null(); count];
    let mut nulls = vec![true; count];
    // SAFETY: the arrays have one element for each attribute.
    unsafe { ffi::heap_deform_tuple(tuple, (*catalog.as_ptr()).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr()) };
    let index = number as usize - 1;
    (!nulls[index]).then_some(values[index])
}
