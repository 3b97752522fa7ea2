//! By which columns the rows of a chunk are kept apart, and in which order they are stored.

use pgrx::pg_sys;

use super::defaults;
use crate::catalog::columnar_chunk::{self, ColumnarChunk, OrderBy};
pub use crate::catalog::columnstore::OrderColumn;
use crate::catalog::columnstore::{self, Columnstore};
use crate::catalog::hypertable::Hypertable;
use crate::error::Result;

/// How a chunk is to be compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The columns by which rows are sorted first.
    pub segmentby: Vec<String>,
    /// The order of rows of which those columns are equal; the time column is in one of the two.
    pub orderby: Vec<OrderColumn>,
    /// Sparse indexes that were asked for, in the grammar of the option; None if nothing was said.
    pub sparse_index: Option<String>,
    /// Chunks are to be merged up to this length.
    pub compress_interval: Option<i64>,
}

/// The settings for a chunk that is to be compressed now, None if its hypertable is not to be compressed. What nobody set stays as it is
/// for a chunk that is compressed already, and else is chosen by the chunk's statistics.
pub fn resolve(hypertable: &Hypertable, chunk: pg_sys::Oid) -> Result<Option<Settings>> {
    let Some(said) = columnstore::find(hypertable.id) else { return Ok(None) };
    let present = columnar_chunk::find(chunk).filter(|part| part.compressed).and_then(|part| of_part(&part));
    complete(hypertable, chunk, said, present).map(Some)
}

/// What the batches of a chunk are sorted by; None if one of the columns is gone.
fn of_part(part: &ColumnarChunk) -> Option<(Vec<String>, Vec<OrderColumn>)> {
    let name = |column: usize| part.columns.get(column).filter(|name| !name.is_empty()).cloned();
    let order =
        |order: &OrderBy| Some(OrderColumn { name: name(order.column)?, descending: order.descending, nulls_first: order.nulls_first });
    Some((
        part.segmentby.iter().map(|column| name(*column)).collect::<Option<_>>()?,
        part.orderby.iter().map(order).collect::<Option<_>>()?,
    ))
}

fn complete(
    hypertable: &Hypertable,
    chunk: pg_sys::Oid,
    said: Columnstore,
    present: Option<(Vec<String>, Vec<OrderColumn>)>,
) -> Result<Settings> {
    let time = &hypertable.time().column;
    // Who begins the order with another column than time keeps the rows apart by that.
    let guess = said.orderby.as_ref().is_none_or(|orderby| orderby.first().is_some_and(|first| first.name == *time));
    let segmentby = match (said.segmentby, &present) {
        (Some(segmentby), _) => segmentby,
        (None, _) if !guess => Vec::new(),
        (None, Some((segmentby, _))) => without(segmentby, said.orderby.as_deref()),
        (None, None) => without(&defaults::segmentby(hypertable, chunk)?.columns, said.orderby.as_deref()),
    };
    let mut orderby = match (said.orderby, present) {
        (Some(orderby), _) => orderby,
        (None, Some((present, orderby))) if present == segmentby => orderby,
        (None, _) => defaults::orderby(hypertable, &segmentby).columns,
    };
    if !segmentby.contains(time) && !orderby.iter().any(|order| order.name == *time) {
        orderby.push(defaults::latest_first(time));
    }
    Ok(Settings { segmentby, orderby, sparse_index: said.sparse_index, compress_interval: said.compress_interval })
}

/// The columns that rows are not ordered by.
fn without(columns: &[String], orderby: Option<&[OrderColumn]>) -> Vec<String> {
    columns.iter().filter(|name| !orderby.unwrap_or_default().iter().any(|order| order.name == **name)).cloned().collect()
}
