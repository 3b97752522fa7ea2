//! What the batch table of a chunk looks like, remembered per backend.
//!
//! A batch table has one row per batch:
//!
//! | column | holds |
//! |---|---|
//! | `_ts_meta_count` | rows |
//! | `_ts_meta_single` | whether each segmentby column has one value, or only NULLs, throughout; NULL if the keys are too long to be kept |
//! | `_ts_meta_min_<k>`, `_ts_meta_max_<k>` | least and greatest value of key `k` (segmentby columns, then orderby columns); NULL if there is none, or keys are too long |
//! | `_ts_meta_zone` | a [`tsc_codec::zone::ZoneMap`] of all columns |
//! | `c<i>` | the block of column `i`; NULL if all its values are NULL |

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_codec::Kind;

use super::image::{self, Image};
pub use crate::catalog::columnar_chunk::COUNT;
use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::error::{Error, SqlState};
use crate::pg::guard::guard;
use crate::pg::relation::{Relation, relation_name};
use crate::pg::{ffi, table};

/// Whether the segmentby columns are constant.
pub const SINGLE: &str = "_ts_meta_single";
/// The zone map.
pub const ZONE: &str = "_ts_meta_zone";

/// The column with the least (`max` false) or greatest value of a key, counted from 0.
pub fn bound_name(key: usize, max: bool) -> String {
    format!("_ts_meta_{}_{}", if max { "max" } else { "min" }, key + 1)
}

/// The column with the blocks of a column, counted from 0.
pub fn block_name(column: usize) -> String {
    format!("c{}", column + 1)
}

/// A column of the chunk.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name; empty if it was dropped.
    pub name: String,
    /// Its attribute number in the chunk; 0 if it was dropped.
    pub attribute: i16,
    /// The attribute number of its blocks in the batch table; 0 if it was dropped.
    pub block: i16,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// Its collation.
    pub collation: pg_sys::Oid,
    /// `typlen`.
    pub length: i16,
    /// `typbyval`.
    pub by_value: bool,
    /// What it is to the codec.
    pub kind: Kind,
    /// How its values get there.
    pub image: Image,
}

/// A column that batches are sorted by: segmentby columns first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its index in [`Layout::columns`].
    pub column: usize,
    /// The batch table's attribute with the least value.
    pub min: i16,
    /// The batch table's attribute with the greatest value.
    pub max: i16,
    /// Largest first.
    pub descending: bool,
    /// NULL before all values.
    pub nulls_first: bool,
}

/// A chunk's columnar part.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The chunk.
    pub chunk: pg_sys::Oid,
    /// The table of its batches.
    pub batches: pg_sys::Oid,
    /// The index on the batches' keys; `InvalidOid` if somebody dropped it.
    pub index: pg_sys::Oid,
    /// False if only older snapshots may find batches.
    pub compressed: bool,
    /// Columns in the order of the zone map.
    pub columns: Vec<Column>,
    /// Segmentby columns, then orderby columns.
    pub keys: Vec<Key>,
    /// How many keys are segmentby columns.
    pub segments: usize,
    /// Rows when it was last compressed as a whole.
    pub rows: i64,
    /// Batches then.
    pub batch_count: i64,
    /// Attribute number of `_ts_meta_count`.
    pub count: i16,
    /// Attribute number of `_ts_meta_single`.
    pub single: i16,
    /// Attribute number of `_ts_meta_zone`.
    pub zone: i16,
    /// Whether the batch table's columns are of the form in which values are read from them.
    pub is_sound: bool,
}

impl Layout {
    /// A layout without columns.
    pub fn empty(chunk: pg_sys::Oid) -> Self {
        Self {
            chunk,
            batches: pg_sys::InvalidOid,
            index: pg_sys::InvalidOid,
            compressed: false,
            columns: Vec::new(),
            keys: Vec::new(),
            segments: 0,
            rows: 0,
            batch_count: 0,
            count: 0,
            single: 0,
            zone: 0,
            is_sound: true,
        }
    }

    /// An ERROR if the batch table is not as it was made. To be asked before its rows are read or written: values are taken from them by
    /// the place and the type that their columns were made with.
    pub fn require_sound(&self) {
        if !self.is_sound {
            self.refuse();
        }
    }

    #[cold]
    fn refuse(&self) {
        let error = Error::new(
            SqlState::DATA_CORRUPTED,
            format!(
                "table \"{}\", which holds the compressed rows of chunk \"{}\", is not as it was made",
                relation_name(self.batches),
                relation_name(self.chunk)
            ),
        )
        .detail("A column of it is missing or of another type.")
        .hint("Restore the chunk from a backup.");
        // SAFETY: the error is handed over; nothing else with a destructor is within.
        unsafe { guard(|| -> () { error.raise() }) };
    }

    /// The index in [`Self::columns`] of a column of the chunk, by attribute number.
    pub fn column_of(&self, attribute: i16) -> Option<usize> {
        self.columns.iter().position(|column| column.attribute == attribute)
    }

    /// The index in [`Self::keys`] of a column.
    pub fn key_of(&self, column: usize) -> Option<usize> {
        self.keys.iter().position(|key| key.column == column)
    }
}

/// Describes the columns of a chunk for its batch table, in the order of its own columns, dropped ones left out.
pub fn columns_of(chunk: &Relation) -> Vec<Column> {
    chunk.attributes().iter().filter(|attribute| !attribute.attisdropped).map(describe).collect()
}

