//! Comparing rows and bounds of batches by the keys of an ordered scan.

use std::cmp::Ordering;

use pgrx::pg_sys;

use super::order::SortColumn;
use crate::columnar::layout::Layout;
use crate::columnar::order::Order;
use crate::columnar::reader::BatchReader;
use crate::error::{Error, Result};
use crate::pg::ffi::raw;

/// A key of an ordered scan.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Index in the layout's columns.
    pub column: usize,
    /// Index in the scan tuple.
    pub position: usize,
    /// As the plan says.
    pub sort: SortColumn,
    order: Order,
    min: i16,
    max: i16,
    block: i16,
    is_segment: bool,
    is_nullable: bool,
    by_value: bool,
    length: i16,
}

/// What is known of a key's values in a batch: no row comes before this.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// Nothing.
    Any,
    /// NULL.
    Null,
    /// A value.
    Value(pg_sys::Datum),
}

impl Key {
    /// The keys of a plan; `attributes` are those of the scan tuple.
    pub fn all(columns: &[SortColumn], attributes: &[i16], layout: &Layout, chunk: &[pg_sys::FormData_pg_attribute]) -> Result<Vec<Self>> {
        let key = |sort: &SortColumn| {
            let column = layout.column_of(sort.attribute)?;
            let place = layout.key_of(column)?;
            let description = &layout.columns[column];
            Some(Self {
                column,
                position: attributes.iter().position(|attribute| *attribute == sort.attribute)?,
                sort: *sort,
                order: Order::of(description.type_oid, description.collation),
                min: layout.keys[place].min,
                max: layout.keys[place].max,
                block: description.block,
                is_segment: place < layout.segments,
                is_nullable: !chunk[sort.attribute as usize - 1].attnotnull,
                by_value: description.by_value,
                length: description.length,
            })
        };
        columns.iter().map(key).collect::<Option<_>>().ok_or_else(|| Error::internal("a plan sorts by a column that is no key"))
    }

    /// Which of two values comes first.
    ///
    /// # Safety
    /// Values of the key. May jump.
    #[inline]
    pub unsafe fn compare(&self, one: Option<pg_sys::Datum>, other: Option<pg_sys::Datum>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) => {
                // SAFETY: the caller's promise.
                let order = unsafe { self.order.compare(one, other) };
                if self.sort.descending { order.reverse() } else { order }
            }
            (None, None) => Ordering::Equal,
            (None, Some(_)) => self.null_order(),
            (Some(_), None) => self.null_order().reverse(),
        }
    }

    fn null_order(&self) -> Ordering {
        if self.sort.nulls_first { Ordering::Less } else { Ordering::Greater }
    }

    /// What an open batch says of the key, and whether all its rows have that value. Values are copied into the current memory context.
    ///
    /// # Safety
    /// A batch of the layout is open. May jump.
    pub unsafe fn bound(&self, batch: &BatchReader) -> (Bound, bool) {
        let is_single = self.is_segment && batch.is_single();
        let bounds = batch.attribute(self.min).zip(batch.attribute(self.max));
        let Some((least, greatest)) = bounds else {
            // Without bounds all values are NULL, or too long to be kept.
            let all_null = is_single || batch.attribute(self.block).is_none();
            return if all_null { (Bound::Null, true) } else { (Bound::Any, false) };
        };
        let may_have_nulls = self.is_nullable && !is_single;
        if may_have_nulls && self.sort.nulls_first {
            return (Bound::Any, false);
        }
        // SAFETY: the caller's promise.
        unsafe {
            let is_constant = !may_have_nulls && self.order.compare(least, greatest) == Ordering::Equal;
            (Bound::Value(self.copy(if self.sort.descending { greatest } else { least })), is_constant)
        }
    }

    /// A number that is smaller for what comes first: equal numbers say nothing.
    #[inline]
    pub fn rank(&self, value: Option<pg_sys::Datum>) -> u64 {
        let ascending = match (value, self.order) {
            (None, _) => return if self.sort.nulls_first { 0 } else { u64::MAX },
            (Some(value), Order::Signed) => (value.value() as u64) ^ SIGN,
            (Some(value), Order::Float8) => float_rank(f64::from_bits(value.value() as u64)),
            (Some(value), Order::Float4) => float_rank(f32::from_bits(value.value() as u32).into()),
            // Between the NULLs.
            _ => return 1,
        };
        if self.sort.descending { !ascending } else { ascending }
    }

    /// True if equal ranks mean equal values.
    pub fn has_exact_rank(&self) -> bool {
        matches!(self.order, Order::Signed) && !self.is_nullable
    }

    /// A copy of a value in the current memory context.
    ///
    /// # Safety
    /// A value of the key. May jump.
    pub unsafe fn copy(&self, value: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: the caller's promise.
        unsafe { raw::datumCopy(value, self.by_value, self.length.into()) }
    }

    /// Which of two bounds comes first.
    ///
    /// # Safety
    /// Bounds of the key. May jump.
    pub unsafe fn compare_bounds(&self, one: Bound, other: Bound) -> Ordering {
        match (one, other) {
            (Bound::Any, Bound::Any) => Ordering::Equal,
            (Bound::Any, _) => Ordering::Less,
            (_, Bound::Any) => Ordering::Greater,
            // SAFETY: the caller's promise.
            _ => unsafe { self.compare(one.value(), other.value()) },
        }
    }

    /// Whether the key's own order is that in which a batch of one segment has it (false) or the reverse (true); None if neither.
    pub fn direction(&self, layout: &Layout) -> Option<bool> {
        let key = layout.keys[layout.key_of(self.column)?];
        let nulls_agree = |reversed: bool| !self.is_nullable || (self.sort.nulls_first == key.nulls_first) != reversed;
        let reversed = self.sort.descending != key.descending;
        nulls_agree(reversed).then_some(reversed)
    }

    /// True for a segmentby column.
    pub fn is_segment(&self) -> bool {
        self.is_segment
    }
}

const SIGN: u64 = 1 << 63;

/// All NaNs are equal, and so are both zeros.
fn float_rank(value: f64) -> u64 {
    let bits = if value.is_nan() { f64::NAN.to_bits() & !SIGN } else { (value + 0.0).to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

impl Bound {
    /// Its value; None if it is NULL.
    pub fn value(self) -> Option<pg_sys::Datum> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// Compares rows by all keys.
///
/// # Safety
/// Values of the keys. May jump.
#[inline]
pub unsafe fn compare_rows(keys: &[Key], one: &[Option<pg_sys::Datum>], other: &[Option<pg_sys::Datum>]) -> Ordering {
    for (index, key) in keys.iter().enumerate() {
        // SAFETY: the caller's promise.
        let order = unsafe { key.compare(one[index], other[index]) };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
