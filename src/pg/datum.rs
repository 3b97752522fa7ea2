//! Datums that outlive the row they came from.

use std::ffi::c_int;

use pgrx::pg_sys;

use super::ffi::raw;

/// How values of a type lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The length in bytes; -1 for a varlena, -2 for a C string.
    pub len: i16,
    /// Whether the datum is the value itself.
    pub by_val: bool,
}

/// A value, or NULL, of which this holds its own copy in some memory context.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    datum: pg_sys::Datum,
    is_null: bool,
}

impl Held {
    /// NULL.
    pub const NULL: Self = Self { datum: pg_sys::Datum::null(), is_null: true };

    /// The value, None if NULL.
    #[inline]
    pub fn get(&self) -> Option<pg_sys::Datum> {
        (!self.is_null).then_some(self.datum)
    }

    /// Replaces the value by a copy of another, in `context`, and frees the old one.
    ///
    /// An expanded value is flattened. A value that is toasted on disk stays a pointer, as cheap as it came: use
    /// [`set_detoasted`](Self::set_detoasted) for what is read more than once.
    ///
    /// # Safety
    /// `value` is of the layout, as was whatever this held, in memory that `pfree` knows. May jump.
    #[inline]
    pub unsafe fn set(&mut self, value: Option<pg_sys::Datum>, layout: Layout, context: pg_sys::MemoryContext) {
        // SAFETY: the caller's promise.
        unsafe { self.replace(value, layout, context, |datum| raw::datumCopy(datum, false, c_int::from(layout.len))) }
    }

    /// As [`set`](Self::set), but the copy is neither compressed nor toasted and has no short header.
    ///
    /// # Safety
    /// As [`set`](Self::set).
    #[inline]
    pub unsafe fn set_detoasted(&mut self, value: Option<pg_sys::Datum>, layout: Layout, context: pg_sys::MemoryContext) {
        // SAFETY: the caller's promise; only a varlena is detoasted.
        unsafe {
            self.replace(value, layout, context, |datum| match layout.len {
                -1 => raw::pg_detoast_datum_copy(datum.cast_mut_ptr()).into(),
                len => raw::datumCopy(datum, false, c_int::from(len)),
            });
        }
    }

    #[inline]
    unsafe fn replace(
        &mut self,
        value: Option<pg_sys::Datum>,
        layout: Layout,
        context: pg_sys::MemoryContext,
        copy: impl FnOnce(pg_sys::Datum) -> pg_sys::Datum,
    ) {
        let new = match value {
            None => Self::NULL,
            Some(datum) if layout.by_val => Self { datum, is_null: false },
            Some(datum) => {
                // SAFETY: a backend has one thread; if the copy jumps, the handler that catches it sets the context itself.
                unsafe {
                    let caller = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = context;
                    let datum = copy(datum);
                    pg_sys::CurrentMemoryContext = caller;
                    Self { datum, is_null: false }
                }
            }
        };
        let old = std::mem::replace(self, new);
        if !layout.by_val && !old.is_null {
            // SAFETY: the old value was copied by this function, or so the caller promises.
            unsafe { raw::pfree(old.datum.cast_mut_ptr()) }
        }
    }

    /// The bytes that [`write`](Self::write) will need.
    ///
    /// # Safety
    /// The value is of the layout. May jump.
    pub unsafe fn written_size(&self, layout: Layout) -> usize {
        // SAFETY: the caller's promise.
        unsafe { raw::datumEstimateSpace(self.datum, self.is_null, layout.by_val, c_int::from(layout.len)) }
    }

    /// Writes the value at `at` and returns where it ends.
    ///
    /// # Safety
    /// The value is of the layout and there is room for [`written_size`](Self::written_size) bytes. May jump.
    pub unsafe fn write(&self, layout: Layout, at: *mut u8) -> *mut u8 {
        let mut at = at.cast();
        // SAFETY: the caller's promise.
        unsafe { raw::datumSerialize(self.datum, self.is_null, layout.by_val, c_int::from(layout.len), &raw mut at) };
        at.cast()
    }

    /// Reads what [`write`](Self::write) wrote, into the current memory context, and returns where it ended.
    ///
    /// # Safety
    /// `at` points to what `write` wrote in this query. May jump.
    pub unsafe fn read(at: *const u8) -> (Self, *const u8) {
        let mut at = at.cast_mut().cast();
        let mut is_null = false;
        // SAFETY: the caller's promise; the function only reads at the address.
        let datum = unsafe { raw::datumRestore(&raw mut at, &raw mut is_null) };
        (Self { datum, is_null }, at.cast_const().cast())
    }
}
