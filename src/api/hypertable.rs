//! `create_hypertable` and the functions that change a hypertable's dimensions.

use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::cagg::ddl::storage_of;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::create::{self, HashRequest, Request};
use crate::hypertable::dimensions::{self, NewRequest};
use crate::hypertable::interval::Given;
use crate::pg::fcinfo::Args;
use crate::pg::relation::name_string;
use crate::pg::srf::{self, ResultSet};
use crate::pg::{ffi, table};
use crate::sql_function;

/// A `name` argument.
fn name_arg(args: Args, index: usize) -> Option<String> {
    // SAFETY: a name Datum points to a NameData.
    args.datum(index).map(|datum| name_string(unsafe { &*datum.cast_mut_ptr::<pg_sys::NameData>() }))
}

/// An argument of type anyelement that holds an interval.
fn interval_arg(args: Args, index: usize) -> Given {
    args.datum(index).map(|datum| (args.arg_type(index), datum))
}

/// The table that a function is to change. On a replica, and in a read-only transaction, this is the error.
fn relation_arg(args: Args, index: usize, name: &'static str) -> Result<pg_sys::Oid> {
    let function = args.function_name();
    // SAFETY: an ERROR, or nothing.
    unsafe { ffi::PreventCommandIfReadOnly(crate::pg::relation::c_string(&format!("{function}()")).as_ptr()) };
    args.require(index, name)
}

fn name_or_error(args: Args, index: usize, name: &'static str) -> Result<String> {
    name_arg(args, index).ok_or_else(|| Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("{name} cannot be NULL")))
}

sql_function!(
    /// The form with the time column's name: `create_hypertable(relation, time_column_name, ...)`.
    tsc_create_hypertable,
    |args| -> pg_sys::Datum {
        let hash = match (name_arg(args, 2), args.get::<i32>(3)) {
            (Some(column), slices) => Some(HashRequest { column, slices, function: args.get(9) }),
            (None, Some(_)) => {
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "number_partitions given without partitioning_column")
                    .hint("Name the column to partition by, or leave both out."));
            }
            (None, None) => None,
        };
        let request = Request {
            relid: relation_arg(args, 0, "relation")?,
            time_column: name_or_error(args, 1, "time_column_name")?,
            interval: interval_arg(args, 6),
            time_function: args.get(11),
            hash,
            associated_schema: name_arg(args, 4),
            associated_prefix: name_arg(args, 5),
            default_indexes: args.get_or(7, true),
            if_not_exists: args.get_or(8, false),
            migrate_data: args.get_or(10, false),
            storage_id: None,
        };
        let created = create::create(&request)?;
        let mut rows = ResultSet::new(args);
        let (schema, name) = schema_and_name(request.relid);
        rows.push(&[created.id.into_datum(), table::name_datum(&schema), table::name_datum(&name), created.created.into_datum()]);
        Ok(None)
    }
);

fn schema_and_name(relid: pg_sys::Oid) -> (String, String) {
    // SAFETY: look-ups that return palloc'd strings or NULL.
    unsafe {
        let schema = crate::pg::relation::optional_string(ffi::get_namespace_name(ffi::get_rel_namespace(relid)));
        let name = crate::pg::relation::optional_string(ffi::get_rel_name(relid));
        (schema.unwrap_or_default(), name.unwrap_or_default())
    }
}

/// A value of `_timescaledb_functions.dimension_info`.
enum DimensionInfo {
    Range { column: String, interval: Given, function: Option<pg_sys::Oid> },
    Hash(HashRequest),
}

/// The fields of `_timescaledb_functions.dimension_info`, in order.
mod info {
    pub const COLUMN: i16 = 1;
    pub const KIND: i16 = 2;
    pub const SLICES: i16 = 3;
    pub const INTERVAL_TYPE: i16 = 4;
    pub const INTERVAL: i16 = 5;
    pub const FUNCTION: i16 = 6;
}

impl DimensionInfo {
    fn from_arg(args: Args, index: usize) -> Result<Self> {
        let null = || Error::new(SqlState::INVALID_PARAMETER_VALUE, "dimension cannot be NULL").hint("Use by_range or by_hash.");
        let value = args.datum(index).ok_or_else(null)?;
        // SAFETY: the SQL declaration says that this is a dimension_info, whose fields have these types.
        unsafe {
            let column =
                srf::field(value, info::COLUMN).map(|datum| name_string(&*datum.cast_mut_ptr::<pg_sys::NameData>())).ok_or_else(null)?;
            let function = srf::field(value, info::FUNCTION).and_then(|datum| pg_sys::Oid::from_datum(datum, false));
            let kind = srf::field(value, info::KIND).and_then(|datum| String::from_datum(datum, false)).ok_or_else(null)?;
            if kind == "hash" {
                let slices = srf::field(value, info::SLICES).and_then(|datum| i32::from_datum(datum, false));
                return Ok(Self::Hash(HashRequest { column, slices, function }));
            }
            let interval = match (srf::field(value, info::INTERVAL_TYPE), srf::field(value, info::INTERVAL)) {
                (Some(type_oid), Some(text)) => Some(read_interval(type_oid, text)?),
                _ => None,
            };
            Ok(Self::Range { column, interval, function })
        }
    }
}

