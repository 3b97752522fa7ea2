//! Sorting rows of a table within `maintenance_work_mem`, on disk beyond it (PostgreSQL's tuplesort).

use pgrx::pg_sys;

use super::ffi::{self, raw};
use super::relation::{Relation, descriptor};
use crate::error::{Error, Result, SqlState};

/// A column to sort by.
#[derive(Debug, Clone, Copy)]
pub struct SortKey {
    /// Attribute number.
    pub attribute: i16,
    /// Largest first.
    pub descending: bool,
    /// NULL before all values.
    pub nulls_first: bool,
}

/// Rows being sorted. Its memory is a child of the context that was current; nothing happens when it is dropped.
pub struct Sorter {
    state: *mut pg_sys::Tuplesortstate,
    slot: *mut pg_sys::TupleTableSlot,
    /// The row that `peek` showed.
    shown: bool,
}

impl Sorter {
    /// A sorter for rows of a table, which stays open, within `maintenance_work_mem`.
    pub fn new(relation: &Relation, keys: &[SortKey]) -> Result<Self> {
        // SAFETY: reads a setting; the caller keeps the relation open.
        unsafe { Self::on(descriptor(relation), keys, pg_sys::maintenance_work_mem) }
    }

    /// A sorter for rows of a descriptor, within so many kilobytes.
    ///
    /// # Safety
    /// The descriptor outlives the sorter.
    pub unsafe fn on(desc: pg_sys::TupleDesc, keys: &[SortKey], memory: i32) -> Result<Self> {
        let mut attributes = Vec::new();
        let mut operators = Vec::new();
        let mut collations = Vec::new();
        let mut nulls_first = Vec::new();
        for key in keys {
            // SAFETY: the caller's descriptor has this attribute.
            let column = unsafe { (*desc).attrs.as_slice((*desc).natts as usize)[key.attribute as usize - 1] };
            attributes.push(key.attribute);
            operators.push(operator(column.atttypid, key.descending)?);
            collations.push(column.attcollation);
            nulls_first.push(key.nulls_first);
        }
        // SAFETY: the arrays have as many elements as there are keys, and are copied.
        unsafe {
            let state = ffi::tuplesort_begin_heap(
                desc,
                attributes.len() as i32,
                attributes.as_mut_ptr(),
                operators.as_mut_ptr(),
                collations.as_mut_ptr(),
                nulls_first.as_mut_ptr(),
                memory,
                std::ptr::null_mut(),
                pg_sys::TUPLESORT_NONE as i32,
            );
            Ok(Self { state, slot: ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsMinimalTuple), shown: false })
        }
    }

    /// Adds a row.
    ///
    /// # Safety
    /// The slot holds a row of the table. May jump.
    #[inline]
    pub unsafe fn push(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the caller's promise.
        unsafe { raw::tuplesort_puttupleslot(self.state, slot) }
    }

    /// Ends adding.
    pub fn sort(&mut self) {
        // SAFETY: made by `new`.
        unsafe { ffi::tuplesort_performsort(self.state) }
    }

    /// The next row in order, all its columns read; None at the end.
    ///
    /// # Safety
    /// `sort` was called. The row lives until the next call. May jump.
    #[inline]
    pub unsafe fn next(&mut self) -> Option<*mut pg_sys::TupleTableSlot> {
        // SAFETY: the caller's promise.
        unsafe {
            if !raw::tuplesort_gettupleslot(self.state, true, false, self.slot, std::ptr::null_mut()) {
                return None;
            }
            let columns = (*(*self.slot).tts_tupleDescriptor).natts;
            if i32::from((*self.slot).tts_nvalid) < columns {
                raw::slot_getsomeattrs_int(self.slot, columns);
            }
            Some(self.slot)
        }
    }

    /// The row that [`Self::next`] would give, without going on; see [`Self::advance`].
    ///
    /// # Safety
    /// As [`Self::next`].
    #[inline]
    pub unsafe fn peek(&mut self) -> Option<*mut pg_sys::TupleTableSlot> {
        if self.shown {
            return Some(self.slot);
        }
        // SAFETY: the caller's promise.
        let row = unsafe { self.next() };
        self.shown = row.is_some();
        row
    }

    /// Goes on from the row that [`Self::peek`] showed.
    #[inline]
    pub fn advance(&mut self) {
        self.shown = false;
    }

    /// Frees its memory and files.
    pub fn end(self) {
        // SAFETY: made by `new`.
        unsafe {
            ffi::ExecDropSingleTupleTableSlot(self.slot);
            ffi::tuplesort_end(self.state);
        }
    }
}

/// An error if values of a type can't be sorted.
pub fn require_order(type_oid: pg_sys::Oid) -> Result<()> {
    operator(type_oid, false).map(drop)
}

/// The operator of a type's default order.
fn operator(type_oid: pg_sys::Oid, descending: bool) -> Result<pg_sys::Oid> {
    // SAFETY: any type's OID may be asked for.
    let operator = unsafe {
        let entry = ffi::lookup_type_cache(type_oid, (pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR) as i32);
        if descending { (*entry).gt_opr } else { (*entry).lt_opr }
    };
    if operator == pg_sys::InvalidOid {
        let name = super::typecache::type_name(type_oid);
        return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("could not identify an ordering operator for type {name}")));
    }
    Ok(operator)
}
