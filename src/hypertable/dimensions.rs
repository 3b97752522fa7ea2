//! Adding and changing dimensions. Changes concern new slices only.

use pgrx::pg_sys;

use super::create::HashRequest;
use super::interval::{self, Given};
use super::partitioning;
use crate::catalog::cache;
use crate::catalog::dimension::{self, Dimension, Division, NewDimension};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::naming::{self, Known};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, relation_name, type_name};
use crate::pg::{acl, ffi, function, guard, syscache};

/// The most partitions of a hash dimension.
const MOST_SLICES: i32 = 32_767;

/// The hypertable of a relation, or TS001.
pub fn require(relid: pg_sys::Oid) -> Result<std::rc::Rc<Hypertable>> {
    cache::find(relid).ok_or_else(|| {
        Error::new(SqlState::HYPERTABLE_NOT_EXIST, format!("table \"{}\" is not a hypertable", relation_name(relid)))
            .hint("Make it one with create_hypertable.")
    })
}

/// The hypertable of a relation that the current role owns, locked against other changes of it.
pub fn require_owned(relid: pg_sys::Oid) -> Result<std::rc::Rc<Hypertable>> {
    require(relid)?;
    naming::require_owner(relid)?;
    super::slice::lock(relid);
    // The table may have changed hands while the lock was waited for.
    naming::require_owner(relid)?;
    require(relid)
}

/// Enters a hash dimension into the catalog after checking it.
pub fn add_hash(hypertable_id: i32, relid: pg_sys::Oid, ordinal: i32, hash: &HashRequest) -> Result<i32> {
    let relation = Relation::open(relid, pg_sys::NoLock);
    let attribute = relation.require_attribute(&hash.column)?;
    let slices = check_slices(&hash.column, hash.slices)?;
    if attribute.attgenerated != 0 {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("generated column \"{}\" can't be a dimension", hash.column)));
    }
    let function = hash.function.map(|oid| partitioning::check_hash(oid, attribute.atttypid)).transpose()?;
    let key_type = function.as_ref().map_or(attribute.atttypid, |function| function.result);
    // SAFETY: a catalog look-up.
    if unsafe { ffi::GetDefaultOpClass(key_type, pg_sys::HASH_AM_OID) } == pg_sys::InvalidOid {
        return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("could not find hash function for type {}", type_name(key_type)))
            .hint("Use a column of a type that can be hashed, or give a partitioning function."));
    }
    check_unique_indexes(&relation, attribute.attnum, &hash.column)?;
    let new = NewDimension {
        column: hash.column.clone(),
        division: Division::Hash { slices },
        partitioning_func: function.map(|function| function.name),
    };
    dimension::insert(hypertable_id, relid, ordinal, &new).ok_or_else(|| Error::internal("the extension's catalog is missing"))
}

fn check_slices(column: &str, slices: Option<i32>) -> Result<i32> {
    slices.filter(|slices| (1..=MOST_SLICES).contains(slices)).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid number of partitions for dimension \"{column}\""))
            .hint(format!("A closed (space) dimension must specify between 1 and {MOST_SLICES} partitions."))
    })
}

fn check_unique_indexes(relation: &Relation, attribute: i16, column: &str) -> Result<()> {
    for index in relation.index_oids() {
        let Some(tuple) = syscache::CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, index) else { continue };
        // SAFETY: a tuple of pg_index; indkey ends the fixed part and holds indnatts elements.
        let (unique, has_column) = unsafe {
            let form = tuple.form::<pg_sys::FormData_pg_index>();
            (form.indisunique, form.indkey.values.as_slice(form.indnkeyatts as usize).contains(&attribute))
        };
        if unique && !has_column {
            return Err(super::checks::unique_error(&relation_name(index), column));
        }
    }
    Ok(())
}

/// What `add_dimension` was asked for.
#[derive(Debug, Clone)]
pub enum NewRequest {
    /// By hash.
    Hash(HashRequest),
    /// By range: refused, since a hypertable has one range dimension.
    Range(String),
}