fn describe(attribute: &pg_sys::FormData_pg_attribute) -> Column {
    let (kind, image) = image::of(attribute.atttypid, attribute.attlen, attribute.attbyval);
    Column {
        name: crate::pg::relation::name_string(&attribute.attname),
        attribute: attribute.attnum,
        block: 0,
        type_oid: attribute.atttypid,
        typmod: attribute.atttypmod,
        collation: attribute.attcollation,
        length: attribute.attlen,
        by_value: attribute.attbyval,
        kind,
        image,
    }
}

fn dropped() -> Column {
    Column {
        name: String::new(),
        attribute: 0,
        block: 0,
        type_oid: pg_sys::InvalidOid,
        typmod: -1,
        collation: pg_sys::InvalidOid,
        length: 0,
        by_value: true,
        kind: Kind::Bool,
        image: Image::Word,
    }
}

/// Reads the layout of a chunk's columnar part. The caller has locked the chunk, so that neither can go.
pub fn describe_part(entry: &ColumnarChunk) -> Option<Layout> {
    let chunk = Relation::try_open(entry.relid, pg_sys::NoLock)?;
    let batches = Relation::try_open(entry.batches, pg_sys::AccessShareLock)?;
    let number = |name: &str| batches.attribute(name).map_or(0, |attribute| attribute.attnum);
    let columns: Vec<Column> = entry
        .columns
        .iter()
        .enumerate()
        .map(|(index, name)| match chunk.attribute(name) {
            Some(attribute) => Column { block: number(&block_name(index)), ..describe(attribute) },
            None => dropped(),
        })
        .collect();
    let segments = entry.segmentby.iter().map(|column| (*column, false, false));
    let orders = entry.orderby.iter().map(|order| (order.column, order.descending, order.nulls_first));
    let keys: Vec<Key> = segments
        .chain(orders)
        .enumerate()
        .map(|(index, (column, descending, nulls_first))| Key {
            column,
            min: number(&bound_name(index, false)),
            max: number(&bound_name(index, true)),
            descending,
            nulls_first,
        })
        .collect();
    let is_sound = is_sound(&batches, &columns, &keys, [number(COUNT), number(SINGLE), number(ZONE)]);
    Some(Layout {
        chunk: entry.relid,
        batches: entry.batches,
        index: batches.index_oids().first().copied().unwrap_or(pg_sys::InvalidOid),
        compressed: entry.compressed,
        columns,
        keys,
        segments: entry.segmentby.len(),
        rows: entry.rows,
        batch_count: entry.batch_count,
        count: number(COUNT),
        single: number(SINGLE),
        zone: number(ZONE),
        is_sound,
    })
}

/// Whether columns are there and have the form that is expected of them. A key's bounds are compared by their form in memory alone: while
/// its column gets another type, which must have the same, they follow.
fn is_sound(batches: &Relation, columns: &[Column], keys: &[Key], [count, single, zone]: [i16; 3]) -> bool {
    let attribute = |number: i16| {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1))?;
        batches.attributes().get(index).filter(|attribute| !attribute.attisdropped)
    };
    let is_of = |number, type_oid| attribute(number).is_some_and(|attribute| attribute.atttypid == type_oid);
    let is_bound =
        |number, column: &Column| attribute(number).is_some_and(|bound| (bound.attlen, bound.attbyval) == (column.length, column.by_value));
    // Of a column that was dropped nothing is read.
    let is_there = |column: &&Column| column.attribute != 0;
    let has_bounds =
        |key: &Key| columns.get(key.column).filter(is_there).is_none_or(|column| is_bound(key.min, column) && is_bound(key.max, column));
    is_of(count, pg_sys::INT4OID)
        && is_of(single, pg_sys::BOOLOID)
        && is_of(zone, pg_sys::BYTEAOID)
        && keys.iter().all(has_bounds)
        && columns.iter().filter(is_there).all(|column| is_of(column.block, pg_sys::BYTEAOID))
}

#[derive(Default)]
struct Cache {
    entries: HashMap<pg_sys::Oid, Option<Rc<Layout>>>,
    /// The chunk of each batch table in `entries`.
    chunks: HashMap<pg_sys::Oid, pg_sys::Oid>,
    /// The catalog's table: its invalidation empties the cache.
    catalog: pg_sys::Oid,
    /// Counts invalidations, so that an entry read while one arrived is not kept.
    generation: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The columnar part of a chunk that the caller has locked; None if it has none. It may have one without batches.
pub fn find(relid: pg_sys::Oid) -> Option<Rc<Layout>> {
    if let Some(entry) = CACHE.with_borrow(|cache| cache.entries.get(&relid).cloned()) {
        return entry;
    }
    let generation = CACHE.with_borrow(|cache| cache.generation);
    let catalog = table::oid("columnar_chunk")?;
    let entry = crate::pg::context::with_temporary(|| columnar_chunk::find(relid).as_ref().and_then(describe_part)).map(Rc::new);
    CACHE.with_borrow_mut(|cache| {
        cache.catalog = catalog;
        if cache.generation == generation {
            if let Some(layout) = &entry {
                cache.chunks.insert(layout.batches, relid);
            }
            cache.entries.insert(relid, entry.clone());
        }
    });
    entry
}

/// Installs the callback; once per backend, from `_PG_init`.
pub fn init() {
    // SAFETY: the callback is a plain function that calls nothing of PostgreSQL.
    unsafe { ffi::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_argument: pg_sys::Datum, relid: pg_sys::Oid) {
    CACHE.with(|cache| {
        // Never borrowed while PostgreSQL is called, so always free here.
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache.generation += 1;
            if relid == pg_sys::InvalidOid || relid == cache.catalog {
                cache.entries.clear();
                cache.chunks.clear();
            } else {
                let chunk = cache.chunks.remove(&relid).unwrap_or(relid);
                cache.entries.remove(&chunk);
            }
        }
    });
}
