//! What clients ask of the definitions of continuous aggregates.

use pgrx::{IntoDatum, pg_sys};

use crate::cagg::ddl;
use crate::cagg::definition::describe;
use crate::catalog::continuous_agg;
use crate::error::{Error, SqlState};
use crate::pg::guard::guard;
use crate::pg::{array, slot, srf, trigger};
use crate::sql_function;

fn missing() -> Error {
    Error::new(SqlState::UNDEFINED_TABLE, "there is no such continuous aggregate")
}

sql_function!(
    /// `_timescaledb_functions.cagg_get_bucket_function_info(mat_hypertable_id)`
    tsc_cagg_bucket_function,
    |args| -> pg_sys::Datum {
        let agg = continuous_agg::find(args.require(0, "mat_hypertable_id")?).ok_or_else(missing)?;
        let call = describe::bucket_call(&agg)?;
        let row = [
            call.function.into_datum(),
            call.width.into_datum(),
            call.origin.into_datum(),
            call.offset.into_datum(),
            call.zone.into_datum(),
            call.fixed.into_datum(),
        ];
        srf::composite(args, &row).map(Some)
    }
);

sql_function!(
    /// `_timescaledb_functions.cagg_get_grouping_columns(cagg)`
    tsc_cagg_grouping_columns,
    |args| -> pg_sys::Datum {
        let agg = continuous_agg::of_view(args.require(0, "cagg")?).ok_or_else(missing)?;
        Ok(Some(array::from_names(&describe::grouping_columns(&agg)?)))
    }
);

sql_function!(
    /// `_timescaledb_functions.cagg_validate_query(query)`
    tsc_cagg_validate_query,
    |args| -> pg_sys::Datum {
        let caught = describe::validate(&args.require::<String>(0, "query")?);
        let row = match caught {
            None => [true.into_datum(), None, None, None, None, None],
            Some(caught) => [
                false.into_datum(),
                "ERROR".into_datum(),
                caught.sqlstate.into_datum(),
                caught.message.into_datum(),
                caught.detail.into_datum(),
                caught.hint.into_datum(),
            ],
        };
        srf::composite(args, &row).map(Some)
    }
);

sql_function!(
    /// The trigger on `continuous_agg`.
    tsc_continuous_agg_restored,
    |args| -> pg_sys::Datum {
        if let Some(row) = trigger::inserted(args) {
            let oid = |datum: pg_sys::Datum| pg_sys::Oid::from(datum.value() as u32);
            // SAFETY: a row of continuous_agg, whose columns 4, 5 and 6 are regclass; they are read within the guard.
            let views = unsafe { guard(|| [4, 5, 6].map(|number| slot::attribute(row, number))) };
            if let [Some(user), Some(partial), Some(direct)] = views {
                ddl::tie(oid(partial), oid(direct), oid(user));
            }
        }
        Ok(Some(pg_sys::Datum::null()))
    }
);
