//! `split_chunk`: one chunk becomes two.
//!
//! The chunk keeps its identity and the earlier rows; the later ones go to a new chunk. Both get new heaps written from the old
//! one, so snapshots taken before see the same rows as ever (`pg::rewrite`). Readers and writers of the hypertable wait.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, Slice};

use super::locked::{LockedSlice, lock_hypertable_of};
use super::window;
use crate::catalog::dimension::Dimension;
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::hypertable::slice::{self, NewTable};
use crate::pg::call::FunctionCall;
use crate::pg::relation::Relation;
use crate::pg::rewrite::{self, Rewrite, Values};
use crate::pg::{axis, context, function, guard, partition, partition_change};

/// Splits a chunk at a point of its range, or in the middle.
pub fn split(relid: pg_sys::Oid, split_at: Given) -> Result<()> {
    let located = lock_hypertable_of(relid)?;
    let hypertable = &located.hypertable;
    let (axis, _) = slice::time_axis(hypertable)?;
    let at = split_point(hypertable.time(), axis, located.chunk.slice, split_at)?;
    let root = Relation::open(hypertable.relid, pg_sys::AccessExclusiveLock);
    partition_change::check_not_in_use(&root, c"split_chunk");
    let old = LockedSlice::lock(&located, c"split_chunk", "split")?;
    if old.chunks.len() > 1 {
        guard::notice("splitting the other hash partitions of the same time range as well");
    }
    let key = Key::new(hypertable.time(), axis, at)?;
    context::with_temporary(|| {
        let new = context::as_user(root.class().relowner, || create_tables(&root, hypertable, &old))?;
        for (from, to) in old.chunks.iter().zip(new.chunks()) {
            rewrite::keep_old_versions(to.oid);
            move_rows(from.relid, to.oid, &key);
            partition_change::copy_options(from.relid, to.oid);
        }
        let bound = |start, end| partition::range_bound(axis, hypertable.time().type_oid, Slice { start, end });
        partition_change::set_bound(&root, old.table, bound(old.slice.start, Some(at)));
        context::as_user(root.class().relowner, || slice::attach_tree(&root, hypertable, &new, bound(Some(at), old.slice.end)));
        Ok(())
    })
}

/// The tables for the later rows, divided as the old ones are.
fn create_tables(root: &Relation, hypertable: &Hypertable, old: &LockedSlice) -> Result<NewTable> {
    let new = slice::create_tables(root, hypertable, 0)?;
    let mut parts = Vec::new();
    collect_shape(&new, &mut Vec::new(), &mut parts);
    if parts.iter().map(Vec::as_slice).eq(old.shape()) {
        return Ok(new);
    }
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot split a chunk whose time range is divided by hash as new ones are not")
        .hint("Set the number of partitions back with set_number_partitions() for the split."))
}

fn collect_shape(table: &NewTable, path: &mut Vec<(i32, i32)>, shapes: &mut Vec<Vec<(i32, i32)>>) {
    if table.chunk_id.is_some() {
        shapes.push(path.clone());
    }
    for (remainder, part) in table.parts.iter().enumerate() {
        path.push((table.parts.len() as i32, remainder as i32));
        collect_shape(part, path, shapes);
        path.pop();
    }
}

/// Says for a row whether it goes to the later chunk.
struct Key {
    attribute: String,
    function: Option<FunctionCall>,
    axis: Axis,
    at: i64,
}

impl Key {
    fn new(time: &Dimension, axis: Axis, at: i64) -> Result<Self> {
        let function = time
            .partitioning_func
            .as_ref()
            .map(|name| {
                function::find_for_type(name, time.column_type)
                    .map(FunctionCall::new)
                    .ok_or_else(|| Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {}.{} does not exist", name.0, name.1)))
            })
            .transpose()?;
        Ok(Self { attribute: time.column.clone(), function, axis, at })
    }

    fn is_later(&self, values: &Values, attribute: i16) -> bool {
        // SAFETY: a value of the axis's type.
        let later = |datum| unsafe { axis::position(self.axis, datum) >= self.at };
        values.column(attribute).is_some_and(|datum| match &self.function {
            Some(function) => context::with_temporary(|| later(function.call(datum))),
            None => later(datum),
        })
    }
}

fn move_rows(from: pg_sys::Oid, to: pg_sys::Oid, key: &Key) {
    let source = Relation::open(from, pg_sys::AccessExclusiveLock);
    let attribute = source.attribute(&key.attribute).map_or(0, |attribute| attribute.attnum);
    let mut rewrite = Rewrite::begin(&[from, to], &[&source]);
    // A time partitioning function is the owner's.
    context::as_user(source.class().relowner, || rewrite.copy(&source, |values| usize::from(key.is_later(values, attribute))));
    drop(source);
    rewrite.finish();
}

/// Where to split: a position strictly inside the range.
fn split_point(time: &Dimension, axis: Axis, slice: Slice, split_at: Given) -> Result<i64> {
    let invalid = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let Some(given) = split_at else {
        return middle(axis, slice).ok_or_else(|| {
            invalid(String::from("cannot split the chunk in the middle of its range"))
                .hint("Give split_at: the range is open or too short.")
        });
    };
    let at = axis.from_internal(window::position(time, given)?);
    if slice.start.is_none_or(|start| start < at) && slice.end.is_none_or(|end| at < end) {
        return Ok(at);
    }
    Err(invalid(format!("split_at must lie inside the chunk's range of column \"{}\"", time.column))
        .detail(format!("The chunk ranges {}.", axis::slice_text(axis, time.type_oid, slice))))
}

/// The middle of a range, rounded down to a whole hour, minute, second or millisecond if the range is long enough.
fn middle(axis: Axis, slice: Slice) -> Option<i64> {
    let (start, end) = slice.start.zip(slice.end)?;
    let middle = i64::try_from((i128::from(start) + i128::from(end)) / 2).ok()?;
    let units: &[i64] = match axis {
        Axis::Timestamp => &[3_600_000_000, 60_000_000, 1_000_000, 1],
        Axis::Uuid => &[3_600_000_000, 60_000_000, 1_000_000, 1000],
        Axis::Int2 | Axis::Int4 | Axis::Int8 | Axis::Date => &[1],
    };
    units.iter().map(|unit| middle.div_euclid(*unit) * unit).find(|at| start < *at && *at < end)
}