/// # Safety
/// A `regtype` and a `text` Datum.
unsafe fn read_interval(type_oid: pg_sys::Datum, text: pg_sys::Datum) -> Result<(pg_sys::Oid, pg_sys::Datum)> {
    // SAFETY: the caller's promise; the input function of the type reads what its output function wrote.
    unsafe {
        let type_oid = pg_sys::Oid::from_datum(type_oid, false).unwrap_or(pg_sys::InvalidOid);
        let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        ffi::getTypeInputInfo(type_oid, &mut input, &mut parameter);
        Ok((type_oid, ffi::OidInputFunctionCall(input, ffi::text_to_cstring(text.cast_mut_ptr()), parameter, -1)))
    }
}

sql_function!(
    /// The form with a dimension: `create_hypertable(relation, by_range('time'), ...)`.
    tsc_create_hypertable_dimension,
    |args| -> pg_sys::Datum {
        let relid = relation_arg(args, 0, "relation")?;
        let DimensionInfo::Range { column, interval, function } = DimensionInfo::from_arg(args, 1)? else {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot partition using a closed dimension on primary column")
                .hint("Use range partitioning on the primary column, and add the hash dimension with add_dimension."));
        };
        let created = create::create(&Request {
            relid,
            time_column: column,
            interval,
            time_function: function,
            hash: None,
            associated_schema: None,
            associated_prefix: None,
            default_indexes: args.get_or(2, true),
            if_not_exists: args.get_or(3, false),
            migrate_data: args.get_or(4, false),
            storage_id: None,
        })?;
        ResultSet::new(args).push(&[created.id.into_datum(), created.created.into_datum()]);
        Ok(None)
    }
);

sql_function!(
    /// `by_range(column_name, partition_interval, partition_func)`
    tsc_by_range,
    |args| -> pg_sys::Datum {
        let column = table::name_datum(&name_or_error(args, 0, "column_name")?);
        let interval = interval_arg(args, 1);
        let text = interval.map(|(type_oid, datum)| crate::pg::axis::value_text(type_oid, datum));
        let type_oid = interval.and_then(|(type_oid, _)| type_oid.into_datum());
        srf::composite(args, &[column, "range".into_datum(), None, type_oid, text.into_datum(), args.datum(2)]).map(Some)
    }
);

sql_function!(
    /// `by_hash(column_name, number_partitions, partition_func)`
    tsc_by_hash,
    |args| -> pg_sys::Datum {
        let column = table::name_datum(&name_or_error(args, 0, "column_name")?);
        srf::composite(args, &[column, "hash".into_datum(), args.datum(1), None, None, args.datum(2)]).map(Some)
    }
);

sql_function!(
    /// `add_dimension(hypertable, column_name, number_partitions, chunk_time_interval, partitioning_func, if_not_exists)`
    tsc_add_dimension,
    |args| -> pg_sys::Datum {
        let relid = relation_arg(args, 0, "hypertable")?;
        let column = name_or_error(args, 1, "column_name")?;
        let request = match (args.get::<i32>(2), interval_arg(args, 3)) {
            (Some(_), Some(_)) => {
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "cannot specify both the number of partitions and an interval"));
            }
            (Some(slices), None) => NewRequest::Hash(HashRequest { column: column.clone(), slices: Some(slices), function: args.get(4) }),
            (None, Some(_)) => NewRequest::Range(column.clone()),
            (None, None) => {
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "cannot omit both the number of partitions and the interval")
                    .hint("Give number_partitions for a hash dimension."));
            }
        };
        let (id, created) = dimensions::add(relid, &request, args.get_or(5, false))?;
        let (schema, name) = schema_and_name(relid);
        ResultSet::new(args).push(&[
            id.into_datum(),
            table::name_datum(&schema),
            table::name_datum(&name),
            table::name_datum(&column),
            created.into_datum(),
        ]);
        Ok(None)
    }
);

sql_function!(
    /// `add_dimension(hypertable, dimension, if_not_exists)`
    tsc_add_dimension_info,
    |args| -> pg_sys::Datum {
        let relid = relation_arg(args, 0, "hypertable")?;
        let request = match DimensionInfo::from_arg(args, 1)? {
            DimensionInfo::Hash(hash) => NewRequest::Hash(hash),
            DimensionInfo::Range { column, .. } => NewRequest::Range(column),
        };
        let (id, created) = dimensions::add(relid, &request, args.get_or(2, false))?;
        ResultSet::new(args).push(&[id.into_datum(), created.into_datum()]);
        Ok(None)
    }
);

sql_function!(
    /// `set_chunk_time_interval` and `set_partitioning_interval(hypertable, interval, dimension_name)`
    tsc_set_chunk_time_interval,
    |args| -> pg_sys::Datum {
        dimensions::set_interval(storage_of(relation_arg(args, 0, "hypertable")?), interval_arg(args, 1), name_arg(args, 2).as_deref())?;
        Ok(None)
    }
);

sql_function!(
    /// `set_number_partitions(hypertable, number_partitions, dimension_name)`
    tsc_set_number_partitions,
    |args| -> pg_sys::Datum {
        dimensions::set_slices(relation_arg(args, 0, "hypertable")?, args.get(1), name_arg(args, 2).as_deref())?;
        Ok(None)
    }
);

sql_function!(
    /// `set_integer_now_func(hypertable, integer_now_func, replace_if_exists)`
    tsc_set_integer_now_func,
    |args| -> pg_sys::Datum {
        let function = args.require(1, "integer_now_func")?;
        dimensions::set_integer_now(storage_of(relation_arg(args, 0, "hypertable")?), function, args.get_or(2, false))?;
        Ok(None)
    }
);
