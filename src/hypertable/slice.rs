//! The tables of one slice of a hypertable: a chunk, or a table divided by hash with a chunk for each part.
//!
//! They are made first and attached later, so that rows can be moved in between without index upkeep.

use pgrx::pg_sys;
use tsc_kernel::axis::Slice;

use crate::catalog::chunk as chunk_catalog;
use crate::catalog::continuous_agg;
use crate::catalog::dimension::{Dimension, Division};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::tablespace;
use crate::error::{Error, Result, SqlState};
use crate::pg::new_partition::{self, HashColumn, NewPartition};
use crate::pg::relation::Relation;
use crate::pg::{axis, ffi, function, partition};

/// Takes the lock that serialises the creation of a hypertable's chunks, and sees what its former holders made.
pub fn lock(relid: pg_sys::Oid) {
    // SAFETY: LockRelationOid also processes invalidations; the relation is open, so it exists.
    unsafe { ffi::LockRelationOid(relid, pg_sys::ShareUpdateExclusiveLock as i32) };
}

/// Whether this transaction took that lock before.
pub fn is_locked(root: &Relation) -> bool {
    // SAFETY: an open relation.
    unsafe { ffi::CheckRelationLockedByMe(root.as_ptr(), pg_sys::ShareUpdateExclusiveLock as i32, false) }
}

/// The axis and interval of the range dimension.
pub fn time_axis(hypertable: &Hypertable) -> Result<(tsc_kernel::axis::Axis, i64)> {
    let time = hypertable.time();
    match (time.axis(), time.interval()) {
        (Some(axis), Some(interval)) => Ok((axis, interval)),
        _ => Err(Error::internal(format!("dimension {} of hypertable {} is no range", time.id, hypertable.id))),
    }
}

/// Creates and attaches the chunks of one slice.
pub fn create(root: &Relation, hypertable: &Hypertable, slice: Slice) -> Result<()> {
    let type_oid = hypertable.time().type_oid;
    let (axis, _) = time_axis(hypertable)?;
    let table = create_tables(root, hypertable, slice_ordinal(root, hypertable)?)?;
    attach_tree(root, hypertable, &table, partition::range_bound(axis, type_oid, slice));
    Ok(())
}

/// A table made for a slice: a chunk, or a table divided by hash with its partitions.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// The table.
    pub oid: pg_sys::Oid,
    /// The id of a chunk, None for a table that is divided further.
    pub chunk_id: Option<i32>,
    /// Its partitions, by remainder.
    pub parts: Vec<NewTable>,
}

impl NewTable {
    fn first_chunk_id(&self) -> i32 {
        self.chunk_id.or_else(|| self.parts.first().map(Self::first_chunk_id)).unwrap_or(0)
    }

    /// The chunks below this, itself if it is one.
    pub fn chunks(&self) -> Vec<&Self> {
        if self.chunk_id.is_some() { vec![self] } else { self.parts.iter().flat_map(Self::chunks).collect() }
    }
}

/// The schema of a hypertable's chunks.
pub fn schema(hypertable: &Hypertable) -> Result<pg_sys::Oid> {
    function::schema_oid(&hypertable.associated_schema).ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("schema \"{}\" of the hypertable's chunks does not exist", hypertable.associated_schema),
        )
        .hint("Create the schema again.")
    })
}

/// Creates the tables of one slice, unattached. `ordinal` picks the tablespace.
pub fn create_tables(root: &Relation, hypertable: &Hypertable, ordinal: usize) -> Result<NewTable> {
    let schema = schema(hypertable)?;
    let tablespaces = tablespace::of_hypertable(hypertable.id);
    Maker { root, hypertable, schema, tablespaces, ordinal }.make(hypertable.hash_dimensions(), 0)
}

struct Maker<'a> {
    root: &'a Relation,
    hypertable: &'a Hypertable,
    schema: pg_sys::Oid,
    tablespaces: Vec<String>,
    ordinal: usize,
}

