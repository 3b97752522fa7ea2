//! What an aggregate's functions need: the memory context of their states, states in it, and what they keep between calls.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use pgrx::pg_sys;

use super::fcinfo::Args;
use super::ffi::raw;
use crate::error::{Error, Result};

/// The memory context in which the states of an aggregate live.
#[derive(Clone, Copy)]
pub struct StateContext(pg_sys::MemoryContext);

impl StateContext {
    /// The context itself.
    pub fn context(self) -> pg_sys::MemoryContext {
        self.0
    }

    /// The current memory context instead, for a state that the executor combines with another and forgets.
    pub fn transient(self) -> Self {
        // SAFETY: a backend has one thread.
        Self(unsafe { pg_sys::CurrentMemoryContext })
    }

    /// Puts a value into the context.
    #[inline]
    pub fn put<T: Copy>(self, value: T) -> Placed<T> {
        put(self.0, value)
    }

    /// Puts `len` zeroed integers into the context.
    pub fn put_zeroed(self, len: usize) -> PlacedSlice {
        // SAFETY: the context is that of the running aggregate; callers hold no destructor.
        let start = unsafe { raw::MemoryContextAllocZero(self.0, len * size_of::<i32>()) };
        PlacedSlice { start: start.cast(), len }
    }
}

/// A value in memory that the server frees, not Rust.
pub struct Placed<T: Copy>(NonNull<T>, PhantomData<T>);

impl<T: Copy> Clone for Placed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy> Copy for Placed<T> {}

impl<T: Copy> Placed<T> {
    /// The pointer as a value of the SQL type `internal`.
    #[inline]
    pub fn datum(self) -> pg_sys::Datum {
        self.0.as_ptr().into()
    }
}

impl<T: Copy> Deref for Placed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: states and caches live for the whole call in which they are used.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Copy> DerefMut for Placed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; the executor calls the functions of an aggregate one after the other, and none keeps a reference.
        unsafe { self.0.as_mut() }
    }
}

/// Integers in memory that the server frees, not Rust.
#[derive(Clone, Copy)]
pub struct PlacedSlice {
    start: *mut i32,
    len: usize,
}

impl Deref for PlacedSlice {
    type Target = [i32];

