//! What clients call around a restore or an upgrade, and what is not offered.

use pgrx::pg_sys;

use crate::error::{Error, SqlState};
use crate::sql_function;

sql_function!(
    /// `enable_chunk_skipping` and `disable_chunk_skipping`
    tsc_chunk_skipping,
    |_args| -> pg_sys::Datum {
        Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "chunk skipping is not supported")
            .hint("Chunks are skipped by their range of time and, with a hash dimension, by its column. A BRIN index serves other columns."))
    }
);
