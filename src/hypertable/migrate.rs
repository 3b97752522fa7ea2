//! Moving the rows of a table into its chunks before it is converted: one copy, no client, indexes built afterwards in bulk.

use std::collections::BTreeMap;

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, Slice};

use super::slice::{self, NewTable};
use crate::catalog::dimension::Division;
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result, SqlState};
use crate::pg::convert::RangeKey;
use crate::pg::relation::{Relation, name_string};
use crate::pg::rows::{Reader, Row, Writer};
use crate::pg::{axis, call::FunctionCall, partition};

/// Rows that may wait in all writers together before they are written.
const PENDING: usize = 10_000;

/// The tables that received rows, with their bounds; not attached yet.
#[derive(Default)]
pub struct Moved(Vec<(Slice, NewTable)>);

/// True if no row is visible to a new snapshot.
pub fn is_empty(relation: &Relation) -> bool {
    Reader::open(relation).next(0).is_none()
}

/// Refuses a table with NULLs in its time column.
pub fn check_no_nulls(relation: &Relation, attribute: i16) -> Result<()> {
    let mut reader = Reader::open(relation);
    while let Some(row) = reader.next(attribute.into()) {
        if row.column(attribute).is_none() {
            let column = name_string(&relation.attributes()[attribute as usize - 1].attname);
            return Err(Error::new(
                SqlState("23502"),
                format!("column \"{column}\" of relation \"{}\" contains null values", relation.name()),
            )
            .hint("Delete the rows without a time, or give them one."));
        }
    }
    Ok(())
}

/// Copies every row into a table for its slice, made on the way.
pub fn move_rows(relation: &Relation, hypertable: &Hypertable, range: RangeKey) -> Result<Moved> {
    let mut router = Router::new(relation, hypertable, range)?;
    let attributes = router.attributes();
    let mut reader = Reader::open(relation);
    while let Some(row) = reader.next(attributes) {
        router.route(&row)?;
    }
    drop(reader);
    Ok(router.finish())
}

/// Attaches what [`move_rows`] made; this builds the indexes.
pub fn attach(relation: &Relation, hypertable: &Hypertable, moved: &Moved) -> Result<()> {
    let (axis, _) = slice::time_axis(hypertable)?;
    for (bounds, table) in &moved.0 {
        crate::pg::context::with_temporary(|| {
            slice::attach_tree(relation, hypertable, table, partition::range_bound(axis, hypertable.time().type_oid, *bounds));
        });
    }
    Ok(())
}

/// One slice on its way.
struct Target {
    slice: Slice,
    table: NewTable,
    /// One for each chunk of the slice, in the order of [`NewTable::chunks`].
    writers: Vec<Writer>,
}

struct Router<'a> {
    relation: &'a Relation,
    hypertable: &'a Hypertable,
    axis: Axis,
    interval: i64,
    range: RangeKey,
    function: Option<FunctionCall>,
    hashes: Vec<HashRoute>,
    targets: Vec<Target>,
    /// Where each slice begins, to its target.
    starts: BTreeMap<i64, usize>,
    last: Option<usize>,
    pending: usize,
}

/// How a hash dimension picks a part.
struct HashRoute {
    attribute: i16,
    function: Option<FunctionCall>,
    /// A table that is divided this way: its key holds the hash function.
    table: Relation,
    slices: u64,
}

impl<'a> Router<'a> {
    fn new(relation: &'a Relation, hypertable: &'a Hypertable, range: RangeKey) -> Result<Self> {
        let (axis, interval) = slice::time_axis(hypertable)?;
        Ok(Self {
            relation,
            hypertable,
            axis,
            interval,
            range,
            function: range.function.map(FunctionCall::new),
            hashes: Vec::new(),
            targets: Vec::new(),
            starts: BTreeMap::new(),
            last: None,
            pending: 0,
        })
    }

    /// The columns that routing reads: up to this attribute number.
    fn attributes(&self) -> i32 {
        self.hypertable.dimensions.iter().map(|dimension| dimension.attribute.into()).max().unwrap_or(0)
    }

    fn route(&mut self, row: &Row) -> Result<()> {
        let time = &self.hypertable.time().column;
        let Some(datum) = row.column(self.range.attribute) else {
            return Err(Error::new(SqlState("23502"), format!("column \"{time}\" contains null values")));
        };
        let datum = match &self.function {
            Some(function) => function.call(datum),
            None => datum,
        };
        // SAFETY: a value of the axis's type.
        let position = unsafe {
            if !axis::is_placeable(self.axis, datum) {
                return Err(slice::unplaceable(self.relation, time, self.hypertable.time().type_oid, datum));
            }
            axis::position(self.axis, datum)
        };
        let index = self.target(position)?;
        let part = self.part(row);
        let written = self.targets[index].writers[part].push(row);
        self.pending = self.pending + 1 - written;
        if self.pending > PENDING {
            self.targets.iter_mut().flat_map(|target| &mut target.writers).for_each(Writer::park);
            self.pending = 0;
        }
        Ok(())
    }

    fn target(&mut self, position: i64) -> Result<usize> {
        if let Some(last) = self.last.filter(|last| self.targets[*last].slice.contains(position)) {
            return Ok(last);
        }
        let slice = self.axis.slice(position, self.interval);
        let start = slice.start.unwrap_or(i64::MIN);
        let index = match self.starts.get(&start) {
            Some(index) => *index,
            None => self.add_target(slice, start)?,
        };
        self.last = Some(index);
        Ok(index)
    }

    fn add_target(&mut self, slice: Slice, start: i64) -> Result<usize> {
        let table = slice::create_tables(self.relation, self.hypertable, self.targets.len())?;
        if self.hashes.is_empty() {
            self.hashes = hash_routes(self.hypertable, &table)?;
        }
        let writers = table
            .chunks()
            .into_iter()
            .map(|chunk| Writer::new(Relation::open(chunk.oid, pg_sys::AccessExclusiveLock), self.relation))
            .collect();
        self.targets.push(Target { slice, table, writers });
        self.starts.insert(start, self.targets.len() - 1);
        Ok(self.targets.len() - 1)
    }

    /// The place of the row's chunk among those of its slice.
    fn part(&self, row: &Row) -> usize {
        self.hashes.iter().fold(0, |part, hash| {
            let value = row.column(hash.attribute).map(|datum| hash.function.as_ref().map_or(datum, |function| function.call(datum)));
            let remainder = partition::hash_of(&hash.table, value) % hash.slices;
            part * hash.slices as usize + remainder as usize
        })
    }

    fn finish(self) -> Moved {
        let finish = |target: Target| {
            target.writers.into_iter().for_each(Writer::finish);
            (target.slice, target.table)
        };
        Moved(self.targets.into_iter().map(finish).collect())
    }
}

fn hash_routes(hypertable: &Hypertable, table: &NewTable) -> Result<Vec<HashRoute>> {
    let mut routes = Vec::new();
    let mut level = table;
    for dimension in hypertable.hash_dimensions() {
        let Division::Hash { slices } = dimension.division else { continue };
        let function = dimension
            .partitioning_func
            .as_ref()
            .map(|name| {
                crate::pg::function::find_for_type(name, dimension.column_type)
                    .map(FunctionCall::new)
                    .ok_or_else(|| Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {}.{} does not exist", name.0, name.1)))
            })
            .transpose()?;
        let relation = Relation::open(level.oid, pg_sys::AccessShareLock);
        routes.push(HashRoute { attribute: dimension.attribute, function, table: relation, slices: slices as u64 });
        if let Some(first) = level.parts.first() {
            level = first;
        }
    }
    Ok(routes)
}
