//! `attach_chunk`, `detach_chunk`, and chunks made by hand: PostgreSQL's ATTACH and DETACH PARTITION with the catalog kept in step.

use std::ffi::CStr;

use pgrx::{JsonB, pg_sys};
use tsc_kernel::axis::{Axis, Slice};

use super::list::{self, Located};
use super::{drop::refuse_part, row_form, window};
use crate::catalog::chunk as chunk_catalog;
use crate::catalog::continuous_agg;
use crate::catalog::dimension::Dimension;
use crate::catalog::naming;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::dimensions;
use crate::hypertable::slice;
use crate::pg::relation::{Relation, c_string, qualified_name, relation_name};
use crate::pg::{acl, axis, context, partition_change, spi, table};

/// Makes a chunk a table of its own, with its rows.
pub fn detach(relid: pg_sys::Oid) -> Result<()> {
    let located = list::require(relid)?;
    naming::require_owner(located.hypertable.relid)?;
    refuse_part(&located.chunk, "detach")?;
    row_form::require(relid, "detach")?;
    partition_change::lock(located.hypertable.relid, pg_sys::AccessExclusiveLock);
    partition_change::lock(relid, pg_sys::AccessExclusiveLock);
    row_form::require_locked(relid, "detach")?;
    spi::execute(&format!("ALTER TABLE {} DETACH PARTITION {}", qualified(located.hypertable.relid)?, qualified(relid)?))?;
    chunk_catalog::delete(relid);
    table::command_counter_increment();
    Ok(())
}

/// Makes a table a chunk for a range of time, which all its rows must lie in.
pub fn attach(root: pg_sys::Oid, relid: pg_sys::Oid, slices: &JsonB) -> Result<()> {
    let hypertable = dimensions::require(root)?;
    naming::require_owner(root)?;
    acl::require_owner(relid)?;
    if list::find(relid).is_some() {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is already a chunk", relation_name(relid))));
    }
    if !hypertable.hash_dimensions().is_empty() {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot attach a chunk to a hypertable with a hash dimension")
            .detail("The range of a chunk would have to be divided by hash.")
            .hint("Insert the rows of the table into the hypertable."));
    }
    let time = hypertable.time();
    let (axis, _) = slice::time_axis(&hypertable)?;
    let slice = slice_of_json(time, axis, slices)?;
    spi::execute(&format!(
        "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})",
        qualified(root)?,
        qualified(relid)?,
        bound_text(time, axis, slice.start, "MINVALUE"),
        bound_text(time, axis, slice.end, "MAXVALUE"),
    ))?;
    if chunk_catalog::find(relid).is_none() {
        chunk_catalog::insert(chunk_catalog::next_id(), hypertable.id, relid);
        if hypertable.grain.is_some() {
            continuous_agg::adopt(hypertable.relid);
        }
        table::command_counter_increment();
    }
    Ok(())
}

/// Makes the chunks of a range by hand. Returns the first one, and whether it is new.
pub fn create(root: pg_sys::Oid, slices: &JsonB) -> Result<(Located, bool)> {
    dimensions::require(root)?;
    naming::require_owner(root)?;
    partition_change::lock(root, pg_sys::ShareUpdateExclusiveLock);
    // The table may have changed hands while the lock was waited for.
    naming::require_owner(root)?;
    let hypertable = dimensions::require(root)?;
    let (axis, _) = slice::time_axis(&hypertable)?;
    let wanted = slice_of_json(hypertable.time(), axis, slices)?;
    let overlaps = |other: Slice| {
        other.start.zip(wanted.end).is_none_or(|(start, end)| start < end)
            && wanted.start.zip(other.end).is_none_or(|(start, end)| start < end)
    };
    if let Some(chunk) = list::of_hypertable(&hypertable).into_iter().find(|chunk| overlaps(chunk.slice)) {
        if chunk.slice == wanted {
            return Ok((Located { hypertable, chunk }, false));
        }
        return Err(Error::new(SqlState("TS503"), "chunk creation failed due to collision").detail(format!(
            "Chunk \"{}\" ranges {}.",
            relation_name(chunk.relid),
            axis::slice_text(axis, hypertable.time().type_oid, chunk.slice)
        )));
    }
    let relation = Relation::open(root, pg_sys::NoLock);
    context::with_temporary(|| context::as_user(relation.class().relowner, || slice::create(&relation, &hypertable, wanted)))?;
    let chunk = list::of_hypertable(&hypertable).into_iter().find(|chunk| chunk.slice == wanted);
    chunk.map(|chunk| (Located { hypertable, chunk }, true)).ok_or_else(|| Error::internal("the new chunk is not there"))
}

/// The range of a chunk as `{"column": [start, end]}`, in internal form.
pub fn json_of_slice(located: &Located) -> Result<String> {
    let (axis, _) = slice::time_axis(&located.hypertable)?;
    let start = located.chunk.slice.start.map_or(i64::MIN, |at| axis.to_internal(at));
    let end = located.chunk.slice.end.map_or(i64::MAX, |at| axis.to_internal(at));
    let column = located.hypertable.time().column.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("{{\"{column}\": [{start}, {end}]}}"))
}

/// Reads `{"column": [start, end]}`: numbers are in internal form (microseconds since 1970, or integers), strings are values.
fn slice_of_json(time: &Dimension, axis: Axis, slices: &JsonB) -> Result<Slice> {
    let invalid = |detail: String| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid slices for a chunk")
            .detail(detail)
            .hint(format!("Give slices such as {{\"{}\": [start, end]}}.", time.column))
    };
    let ends = slices.0.get(&time.column).and_then(|ends| ends.as_array());
    let Some([start, end]) = ends.map(Vec::as_slice) else {
        return Err(invalid(format!("There is no array of two values for column \"{}\".", time.column)));
    };
    let internal = |number: Option<i64>, text: Option<&str>| match (number, text) {
        (Some(number), _) => Ok(number),
        (None, Some(text)) => text_position(time, &c_string(text)),
        (None, None) => Err(invalid(String::from("The ends of a range are numbers or strings."))),
    };
    let start = internal(start.as_i64(), start.as_str())?;
    let end = internal(end.as_i64(), end.as_str())?;
    if start >= end {
        return Err(invalid(String::from("The start of the range must be before its end.")));
    }
    Ok(Slice { start: (start != i64::MIN).then(|| axis.from_internal(start)), end: (end != i64::MAX).then(|| axis.from_internal(end)) })
}

fn text_position(time: &Dimension, text: &CStr) -> Result<i64> {
    window::position(time, (pg_sys::UNKNOWNOID, pg_sys::Datum::from(text.as_ptr())))
}

fn bound_text(time: &Dimension, axis: Axis, at: Option<i64>, open: &str) -> String {
    at.map_or_else(|| open.to_owned(), |at| format!("'{}'", axis::value_text(time.type_oid, axis::datum(axis, at)).replace('\'', "''")))
}

fn qualified(relid: pg_sys::Oid) -> Result<String> {
    qualified_name(relid).ok_or_else(|| Error::new(SqlState::UNDEFINED_TABLE, format!("relation {} does not exist", relid.to_u32())))
}
