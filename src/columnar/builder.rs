//! Rows become batches.
//!
//! Rows come sorted by (segmentby, orderby). A batch is cut when it is full, and at a segment's end if it holds [`CUT_ROWS`] or more:
//! small segments share a batch. A segment that is longer than a batch is cut into parts of like size, so that none of them shares a
//! batch with the next segment; so up to two batches wait here. Batches of large values are cut by their size: a row of the batch table
//! is a datum, which has to be smaller than 1 GB.

use std::cmp::Ordering;

use pgrx::pg_sys;
use tsc_codec::bloom::Bloom;
use tsc_codec::zone::{ColumnZone, ZoneMap, ZoneSum, ZoneValue};
use tsc_codec::{BATCH_ROWS, Column as Data};
use tsc_kernel::select::order_floats;

use super::image::Image;
use super::layout::Column;
use super::order::{Hash, Order, Sum, sum_of};
use super::value::{self, push};
use crate::pg::ffi::raw;

/// A batch with as many rows is cut where a segment ends.
pub const CUT_ROWS: usize = 1024;
/// Rows that wait at most.
const PENDING_ROWS: usize = 2 * BATCH_ROWS;
/// Bytes of values that wait at most, but for the last row's.
const PENDING_BYTES: usize = 32 << 20;
/// Keys that are longer together (bytes) are not kept in the batch table either.
const LONGEST_KEYS: usize = 2048;
/// Keys longer than this (bytes) are not kept in the batch table: an index entry has to fit into a third of a page.
const LONGEST_KEY: usize = 256;
/// Values longer than this (bytes) are not kept in zone maps.
const LONGEST_BOUND: usize = 64;
/// Values of a column that is dear to compare (text under a collation) are compared only if there are no more runs of equal ones.
const DEAR_RUNS: usize = 256;

/// What is known of a column while batches are built.
pub(super) struct Building {
    pub(super) column: Column,
    order: Order,
    is_dear: bool,
    sum: Sum,
    bloom: Option<Hash>,
    is_key: bool,
    pub(super) pending: Data,
    batch: Data,
}

/// A batch, ready to be written.
#[derive(Default)]
pub struct Batch {
    /// Rows.
    pub rows: usize,
    /// Whether each segmentby column is constant; None if a key is too long to be kept.
    pub single: Option<bool>,
    /// Least and greatest value of each key, palloc'd in the context that was current; None if all are NULL or one is too long.
    pub bounds: Vec<Option<(pg_sys::Datum, pg_sys::Datum)>>,
    /// The zone map.
    pub zone: Vec<u8>,
    /// The block of each column; None if all its values are NULL.
    pub blocks: Vec<Option<Vec<u8>>>,
}

/// Collects rows.
pub struct Builder {
    pub(super) columns: Vec<Building>,
    /// Indexes in `columns`: segmentby, then orderby.
    keys: Vec<usize>,
    segments: usize,
    pub(super) rows: usize,
    /// The size of the values that wait, but for words.
    pub(super) bytes: usize,
}

/// What can be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Add the row.
    None,
    /// First take a batch of so many rows.
    Rows(usize),
}

impl Builder {
    /// A builder for columns of a chunk, `keys` as in [`super::batch_table::Plan`]. `blooms` are the indexes in `columns` of those that
    /// get a bloom filter if their type can be hashed.
    pub fn new(columns: &[Column], keys: &[usize], segments: usize, blooms: &[usize]) -> Self {
        let building = |(index, column): (usize, &Column)| Building::new(column, keys.contains(&index), blooms.contains(&index));
        Self { columns: columns.iter().enumerate().map(building).collect(), keys: keys.to_vec(), segments, rows: 0, bytes: 0 }
    }

    /// True if values of a column are kept as their text, which may depend on settings: it is cheaper to set them once for all rows.
    pub fn writes_text(&self) -> bool {
        self.columns
            .iter()
            .any(|building| building.column.attribute != 0 && matches!(building.column.image, Image::Text { varies: true, .. }))
    }

