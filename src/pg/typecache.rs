//! A type's default ordering and hash function, from the type cache.

use std::cmp::Ordering;
use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

use super::datum::Layout;
use super::ffi;
use super::ffi::raw;
use crate::error::{Error, Result, SqlState};

/// A type, its layout and how its values are ordered.
#[derive(Clone, Copy, Debug)]
pub struct OrderedType {
    /// The type.
    pub oid: pg_sys::Oid,
    /// How its values lie in memory.
    pub layout: Layout,
    order: Order,
    collation: pg_sys::Oid,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// As signed integers of 64 bits.
    Int64,
    /// As signed integers of 32 bits.
    Int32,
    /// By the type's comparison function, which lives in the type cache.
    Function(*mut pg_sys::FmgrInfo),
}

impl OrderedType {
    /// Looks up the default ordering of a type.
    pub fn look_up(oid: pg_sys::Oid, collation: pg_sys::Oid) -> Result<Self> {
        let entry = entry(oid, pg_sys::TYPECACHE_CMP_PROC_FINFO)?;
        // SAFETY: an entry of the type cache lives as long as the backend.
        let (layout, input, function) = unsafe { (layout(entry), (*entry).btree_opintype, &raw mut (*entry).cmp_proc_finfo) };
        // SAFETY: as above.
        if unsafe { (*function).fn_oid } == pg_sys::InvalidOid {
            return Err(no_function("comparison", oid));
        }
        let order = match input {
            pg_sys::INT8OID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Order::Int64,
            pg_sys::INT4OID | pg_sys::DATEOID => Order::Int32,
            _ => Order::Function(function),
        };
        Ok(Self { oid, layout, order, collation })
    }

    /// Compares two values.
    ///
    /// # Safety
    /// Both are values of the type. May jump.
    #[inline]
    pub unsafe fn compare(&self, left: pg_sys::Datum, right: pg_sys::Datum) -> Ordering {
        match self.order {
            Order::Int64 => (left.value() as i64).cmp(&(right.value() as i64)),
            Order::Int32 => (left.value() as i32).cmp(&(right.value() as i32)),
            Order::Function(function) => {
                // SAFETY: the caller's promise; the function is that of the type.
                let order = unsafe { raw::FunctionCall2Coll(function, self.collation, left, right) };
                (order.value() as i32).cmp(&0)
            }
        }
    }
}

/// How values of a type lie in memory.
pub fn layout_of(oid: pg_sys::Oid) -> Result<Layout> {
    // SAFETY: an entry of the type cache lives as long as the backend.
    entry(oid, 0).map(|entry| unsafe { layout(entry) })
}

/// The hash of a value by the hash function of its type, under the type's own collation.
///
/// # Safety
/// `value` is of the type.
pub unsafe fn hash(oid: pg_sys::Oid, value: pg_sys::Datum) -> Result<u32> {
    let entry = entry(oid, pg_sys::TYPECACHE_HASH_PROC_FINFO)?;
    // SAFETY: an entry of the type cache lives as long as the backend; the value is of the type.
    unsafe {
        let function = &raw mut (*entry).hash_proc_finfo;
        if (*function).fn_oid == pg_sys::InvalidOid {
            return Err(no_function("hash", oid));
        }
        Ok(ffi::FunctionCall1Coll(function, (*entry).typcollation, value).value() as u32)
    }
}

/// The name of a type as users write it.
pub fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: the function returns a C string for any OID.
    unsafe { CStr::from_ptr(ffi::format_type_be(oid)) }.to_string_lossy().into_owned()
}

/// The type under a domain, or the type itself.
pub fn base_type(oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: any OID may be asked for.
    unsafe { ffi::getBaseType(oid) }
}

fn entry(oid: pg_sys::Oid, flags: u32) -> Result<*mut pg_sys::TypeCacheEntry> {
    if oid == pg_sys::InvalidOid {
        return Err(Error::internal("could not determine the type of an argument"));
    }
    // SAFETY: any valid OID may be asked for.
    Ok(unsafe { ffi::lookup_type_cache(oid, flags as c_int) })
}

/// # Safety
/// `entry` is one of the type cache.
unsafe fn layout(entry: *mut pg_sys::TypeCacheEntry) -> Layout {
    // SAFETY: the caller's promise.
    unsafe { Layout { len: (*entry).typlen, by_val: (*entry).typbyval } }
}

fn no_function(kind: &str, oid: pg_sys::Oid) -> Error {
    Error::new(SqlState::UNDEFINED_FUNCTION, format!("could not identify a {kind} function for type {}", type_name(oid)))
}

/// `typcategory` of a type.
pub fn category(oid: pg_sys::Oid) -> u8 {
    let (mut category, mut preferred) = (0, false);
    // SAFETY: fills both, or raises an ERROR for a type that does not exist.
    unsafe { ffi::get_type_category_preferred(oid, &mut category, &mut preferred) };
    category as u8
}

/// True if values of a type have a default order, that of btree indexes.
pub fn is_ordered(oid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { ffi::GetDefaultOpClass(oid, pg_sys::BTREE_AM_OID) != pg_sys::InvalidOid }
}

/// True if values of a type can be hashed.
pub fn is_hashable(oid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { ffi::GetDefaultOpClass(oid, pg_sys::HASH_AM_OID) != pg_sys::InvalidOid }
}

/// The operator by which two values of a type are equal.
pub fn equality(oid: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let entry = entry(oid, pg_sys::TYPECACHE_EQ_OPR)?;
    // SAFETY: an entry of the type cache.
    let operator = unsafe { (*entry).eq_opr };
    if operator == pg_sys::InvalidOid { Err(no_function("equality", oid)) } else { Ok(operator) }
}

/// True for an enumeration.
pub fn is_enum(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_typtype(type_oid) as u8 == b'e' }
}