impl Maker<'_> {
    fn make(&self, dimensions: &[Dimension], part: usize) -> Result<NewTable> {
        let Some((dimension, rest)) = dimensions.split_first() else {
            let (id, name) = self.free_name();
            let oid = self.create(&name, None, self.tablespace(part)?);
            return Ok(NewTable { oid, chunk_id: Some(id), parts: Vec::new() });
        };
        let Division::Hash { slices } = dimension.division else {
            return Err(Error::internal(format!("dimension {} is not divided by hash", dimension.id)));
        };
        let parts: Vec<NewTable> = (0..slices as usize).map(|part| self.make(rest, part)).collect::<Result<_>>()?;
        // A divided table bears the number of its first chunk and that of its level, which makes the name unique.
        let first = parts.first().map_or(0, NewTable::first_chunk_id);
        let name = format!("{}_{first}_slice{}", self.hypertable.associated_prefix, dimension.ordinal);
        let oid = self.create(&name, Some(hash_column(dimension)?), pg_sys::InvalidOid);
        Ok(NewTable { oid, chunk_id: None, parts })
    }

    fn mend(&self, oid: pg_sys::Oid, dimensions: &[Dimension]) -> Result<()> {
        let Some((dimension, rest)) = dimensions.split_first() else { return Ok(()) };
        let Division::Hash { slices } = dimension.division else { return Ok(()) };
        let relation = Relation::open(oid, pg_sys::ShareUpdateExclusiveLock);
        let (modulus, gaps) = partition::hash_gaps(&relation).unwrap_or_else(|| (slices, (0..slices).collect()));
        let below = partition::children(&relation);
        for remainder in gaps {
            let table = self.make(rest, remainder as usize)?;
            attach_tree(&relation, self.hypertable, &table, partition::hash_bound(modulus, remainder));
        }
        below.into_iter().filter(|(_, is_leaf)| !is_leaf).try_for_each(|(child, _)| self.mend(child, rest))
    }

    /// An id whose name is free: chunks of an earlier life of the extension may lie in the same schema.
    fn free_name(&self) -> (i32, String) {
        loop {
            let id = chunk_catalog::next_id();
            let name = format!("{}_{id}_chunk", self.hypertable.associated_prefix);
            if !crate::pg::relation::exists(self.schema, &name) {
                return (id, name);
            }
        }
    }

    fn create(&self, name: &str, hash_column: Option<HashColumn>, tablespace: pg_sys::Oid) -> pg_sys::Oid {
        let options = &self.hypertable.chunk_options;
        let schema = self.schema;
        let (access_method, reversed) = (None, false);
        new_partition::create(self.root, &NewPartition { schema, name, tablespace, options, access_method, reversed, hash_column })
    }

    /// The attached tablespaces take turns, by slice and by hash partition; without any, the hypertable's own.
    fn tablespace(&self, part: usize) -> Result<pg_sys::Oid> {
        if self.tablespaces.is_empty() {
            return Ok(self.root.class().reltablespace);
        }
        let name = &self.tablespaces[(self.ordinal + part) % self.tablespaces.len()];
        let oid = function::tablespace_oid(name).ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist"))
                .hint("Detach it from the hypertable with detach_tablespace.")
        })?;
        // SAFETY: reads a variable. The database's own tablespace is written as InvalidOid.
        Ok(if oid == unsafe { pg_sys::MyDatabaseTableSpace } { pg_sys::InvalidOid } else { oid })
    }
}

fn hash_column(dimension: &Dimension) -> Result<HashColumn> {
    let function = dimension.partitioning_func.as_ref().map(|name| resolve_function(name, dimension)).transpose()?;
    Ok(HashColumn { attribute: dimension.attribute, function })
}

/// Attaches a table of [`create_tables`] below `parent`, its partitions below it, and enters its chunks in the catalog.
pub fn attach_tree(parent: &Relation, hypertable: &Hypertable, table: &NewTable, bound: partition::Bound) {
    let relation = Relation::open(table.oid, pg_sys::AccessExclusiveLock);
    new_partition::attach(parent, &relation, bound);
    super::replica_identity::set(parent, &relation);
    if let Some(id) = table.chunk_id {
        chunk_catalog::insert(id, hypertable.id, table.oid);
        if hypertable.grain.is_some() {
            continuous_agg::adopt(hypertable.relid);
        }
        crate::pg::table::command_counter_increment();
    }
    for (remainder, part) in table.parts.iter().enumerate() {
        attach_tree(&relation, hypertable, part, partition::hash_bound(table.parts.len() as i32, remainder as i32));
    }
}

/// False if a hash partition of a slice was dropped by itself, or one below it.
pub fn is_whole(oid: pg_sys::Oid) -> bool {
    let relation = Relation::open(oid, pg_sys::AccessShareLock);
    if partition::key(&relation).is_none_or(|key| key.strategy != b'h') {
        return true;
    }
    let no_gap = partition::hash_gaps(&relation).is_some_and(|(_, gaps)| gaps.is_empty());
    no_gap && partition::children(&relation).into_iter().all(|(child, is_leaf)| is_leaf || is_whole(child))
}

/// Makes the hash partitions that a slice lacks. The caller holds the lock of [`lock`].
pub fn mend(root: &Relation, hypertable: &Hypertable, oid: pg_sys::Oid) -> Result<()> {
    let maker = Maker {
        root,
        hypertable,
        schema: schema(hypertable)?,
        tablespaces: tablespace::of_hypertable(hypertable.id),
        ordinal: slice_ordinal(root, hypertable)?,
    };
    maker.mend(oid, hypertable.hash_dimensions())
}

/// How many slices there are: the next one's number, from which its tablespace follows.
fn slice_ordinal(root: &Relation, hypertable: &Hypertable) -> Result<usize> {
    if tablespace::of_hypertable(hypertable.id).is_empty() {
        return Ok(0);
    }
    Ok(partition::children(root).len())
}

/// The function that is applied to the time column, if any.
pub fn time_function(hypertable: &Hypertable) -> Result<Option<pg_sys::Oid>> {
    hypertable.time().partitioning_func.as_ref().map(|name| resolve_function(name, hypertable.time())).transpose()
}

fn resolve_function(name: &function::FunctionName, dimension: &Dimension) -> Result<pg_sys::Oid> {
    function::find_for_type(name, dimension.column_type)
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_FUNCTION, format!("partitioning function {}.{} does not exist", name.0, name.1)))
}

/// An error for a row without a time: that of its NOT NULL constraint.
pub fn null_time(root: &Relation, column: &str) -> Error {
    Error::new(SqlState("23502"), format!("null value in column \"{column}\" of relation \"{}\" violates not-null constraint", root.name()))
        .hint("The time column of a hypertable can't be NULL.")
}

/// An error for a value that no chunk can hold.
pub fn unplaceable(root: &Relation, column: &str, type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!(
            "value {} of column \"{column}\" of hypertable \"{}\" is no UUID of version 7",
            axis::value_text(type_oid, datum),
            root.name()
        ),
    )
    .hint("Only UUIDs of version 7 hold a time: make them with generate_uuidv7() or to_uuidv7().")
}