    /// Rows that wait.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What to do before a row is added.
    ///
    /// # Safety
    /// As [`Self::push`].
    pub unsafe fn cut_before(&self, values: *const pg_sys::Datum, nulls: *const bool) -> Cut {
        // SAFETY: the caller's promise. The segment matters only then.
        self.cut_within(self.rows < CUT_ROWS || unsafe { self.continues_segment(values, nulls) })
    }

    /// What to do before a row is added that is of the same segment as the one before (`continues`) or not.
    pub fn cut_within(&self, continues: bool) -> Cut {
        if self.rows == PENDING_ROWS {
            return Cut::Rows(BATCH_ROWS);
        }
        let is_whole = self.rows >= CUT_ROWS && !continues;
        if is_whole || self.bytes >= PENDING_BYTES { Cut::Rows(self.next_cut()) } else { Cut::None }
    }

    /// How many rows of a segment may be added, if not too large, before the next [`Self::cut_within`].
    pub fn room(&self) -> usize {
        PENDING_ROWS - self.rows
    }

    /// How many rows the next batch takes if no more of its segment come.
    pub fn next_cut(&self) -> usize {
        if self.rows > BATCH_ROWS { self.rows.div_ceil(2) } else { self.rows }
    }

    /// # Safety
    /// As [`Self::push`].
    unsafe fn continues_segment(&self, values: *const pg_sys::Datum, nulls: *const bool) -> bool {
        self.keys[..self.segments].iter().all(|key| {
            let building = &self.columns[*key];
            let index = building.column.attribute as usize - 1;
            // SAFETY: the caller's promise.
            unsafe {
                let value = (!*nulls.add(index)).then(|| *values.add(index));
                value::equals_last(building.column.image, &building.pending, value)
            }
        })
    }

    /// Adds a row of the chunk.
    ///
    /// # Safety
    /// Both arrays have an element for each attribute of the chunk. May jump; what is palloc'd may go with the next batch.
    pub unsafe fn push(&mut self, values: *const pg_sys::Datum, nulls: *const bool) {
        for building in &mut self.columns {
            if building.column.attribute == 0 {
                building.pending.push_null();
                continue;
            }
            let index = building.column.attribute as usize - 1;
            // SAFETY: the caller's promise.
            unsafe {
                if *nulls.add(index) {
                    building.pending.push_null();
                } else {
                    let before = building.pending.data.len();
                    push(building.column.image, &mut building.pending, *values.add(index));
                    self.bytes += building.pending.data.len() - before;
                }
            }
        }
        self.rows += 1;
    }

    /// Takes the first `rows` rows as a batch.
    ///
    /// # Safety
    /// May jump; the batch's bounds are palloc'd in the current memory context.
    pub unsafe fn take(&mut self, rows: usize, batch: &mut Batch) {
        batch.rows = rows;
        batch.blocks.resize_with(self.columns.len(), || None);
        batch.single = Some(true);
        batch.bounds.clear();
        let mut zone = ZoneMap { columns: Vec::with_capacity(self.columns.len()) };
        let mut key_bounds: Vec<(usize, Bounds)> = Vec::new();
        for (index, building) in self.columns.iter_mut().enumerate() {
            building.split(rows);
            let data = &building.batch;
            batch.blocks[index] = (data.values() > 0).then(|| {
                let mut block = Vec::new();
                tsc_codec::encode(building.column.kind, data, &mut block);
                block
            });
            // SAFETY: the caller's promise.
            let (column_zone, bounds) = unsafe { building.summarise() };
            zone.columns.push(column_zone);
            if building.is_key {
                key_bounds.push((index, bounds));
            }
        }
        for (position, key) in self.keys.iter().enumerate() {
            let Some((_, bounds)) = key_bounds.iter().find(|(index, _)| index == key) else { continue };
            let building = &self.columns[*key];
            let too_long = |value: Option<usize>| value.is_some_and(|value| value::length(&building.batch, value) > LONGEST_KEY);
            if too_long(bounds.least) || too_long(bounds.greatest) {
                batch.single = None;
            }
            if position < self.segments && bounds.runs > 1 {
                batch.single = batch.single.map(|_| false);
            }
            // SAFETY: the values are of the column's type; memory of the current context.
            batch.bounds.push(bounds.least.zip(bounds.greatest).map(|(least, greatest)| unsafe {
                (value::datum(&building.column, &building.batch, least), value::datum(&building.column, &building.batch, greatest))
            }));
        }
        // SAFETY: the values were made above.
        if unsafe { self.size_of_keys(&batch.bounds) } > LONGEST_KEYS {
            batch.single = None;
        }
        if batch.single.is_none() {
            batch.bounds.iter_mut().for_each(|bounds| *bounds = None);
        }
        batch.zone = zone.encode();
        self.rows -= rows;
        self.bytes = self.columns.iter().map(|building| building.pending.data.len()).sum();
    }
}

