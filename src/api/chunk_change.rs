//! Changing chunks: merging, splitting, attaching, moving.

use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};

use super::chunk::any_arg;
use crate::chunk::list::Located;
use crate::chunk::{attach, list, merge, place, size, split};
use crate::error::{Error, Result, SqlState};
use crate::pg::fcinfo::Args;
use crate::pg::relation::{name_string, relation_name, schema_name};
use crate::pg::srf::ResultSet;
use crate::pg::{datetime, ffi, guard, table};
use crate::sql_function;

/// A `name` argument.
fn name_arg(args: Args, index: usize) -> Option<String> {
    // SAFETY: a name Datum points to a NameData.
    args.datum(index).map(|datum| name_string(unsafe { &*datum.cast_mut_ptr::<pg_sys::NameData>() }))
}

fn chunk_list(args: Args) -> Result<Vec<pg_sys::Oid>> {
    let datum = args.datum(0).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "no chunks to merge specified"))?;
    // SAFETY: the argument is regclass[], whose elements are OIDs.
    let chunks: Vec<Option<pg_sys::Oid>> = unsafe { FromDatum::from_datum(datum, false) }.unwrap_or_default();
    chunks.into_iter().map(|chunk| chunk.ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "chunk cannot be NULL"))).collect()
}

fn note_exclusive() {
    guard::notice("chunks are merged under an exclusive lock: readers and writers of the hypertable wait");
}

sql_function!(
    /// `merge_chunks(chunk1, chunk2, concurrently)`
    tsc_merge_two_chunks,
    |args| -> pg_sys::Datum {
        if args.get_or(2, false) {
            note_exclusive();
        }
        merge::merge(&[args.require(0, "chunk1")?, args.require(1, "chunk2")?])?;
        Ok(None)
    }
);

sql_function!(
    /// `merge_chunks(chunks)`
    tsc_merge_chunks,
    |args| -> pg_sys::Datum {
        merge::merge(&chunk_list(args)?)?;
        Ok(None)
    }
);

sql_function!(
    /// `merge_chunks_concurrently(chunks)`
    tsc_merge_chunks_concurrently,
    |args| -> pg_sys::Datum {
        note_exclusive();
        merge::merge(&chunk_list(args)?)?;
        Ok(None)
    }
);

sql_function!(
    /// `split_chunk(chunk, split_at)`
    tsc_split_chunk,
    |args| -> pg_sys::Datum {
        split::split(args.require(0, "chunk")?, any_arg(args, 1))?;
        Ok(None)
    }
);

sql_function!(
    /// `attach_chunk(hypertable, chunk, slices)`
    tsc_attach_chunk,
    |args| -> pg_sys::Datum {
        attach::attach(args.require(0, "hypertable")?, args.require(1, "chunk")?, &args.require::<JsonB>(2, "slices")?)?;
        Ok(None)
    }
);

sql_function!(
    /// `detach_chunk(chunk)`
    tsc_detach_chunk,
    |args| -> pg_sys::Datum {
        attach::detach(args.require(0, "chunk")?)?;
        Ok(None)
    }
);

sql_function!(
    /// `move_chunk(chunk, destination_tablespace, index_destination_tablespace, reorder_index, verbose)`
    tsc_move_chunk,
    |args| -> pg_sys::Datum {
        let tablespace = name_arg(args, 1)
            .ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "destination_tablespace cannot be NULL"))?;
        place::move_chunk(args.require(0, "chunk")?, &tablespace, name_arg(args, 2).as_deref(), args.get(3), args.get_or(4, false))?;
        Ok(None)
    }
);

sql_function!(
    /// `reorder_chunk(chunk, index, verbose)`
    tsc_reorder_chunk,
    |args| -> pg_sys::Datum {
        place::reorder(args.require(0, "chunk")?, args.get(1), args.get_or(2, false))?;
        Ok(None)
    }
);

/// The columns that `create_chunk` and `show_chunk` share.
fn describe(located: &Located) -> Result<Vec<Option<pg_sys::Datum>>> {
    let relid = located.chunk.relid;
    let id = crate::catalog::chunk::find(relid).map(|chunk| chunk.id);
    let schema = schema_name(relid).unwrap_or_default();
    // SAFETY: a syscache look-up.
    let kind = unsafe { ffi::get_rel_relkind(relid) };
    Ok(vec![
        id.into_datum(),
        located.hypertable.id.into_datum(),
        table::name_datum(&schema),
        table::name_datum(&relation_name(relid)),
        Some(pg_sys::Datum::from(kind as i8)),
        Some(datetime::read(pg_sys::JSONBOID, &attach::json_of_slice(located)?)),
    ])
}

sql_function!(
    /// `_timescaledb_functions.create_chunk(hypertable, slices)`
    tsc_create_chunk,
    |args| -> pg_sys::Datum {
        let (located, created) = attach::create(args.require(0, "hypertable")?, &args.require::<JsonB>(1, "slices")?)?;
        let mut row = describe(&located)?;
        row.push(created.into_datum());
        ResultSet::new(args).push(&row);
        Ok(None)
    }
);

sql_function!(
    /// `_timescaledb_functions.show_chunk(chunk)`
    tsc_show_chunk,
    |args| -> pg_sys::Datum {
        let row = describe(&list::require(args.require(0, "chunk")?)?)?;
        ResultSet::new(args).push(&row);
        Ok(None)
    }
);

sql_function!(
    /// `_timescaledb_functions.chunk_status(chunk)`
    tsc_chunk_status,
    |args| -> i32 {
        let chunk = args.require(0, "chunk")?;
        list::require(chunk)?;
        Ok(Some(size::status(chunk)))
    }
);

sql_function!(
    /// `_timescaledb_functions.freeze_chunk(chunk)`
    tsc_freeze_chunk,
    |args| -> bool {
        list::require(args.require(0, "chunk")?)?;
        Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "chunks cannot be frozen")
            .hint("Revoke the privileges to change the hypertable's rows, or detach the chunk with detach_chunk()."))
    }
);
