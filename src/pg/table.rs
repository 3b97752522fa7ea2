//! The extension's own tables, read and written at heap level: with the catalog snapshot, whatever the transaction's is, and
//! without the privileges of the role that happens to run the statement.

use std::ffi::CString;

use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::ffi;
use super::relation::{Relation, c_string, name_string};
use crate::error::{Error, SqlState};

/// One of the extension's tables as this library knows it. Columns are found by position.
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// How many columns it has.
    pub columns: usize,
}

/// One of the extension's tables, open.
pub struct Table(Relation);

/// A row, copied into the current memory context.
pub struct Row {
    tid: pg_sys::ItemPointerData,
    values: Vec<Option<pg_sys::Datum>>,
}

/// An equality condition on a column (by attribute number) that leads an index or is checked row by row.
pub enum Key {
    /// `int4`
    Int(i16, i32),
    /// `oid` or `regclass`
    Oid(i16, pg_sys::Oid),
}

impl Row {
    /// The column at `index` (from 0); None if NULL.
    pub fn get<T: FromDatum>(&self, index: usize) -> Option<T> {
        // SAFETY: the caller names the column's type; the row's memory lives in the context it was read in.
        self.values.get(index).copied().flatten().and_then(|datum| unsafe { T::from_datum(datum, false) })
    }

    /// A `name` column.
    pub fn name(&self, index: usize) -> Option<String> {
        // SAFETY: a name Datum points to a NameData.
        self.values.get(index).copied().flatten().map(|datum| name_string(unsafe { &*datum.cast_mut_ptr::<pg_sys::NameData>() }))
    }

    /// A `timestamptz` column, in microseconds since 2000-01-01 UTC.
    pub fn instant(&self, index: usize) -> Option<i64> {
        self.datum(index).map(|datum| datum.value() as i64)
    }

    /// A `"char"` or any other Datum as it is.
    pub fn datum(&self, index: usize) -> Option<pg_sys::Datum> {
        self.values.get(index).copied().flatten()
    }
}

/// A `name` value for [`Table::insert`].
pub fn name_datum(name: &str) -> Option<pg_sys::Datum> {
    let mut data = pg_sys::NameData::default();
    for (to, from) in data.data.iter_mut().zip(name.bytes().take(pg_sys::NAMEDATALEN as usize - 1)) {
        *to = from as std::ffi::c_char;
    }
    // SAFETY: palloc'd memory of the type's size.
    unsafe {
        let copy = ffi::palloc(size_of::<pg_sys::NameData>()).cast::<pg_sys::NameData>();
        copy.write(data);
        Some(pg_sys::Datum::from(copy))
    }
}

/// Any value that pgrx can convert, for [`Table::insert`].
pub fn datum<T: IntoDatum>(value: T) -> Option<pg_sys::Datum> {
    value.into_datum()
}

fn schema_oid(schema: &str) -> pg_sys::Oid {
    let schema = c_string(schema);
    // SAFETY: missing_ok: InvalidOid if there is none.
    unsafe { ffi::get_namespace_oid(schema.as_ptr(), true) }
}

fn relation_oid(schema: pg_sys::Oid, name: &str) -> pg_sys::Oid {
    let name: CString = c_string(name);
    if schema == pg_sys::InvalidOid {
        return pg_sys::InvalidOid;
    }
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_relname_relid(name.as_ptr(), schema) }
}

/// The schema of the extension's tables.
pub const SCHEMA: &str = "_timescaledb_config";

/// The OID of that schema; None if the extension is not installed in this database.
pub fn schema() -> Option<pg_sys::Oid> {
    Some(schema_oid(SCHEMA)).filter(|oid| *oid != pg_sys::InvalidOid)
}

/// The OID of one of the extension's tables; None if the extension is not installed in this database.
pub fn oid(name: &str) -> Option<pg_sys::Oid> {
    let oid = relation_oid(schema_oid(SCHEMA), name);
    (oid != pg_sys::InvalidOid).then_some(oid)
}

#[cold]
fn other_version(definition: &Definition, columns: usize) -> ! {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "the catalog of extension timescale_compat is of another version than its library")
        .detail(format!("{SCHEMA}.{} has {columns} columns, and the library knows {}.", definition.name, definition.columns))
        .hint("Run ALTER EXTENSION timescale_compat UPDATE in this database, or load the library that belongs to its version.")
        .throw()
}

impl Table {
    /// Opens a table of the extension; None if the extension is not installed, or is just being brought to this library's version.
    /// Throws if it is of another version: a library that is newer than the catalog would take one column for another.
    pub fn open(definition: &Definition, lock: u32) -> Option<Self> {
        let relation = Relation::open(oid(definition.name)?, lock);
        if relation.attributes().len() == definition.columns {
            return Some(Self(relation));
        }
        // SAFETY: a variable of the backend: CREATE EXTENSION or ALTER EXTENSION .. UPDATE runs its script.
        if unsafe { pg_sys::creating_extension } {
            return None;
        }
        other_version(definition, relation.attributes().len())
    }

    /// Reads the rows that fit all `keys`. `index` names an index whose leading column is the first key's.
    pub fn scan(&self, index: Option<&str>, keys: &[Key]) -> Vec<Row> {
        // SAFETY: without a snapshot it reads with a fresh catalog snapshot.
        unsafe { self.scan_as_of(index, keys, std::ptr::null_mut()) }
    }

