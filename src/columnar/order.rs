//! How the values of a column are ordered and hashed, for zone maps and bloom filters.

use std::cmp::Ordering;

use pgrx::pg_sys;
use tsc_kernel::select::order_floats;

use super::image::Image;
use super::layout::Column;
use crate::pg::ffi;

/// The type's default btree order.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Words as signed integers.
    Signed,
    /// Words as the bits of an `f64`; NaN is the greatest.
    Float8,
    /// Words as the bits of an `f32`; NaN is the greatest.
    Float4,
    /// The type's comparison function, which lives in the type cache, and a collation.
    Function(*mut pg_sys::FmgrInfo, pg_sys::Oid),
    /// The type has none.
    None,
}

/// What can be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Signed integers.
    Int,
    /// `f64`
    Float8,
    /// `f32`
    Float4,
    /// Nothing.
    None,
}

impl Order {
    /// The order of a type under a collation.
    pub fn of(type_oid: pg_sys::Oid, collation: pg_sys::Oid) -> Self {
        // SAFETY: any type's OID may be asked for; an entry of the type cache lives as long as the backend.
        unsafe {
            let entry = ffi::lookup_type_cache(type_oid, pg_sys::TYPECACHE_CMP_PROC_FINFO as i32);
            if (*entry).cmp_proc_finfo.fn_oid == pg_sys::InvalidOid {
                return Self::None;
            }
            match (*entry).btree_opintype {
                pg_sys::INT2OID
                | pg_sys::INT4OID
                | pg_sys::INT8OID
                | pg_sys::DATEOID
                | pg_sys::TIMESTAMPOID
                | pg_sys::TIMESTAMPTZOID
                | pg_sys::TIMEOID
                | pg_sys::MONEYOID
                | pg_sys::BOOLOID => Self::Signed,
                pg_sys::FLOAT8OID => Self::Float8,
                pg_sys::FLOAT4OID => Self::Float4,
                _ => Self::Function(&raw mut (*entry).cmp_proc_finfo, collation),
            }
        }
    }

    /// Compares two values.
    ///
    /// # Safety
    /// Both are values of the type. May jump.
    #[inline]
    pub unsafe fn compare(self, left: pg_sys::Datum, right: pg_sys::Datum) -> Ordering {
        match self {
            Self::Signed => (left.value() as i64).cmp(&(right.value() as i64)),
            Self::Float8 => order_floats(f64::from_bits(left.value() as u64), f64::from_bits(right.value() as u64)),
            Self::Float4 => order_floats(f32::from_bits(left.value() as u32).into(), f32::from_bits(right.value() as u32).into()),
            Self::Function(function, collation) => {
                // SAFETY: the caller's promise; the function is that of the type.
                let order = unsafe { ffi::raw::FunctionCall2Coll(function, collation, left, right) };
                (order.value() as i32).cmp(&0)
            }
            Self::None => Ordering::Equal,
        }
    }
}

/// What can be summed of a type.
pub fn sum_of(type_oid: pg_sys::Oid) -> Sum {
    // SAFETY: any OID may be asked for.
    match unsafe { ffi::getBaseType(type_oid) } {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => Sum::Int,
        pg_sys::FLOAT8OID => Sum::Float8,
        pg_sys::FLOAT4OID => Sum::Float4,
        _ => Sum::None,
    }
}

/// The hash function of a type (`hash_extended`, seed 0).
#[derive(Debug, Clone, Copy)]
pub struct Hash(*mut pg_sys::FmgrInfo, pg_sys::Oid);

impl Hash {
    /// The hash function of a type under a collation; None if it has none.
    pub fn of(type_oid: pg_sys::Oid, collation: pg_sys::Oid) -> Option<Self> {
        // SAFETY: as in `Order::of`.
        unsafe {
            let entry = ffi::lookup_type_cache(type_oid, pg_sys::TYPECACHE_HASH_EXTENDED_PROC_FINFO as i32);
            let has_one = (*entry).hash_extended_proc_finfo.fn_oid != pg_sys::InvalidOid;
            has_one.then(|| Self(&raw mut (*entry).hash_extended_proc_finfo, collation))
        }
    }

    /// The hash of a value.
    ///
    /// # Safety
    /// `value` is of the type. May jump.
    #[inline]
    pub unsafe fn hash(self, value: pg_sys::Datum) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { ffi::raw::FunctionCall2Coll(self.0, self.1, value, pg_sys::Datum::from(0_i64)).value() as u64 }
    }
}

/// True if a bloom filter can be kept of a column: not of values that are kept as text, whose hash would be another one after a dump.
pub fn has_bloom(column: &Column) -> bool {
    !matches!(column.image, Image::Text { .. }) && Hash::of(column.type_oid, column.collation).is_some()
}
