//! By which columns the rows of a chunk are kept apart, and in which order they are stored.

use pgrx::pg_sys;

use super::defaults;
use super::settings_text::{self, SparseKind};
use crate::catalog::columnar_chunk::{self, ColumnarChunk};
pub use crate::catalog::columnstore::OrderColumn;
use crate::catalog::columnstore::{self, Columnstore};
use crate::catalog::hypertable::Hypertable;
use crate::error::Result;
use crate::pg::relation::Relation;
use crate::pg::{context, statistics};

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

impl Settings {
    /// The columns for which bloom filters were asked; None if nothing was said of sparse indexes.
    pub fn blooms(&self) -> Option<Vec<String>> {
        let indexes = settings_text::sparse(self.sparse_index.as_deref()?).ok()?;
        Some(indexes.into_iter().filter(|index| index.kind == SparseKind::Bloom).flat_map(|index| index.columns).collect())
    }
}

/// Whether COPY and large INSERT statements write straight into the columns of a hypertable's chunks, by its option.
pub fn writes_directly(hypertable: &Hypertable) -> bool {
    context::with_temporary(|| columnstore::find(hypertable.id)).is_some_and(|said| said.direct_compress)
}

/// How many other chunks are looked at for an empty one.
const MOST_PEERS: usize = 8;

/// The settings for a chunk that is to be compressed now, None if its hypertable is not to be compressed. What nobody set stays as it is
/// for a chunk that is compressed already, and else is chosen by what is in the chunk, or in a younger one while it is empty.
pub fn resolve(hypertable: &Hypertable, chunk: pg_sys::Oid) -> Result<Option<Settings>> {
    let Some(said) = columnstore::find(hypertable.id) else { return Ok(None) };
    if said.segmentby.is_some() && said.orderby.is_some() {
        return complete(hypertable, chunk, said, None).map(Some);
    }
    let (example, present) = example(hypertable, chunk);
    complete(hypertable, example, said, present).map(Some)
}

/// Whether [`resolve`] looks at the hypertable for what nobody set.
pub fn are_chosen(hypertable: &Hypertable) -> bool {
    columnstore::find(hypertable.id).is_some_and(|said| said.segmentby.is_none() || said.orderby.is_none())
}

fn is_empty(relid: pg_sys::Oid) -> bool {
    Relation::try_open(relid, pg_sys::AccessShareLock).is_none_or(|relation| statistics::is_empty(&relation))
}

/// Some chunks that were made last.
fn youngest(hypertable: &Hypertable) -> Vec<pg_sys::Oid> {
    let mut chunks = crate::catalog::chunk::of_hypertable(hypertable.id);
    chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.id));
    chunks.iter().take(MOST_PEERS).map(|chunk| chunk.relid).collect()
}

/// The chunk by whose contents the settings of a chunk are chosen, and what its batches are sorted by if it has some.
fn example(hypertable: &Hypertable, chunk: pg_sys::Oid) -> (pg_sys::Oid, Option<Vec<String>>) {
    let keys_of = |relid| columnar_chunk::find(relid).filter(|part| part.compressed).and_then(|part| of_part(&part));
    if let Some(keys) = keys_of(chunk) {
        return (chunk, Some(keys));
    }
    if !is_empty(chunk) {
        return (chunk, None);
    }
    for peer in youngest(hypertable) {
        let keys = keys_of(peer);
        if keys.is_some() || !is_empty(peer) {
            return (peer, keys);
        }
    }
    (chunk, None)
}

/// The chunk by whose contents one can say what would be chosen for a hypertable: a young one with rows, if there is any.
pub fn typical(hypertable: &Hypertable) -> pg_sys::Oid {
    let peers = youngest(hypertable);
    let full = peers.iter().copied().find(|relid| !is_empty(*relid));
    full.or(peers.first().copied()).unwrap_or(hypertable.relid)
}

/// The columns by which the rows of a chunk's batches are kept apart; None if one of them is gone.
fn of_part(part: &ColumnarChunk) -> Option<Vec<String>> {
    let name = |column: &usize| part.columns.get(*column).filter(|name| !name.is_empty()).cloned();
    part.segmentby.iter().map(name).collect()
}

fn complete(hypertable: &Hypertable, chunk: pg_sys::Oid, said: Columnstore, present: Option<Vec<String>>) -> Result<Settings> {
    let time = &hypertable.time().column;
    // Who begins the order with another column than time keeps the rows apart by that.
    let guess = said.orderby.as_ref().is_none_or(|orderby| orderby.first().is_some_and(|first| first.name == *time));
    let segmentby = match (said.segmentby, &present) {
        (Some(segmentby), _) => segmentby,
        (None, _) if !guess => Vec::new(),
        (None, Some(segmentby)) => without(segmentby, said.orderby.as_deref()),
        (None, None) => without(&defaults::segmentby(hypertable, chunk)?.columns, said.orderby.as_deref()),
    };
    let mut orderby = match said.orderby {
        Some(orderby) => orderby,
        None => defaults::orderby(hypertable, &segmentby).columns,
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
