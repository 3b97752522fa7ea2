//! `first(value, key)` and `last(value, key)`: the value of the row with the smallest or largest key.
//!
//! Rows with a NULL key do not count; of rows with equal keys the first one seen is kept. The state is a copy of the value and
//! of the key in the aggregate's memory context; what it replaces is freed.

use std::cmp::Ordering;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::aggregate::{Placed, StateContext, put_bytes};
use crate::pg::datum::{Held, Layout};
use crate::pg::fcinfo::Args;
use crate::pg::typecache::{OrderedType, layout_of};

/// What all states of a call site share.
#[derive(Clone, Copy)]
struct Types {
    value_oid: pg_sys::Oid,
    value: Layout,
    key: OrderedType,
}

/// The best row so far. A state exists once a row had a key, so its key is never NULL.
#[derive(Clone, Copy)]
struct State {
    types: Placed<Types>,
    value: Held,
    key: Held,
}

impl Types {
    fn look_up(value: pg_sys::Oid, key: pg_sys::Oid, collation: pg_sys::Oid) -> Result<Self> {
        Ok(Self { value_oid: value, value: layout_of(value)?, key: OrderedType::look_up(key, collation)? })
    }
}

impl State {
    fn empty(types: Placed<Types>) -> Self {
        Self { types, value: Held::NULL, key: Held::NULL }
    }

    /// Whether a key is better than that of the state; any is if it has none.
    #[inline]
    fn is_beaten_by(&self, key: pg_sys::Datum, wanted: Ordering) -> bool {
        // SAFETY: both keys are of the call site's key type; no destructor is pending.
        self.key.get().is_none_or(|best| unsafe { self.types.key.compare(key, best) } == wanted)
    }

    #[inline]
    fn replace(&mut self, value: Option<pg_sys::Datum>, key: pg_sys::Datum, context: StateContext) {
        // SAFETY: value and key are of the call site's types, old ones were put here before; no destructor is pending.
        unsafe {
            self.value.set(value, self.types.value, context.context());
            self.key.set_detoasted(Some(key), self.types.key.layout, context.context());
        }
    }
}

/// Takes in a row: (state, value, key).
#[inline]
fn transition(args: Args, wanted: Ordering) -> Result<Option<pg_sys::Datum>> {
    let context = args.state_context()?;
    let state = args.state::<State>(0);
    let Some(key) = args.datum(2) else {
        return Ok(state.map(Placed::datum));
    };
    let mut state = match state {
        Some(state) => state,
        None => context.put(State::empty(args.kept(|| Types::look_up(args.arg_type(1), args.arg_type(2), args.collation()))?)),
    };
    if state.is_beaten_by(key, wanted) {
        state.replace(args.datum(1), key, context);
    }
    Ok(Some(state.datum()))
}

/// Takes in a state: (state, other).
fn combine(args: Args, wanted: Ordering) -> Result<Option<pg_sys::Datum>> {
    let context = args.state_context()?;
    let state = args.state::<State>(0);
    let Some((other, key)) = args.state::<State>(1).and_then(|other| other.key.get().map(|key| (other, key))) else {
        return Ok(state.map(Placed::datum));
    };
    let mut state = match state {
        Some(state) => state,
        // Not the other state's types: deserialization is not told the collation.
        None => context.put(State::empty(args.kept(|| Types::look_up(other.types.value_oid, other.types.key.oid, args.collation()))?)),
    };
    if state.is_beaten_by(key, wanted) {
        state.replace(other.value.get(), key, context);
    }
    Ok(Some(state.datum()))
}

/// The state for another process of this query: both types, value, key.
fn serialize(args: Args) -> Result<Option<pg_sys::Datum>> {
    args.state_context()?;
    let Some(state) = args.state::<State>(0) else {
        return Ok(None);
    };
    let types = *state.types;
    // SAFETY: value and key are of the types; the size is what they ask for; no destructor is pending.
    unsafe {
        let size = 8 + state.value.written_size(types.value) + state.key.written_size(types.key.layout);
        let (bytea, data) = put_bytes(size);
        data.cast::<[u32; 2]>().write_unaligned([types.value_oid.to_u32(), types.key.oid.to_u32()]);
        let at = state.value.write(types.value, data.add(8));
        state.key.write(types.key.layout, at);
        Ok(Some(bytea))
    }
}

/// The state from what `serialize` wrote.
fn deserialize(args: Args) -> Result<Option<pg_sys::Datum>> {
    let context = args.state_context()?.transient();
    let Some(bytes) = args.bytes(0) else {
        return Ok(None);
    };
    if bytes.len() < 8 {
        return Err(Error::internal("the state of first or last is too short"));
    }
    // SAFETY: the length was checked, and only `serialize` makes what an aggregate hands to this.
    unsafe {
        let [value, key] = bytes.as_ptr().cast::<[u32; 2]>().read_unaligned().map(pg_sys::Oid::from_u32);
        let types = args.kept(|| Types::look_up(value, key, args.collation()))?;
        let (value, at) = Held::read(bytes.as_ptr().add(8));
        let (key, _) = Held::read(at);
        Ok(Some(context.put(State { types, value, key }).datum()))
    }
}

sql_function!(tsc_first_transition, |args| -> pg_sys::Datum { transition(args, Ordering::Less) });

sql_function!(tsc_last_transition, |args| -> pg_sys::Datum { transition(args, Ordering::Greater) });

sql_function!(tsc_first_combine, |args| -> pg_sys::Datum { combine(args, Ordering::Less) });

sql_function!(tsc_last_combine, |args| -> pg_sys::Datum { combine(args, Ordering::Greater) });

sql_function!(tsc_first_last_serialize, |args| -> pg_sys::Datum { serialize(args) });

sql_function!(tsc_first_last_deserialize, |args| -> pg_sys::Datum { deserialize(args) });

sql_function!(tsc_first_last_final, |args| -> pg_sys::Datum {
    args.state_context()?;
    Ok(args.state::<State>(0).and_then(|state| state.value.get()))
});
