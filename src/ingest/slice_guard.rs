//! The comparison that each row of an insert pays: does the slice that was seen last hold its key?

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, Slice};
use tsc_kernel::ranges::Range;

use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::change::Recorder;
use crate::error::{Error, Result};
use crate::hypertable::slice;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;
use crate::pg::{axis, slot};

/// The slice of a hypertable that is known to have its chunk. Plain data without a destructor.
#[derive(Clone, Copy)]
pub struct SliceGuard {
    relid: pg_sys::Oid,
    /// Where the key's column stands in the rows.
    column: i16,
    axis: Axis,
    /// The first and the last position of the slice; first > last at the start.
    first: i64,
    last: i64,
    /// A function to apply to the column, if `has_function`.
    function: pg_sys::FmgrInfo,
    has_function: bool,
    /// Where the rows' times are recorded.
    changes: Recorder,
}

impl SliceGuard {
    /// A guard for rows that have the key in `column`. What it caches lives in the current memory context.
    pub fn new(hypertable: &Hypertable, column: i16) -> Result<Self> {
        let (axis, _) = slice::time_axis(hypertable)?;
        let mut function = pg_sys::FmgrInfo::default();
        let oid = slice::time_function(hypertable)?;
        if let Some(oid) = oid {
            // SAFETY: fills the struct, which may be moved: nothing points into it.
            unsafe { ffi::fmgr_info(oid, &mut function) };
        }
        let changes = Recorder::of(hypertable);
        Ok(Self { relid: hypertable.relid, column, axis, first: i64::MAX, last: i64::MIN, function, has_function: oid.is_some(), changes })
    }

    /// None if the row's slice is the known one; else its key, None in turn if that is NULL. Either way its time is recorded.
    ///
    /// # Safety
    /// `row` has the column. An ERROR jumps: nothing with a destructor may be pending.
    #[inline]
    #[expect(clippy::option_option, reason = "covered, NULL and a value are three things, and this is the hot path")]
    pub unsafe fn uncovered(&mut self, row: *mut pg_sys::TupleTableSlot) -> Option<Option<pg_sys::Datum>> {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(value) = slot::attribute(row, self.column) else { return Some(None) };
            self.uncovered_value(value).map(Some)
        }
    }

    /// None if the value's slice is the known one; else the key.
    ///
    /// # Safety
    /// As [`Self::uncovered`]; `value` is of the column's type.
    #[inline]
    pub unsafe fn uncovered_value(&mut self, mut value: pg_sys::Datum) -> Option<pg_sys::Datum> {
        // SAFETY: the caller's promise.
        unsafe {
            if self.has_function {
                value = raw::FunctionCall1Coll(&mut self.function, pg_sys::InvalidOid, value);
            }
            let position = axis::position(self.axis, value);
            self.changes.note(position);
            (position < self.first || position > self.last).then_some(value)
        }
    }

    /// The axis of the key.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Where the rows' times are recorded.
    pub fn changes(&self) -> Recorder {
        self.changes
    }

    /// Any row of the known slice may change: rows may get other times on their way into it.
    pub fn note_slice(&self) {
        if let Some(range) = Range::new(self.first, self.last) {
            self.changes.note_range(range);
        }
    }

    /// The hypertable.
    pub fn relid(&self) -> pg_sys::Oid {
        self.relid
    }

    /// The position of a key that [`Self::uncovered`] returned; an error if no chunk can hold it, or if it is NULL.
    pub fn position(&self, key: Option<pg_sys::Datum>) -> Result<i64> {
        let Some(value) = key else { return Err(self.error(|root, hypertable| slice::null_time(root, &hypertable.time().column))) };
        // SAFETY: a value of the axis's type.
        unsafe {
            if !axis::is_placeable(self.axis, value) {
                return Err(
                    self.error(|root, hypertable| slice::unplaceable(root, &hypertable.time().column, hypertable.time().type_oid, value))
                );
            }
            Ok(axis::position(self.axis, value))
        }
    }

    fn error(&self, make: impl Fn(&Relation, &Hypertable) -> Error) -> Error {
        let root = Relation::open(self.relid, pg_sys::NoLock);
        cache::find(self.relid).map_or_else(|| Error::internal("the hypertable is gone"), |hypertable| make(&root, &hypertable))
    }

    /// Remembers a slice that has its chunk.
    pub fn remember(&mut self, slice: Slice) {
        self.first = slice.start.unwrap_or(i64::MIN);
        self.last = slice.end.map_or(i64::MAX, |end| end - 1);
    }
}
