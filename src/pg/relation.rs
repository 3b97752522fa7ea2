//! Open relations: closed when dropped, their locks kept to the end of the transaction as PostgreSQL's DDL does.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::ffi;
use crate::error::{Error, Result, SqlState};

/// An open relation. Dropping it closes the relcache reference and keeps the lock.
#[derive(Debug)]
pub struct Relation(pg_sys::Relation);

impl Relation {
    /// Opens a relation of any kind and takes `lock` on it; an ERROR if it does not exist.
    pub fn open(oid: pg_sys::Oid, lock: u32) -> Self {
        // SAFETY: relation_open checks the OID.
        Self(unsafe { ffi::relation_open(oid, lock as i32) })
    }

    /// Opens a relation that may be gone.
    pub fn try_open(oid: pg_sys::Oid, lock: u32) -> Option<Self> {
        // SAFETY: try_relation_open checks the OID and returns NULL if there is none.
        let relation = unsafe { ffi::try_relation_open(oid, lock as i32) };
        (!relation.is_null()).then(|| Self(relation))
    }

    /// PostgreSQL's own pointer, valid while this lives.
    pub fn as_ptr(&self) -> pg_sys::Relation {
        self.0
    }

    /// The relation's OID.
    pub fn oid(&self) -> pg_sys::Oid {
        self.data().0
    }

    fn data(&self) -> (pg_sys::Oid, &pg_sys::FormData_pg_class) {
        // SAFETY: an open relation has rd_rel.
        unsafe { ((*self.0).rd_id, &*(*self.0).rd_rel) }
    }

    /// Its row of pg_class.
    pub fn class(&self) -> &pg_sys::FormData_pg_class {
        self.data().1
    }

    /// `relkind` as a byte, such as `b'r'` or `b'p'`.
    pub fn kind(&self) -> u8 {
        self.class().relkind as u8
    }

    /// True for a table that is partitioned.
    pub fn is_partitioned(&self) -> bool {
        self.kind() == b'p'
    }

    /// Its name without the schema.
    pub fn name(&self) -> String {
        name_string(&self.class().relname)
    }

    /// The attributes, dropped ones included; attribute number = index + 1.
    pub fn attributes(&self) -> &[pg_sys::FormData_pg_attribute] {
        // SAFETY: a tuple descriptor holds natts attributes, and lives as long as the relation is open.
        unsafe {
            let desc = (*self.0).rd_att;
            (*desc).attrs.as_slice((*desc).natts as usize)
        }
    }

    /// The attribute of this name, if there is one.
    pub fn attribute(&self, name: &str) -> Option<&pg_sys::FormData_pg_attribute> {
        self.attributes().iter().find(|attribute| !attribute.attisdropped && name_str(&attribute.attname).to_bytes() == name.as_bytes())
    }

    /// Like [`Self::attribute`], an error if there is none.
    pub fn require_attribute(&self, name: &str) -> Result<&pg_sys::FormData_pg_attribute> {
        self.attribute(name).ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
                .hint(format!("The columns of \"{}\" are shown by \\d in psql.", self.name()))
        })
    }

    /// Brings the relcache entry up to date: after a subtransaction's abort an open relation may still show what was rolled back.
    pub fn refresh(&self) {
        // SAFETY: opening by OID processes pending invalidations; the relation is open already, so no lock is needed.
        unsafe { ffi::table_close(ffi::table_open(self.oid(), pg_sys::NoLock as i32), pg_sys::NoLock as i32) };
    }

    /// Has its relcache entry built anew, partitions included. [`Self::refresh`] is not enough where nothing may be missed: a
    /// partition descriptor that was being built when news of a partition arrived lacks it, and the news is gone.
    pub fn rebuild(&self) {
        // SAFETY: the relation is open, so its entry is rebuilt in place.
        unsafe { ffi::RelationCacheInvalidateEntry(self.oid()) };
        self.refresh();
    }

    /// The OIDs of its indexes.
    pub fn index_oids(&self) -> Vec<pg_sys::Oid> {
        // SAFETY: the list is palloc'd for the caller; its elements are OIDs.
        unsafe { super::list::oids(ffi::RelationGetIndexList(self.0)) }
    }
}

