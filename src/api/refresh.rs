//! Continuous aggregates: what is valid, and refreshing it.

use pgrx::{IntoDatum, pg_sys};

use super::chunk::any_arg;
use crate::cagg::answer;
use crate::cagg::refresh::{self, window};
use crate::catalog::continuous_agg;
use crate::error::{Error, Result, SqlState};
use crate::pg::fcinfo::Args;
use crate::pg::relation::c_string;
use crate::pg::srf::ResultSet;
use crate::pg::{ffi, json};
use crate::sql_function;

/// What part of the rows of storage a query is expected to take from there: as good as all.
const VALID_PART: f64 = 0.99;

sql_function!(
    /// `_timescaledb_functions.cagg_valid(storage, bucket, routing, zone, operators, bounds)`
    tsc_cagg_valid,
    |args| -> bool { answer::is_valid(args).map(Some) }
);

sql_function!(
    /// `_timescaledb_functions.cagg_valid_support(internal)`
    tsc_cagg_valid_support,
    |args| -> pg_sys::Datum {
        let Some(request) = args.datum(0) else { return Ok(None) };
        // SAFETY: the planner passes a node that its tag describes.
        unsafe {
            let node = request.cast_mut_ptr::<pg_sys::SupportRequestSelectivity>();
            if (*node).type_ != pg_sys::NodeTag::T_SupportRequestSelectivity {
                return Ok(Some(pg_sys::Datum::null()));
            }
            (*node).selectivity = VALID_PART;
        }
        Ok(Some(request))
    }
);

sql_function!(
    /// `_timescaledb_functions.cagg_live(storage, sample, routing, zone, operators, bounds)`
    tsc_cagg_live,
    |args| -> pg_sys::Datum {
        let found = answer::live(args)?;
        let mut rows = ResultSet::new(args);
        for (low, high) in found {
            rows.push(&[Some(low), Some(high)]);
        }
        Ok(None)
    }
);

fn require_writable(args: Args) {
    let function = args.function_name();
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(c_string(&format!("{function}()")).as_ptr()) };
}

sql_function!(
    /// `refresh_continuous_aggregate(continuous_aggregate, window_start, window_end, force, options)`
    tsc_refresh_continuous_aggregate,
    |args| -> pg_sys::Datum {
        require_writable(args);
        let view = args.get(0).ok_or_else(|| {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid continuous aggregate").hint("Name a continuous aggregate.")
        })?;
        let agg = refresh::require(view)?;
        refresh::require_owner(&agg)?;
        // SAFETY: the SQL declaration gives the argument the type jsonb.
        let options = args.datum(4).map(|options| unsafe { json::text(options) });
        let options = window::Options::read(args.get_or(3, false), options.as_deref())?;
        let window = refresh::window_of(&agg, any_arg(args, 1), any_arg(args, 2))?;
        refresh::run(agg.id, window, &options, refresh::is_atomic(args.is_non_atomic()))?;
        Ok(None)
    }
);

fn watermark(args: Args) -> Result<Option<i64>> {
    let Some(id) = args.get(0) else { return Ok(None) };
    let agg = continuous_agg::find(id)
        .ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid materialized hypertable ID: {id}")))?;
    refresh::watermark(&agg).map(Some)
}

sql_function!(
    /// `_timescaledb_functions.cagg_watermark(hypertable_id)`
    tsc_cagg_watermark,
    |args| -> pg_sys::Datum { Ok(watermark(args)?.and_then(IntoDatum::into_datum)) }
);
