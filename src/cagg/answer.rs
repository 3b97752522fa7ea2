//! `cagg_valid` and `cagg_live`: what the two halves of a partial view ask, and the rewritten queries of raw hypertables.
//!
//! Both are given the storage, a value of the type that counts, whether a query of the raw hypertable asks, and of such a query the zone
//! of its buckets, the operators of its conditions on time, and their bounds.

use pgrx::{FromDatum, pg_sys};
use tsc_kernel::axis::Axis;
use tsc_kernel::ranges::Range;

use super::bounds;
use super::conditions::Asked;
use super::valid::{self, Question, Reader};
use crate::catalog::dimension::axis_of_type;
use crate::error::{Error, Result, SqlState};
use crate::pg::fcinfo::Args;
use crate::pg::{axis, context, ffi};

const STORAGE: usize = 0;
const SAMPLE: usize = 1;
const ROUTING: usize = 2;
const ZONE: usize = 3;
const OPERATORS: usize = 4;
const BOUNDS: usize = 5;

/// What a call of `cagg_valid` remembers for the next row.
struct Remembered {
    axis: Axis,
    /// The buckets to be taken from storage.
    ranges: Vec<Range>,
    /// The index of the one that held the last bucket.
    last: usize,
    /// The arguments that may change while the function is remembered, with the values that this is for.
    arguments: Vec<(usize, Argument)>,
}

/// An argument by its bytes.
enum Argument {
    Null,
    Word(usize),
    Bytes(Vec<u8>),
    /// What it points to may change.
    Elsewhere,
}

fn axis_of(args: Args) -> Result<Axis> {
    axis_of_type(args.arg_type(SAMPLE)).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, "a bucket is an integer, a date or a time")
            .hint("The function is for the views of continuous aggregates.")
    })
}

/// # Safety
/// The arguments are those of the declaration.
unsafe fn question<T>(args: Args, f: impl FnOnce(Question) -> Result<T>) -> Result<T> {
    let storage = args.datum(STORAGE).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "storage cannot be NULL"))?;
    // SAFETY: the declaration gives the type.
    let storage = unsafe { pg_sys::Oid::from_datum(storage, false) }.unwrap_or(pg_sys::InvalidOid);
    let operators = args.get::<String>(OPERATORS);
    let zone = args.get::<String>(ZONE);
    // SAFETY: the array is of the type of the sample.
    let asked = unsafe { Asked::read(operators.as_deref(), args.datum(BOUNDS)) }?;
    let reader = if args.get_or(ROUTING, false) { Reader::Routing } else { Reader::View };
    f(Question { storage, reader, zone: zone.as_deref(), asked })
}

/// The memory context of the run of the query that the call belongs to.
fn run_of(args: Args) -> pg_sys::MemoryContext {
    // SAFETY: flinfo belongs to the running call; NULL in a direct call.
    unsafe { (*args.fcinfo()).flinfo.as_ref().map_or(std::ptr::null_mut(), |info| info.fn_mcxt) }
}

/// The bytes of a value that has a length, as it is passed; None if they only say where it is.
///
/// # Safety
/// A varlena that outlives the result.
unsafe fn bytes<'a>(datum: pg_sys::Datum) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe {
        let value: *const pg_sys::varlena = datum.cast_mut_ptr();
        (!pgrx::varatt_is_1b_e(value)).then(|| std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_any(value)))
    }
}

impl Argument {
    fn of(args: Args, index: usize) -> Self {
        match args.datum(index) {
            None => Self::Null,
            Some(datum) if index == STORAGE || index == ROUTING => Self::Word(datum.value()),
            // SAFETY: the others are texts and an array.
            Some(datum) => unsafe { bytes(datum) }.map_or(Self::Elsewhere, |bytes| Self::Bytes(bytes.to_vec())),
        }
    }

    #[inline]
    fn is(&self, datum: Option<pg_sys::Datum>) -> bool {
        match (self, datum) {
            (Self::Null, None) => true,
            (Self::Word(word), Some(datum)) => *word == datum.value(),
            // SAFETY: the argument at whose index this was read.
            (Self::Bytes(known), Some(datum)) => unsafe { bytes(datum) == Some(known.as_slice()) },
            _ => false,
        }
    }
}

/// `cagg_valid(storage, bucket, routing, zone, operators, bounds)`
pub fn is_valid(args: Args) -> Result<bool> {
    let Some(bucket) = args.datum(SAMPLE) else { return Ok(false) };
    // SAFETY: flinfo belongs to the running call.
    let info = unsafe { (*args.fcinfo()).flinfo.as_mut() };
    let Some(info) = info else {
        let (axis, ranges) = find(args)?;
        // SAFETY: a value of the axis's type.
        let position = unsafe { axis::position(axis, bucket) };
        return Ok(ranges.iter().any(|range| range.contains(position)));
    };
    if !info.fn_extra.is_null() {
        // SAFETY: only this function puts something there; the reference ends before it is replaced.
        let known = unsafe { &mut *info.fn_extra.cast::<Remembered>() };
        if known.arguments.iter().all(|(index, argument)| argument.is(args.datum(*index))) {
            // SAFETY: a value of the axis's type.
            return Ok(known.holds(unsafe { axis::position(known.axis, bucket) }));
        }
    }
    let (axis, ranges) = find(args)?;
    // SAFETY: looks at the expressions of the call.
    let may_change = |index: &usize| unsafe { !ffi::get_fn_expr_arg_stable(info, *index as i32) };
    let arguments = [STORAGE, ROUTING, ZONE, OPERATORS, BOUNDS].into_iter().filter(may_change);
    let arguments = arguments.map(|index| (index, Argument::of(args, index))).collect();
    let mut fresh = Remembered { axis, ranges, last: 0, arguments };
    // SAFETY: a value of the axis's type.
    let holds = fresh.holds(unsafe { axis::position(axis, bucket) });
    // SAFETY: what is kept lives as long as the FmgrInfo; what was kept before is not used any more, and is replaced in its place.
    unsafe {
        if info.fn_extra.is_null() {
            info.fn_extra = context::keep(info.fn_mcxt, fresh).cast();
        } else {
            *info.fn_extra.cast::<Remembered>() = fresh;
        }
    }
    Ok(holds)
}

impl Remembered {
    #[inline]
    fn holds(&mut self, position: i64) -> bool {
        if self.ranges.get(self.last).is_some_and(|range| range.contains(position)) {
            return true;
        }
        let next = self.ranges.partition_point(|range| range.high < position);
        let found = self.ranges.get(next).is_some_and(|range| range.low <= position);
        if found {
            self.last = next;
        }
        found
    }
}

fn find(args: Args) -> Result<(Axis, Vec<Range>)> {
    let axis = axis_of(args)?;
    // SAFETY: the declaration's arguments; a query runs, so that a snapshot is active, and keeps its memory until it ends.
    let stored = unsafe { question(args, |question| valid::from_storage(run_of(args), question)) }?;
    Ok((axis, stored.as_slice().to_vec()))
}

/// `cagg_live(storage, sample, routing, zone, operators, bounds)`: the first and last values of what is to be read from the source.
pub fn live(args: Args) -> Result<Vec<(pg_sys::Datum, pg_sys::Datum)>> {
    let axis = axis_of(args)?;
    // SAFETY: as above.
    let live = unsafe { question(args, |question| valid::from_source(run_of(args), question)) }?;
    Ok(live.as_slice().iter().filter_map(|range| bounds::values(axis, *range)).collect())
}