impl Drop for Relation {
    fn drop(&mut self) {
        // On an error the resource owner closes it: no call into PostgreSQL while unwinding.
        if !std::thread::panicking() {
            // SAFETY: opened by this value's constructor.
            unsafe { ffi::relation_close(self.0, pg_sys::NoLock as i32) }
        }
    }
}

/// A relation's tuple descriptor, which lives as long as it is open.
pub fn descriptor(relation: &Relation) -> pg_sys::TupleDesc {
    // SAFETY: an open relation has one.
    unsafe { (*relation.as_ptr()).rd_att }
}

/// A `name` as a C string.
pub fn name_str(name: &pg_sys::NameData) -> &CStr {
    // SAFETY: a NameData is NUL-terminated within its 64 bytes.
    unsafe { CStr::from_ptr(name.data.as_ptr()) }
}

/// A `name` as a Rust string.
pub fn name_string(name: &pg_sys::NameData) -> String {
    name_str(name).to_string_lossy().into_owned()
}

/// True if the schema has a relation of this name.
pub fn exists(schema: pg_sys::Oid, name: &str) -> bool {
    let name = c_string(name);
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_relname_relid(name.as_ptr(), schema) != pg_sys::InvalidOid }
}

/// The name of a relation, for messages; its OID if it is gone.
pub fn relation_name(oid: pg_sys::Oid) -> String {
    // SAFETY: get_rel_name returns a palloc'd string or NULL.
    unsafe { optional_string(ffi::get_rel_name(oid)) }.unwrap_or_else(|| oid.to_u32().to_string())
}

/// `schema.name` of a relation, quoted where needed; None if it is gone.
pub fn qualified_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: both names are palloc'd strings or NULL; quote_qualified_identifier copes with a NULL schema.
    unsafe {
        let name = ffi::get_rel_name(oid);
        if name.is_null() {
            return None;
        }
        let schema = ffi::get_namespace_name(ffi::get_rel_namespace(oid));
        optional_string(ffi::quote_qualified_identifier(schema, name))
    }
}

/// A column's attribute number and type by its name, without a lock on the relation; None if there is no such column.
pub fn column_of(relid: pg_sys::Oid, name: &str) -> Option<(i16, pg_sys::Oid)> {
    let name = c_string(name);
    // SAFETY: syscache look-ups.
    unsafe {
        let attribute = ffi::get_attnum(relid, name.as_ptr());
        (attribute > 0).then(|| (attribute, ffi::get_atttype(relid, attribute)))
    }
}

/// The schema of a relation; None if it is gone.
pub fn schema_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a palloc'd name or NULL.
    unsafe { optional_string(ffi::get_namespace_name(ffi::get_rel_namespace(oid))) }
}

/// An identifier, quoted if it must be.
pub fn quote_identifier(name: &str) -> String {
    let text = c_string(name);
    // SAFETY: a NUL-terminated string in, one of the same kind out.
    unsafe { CStr::from_ptr(ffi::quote_identifier(text.as_ptr())) }.to_string_lossy().into_owned()
}

/// The name of a type as SQL writes it.
pub fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: format_type_be returns a palloc'd string for any OID.
    unsafe { optional_string(ffi::format_type_be(oid)) }.unwrap_or_default()
}

/// The same with its schema, for a cast under any search path: one that cuts nothing off, as to `character`, which is `character(1)`.
pub fn qualified_type_name(oid: pg_sys::Oid) -> String {
    qualified_type_name_with(oid, -1)
}

/// The same with its modifier.
pub fn qualified_type_name_with(oid: pg_sys::Oid, typmod: i32) -> String {
    let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
    // SAFETY: format_type_extended returns a palloc'd string for any OID.
    unsafe { optional_string(ffi::format_type_extended(oid, typmod, flags as u16)) }.unwrap_or_default()
}

/// Copies a palloc'd C string that may be NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub unsafe fn optional_string(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// A Rust string as a C string; it ends at the first NUL, which PostgreSQL's text never has.
pub fn c_string(text: &str) -> std::ffi::CString {
    let bytes: Vec<u8> = text.bytes().take_while(|byte| *byte != 0).collect();
    std::ffi::CString::new(bytes).unwrap_or_default()
}