/// Adds a dimension. Returns its id, and whether it was added rather than there already.
pub fn add(relid: pg_sys::Oid, request: &NewRequest, if_not_exists: bool) -> Result<(i32, bool)> {
    require(relid)?;
    naming::require_owner(relid)?;
    let relation = Relation::open(relid, pg_sys::AccessExclusiveLock);
    // The table may have changed hands while the lock was waited for.
    naming::require_owner(relid)?;
    let hypertable = require(relid)?;
    let column = match request {
        NewRequest::Hash(hash) => &hash.column,
        NewRequest::Range(column) => column,
    };
    relation.require_attribute(column)?;
    if let Some(existing) = hypertable.dimensions.iter().find(|dimension| dimension.column == *column) {
        if !if_not_exists {
            return Err(Error::new(SqlState::DUPLICATE_DIMENSION, format!("column \"{column}\" is already a dimension"))
                .hint("Pass if_not_exists => true to skip it."));
        }
        guard::notice(format!("column \"{column}\" is already a dimension, skipping"));
        return Ok((existing.id, false));
    }
    let NewRequest::Hash(hash) = request else {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "a hypertable has one range dimension")
            .detail(format!("\"{}\" is partitioned by range on column \"{}\".", relation.name(), hypertable.time().column))
            .hint("Add a hash dimension with by_hash(column, number_partitions), or an index on the column."));
    };
    let id = add_hash(hypertable.id, relid, hypertable.dimensions.len() as i32 + 1, hash)?;
    drop(relation);
    super::create::ensure_index(relid, &[column, &hypertable.time().column])?;
    Ok((id, true))
}

/// The dimension that a function means: by name, or the only one of its kind.
fn select<'a>(hypertable: &'a Hypertable, name: Option<&str>, range: bool) -> Result<&'a Dimension> {
    let fits = |dimension: &&Dimension| matches!(dimension.division, Division::Range { .. }) == range;
    let known = || Known::of(hypertable.relid).described();
    let missing =
        |what: String| Error::new(SqlState::DIMENSION_NOT_EXIST, what).hint("timescaledb_information.dimensions lists the dimensions.");
    match name {
        Some(name) => hypertable
            .dimensions
            .iter()
            .find(|dimension| dimension.column == name)
            .ok_or_else(|| missing(format!("{} does not have a dimension \"{name}\"", known())))
            .and_then(|dimension| {
                Some(dimension).filter(fits).ok_or_else(|| {
                    let kind = if range { "an interval" } else { "a number of partitions" };
                    missing(format!("dimension \"{name}\" of {} does not have {kind}", known()))
                })
            }),
        None => {
            let mut matching = hypertable.dimensions.iter().filter(fits);
            let first = matching.next().ok_or_else(|| missing(format!("{} has no hash dimension", known())))?;
            if matching.next().is_some() {
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("{} has multiple space dimensions", known()))
                    .hint("Name the dimension with dimension_name."));
            }
            Ok(first)
        }
    }
}

/// Sets the interval of new slices.
pub fn set_interval(relid: pg_sys::Oid, given: Given, name: Option<&str>) -> Result<()> {
    let hypertable = require_owned(relid)?;
    let time = select(&hypertable, name, true)?;
    let axis = time.axis().ok_or_else(|| Error::internal("a range dimension without an axis"))?;
    if given.is_none() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid interval: an explicit interval must be specified"));
    }
    let interval = interval::resolve(axis, &time.column, given)?;
    dimension::set_division(time.id, relid, Division::Range { interval });
    Ok(())
}

/// Sets the number of hash partitions of new slices.
pub fn set_slices(relid: pg_sys::Oid, slices: Option<i32>, name: Option<&str>) -> Result<()> {
    let hypertable = require_owned(relid)?;
    let dimension = select(&hypertable, name, false)?;
    let slices = check_slices(&dimension.column, slices)?;
    dimension::set_division(dimension.id, relid, Division::Hash { slices });
    Ok(())
}

/// Sets the function that says what time it is, for a time column of an integer type.
pub fn set_integer_now(relid: pg_sys::Oid, function_oid: pg_sys::Oid, replace: bool) -> Result<()> {
    let hypertable = require_owned(relid)?;
    let time = hypertable.time();
    if !matches!(time.type_oid, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID) {
        return Err(Error::new(
            SqlState::NOT_IN_PREREQUISITE_STATE,
            "custom time function not supported for hypertables with a time-typed dimension",
        )
        .hint("A custom time function can only be set for hypertables that have integer dimensions."));
    }
    if time.integer_now_func.is_some() && !replace {
        return Err(Error::new(
            SqlState::DUPLICATE_OBJECT,
            format!("custom time function already set for {}", Known::of(relid).described()),
        )
        .hint("Pass replace_if_exists => true to replace it."));
    }
    let function =
        function::describe(function_oid).ok_or_else(|| Error::new(SqlState::UNDEFINED_FUNCTION, "integer_now_func does not exist"))?;
    if !function.arguments.is_empty() || function.result != time.type_oid || function.volatility == b'v' {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid custom time function").hint(format!(
            "A custom time function must take no arguments, be STABLE or IMMUTABLE, and return {}.",
            type_name(time.type_oid)
        )));
    }
    acl::require_execute(function_oid)?;
    dimension::set_integer_now(time.id, relid, Some(&function.name));
    Ok(())
}