impl Builder {
    /// The size of the keys' bounds in the index.
    ///
    /// # Safety
    /// Values of the keys' columns. May jump.
    unsafe fn size_of_keys(&self, bounds: &[Option<(pg_sys::Datum, pg_sys::Datum)>]) -> usize {
        let size = |(key, bounds): (&usize, &Option<(pg_sys::Datum, pg_sys::Datum)>)| {
            let column = &self.columns[*key].column;
            // SAFETY: the caller's promise.
            let size = |value| unsafe { raw::datumGetSize(value, column.by_value, column.length.into()) }.next_multiple_of(8);
            bounds.map_or(0, |(least, greatest)| size(least) + size(greatest))
        };
        self.keys.iter().zip(bounds).map(size).sum()
    }
}

/// Where the least and the greatest value are, counted without nulls, and how many runs of equal rows there are.
struct Bounds {
    least: Option<usize>,
    greatest: Option<usize>,
    runs: usize,
}

/// What a zone map says of the values of a column that is no key.
///
/// # Safety
/// Values of the column's type. May jump.
pub unsafe fn describe_values(column: &Column, data: &Data, bloom: bool) -> ColumnZone {
    let building = Building { batch: data.clone(), ..Building::new(column, false, bloom) };
    // SAFETY: the caller's promise.
    unsafe { building.summarise() }.0
}

impl Building {
    fn new(column: &Column, is_key: bool, bloom: bool) -> Self {
        let is_text = matches!(column.image, Image::Text { .. });
        let is_live = column.attribute != 0;
        Self {
            order: if is_live && (is_key || !is_text) { Order::of(column.type_oid, column.collation) } else { Order::None },
            is_dear: column.collation != pg_sys::InvalidOid && column.collation != pg_sys::C_COLLATION_OID,
            sum: if is_live { sum_of(column.type_oid) } else { Sum::None },
            bloom: if is_live && !is_text && bloom { Hash::of(column.type_oid, column.collation) } else { None },
            is_key,
            column: column.clone(),
            pending: Data::default(),
            batch: Data::default(),
        }
    }

    /// Moves the first rows that wait to `batch`.
    fn split(&mut self, rows: usize) {
        if rows == self.pending.rows {
            std::mem::swap(&mut self.pending, &mut self.batch);
            self.pending.clear();
        } else {
            value::split(&mut self.pending, rows, &mut self.batch);
        }
    }

    /// # Safety
    /// May jump; scraps are palloc'd in the current memory context.
    unsafe fn summarise(&self) -> (ColumnZone, Bounds) {
        let data = &self.batch;
        let nulls = (data.rows - data.values()) as u32;
        let mut bounds = Bounds { least: None, greatest: None, runs: usize::from(nulls > 0) };
        let mut hashes = Vec::new();
        // SAFETY: the caller's promise.
        unsafe {
            match self.order {
                Order::Signed if self.has_plain_bounds() => self.word_bounds(&mut bounds),
                Order::Float8 if self.has_plain_bounds() => self.float_bounds(&mut bounds, |word| f64::from_bits(word as u64)),
                Order::Float4 if self.has_plain_bounds() => self.float_bounds(&mut bounds, |word| f32::from_bits(word as u32).into()),
                _ => self.value_bounds(&mut bounds, &mut hashes),
            }
        }
        let range = if matches!(self.order, Order::None) { None } else { bounds.least.zip(bounds.greatest) };
        let keep = |value: usize| match self.column.image {
            Image::Word => Some(ZoneValue::Word(data.words[value])),
            Image::Text { .. } => None,
            _ => Some(data.bytes(value)).filter(|bytes| bytes.len() <= LONGEST_BOUND).map(|bytes| ZoneValue::Bytes(bytes.to_vec())),
        };
        let zone = ColumnZone {
            nulls,
            range: range.and_then(|(least, greatest)| keep(least).zip(keep(greatest))),
            sum: self.sum_up(),
            bloom: self.bloom.map(|_| Bloom::build(&hashes)),
        };
        (zone, bounds)
    }

