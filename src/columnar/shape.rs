//! What the batches of a chunk are made of, and in which order.

use std::rc::Rc;

use pgrx::pg_sys;

use super::batch_table::{self, Plan};
use super::builder::Builder;
use super::layout::{self, Column, Layout};
use super::part::indexed_columns;
use super::settings::{self, Settings};
use super::{order, settings_check, width};
use crate::catalog::columnar_chunk::{ColumnarChunk, OrderBy};
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::Relation;
use crate::pg::size::Size;
use crate::pg::sort::SortKey;

/// What batches are made of, and in which order.
pub struct Shape {
    /// All columns of the chunk.
    pub columns: Vec<Column>,
    /// Indexes in `columns`.
    pub segmentby: Vec<usize>,
    /// What comes after `segmentby`.
    pub orderby: Vec<OrderBy>,
    /// Columns that were said to get a bloom filter; None to choose them by the indexes.
    blooms: Option<Vec<String>>,
}

impl Shape {
    /// The shape that settings give to a chunk.
    pub fn new(relation: &Relation, settings: &Settings) -> Result<Self> {
        Self::of_columns(layout::columns_of(relation), settings)
    }

    /// The same with columns where a batch table has them; None if it lacks one, or sorts otherwise.
    pub fn within(relation: &Relation, settings: &Settings, old: &Layout) -> Option<Self> {
        let has = |column: Column| old.columns.iter().any(|known| known.attribute == column.attribute && known.block != 0);
        if !layout::columns_of(relation).into_iter().all(has) {
            return None;
        }
        Self::of_columns(old.columns.clone(), settings).ok().filter(|shape| shape.fits(old))
    }

    fn of_columns(columns: Vec<Column>, settings: &Settings) -> Result<Self> {
        for column in columns.iter().filter(|column| column.attribute != 0) {
            settings_check::check_type(&column.name, column.type_oid)?;
        }
        let find = |name: &str| {
            columns.iter().position(|column| column.name == name).ok_or_else(|| {
                Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of the columnstore's settings does not exist"))
                    .hint("Set timescaledb.segmentby and timescaledb.orderby anew.")
            })
        };
        let segmentby = settings.segmentby.iter().map(|name| find(name)).collect::<Result<_>>()?;
        let order = |order: &settings::OrderColumn| {
            Ok(OrderBy { column: find(&order.name)?, descending: order.descending, nulls_first: order.nulls_first })
        };
        let orderby = settings.orderby.iter().map(order).collect::<Result<_>>()?;
        Ok(Self { columns, segmentby, orderby, blooms: settings.blooms() })
    }

    /// True if a batch fits into a row whatever is in it.
    pub fn always_fits(&self) -> bool {
        width::always_fits(self.columns.len(), self.keys().len())
    }

    /// Segmentby columns, then orderby columns.
    pub fn keys(&self) -> Vec<usize> {
        self.segmentby.iter().copied().chain(self.orderby.iter().map(|order| order.column)).collect()
    }

    /// The same, to sort the chunk's rows by.
    pub fn sort_keys(&self) -> Vec<SortKey> {
        let key = |column: usize, descending, nulls_first| SortKey { attribute: self.columns[column].attribute, descending, nulls_first };
        let segments = self.segmentby.iter().map(|column| key(*column, false, false));
        segments.chain(self.orderby.iter().map(|order| key(order.column, order.descending, order.nulls_first))).collect()
    }

    /// A builder of batches.
    pub fn builder(&self, relation: &Relation, target: &Layout) -> Builder {
        Builder::new(&target.columns, &self.keys(), self.segmentby.len(), &self.blooms(relation))
    }

    /// Columns that get a bloom filter: those that were named, or those with an index; but not the keys, which have their bounds in the
    /// batch table.
    fn blooms(&self, relation: &Relation) -> Vec<usize> {
        let keys = self.keys();
        if let Some(named) = &self.blooms {
            let is_named = |index: &usize| named.contains(&self.columns[*index].name) && !keys.contains(index);
            return (0..self.columns.len()).filter(is_named).collect();
        }
        let indexed = indexed_columns(relation);
        let wants_one = |index: &usize| {
            let column = &self.columns[*index];
            indexed.contains(&column.attribute) && !keys.contains(index) && column.length != 1 && column.length != 2
        };
        (0..self.columns.len()).filter(wants_one).collect()
    }

    /// True if batches of this shape fit into a batch table that is there.
    fn fits(&self, old: &Layout) -> bool {
        let columns = old.columns.iter().map(|column| column.name.as_str());
        let keys = old.keys[old.segments..].iter().map(|key| (key.column, key.descending, key.nulls_first));
        let segments = old.keys[..old.segments].iter().map(|key| key.column);
        columns.eq(self.columns.iter().map(|column| column.name.as_str()))
            && segments.eq(self.segmentby.iter().copied())
            && keys.eq(self.orderby.iter().map(|order| (order.column, order.descending, order.nulls_first)))
    }

    /// Creates a batch table, without its index, and describes it. `hypertable` is the hypertable's id.
    pub fn create(&self, chunk: &Relation, hypertable: i32, before: Size) -> Result<Rc<Layout>> {
        let keys = self.keys();
        width::check_columns(&chunk.name(), self.columns.len(), keys.len())?;
        let plan = Plan { columns: &self.columns, keys: &keys, segments: self.segmentby.len() };
        let batches = batch_table::create(chunk, &new_name(chunk, hypertable), &plan);
        let entry = self.entry(chunk.oid(), batches, 0, 0, before);
        layout::describe_part(&entry).map(Rc::new).ok_or_else(|| Error::internal("a batch table vanished"))
    }

    /// The catalog's row for a chunk that is compressed in this shape.
    pub fn entry(&self, relid: pg_sys::Oid, batches: pg_sys::Oid, batch_count: i64, rows: i64, before: Size) -> ColumnarChunk {
        let relation = Relation::open(relid, pg_sys::NoLock);
        let blooms = self.blooms(&relation).into_iter().filter(|column| order::has_bloom(&self.columns[*column])).collect();
        ColumnarChunk {
            relid,
            batches,
            compressed: true,
            columns: self.columns.iter().map(|column| column.name.clone()).collect(),
            segmentby: self.segmentby.clone(),
            orderby: self.orderby.clone(),
            blooms,
            rows,
            batch_count,
            before,
        }
    }
}

fn new_name(chunk: &Relation, hypertable: i32) -> String {
    let schema = chunk.class().relnamespace;
    loop {
        let name = format!("compress_hyper_{hypertable}_{}_chunk", crate::catalog::chunk::next_id());
        if !crate::pg::relation::exists(schema, &name) {
            return name;
        }
    }
}