    #[inline]
    fn deref(&self) -> &[i32] {
        // SAFETY: allocated with this length, zeroed, in the context of the state that holds it.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl DerefMut for PlacedSlice {
    #[inline]
    fn deref_mut(&mut self) -> &mut [i32] {
        // SAFETY: as above; only the state that holds this refers to the memory.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

#[inline]
fn put<T: Copy>(context: pg_sys::MemoryContext, value: T) -> Placed<T> {
    // SAFETY: allocations are aligned for any type used here and never null; callers hold no destructor.
    unsafe {
        let place = raw::MemoryContextAlloc(context, size_of::<T>()).cast::<T>();
        place.write(value);
        Placed(NonNull::new_unchecked(place), PhantomData)
    }
}

impl Args {
    /// The context for states; an error if the function is not called as part of an aggregate, which keeps users from
    /// passing forged states.
    #[inline]
    pub fn state_context(self) -> Result<StateContext> {
        let mut context = std::ptr::null_mut();
        // SAFETY: fcinfo is that of the running call; the function never throws.
        if unsafe { raw::AggCheckCallContext(self.fcinfo(), &raw mut context) } == 0 {
            return Err(Error::internal("aggregate function called in non-aggregate context"));
        }
        Ok(StateContext(context))
    }

    /// An argument of type `internal` that is a state, None if NULL.
    #[inline]
    pub fn state<T: Copy>(self, index: usize) -> Option<Placed<T>> {
        let pointer = self.datum(index)?.cast_mut_ptr::<T>();
        NonNull::new(pointer).map(|pointer| Placed(pointer, PhantomData))
    }

    /// What this call site keeps from call to call for as long as the query runs; `make` makes it in the first call.
    #[inline]
    pub fn kept<T: Copy>(self, make: impl FnOnce() -> Result<T>) -> Result<Placed<T>> {
        // SAFETY: fcinfo is that of the running call, and fn_extra is the called function's own.
        let flinfo = unsafe { (*self.fcinfo()).flinfo };
        // SAFETY: as above.
        let extra = unsafe { (*flinfo).fn_extra };
        if let Some(kept) = NonNull::new(extra.cast::<T>()) {
            return Ok(Placed(kept, PhantomData));
        }
        let value = make()?;
        // SAFETY: fn_mcxt lives as long as the call site.
        let kept = put(unsafe { (*flinfo).fn_mcxt }, value);
        // SAFETY: as above.
        unsafe { (*flinfo).fn_extra = kept.0.as_ptr().cast() };
        Ok(kept)
    }

    /// An argument of type `bytea`, detoasted, None if NULL.
    pub fn bytes<'a>(self, index: usize) -> Option<&'a [u8]> {
        let datum = self.datum(index)?;
        // SAFETY: the SQL declaration gives the argument the type bytea; the detoasted bytes live as long as the call.
        unsafe {
            let varlena = raw::pg_detoast_datum_packed(datum.cast_mut_ptr());
            let len = pgrx::varlena::varsize_any_exhdr(varlena);
            Some(std::slice::from_raw_parts(pgrx::varlena::vardata_any(varlena).cast(), len))
        }
    }
}

/// A `bytea` of `size` bytes in the current memory context, and where its bytes begin.
pub fn put_bytes(size: usize) -> (pg_sys::Datum, *mut u8) {
    // SAFETY: the header and as many bytes as were asked for are allocated; a size beyond the limit is an ERROR.
    unsafe {
        let varlena = raw::palloc(size + pg_sys::VARHDRSZ).cast::<pg_sys::varlena>();
        pgrx::varlena::set_varsize_4b(varlena, (size + pg_sys::VARHDRSZ) as i32);
        (varlena.into(), varlena.cast::<u8>().add(pg_sys::VARHDRSZ))
    }
}

/// `float8[]` of three elements, laid out as PostgreSQL does.
#[repr(C, align(8))]
struct ThreeFloats {
    header: pg_sys::ArrayType,
    length: i32,
    lower: i32,
    values: [f64; 3],
}

/// The call of a function of two arguments.
#[derive(Default)]
#[repr(C)]
struct TwoArguments {
    call: pg_sys::FunctionCallInfoBaseData,
    args: [pg_sys::NullableDatum; 2],
}

impl Args {
    /// The count, sum and sum of squared deviations of a state of float8's aggregates; an error if the argument is no such state.
    pub fn float8_state(self, index: usize) -> Result<Option<[f64; 3]>> {
        let Some(state) = self.datum(index) else { return Ok(None) };
        // SAFETY: an array by the SQL declaration; what is read beyond the header is there when the header says so.
        unsafe {
            let array = raw::pg_detoast_datum(state.cast_mut_ptr()).cast::<ThreeFloats>();
            let header = &(*array).header;
            if header.ndim != 1 || header.dataoffset != 0 || header.elemtype != pg_sys::FLOAT8OID || (*array).length != 3 {
                return Err(Error::internal("expected an array of three values of type double precision"));
            }
            Ok(Some((*array).values))
        }
    }

    /// The state of float8's aggregates at `index` with another one taken in, by PostgreSQL's own function, in place.
    pub fn combine_float8_state(self, index: usize, other: [f64; 3]) -> Option<pg_sys::Datum> {
        let state = self.datum(index)?;
        // SAFETY: both are arrays, the other one laid out here; the function checks them, finds the aggregate by the call's context, and
        // never returns NULL. No destructor is pending.
        unsafe {
            let mut other = ThreeFloats {
                header: pg_sys::ArrayType { vl_len_: 0, ndim: 1, dataoffset: 0, elemtype: pg_sys::FLOAT8OID },
                length: 3,
                lower: 1,
                values: other,
            };
            pgrx::varlena::set_varsize_4b((&raw mut other).cast(), size_of::<ThreeFloats>() as i32);
            Some(raw::float8_combine(self.call(&mut TwoArguments::default(), &[Some(state), Some((&raw mut other).into())])))
        }
    }

    /// The bytes of the state of numeric's aggregates at `index`, as PostgreSQL hands them from one worker to another; None without rows.
    pub fn numeric_state_bytes(self, index: usize) -> Result<Option<&'static [u8]>> {
        self.state_context()?;
        let Some(state) = self.datum(index) else { return Ok(None) };
        // SAFETY: a state, since the function is called as a part of an aggregate; a palloc'd bytea comes out. No destructor is pending.
        unsafe {
            let bytes: *mut pg_sys::varlena =
                raw::numeric_serialize(self.call(&mut TwoArguments::default(), &[Some(state)])).cast_mut_ptr();
            Ok(Some(std::slice::from_raw_parts(pgrx::varlena::vardata_any(bytes).cast(), pgrx::varlena::varsize_any_exhdr(bytes))))
        }
    }

    /// The state of numeric's aggregates at `index`, or a new one, with another one taken in, in place.
    ///
    /// # Safety
    /// The bytes are such as [`Self::numeric_state_bytes`] gives.
    pub unsafe fn combine_numeric_state(self, index: usize, bytes: &[u8]) -> Result<Option<pg_sys::Datum>> {
        self.state_context()?;
        // SAFETY: the functions find the aggregate by the call's context. What they make of the bytes lives in the current memory
        // context, the state in that of the aggregate. No destructor is pending.
        unsafe {
            let (other, start) = put_bytes(bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
            let other = raw::numeric_deserialize(self.call(&mut TwoArguments::default(), &[Some(other), None]));
            Ok(Some(raw::numeric_combine(self.call(&mut TwoArguments::default(), &[self.datum(index), Some(other)]))))
        }
    }

    /// A call of a function of up to two arguments as a part of the same aggregate.
    fn call(self, call: &mut TwoArguments, arguments: &[Option<pg_sys::Datum>]) -> pg_sys::FunctionCallInfo {
        // SAFETY: fcinfo is that of the running call.
        call.call.context = unsafe { (*self.fcinfo()).context };
        call.call.nargs = arguments.len() as i16;
        for (place, value) in call.args.iter_mut().zip(arguments) {
            *place = pg_sys::NullableDatum { value: value.unwrap_or(pg_sys::Datum::null()), isnull: value.is_none() };
        }
        std::ptr::from_mut(call).cast()
    }
}
