//! Rows of pg_constraint, read.

use pgrx::{FromDatum, pg_sys};

use super::catalog_scan::{attribute, scan};
use super::foreign_key::CONSTRAINT_RELATION_ID;
use super::relation::{Relation, name_string};

/// `Anum_pg_constraint_conrelid`
const ANUM_CONRELID: u32 = 8;
/// `ConstraintRelidTypidNameIndexId`
const CONSTRAINT_RELID_TYPID_NAME_INDEX_ID: u32 = 2665;

/// `Anum_pg_constraint_contypid`
const ANUM_CONTYPID: u32 = 9;
/// `ConstraintTypidIndexId`
const CONSTRAINT_TYPID_INDEX_ID: u32 = 2666;

/// A constraint of a table or domain.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// Its name.
    pub name: String,
    /// `contype`: `c`, `f`, `p`, `u`, `x` or `t`.
    pub kind: u8,
    /// False for one that was added NOT VALID.
    pub is_valid: bool,
    /// Of a foreign key: the other table.
    pub referenced: pg_sys::Oid,
    /// Of a foreign key: MATCH FULL.
    pub is_full: bool,
    /// Its columns.
    pub columns: Vec<i16>,
    /// Of a foreign key: the columns of the other table.
    pub referenced_columns: Vec<i16>,
    /// Of a foreign key: the operators that compare them.
    pub operators: Vec<pg_sys::Oid>,
    /// Of a CHECK: its condition, as `nodeToString` writes it.
    pub condition: Option<pg_sys::Datum>,
}

/// The constraints of a table. What they point to lives in the current memory context.
pub fn of_table(relid: pg_sys::Oid) -> Vec<Constraint> {
    find(CONSTRAINT_RELID_TYPID_NAME_INDEX_ID, ANUM_CONRELID, relid)
}

/// The constraints of a domain, as those of a table.
pub fn of_domain(type_oid: pg_sys::Oid) -> Vec<Constraint> {
    find(CONSTRAINT_TYPID_INDEX_ID, ANUM_CONTYPID, type_oid)
}

fn find(index: u32, column: u32, oid: pg_sys::Oid) -> Vec<Constraint> {
    let catalog = Relation::open(CONSTRAINT_RELATION_ID, pg_sys::AccessShareLock);
    scan(&catalog, index, column, oid).into_iter().map(|tuple| read(&catalog, tuple)).collect()
}

fn read(catalog: &Relation, tuple: pg_sys::HeapTuple) -> Constraint {
    // SAFETY: a copied tuple of pg_constraint; numbers and types are those of PostgreSQL 15's pg_constraint.h.
    unsafe {
        let get = |number: u32| attribute(catalog, tuple, number);
        let oid = |number: u32| get(number).map_or(pg_sys::InvalidOid, |datum| pg_sys::Oid::from(datum.value() as u32));
        let numbers = |number: u32| get(number).and_then(|datum| Vec::<i16>::from_datum(datum, false)).unwrap_or_default();
        Constraint {
            oid: oid(1),
            name: get(2).map(|datum| name_string(&*datum.cast_mut_ptr::<pg_sys::NameData>())).unwrap_or_default(),
            kind: get(4).map_or(0, |datum| datum.value() as u8),
            is_valid: get(7).is_some_and(|datum| datum.value() as u8 != 0),
            referenced: oid(12),
            is_full: get(15).is_some_and(|datum| datum.value() as u8 == b'f'),
            columns: numbers(19),
            referenced_columns: numbers(20),
            operators: get(21).and_then(|datum| Vec::<pg_sys::Oid>::from_datum(datum, false)).unwrap_or_default(),
            condition: get(26),
        }
    }
}
