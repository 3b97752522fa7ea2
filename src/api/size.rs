//! Sizes and row counts.

use pgrx::{IntoDatum, pg_sys};

use crate::cagg::ddl::storage_of;
use crate::chunk::size;
use crate::pg::size::Size;
use crate::pg::srf::ResultSet;
use crate::pg::{relation, table};
use crate::sql_function;

fn columns(size: Size) -> [Option<pg_sys::Datum>; 4] {
    [size.table.into_datum(), size.index.into_datum(), size.toast.into_datum(), size.total.into_datum()]
}

sql_function!(
    /// `hypertable_size(hypertable)`
    tsc_hypertable_size,
    |args| -> i64 {
        let Some(relid) = args.get(0).map(storage_of) else { return Ok(None) };
        Ok(size::of_hypertable(relid)?.map(|size| size.total))
    }
);

sql_function!(
    /// `hypertable_detailed_size(hypertable)`: one row, with a name of a node that is always NULL.
    tsc_hypertable_detailed_size,
    |args| -> pg_sys::Datum {
        let size = args.get(0).map(storage_of).map(size::of_hypertable).transpose()?.flatten();
        let mut rows = ResultSet::new(args);
        if let Some(size) = size {
            let [table, index, toast, total] = columns(size);
            rows.push(&[table, index, toast, total, None]);
        }
        Ok(None)
    }
);

sql_function!(
    /// `hypertable_approximate_detailed_size(relation)`
    tsc_hypertable_approximate_detailed_size,
    |args| -> pg_sys::Datum {
        let size = args.get(0).map(storage_of).map(size::of_hypertable).transpose()?.flatten();
        let mut rows = ResultSet::new(args);
        if let Some(size) = size {
            rows.push(&columns(size));
        }
        Ok(None)
    }
);

sql_function!(
    /// `chunks_detailed_size(hypertable)`
    tsc_chunks_detailed_size,
    |args| -> pg_sys::Datum {
        let chunks = args.get(0).map(storage_of).map(size::of_chunks).transpose()?.flatten().unwrap_or_default();
        let mut rows = ResultSet::new(args);
        for (chunk, size) in chunks {
            let schema = relation::schema_name(chunk.relid);
            let [table, index, toast, total] = columns(size);
            let name = table::name_datum(&relation::relation_name(chunk.relid));
            rows.push(&[schema.as_deref().and_then(table::name_datum), name, table, index, toast, total, None]);
        }
        Ok(None)
    }
);

sql_function!(
    /// `hypertable_index_size(index_name)`
    tsc_hypertable_index_size,
    |args| -> i64 {
        let Some(relid) = args.get(0) else { return Ok(None) };
        size::of_index(relid)
    }
);

sql_function!(
    /// `approximate_row_count(relation)`
    tsc_approximate_row_count,
    |args| -> i64 {
        let Some(relid) = args.get(0).map(storage_of) else { return Ok(None) };
        Ok(size::approximate_row_count(relid))
    }
);
