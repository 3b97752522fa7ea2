//! What a continuous aggregate computes: read from the query of its partial view, so that it follows renames and travels with a dump.

pub mod add_column;
mod analysis;
pub mod create;
pub mod describe;
mod from;
mod hierarchy;
pub mod options;
mod parts;
mod storage;
pub mod views;

use pgrx::pg_sys;

pub use storage::Names;

use super::bucket::Bucket;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::error::{Error, Result};
use crate::pg::expr::{self, Expr};
use crate::pg::relation::{Relation, name_string};
use crate::pg::{list, node, query};

/// What the names of all hidden columns begin with.
pub const HIDDEN_PREFIX: &str = "_ts_meta_";
/// What the names of hidden grouping columns begin with.
pub const GROUP_PREFIX: &str = "_ts_meta_group_";
/// What the names of hidden parts begin with.
pub const PART_PREFIX: &str = "_ts_meta_part_";

/// What a column of storage is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bucket.
    Bucket,
    /// Rows are grouped by it.
    Group,
    /// The user's output that is no grouping column: a finished value.
    Value,
    /// Kept to compute the aggregate over larger groups.
    Part,
}

/// A column of storage.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in storage; of an output also the user view's.
    pub name: String,
    /// Its attribute number in storage.
    pub attribute: i16,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// What it is for.
    pub role: Role,
    /// The user's view has it.
    pub visible: bool,
    /// What it is computed by: an expression of the live query, at the same index of its target list.
    pub expr: Expr,
}

/// The definition of a continuous aggregate. What it points to lives in the memory context in which it was loaded.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its row of the catalog.
    pub agg: ContinuousAgg,
    /// The buckets.
    pub bucket: Bucket,
    /// The columns of storage, in the order of the live query's target list.
    pub columns: Vec<Column>,
    /// The index in `columns` of the bucket.
    pub bucket_column: usize,
    /// The time column in the live query: of the hypertable, or of the view of the continuous aggregate that it is defined over.
    pub time: expr::Column,
    /// The type of the time column.
    pub time_type: pg_sys::Oid,
    /// The query that computes rows of storage from the source, whole groups: the LATERAL subquery of the partial view. Its
    /// WHERE compares the time with two columns of the outer query, low and high, both included.
    pub live_query: *mut pg_sys::Query,
}

impl Definition {
    /// The bucket's column.
    pub fn bucket_column(&self) -> &Column {
        &self.columns[self.bucket_column]
    }

    /// The live query between two times (Datums of the time column's type), both included.
    pub fn live_between(&self, low: pg_sys::Datum, high: pg_sys::Datum) -> *mut pg_sys::Query {
        let constant = |datum| expr::constant(self.time_type, datum).as_ptr();
        // SAFETY: the query lives where the definition was loaded.
        unsafe { query::replace_outer(self.live_query, vec![constant(low), constant(high)]) }
    }

    /// The same as text that means the same to every session.
    pub fn live_sql(&self, low: pg_sys::Datum, high: pg_sys::Datum) -> String {
        query::text(self.live_between(low, high))
    }
}

fn broken(agg: &ContinuousAgg) -> Error {
    Error::internal(format!("the partial view of continuous aggregate {} does not have the form that it was created with", agg.id))
}

/// Loads the definition of a continuous aggregate into the current memory context. Takes AccessShareLock on its partial view and storage.
pub fn load(agg: &ContinuousAgg) -> Result<Definition> {
    let view = Relation::open(agg.partial_view, pg_sys::AccessShareLock);
    let storage = Relation::open(agg.storage, pg_sys::AccessShareLock);
    let parts = split(query::of_view(&view)).ok_or_else(|| broken(agg))?;
    read(agg, parts, &storage).ok_or_else(|| broken(agg))
}

/// The two sides of a partial view.
struct Sides {
    /// The attribute number in storage of each column of the view.
    stored: Vec<i16>,
    /// The target of the live query of each column of the view.
    live: Vec<i16>,
    live_query: *mut pg_sys::Query,
}

