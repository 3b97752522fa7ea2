//! Chunks between row form and columns.

use pgrx::{IntoDatum, PgLogLevel, pg_sys};

use crate::columnar::{batch_table, compress, decompress, roll_up};
use crate::error::{Error, Result, SqlState};
use crate::pg::fcinfo::Args;
use crate::pg::guard::guard;
use crate::pg::relation::c_string;
use crate::pg::srf::ResultSet;
use crate::pg::{ffi, progress, slot, trigger};
use crate::sql_function;

/// The chunk that a function is to change. On a replica, and in a read-only transaction, this is the error.
fn chunk_arg(args: Args) -> Result<pg_sys::Oid> {
    let function = c_string(&format!("{}()", args.function_name()));
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(function.as_ptr()) };
    args.require(0, "chunk")
}

fn oid(datum: pg_sys::Datum) -> pg_sys::Oid {
    pg_sys::Oid::from(datum.value() as u32)
}

/// A function returns the chunk; a procedure nothing.
fn result(args: Args, chunk: pg_sys::Oid) -> Option<pg_sys::Datum> {
    // SAFETY: looks the running function up.
    let kind = unsafe { ffi::get_func_prokind(args.function_oid()) } as u8;
    if kind == b'p' { None } else { chunk.into_datum() }
}

sql_function!(
    /// `compress_chunk(uncompressed_chunk, if_not_compressed, recompress)`, `convert_to_columnstore`
    tsc_compress_chunk,
    |args| -> pg_sys::Datum {
        let chunk = chunk_arg(args)?;
        compress::compress(chunk, args.get_or(1, true), args.get_or(2, false))?;
        Ok(result(args, roll_up::run(chunk)?))
    }
);

sql_function!(
    /// `decompress_chunk(uncompressed_chunk, if_compressed)`, `convert_to_rowstore`
    tsc_decompress_chunk,
    |args| -> pg_sys::Datum {
        let chunk = chunk_arg(args)?;
        decompress::decompress(chunk, args.get_or(1, true))?;
        Ok(result(args, chunk))
    }
);

sql_function!(
    /// `recompress_chunk(chunk, if_not_compressed)`
    tsc_recompress_chunk,
    |args| -> pg_sys::Datum {
        Error::new(SqlState("01000"), "procedure recompress_chunk is deprecated")
            .hint("Use CALL convert_to_columnstore(chunk, recompress => true).")
            .report(PgLogLevel::WARNING);
        compress::compress(chunk_arg(args)?, args.get_or(1, true), true)?;
        Ok(None)
    }
);

sql_function!(
    /// The trigger on `columnar_chunk`.
    tsc_columnar_chunk_restored,
    |args| -> pg_sys::Datum {
        if let Some(row) = trigger::inserted(args) {
            // SAFETY: a row of columnar_chunk, whose first two columns are regclass; both are read within the guard.
            let (chunk, batches) = unsafe { guard(|| (slot::attribute(row, 1), slot::attribute(row, 2))) };
            if let Some((chunk, batches)) = chunk.zip(batches) {
                batch_table::depend(oid(batches), oid(chunk));
            }
        }
        Ok(Some(pg_sys::Datum::null()))
    }
);

sql_function!(
    /// The trigger on chunks with a columnar part and unique keys.
    tsc_unique_guard,
    |args| -> pg_sys::Datum { crate::columnar::dml::unique::trigger::fire(args) }
);

sql_function!(
    /// `_timescaledb_functions.columnstore_progress()`
    tsc_columnstore_progress,
    |args| -> pg_sys::Datum {
        let mut rows = ResultSet::new(args);
        for entry in progress::all() {
            rows.push(&[
                entry.pid.into_datum(),
                entry.database.into_datum(),
                entry.relid.into_datum(),
                entry.command.into_datum(),
                entry.phase.into_datum(),
                entry.done.into_datum(),
                entry.total.into_datum(),
            ]);
        }
        Ok(None)
    }
);
