//! `_timescaledb_config.dimension`: the columns by which a hypertable is cut.

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;

use super::cache;
use crate::pg::function::{self, FunctionName};
use crate::pg::relation::column_of;
use crate::pg::table::{self, Definition, Key, Row, Table, datum, name_datum};

const TABLE: Definition = Definition { name: "dimension", columns: 10 };

/// How a dimension divides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Slices of an interval: microseconds, or units of an integer column.
    Range {
        /// The length of new slices.
        interval: i64,
    },
    /// A number of hash partitions in each slice.
    Hash {
        /// The number for new slices.
        slices: i32,
    },
}

/// A dimension with what the table says of its column.
#[derive(Debug, Clone)]
pub struct Dimension {
    /// The id in views.
    pub id: i32,
    /// 1 for the range dimension, then 2, 3...
    pub ordinal: i32,
    /// The column.
    pub column: String,
    /// Its attribute number in the hypertable.
    pub attribute: i16,
    /// Its type.
    pub column_type: pg_sys::Oid,
    /// Its type, or the result type of the partitioning function.
    pub type_oid: pg_sys::Oid,
    /// How it divides.
    pub division: Division,
    /// A function that maps the column's value before it is divided.
    pub partitioning_func: Option<FunctionName>,
    /// What the time is now, for integer columns.
    pub integer_now_func: Option<FunctionName>,
}

impl Dimension {
    /// The axis of the column's type; None for a type that has no ranges of time.
    pub fn axis(&self) -> Option<Axis> {
        axis_of_type(self.type_oid)
    }

    /// The interval of a range dimension.
    pub fn interval(&self) -> Option<i64> {
        match self.division {
            Division::Range { interval } => Some(interval),
            Division::Hash { .. } => None,
        }
    }
}

/// The axis of a column type that can be a range dimension.
pub fn axis_of_type(type_oid: pg_sys::Oid) -> Option<Axis> {
    match type_oid {
        pg_sys::INT2OID => Some(Axis::Int2),
        pg_sys::INT4OID => Some(Axis::Int4),
        pg_sys::INT8OID => Some(Axis::Int8),
        pg_sys::DATEOID => Some(Axis::Date),
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Some(Axis::Timestamp),
        pg_sys::UUIDOID => Some(Axis::Uuid),
        _ => None,
    }
}

/// A new dimension, for [`insert`].
#[derive(Debug, Clone)]
pub struct NewDimension {
    /// The column.
    pub column: String,
    /// How it divides.
    pub division: Division,
    /// A function that maps the column's value before it is divided.
    pub partitioning_func: Option<FunctionName>,
}

fn function_name(row: &Row, index: usize) -> Option<FunctionName> {
    Some((row.name(index)?, row.name(index + 1)?))
}

fn from_row(row: &Row, relid: pg_sys::Oid) -> Option<Dimension> {
    let column = row.name(3)?;
    let (attribute, column_type) = column_of(relid, &column)?;
    let division = match (row.get::<i64>(4), row.get::<i32>(5)) {
        (Some(interval), _) => Division::Range { interval },
        (None, slices) => Division::Hash { slices: slices? },
    };
    let partitioning_func = function_name(row, 6);
    let type_oid = match &partitioning_func {
        Some(name) => function::result_type(function::find_for_type(name, column_type)?),
        None => column_type,
    };
    Some(Dimension {
        id: row.get(0)?,
        ordinal: row.get(2)?,
        attribute,
        column_type,
        type_oid,
        column,
        division,
        partitioning_func,
        integer_now_func: function_name(row, 8),
    })
}

/// The dimensions of a hypertable, the range dimension first. Empty if the relation is gone. Takes no lock on it: who only looks at
/// the catalog does not wait for who changes the table, whose invalidation comes with the commit.
pub fn of_hypertable(hypertable_id: i32, relid: pg_sys::Oid) -> Vec<Dimension> {
    let Some(table) = Table::open(&TABLE, pg_sys::AccessShareLock) else { return Vec::new() };
    let mut dimensions: Vec<Dimension> = rows_of(&table, hypertable_id).iter().filter_map(|row| from_row(row, relid)).collect();
    dimensions.sort_by_key(|dimension| dimension.ordinal);
    dimensions
}

fn rows_of(table: &Table, hypertable_id: i32) -> Vec<Row> {
    table.scan(Some("dimension_hypertable_id_ordinal_key"), &[Key::Int(2, hypertable_id)])
}

/// Adds a dimension and returns its id.
pub fn insert(hypertable_id: i32, relid: pg_sys::Oid, ordinal: i32, new: &NewDimension) -> Option<i32> {
    let table = Table::open(&TABLE, pg_sys::RowExclusiveLock)?;
    let id = table::next_id("dimension_id_seq");
    let (interval, slices) = match new.division {
        Division::Range { interval } => (datum(interval), None),
        Division::Hash { slices } => (None, datum(slices)),
    };
    let (func_schema, func_name) = new.partitioning_func.as_ref().map_or((None, None), |(s, n)| (name_datum(s), name_datum(n)));
    table.insert(&[
        datum(id),
        datum(hypertable_id),
        datum(ordinal),
        name_datum(&new.column),
        interval,
        slices,
        func_schema,
        func_name,
        None,
        None,
    ]);
    table::command_counter_increment();
    cache::invalidate(relid);
    Some(id)
}

fn update(id: i32, relid: pg_sys::Oid, changes: &[(usize, Option<pg_sys::Datum>)]) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in table.scan(Some("dimension_pkey"), &[Key::Int(1, id)]) {
        table.update(&row, changes);
    }
    table::command_counter_increment();
    cache::invalidate(relid);
}

/// Changes how new slices are cut.
pub fn set_division(id: i32, relid: pg_sys::Oid, division: Division) {
    match division {
        Division::Range { interval } => update(id, relid, &[(4, datum(interval))]),
        Division::Hash { slices } => update(id, relid, &[(5, datum(slices))]),
    }
}

/// Sets or clears the function that says what time it is.
pub fn set_integer_now(id: i32, relid: pg_sys::Oid, function: Option<&FunctionName>) {
    let (schema, name) = function.map_or((None, None), |(s, n)| (name_datum(s), name_datum(n)));
    update(id, relid, &[(8, schema), (9, name)]);
}

/// Follows `ALTER TABLE ... RENAME COLUMN`.
pub fn rename_column(hypertable_id: i32, relid: pg_sys::Oid, from: &str, to: &str) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in rows_of(&table, hypertable_id).iter().filter(|row| row.name(3).as_deref() == Some(from)) {
        table.update(row, &[(3, name_datum(to))]);
    }
    table::command_counter_increment();
    cache::invalidate(relid);
}

/// Removes the dimensions of a hypertable that is dropped.
pub fn delete_of_hypertable(hypertable_id: i32) {
    let Some(table) = Table::open(&TABLE, pg_sys::RowExclusiveLock) else { return };
    for row in rows_of(&table, hypertable_id) {
        table.delete(&row);
    }
}