    /// The same with a snapshot other than the catalog's, which NULL stands for.
    ///
    /// # Safety
    /// NULL or a registered or active snapshot.
    pub unsafe fn scan_as_of(&self, index: Option<&str>, keys: &[Key], snapshot: pg_sys::Snapshot) -> Vec<Row> {
        let index_oid = index.map_or(pg_sys::InvalidOid, |name| relation_oid(schema_oid(SCHEMA), name));
        let mut scan_keys: Vec<pg_sys::ScanKeyData> = keys.iter().map(scan_key).collect();
        let mut rows = Vec::new();
        // SAFETY: the keys live until the scan ends; an index scan by systable_beginscan takes heap attribute numbers.
        unsafe {
            let scan = ffi::systable_beginscan(
                self.0.as_ptr(),
                index_oid,
                index_oid != pg_sys::InvalidOid,
                snapshot,
                scan_keys.len() as i32,
                scan_keys.as_mut_ptr(),
            );
            loop {
                let tuple = ffi::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                rows.push(self.row(ffi::heap_copytuple(tuple)));
            }
            ffi::systable_endscan(scan);
        }
        rows
    }

    /// # Safety
    /// `tuple` is one of this table's and outlives the row.
    unsafe fn row(&self, tuple: pg_sys::HeapTuple) -> Row {
        let count = self.0.attributes().len();
        let mut values = vec![pg_sys::Datum::null(); count];
        let mut nulls = vec![true; count];
        // SAFETY: both arrays have as many elements as the table has attributes.
        unsafe {
            ffi::heap_deform_tuple(tuple, (*self.0.as_ptr()).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            Row { tid: (*tuple).t_self, values: values.into_iter().zip(nulls).map(|(value, null)| (!null).then_some(value)).collect() }
        }
    }

    fn form(&self, values: &[Option<pg_sys::Datum>]) -> pg_sys::HeapTuple {
        let mut datums: Vec<pg_sys::Datum> = values.iter().map(|value| value.unwrap_or(pg_sys::Datum::null())).collect();
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        // SAFETY: one value for each attribute.
        unsafe { ffi::heap_form_tuple((*self.0.as_ptr()).rd_att, datums.as_mut_ptr(), nulls.as_mut_ptr()) }
    }

    /// Inserts a row of one value for each column.
    pub fn insert(&self, values: &[Option<pg_sys::Datum>]) {
        debug_assert_eq!(values.len(), self.0.attributes().len());
        // SAFETY: the tuple was formed for this table.
        unsafe { ffi::CatalogTupleInsert(self.0.as_ptr(), self.form(values)) };
    }

    /// Replaces columns (index from 0) of a row that was read in this transaction under a lock that keeps others from changing it.
    pub fn update(&self, row: &Row, changes: &[(usize, Option<pg_sys::Datum>)]) {
        let mut values = row.values.clone();
        for (index, value) in changes {
            values[*index] = *value;
        }
        let mut tid = row.tid;
        // SAFETY: the tuple was formed for this table, and the row's address is that of its current version.
        unsafe { ffi::CatalogTupleUpdate(self.0.as_ptr(), &mut tid, self.form(&values)) };
    }

    /// Deletes a row.
    pub fn delete(&self, row: &Row) {
        let mut tid = row.tid;
        // SAFETY: as for `update`.
        unsafe { ffi::CatalogTupleDelete(self.0.as_ptr(), &mut tid) };
    }
}

/// The next value of one of the extension's sequences, which is of type int, so that the value fits.
pub fn next_id(sequence: &str) -> i32 {
    next_number(sequence) as i32
}

/// The next value of one of the extension's sequences.
pub fn next_number(sequence: &str) -> i64 {
    let oid = relation_oid(schema_oid(SCHEMA), sequence);
    // SAFETY: nextval_internal raises an error if the sequence is gone.
    unsafe { ffi::nextval_internal(oid, false) }
}

/// Locks a table for writing, if that is possible without waiting.
pub fn try_lock_table(table: pg_sys::Oid) -> bool {
    // SAFETY: takes a lock by OID; the table may be gone.
    unsafe { ffi::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock as i32) }
}

/// Waits for the lock on what one of the extension's tables says of `id`, which whoever changes it takes until the transaction ends.
pub fn lock_row(table: pg_sys::Oid, id: i32) {
    take_row_lock(table, id, false);
}

/// The same without waiting; false if another transaction has the lock.
pub fn try_lock_row(table: pg_sys::Oid, id: i32) -> bool {
    take_row_lock(table, id, true)
}

fn take_row_lock(table: pg_sys::Oid, id: i32, no_wait: bool) -> bool {
    // SAFETY: SET_LOCKTAG_OBJECT of lock.h; the table's OID stands for a class of objects that PostgreSQL has none of.
    unsafe {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::MyDatabaseId.into(),
            locktag_field2: table.into(),
            locktag_field3: id as u32,
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        let result = ffi::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, false, no_wait);
        result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Makes the changes so far visible to what follows in this transaction.
pub fn command_counter_increment() {
    // SAFETY: within a transaction.
    unsafe { ffi::CommandCounterIncrement() }
}

fn scan_key(key: &Key) -> pg_sys::ScanKeyData {
    let (attribute, procedure, argument) = match *key {
        Key::Int(attribute, value) => (attribute, pg_sys::F_INT4EQ, pg_sys::Datum::from(value)),
        Key::Oid(attribute, value) => (attribute, pg_sys::F_OIDEQ, pg_sys::Datum::from(value)),
    };
    let mut scan_key = pg_sys::ScanKeyData::default();
    // SAFETY: fills the key.
    unsafe {
        ffi::ScanKeyInit(&mut scan_key, attribute, pg_sys::BTEqualStrategyNumber as u16, pg_sys::Oid::from(procedure), argument);
    }
    scan_key
}