    /// Nothing but the least and the greatest word is asked for.
    fn has_plain_bounds(&self) -> bool {
        self.column.kind.is_word() && self.bloom.is_none()
    }

    fn float_bounds(&self, bounds: &mut Bounds, read: impl Fn(i64) -> f64) {
        let words = &self.batch.words;
        let Some(first) = words.first() else { return };
        // The order of numbers is the processor's own; where the least and the greatest are can be asked afterwards.
        let extremes = words.iter().map(|word| read(*word)).try_fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), value| {
            (!value.is_nan()).then_some((if value < least { value } else { least }, if value > greatest { value } else { greatest }))
        });
        if let Some((least, greatest)) = extremes {
            bounds.least = words.iter().position(|word| read(*word) == least);
            bounds.greatest = words.iter().position(|word| read(*word) == greatest);
        } else {
            let places = || (0..words.len()).map(|index| (index, read(words[index])));
            // The first of equal ones: `max_by` would give the last.
            let compare = |one: &(usize, f64), other: &(usize, f64)| order_floats(one.1, other.1);
            bounds.least = places().min_by(compare).map(|place| place.0);
            bounds.greatest = places().min_by(|one, other| compare(other, one)).map(|place| place.0);
        }
        // Equal numbers may have different images (0 and -0), so the words tell whether there is but one.
        bounds.runs += if words.iter().all(|word| word == first) { 1 } else { 2 };
    }

    fn word_bounds(&self, bounds: &mut Bounds) {
        let words = &self.batch.words;
        let (Some(least), Some(greatest)) = (words.iter().min(), words.iter().max()) else { return };
        bounds.least = words.iter().position(|word| word == least);
        bounds.greatest = words.iter().position(|word| word == greatest);
        bounds.runs += if least == greatest { 1 } else { 2 };
    }

    /// # Safety
    /// As [`Self::summarise`].
    unsafe fn value_bounds(&self, bounds: &mut Bounds, hashes: &mut Vec<u64>) {
        let data = &self.batch;
        let (mut least, mut greatest) = (pg_sys::Datum::null(), pg_sys::Datum::null());
        let mut in_order = !matches!(self.order, Order::None);
        for value in 0..data.values() {
            if value > 0 && value::same(data, value, value - 1) {
                continue;
            }
            bounds.runs += 1;
            if self.is_dear && !self.is_key && bounds.runs > DEAR_RUNS {
                in_order = false;
            }
            if !in_order && self.bloom.is_none() {
                if self.is_key {
                    continue;
                }
                break;
            }
            // SAFETY: the caller's promise.
            unsafe {
                let datum = value::datum(&self.column, data, value);
                if let Some(hash) = self.bloom {
                    hashes.push(hash.hash(datum));
                }
                if !in_order {
                    continue;
                }
                if bounds.least.is_none() || self.order.compare(datum, least) == Ordering::Less {
                    (bounds.least, least) = (Some(value), datum);
                }
                if bounds.greatest.is_none() || self.order.compare(datum, greatest) == Ordering::Greater {
                    (bounds.greatest, greatest) = (Some(value), datum);
                }
            }
        }
        if !in_order {
            (bounds.least, bounds.greatest) = (None, None);
        }
    }

    fn sum_up(&self) -> Option<ZoneSum> {
        let words = &self.batch.words;
        if words.is_empty() {
            return None;
        }
        match self.sum {
            Sum::None => None,
            Sum::Int => Some(ZoneSum::Int(words.iter().map(|word| i128::from(*word)).sum())),
            Sum::Float8 => Some(ZoneSum::Float(words.iter().map(|word| f64::from_bits(*word as u64)).sum())),
            Sum::Float4 => Some(ZoneSum::Float(words.iter().map(|word| f64::from(f32::from_bits(*word as u32))).sum())),
        }
    }
}
