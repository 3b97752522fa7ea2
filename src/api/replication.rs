//! Logical replication into hypertables.

use pgrx::pg_sys;

use crate::catalog::naming;
use crate::error::{Error, SqlState};
use crate::hypertable::intake;
use crate::pg::intake_am;
use crate::pg::trigger::{Changed, NewRow};
use crate::sql_function;

sql_function!(
    /// `create_intake(hypertable)`: the intake, made if it is missing.
    tsc_create_intake,
    |args| -> pg_sys::Oid {
        let relid = args.require(0, "hypertable")?;
        naming::require_owner(relid)?;
        intake::ensure(relid).map(Some)
    }
);

sql_function!(
    /// The trigger of intakes.
    tsc_intake,
    |args| -> pg_sys::Datum {
        let row = NewRow::of(args).ok_or_else(|| {
            Error::new(SqlState("39P01"), "intake() was not called as a BEFORE INSERT trigger FOR EACH ROW")
        })?;
        crate::ingest::intake::redirect(row)?;
        // A null pointer, not SQL's NULL: the row is not stored in the intake.
        Ok(Some(pg_sys::Datum::null()))
    }
);

sql_function!(
    /// The trigger on hypertables with continuous aggregates that are targets of subscriptions.
    tsc_record_change,
    |args| -> pg_sys::Datum {
        let change = Changed::of(args)
            .ok_or_else(|| Error::new(SqlState("39P01"), "record_change() was not called as a trigger"))?;
        crate::ingest::record::replicated(&change);
        Ok(Some(pg_sys::Datum::null()))
    }
);

sql_function!(
    /// The handler of the intakes' access method.
    tsc_intake_am,
    |_args| -> pg_sys::Datum { Ok(Some(pg_sys::Datum::from(intake_am::routine()))) }
);
