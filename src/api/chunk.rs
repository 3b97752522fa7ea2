//! Showing and dropping chunks.

use pgrx::{IntoDatum, pg_sys};

use crate::cagg::ddl::storage_of;
use crate::cagg::growing::Growing;
use crate::chunk::drop;
use crate::chunk::list;
use crate::chunk::window::Asked;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;
use crate::pg::fcinfo::Args;
use crate::pg::srf::ResultSet;
use crate::pg::{axis, table};
use crate::sql_function;

/// An argument of any type.
pub fn any_arg(args: Args, index: usize) -> Given {
    args.datum(index).map(|datum| (args.arg_type(index), datum))
}

fn hypertable_arg(args: Args) -> Result<pg_sys::Oid> {
    args.get(0).map(storage_of).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid hypertable or continuous aggregate")
            .hint("Specify a hypertable or continuous aggregate.")
    })
}

sql_function!(
    /// `show_chunks(relation, older_than, newer_than, created_before, created_after)`
    tsc_show_chunks,
    |args| -> pg_sys::Datum {
        let asked = Asked {
            older_than: any_arg(args, 1),
            newer_than: any_arg(args, 2),
            created_before: any_arg(args, 3),
            created_after: any_arg(args, 4),
        };
        let chunks = drop::show(hypertable_arg(args)?, asked)?;
        let mut rows = ResultSet::new(args);
        for chunk in chunks {
            rows.push(&[chunk.into_datum()]);
        }
        Ok(None)
    }
);

sql_function!(
    /// `drop_chunks(relation, older_than, newer_than, verbose, created_before, created_after)`
    tsc_drop_chunks,
    |args| -> pg_sys::Datum {
        let asked = Asked {
            older_than: any_arg(args, 1),
            newer_than: any_arg(args, 2),
            created_before: any_arg(args, 4),
            created_after: any_arg(args, 5),
        };
        let hypertable = hypertable_arg(args)?;
        let growing = Growing::of(hypertable);
        let names = drop::drop_chunks(hypertable, asked, args.get_or(3, false))?;
        growing.warn();
        let mut rows = ResultSet::new(args);
        for name in names {
            rows.push(&[name.into_datum()]);
        }
        Ok(None)
    }
);

sql_function!(
    /// `_timescaledb_functions.drop_chunk(chunk)`
    tsc_drop_chunk,
    |args| -> bool {
        drop::drop_chunk(args.require(0, "chunk")?)?;
        Ok(Some(true))
    }
);

sql_function!(
    /// `_timescaledb_functions.hypertable_chunks(hypertable)`: what the views say of chunks and PostgreSQL's catalogs don't.
    tsc_hypertable_chunks,
    |args| -> pg_sys::Datum {
        let hypertable = args.get(0).map(storage_of).and_then(crate::catalog::cache::find);
        let mut rows = ResultSet::new(args);
        let Some((hypertable, axis)) = hypertable.and_then(|hypertable| hypertable.time().axis().map(|axis| (hypertable, axis))) else {
            return Ok(None);
        };
        for chunk in list::of_hypertable(&hypertable) {
            let start = chunk.slice.start.map_or(i64::MIN, |at| axis.to_internal(at));
            let end = chunk.slice.end.map_or(i64::MAX, |at| axis.to_internal(at));
            let (moduli, remainders): (Vec<i32>, Vec<i32>) = chunk.parts.iter().copied().unzip();
            rows.push(&[
                chunk.relid.into_datum(),
                chunk.table.into_datum(),
                start.into_datum(),
                end.into_datum(),
                axis::internal_timestamp(axis, start),
                axis::internal_timestamp(axis, end),
                table::datum(moduli),
                table::datum(remainders),
            ]);
        }
        Ok(None)
    }
);
