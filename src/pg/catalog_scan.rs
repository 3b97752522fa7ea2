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

/// `DependRelationId`
const DEPEND_RELATION_ID: pg_sys::Oid = pg_sys::Oid::from_u32(2608);
/// `DependReferenceIndexId`
const DEPEND_REFERENCE_INDEX_ID: pg_sys::Oid = pg_sys::Oid::from_u32(2674);
/// `Anum_pg_depend_refclassid` and `Anum_pg_depend_refobjid`
const REFERENCE_COLUMNS: [i16; 2] = [4, 5];

/// pg_depend's rows up to what is needed; pgrx does not bind them.
#[repr(C)]
struct Dependency {
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: i32,
}

/// True if a column or another type than its own array is made of a type, according to pg_depend.
pub fn type_is_used(type_oid: pg_sys::Oid, array: pg_sys::Oid) -> bool {
    let depend = Relation::open(DEPEND_RELATION_ID, pg_sys::AccessShareLock);
    [type_oid, array].into_iter().filter(|oid| *oid != pg_sys::InvalidOid).any(|oid| {
        scan_dependents(&depend, pg_sys::TypeRelationId, oid).into_iter().any(|(class, object, sub)| {
            (class == pg_sys::RelationRelationId && sub != 0) || (class == pg_sys::TypeRelationId && object != array)
        })
    })
}

/// `classid`, `objid`, `objsubid` of what depends on an object.
fn scan_dependents(depend: &Relation, class: pg_sys::Oid, object: pg_sys::Oid) -> Vec<(pg_sys::Oid, pg_sys::Oid, i32)> {
    let mut keys = [pg_sys::ScanKeyData::default(); 2];
    let mut found = Vec::new();
    // SAFETY: the keys live until the scan ends; a tuple of pg_depend is read before the scan moves on.
    unsafe {
        for (key, (column, oid)) in keys.iter_mut().zip(REFERENCE_COLUMNS.into_iter().zip([class, object])) {
            let equal = pg_sys::Oid::from(pg_sys::F_OIDEQ);
            ffi::ScanKeyInit(key, column, pg_sys::BTEqualStrategyNumber as u16, equal, pg_sys::Datum::from(oid));
        }
        let scan = ffi::systable_beginscan(depend.as_ptr(), DEPEND_REFERENCE_INDEX_ID, true, std::ptr::null_mut(), 2, keys.as_mut_ptr());
        loop {
            let tuple = ffi::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let form = &*super::syscache::form::<Dependency>(tuple);
            found.push((form.class, form.object, form.sub));
        }
        ffi::systable_endscan(scan);
    }
    found
}