fn split(union: *mut pg_sys::Query) -> Option<Sides> {
    // SAFETY: a query of a view, walked by the tags of its nodes.
    unsafe {
        let operation = (*union).setOperations;
        if node::tag(operation) != pg_sys::NodeTag::T_SetOperationStmt {
            return None;
        }
        let operation = &*operation.cast::<pg_sys::SetOperationStmt>();
        let left = side(union, operation.larg)?;
        let right = side(union, operation.rarg)?;
        let from = list::pointers::<pg_sys::Node>((*(*right).jointree).fromlist);
        let [_, lateral] = from[..] else { return None };
        let live_query = side(right, lateral)?;
        Some(Sides { stored: attributes(left)?, live: attributes(right)?, live_query })
    }
}

/// # Safety
/// A Query and a node of its FROM clause or set operation.
unsafe fn side(query: *mut pg_sys::Query, reference: *mut pg_sys::Node) -> Option<*mut pg_sys::Query> {
    // SAFETY: the caller's promise.
    unsafe {
        if node::tag(reference) != pg_sys::NodeTag::T_RangeTblRef {
            return None;
        }
        let entry = query::entry(query, (*reference.cast::<pg_sys::RangeTblRef>()).rtindex as usize);
        (entry.rtekind == pg_sys::RTEKind::RTE_SUBQUERY && !entry.subquery.is_null()).then_some(entry.subquery)
    }
}

/// # Safety
/// A Query.
unsafe fn attributes(query: *mut pg_sys::Query) -> Option<Vec<i16>> {
    // SAFETY: the caller's promise.
    let columns = unsafe { query::targets(query).into_iter().map(|target| Expr::new(target.expr).as_column()) };
    columns.map(|column| column.map(|column| column.attribute)).collect()
}

fn read(agg: &ContinuousAgg, sides: Sides, storage: &Relation) -> Option<Definition> {
    // SAFETY: the copy of the view's query outlives the definition by the caller's memory context.
    let targets = unsafe { query::targets(sides.live_query) };
    // SAFETY: as above.
    let groups = unsafe { grouping_references(sides.live_query) };
    let mut columns = Vec::with_capacity(targets.len());
    let mut found = None;
    for (index, target) in targets.iter().filter(|target| !target.resjunk).enumerate() {
        let place = sides.live.iter().position(|number| *number == target.resno)?;
        let attribute = storage.attributes().get(usize::try_from(sides.stored[place] - 1).ok()?)?;
        let name = name_string(&attribute.attname);
        let hidden = name.starts_with(HIDDEN_PREFIX);
        // SAFETY: as above.
        let expr = unsafe { Expr::new(target.expr) };
        let grouped = target.ressortgroupref != 0 && groups.contains(&target.ressortgroupref);
        let bucket = if grouped && found.is_none() { Bucket::of_definition(expr).ok().flatten() } else { None };
        let role = match (&bucket, grouped) {
            (Some(_), _) => Role::Bucket,
            (None, true) => Role::Group,
            (None, false) if name.starts_with(PART_PREFIX) => Role::Part,
            (None, false) => Role::Value,
        };
        if let Some((bucket, time)) = bucket {
            found = Some((index, bucket, time));
        }
        columns.push(Column { name, attribute: attribute.attnum, type_oid: attribute.atttypid, role, visible: !hidden, expr });
    }
    let (bucket_column, bucket, time) = found?;
    Some(Definition {
        agg: agg.clone(),
        bucket,
        columns,
        bucket_column,
        time: time.as_column()?,
        time_type: time.type_oid(),
        live_query: sides.live_query,
    })
}

/// # Safety
/// A Query.
unsafe fn grouping_references(query: *mut pg_sys::Query) -> Vec<u32> {
    // SAFETY: the caller's promise: the elements of a GROUP BY clause.
    unsafe { list::pointers::<pg_sys::SortGroupClause>((*query).groupClause).into_iter().map(|clause| (*clause).tleSortGroupRef).collect() }
}
