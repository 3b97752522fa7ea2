//! Attaching tablespaces.

use pgrx::pg_sys;

use crate::error::{Error, Result, SqlState};
use crate::hypertable::tablespaces;
use crate::pg::fcinfo::Args;
use crate::pg::relation::name_string;
use crate::pg::srf::ResultSet;
use crate::pg::table;
use crate::sql_function;

fn tablespace_arg(args: Args) -> Result<String> {
    // SAFETY: a name Datum points to a NameData.
    let name = args.datum(0).map(|datum| name_string(unsafe { &*datum.cast_mut_ptr::<pg_sys::NameData>() }));
    name.ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid tablespace name"))
}

sql_function!(
    /// `attach_tablespace(tablespace, hypertable, if_not_attached)`
    tsc_attach_tablespace,
    |args| -> pg_sys::Datum {
        tablespaces::attach(args.require(1, "hypertable")?, &tablespace_arg(args)?, args.get_or(2, false))?;
        Ok(None)
    }
);

sql_function!(
    /// `detach_tablespace(tablespace, hypertable, if_attached)`
    tsc_detach_tablespace,
    |args| -> i32 {
        let name = tablespace_arg(args)?;
        let count = match args.get(1) {
            Some(relid) => tablespaces::detach(relid, &name, args.get_or(2, false)),
            None => tablespaces::detach_everywhere(&name),
        };
        count.map(Some)
    }
);

sql_function!(
    /// `detach_tablespaces(hypertable)`
    tsc_detach_tablespaces,
    |args| -> i32 {
        let relid = args.require(0, "hypertable")?;
        tablespaces::detach_all(relid).map(Some)
    }
);

sql_function!(
    /// `show_tablespaces(hypertable)`
    tsc_show_tablespaces,
    |args| -> pg_sys::Datum {
        let names = tablespaces::show(args.require(0, "hypertable")?)?;
        let mut rows = ResultSet::new(args);
        for name in names {
            rows.push(&[table::name_datum(&name)]);
        }
        Ok(None)
    }
);
