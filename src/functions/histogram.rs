//! `histogram(value, min, max, nbuckets)`: how many values fall into each of `nbuckets` bins of equal width between `min` and
//! `max`, with one count below and one above.

use pgrx::pg_sys;
use tsc_kernel::bins::{BadBins, Bins};

use crate::error::{Error, Result, SqlState};
use crate::pg::aggregate::{Placed, PlacedSlice, StateContext, put_bytes};
use crate::pg::fcinfo::Args;

/// The most bins of which the counts fit PostgreSQL's largest allocation (MaxAllocSize) along with an array's header.
const MAX_BINS: i32 = (0x3FFF_FFFF - 64) / 4 - 2;
/// The bytes of a written state before its counts: both bounds and the number of bins.
const HEADER: usize = 20;

/// The counts so far.
#[derive(Clone, Copy)]
struct State {
    bins: Bins,
    counts: PlacedSlice,
}

impl State {
    fn new(bins: Bins, context: StateContext) -> Self {
        Self { bins, counts: context.put_zeroed(bins.count() as usize + 2) }
    }
}

/// Bins of these arguments, or what is wrong with them.
fn new_bins(min: f64, max: f64, count: i32) -> Result<Bins> {
    let bad = |message: &'static str| Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
    if !(2..=MAX_BINS).contains(&count) {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("number of buckets must be between 2 and {MAX_BINS}")));
    }
    match Bins::new(min, max, count) {
        Ok(bins) => Ok(bins),
        Err(BadBins::TooFew) => bad("number of buckets must be at least 2"),
        Err(BadBins::NotANumber) => bad("lower bound and upper bound cannot be NaN"),
        Err(BadBins::Infinite) => bad("lower bound, upper bound and the distance between them must be finite"),
        Err(BadBins::Order) => bad("lower bound must be less than upper bound"),
    }
}

#[cold]
fn changed_bounds() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "bounds and number of buckets of a histogram must not change within a group")
}

#[cold]
fn overflow() -> Error {
    Error::new(SqlState::NUMERIC_OUT_OF_RANGE, "integer out of range").detail("A bucket of a histogram counts at most 2147483647 values.")
}

/// Takes in a row: (state, value, min, max, nbuckets).
#[inline]
fn transition(args: Args) -> Result<Option<pg_sys::Datum>> {
    let context = args.state_context()?;
    let state = args.state::<State>(0);
    let (Some(min), Some(max), Some(count)) = (args.get(2), args.get(3), args.get(4)) else {
        return Err(Error::new(SqlState::NULL_VALUE_NOT_ALLOWED, "bounds and number of buckets of a histogram cannot be NULL"));
    };
    let Some(value) = args.get::<f64>(1) else {
        return Ok(state.map(Placed::datum));
    };
    let mut state = match state {
        Some(state) => state,
        None => {
            let bins = new_bins(min, max, count)?;
            context.put(State::new(bins, context))
        }
    };
    if !state.bins.matches(min, max, count) {
        return Err(changed_bounds());
    }
    let Some(index) = state.bins.index(value) else {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "a histogram cannot count NaN"));
    };
    let cell = state.counts.get_mut(index).ok_or_else(|| Error::internal("a histogram has too few buckets"))?;
    *cell = cell.checked_add(1).ok_or_else(overflow)?;
    Ok(Some(state.datum()))
}

/// Takes in a state: (state, other).
fn combine(args: Args) -> Result<Option<pg_sys::Datum>> {
    let context = args.state_context()?;
    let state = args.state::<State>(0);
    let Some(other) = args.state::<State>(1) else {
        return Ok(state.map(Placed::datum));
    };
    let mut state = state.unwrap_or_else(|| context.put(State::new(other.bins, context)));
    if state.bins != other.bins {
        return Err(changed_bounds());
    }
    for (cell, more) in state.counts.iter_mut().zip(other.counts.iter()) {
        *cell = cell.checked_add(*more).ok_or_else(overflow)?;
    }
    Ok(Some(state.datum()))
}

sql_function!(tsc_histogram_transition, |args| -> pg_sys::Datum { transition(args) });

sql_function!(tsc_histogram_combine, |args| -> pg_sys::Datum { combine(args) });

sql_function!(
    /// Writes a state for another process of this query.
    tsc_histogram_serialize,
    |args| -> pg_sys::Datum {
        args.state_context()?;
        let Some(state) = args.state::<State>(0) else {
            return Ok(None);
        };
        let (bytea, data) = put_bytes(HEADER + size_of_val(&*state.counts));
        // SAFETY: there is room for the header and all counts.
        unsafe {
            data.cast::<[f64; 2]>().write_unaligned([state.bins.min(), state.bins.max()]);
            data.add(16).cast::<i32>().write_unaligned(state.bins.count());
            data.add(HEADER).copy_from_nonoverlapping(state.counts.as_ptr().cast(), size_of_val(&*state.counts));
        }
        Ok(Some(bytea))
    }
);

sql_function!(
    /// Reads what the function above wrote.
    tsc_histogram_deserialize,
    |args| -> pg_sys::Datum {
        let context = args.state_context()?.transient();
        let Some(bytes) = args.bytes(0) else {
            return Ok(None);
        };
        let broken = || Error::internal("the state of a histogram is broken");
        let (header, counts) = bytes.split_at_checked(HEADER).ok_or_else(broken)?;
        // SAFETY: the header has 20 bytes.
        let ([min, max], count) = unsafe {
            (header.as_ptr().cast::<[f64; 2]>().read_unaligned(), header.as_ptr().add(16).cast::<i32>().read_unaligned())
        };
        let mut state = State::new(new_bins(min, max, count)?, context);
        if counts.len() != size_of_val(&*state.counts) {
            return Err(broken());
        }
        for (cell, bytes) in state.counts.iter_mut().zip(counts.chunks_exact(4)) {
            *cell = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(Some(context.put(state).datum()))
    }
);

sql_function!(
    /// The counts as an array.
    tsc_histogram_final,
    |args| -> Vec<i32> {
        args.state_context()?;
        Ok(args.state::<State>(0).map(|state| state.counts.to_vec()))
    }
);
