//! Sorting rows by (segmentby, orderby), cheaply.
//!
//! Comparing segment values row by row is dear: they are mostly text, far away in memory. So each row gets an integer in front: the rank
//! of its segment, and as much of its first orderby value as fits behind it. PostgreSQL's tuplesort compares such integers without
//! looking at the row. Only rows with equal integers are compared further.

use std::cmp::Ordering;
use std::collections::HashMap;

use pgrx::pg_sys;

use super::image::Image;
use super::order::Order;
use super::shape::Shape;
use super::value;
use crate::error::Result;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;
use crate::pg::sort::{SortKey, Sorter};

/// Bits of the integer; its sign is not used.
const BITS: u32 = 63;

/// The segments that were seen, by the images of their values.
pub struct Segments {
    columns: Vec<SegmentColumn>,
    ids: HashMap<Box<[u8]>, u32>,
    /// The values of each segment, copied into `context`.
    values: Vec<Option<pg_sys::Datum>>,
    context: pg_sys::MemoryContext,
    key: Vec<u8>,
    last: Option<u32>,
    last_key: Vec<u8>,
}

struct SegmentColumn {
    attribute: usize,
    image: Image,
    order: Order,
    length: i16,
    by_value: bool,
}

impl Segments {
    /// No segment has been seen. Values are kept in the current memory context.
    pub fn new(shape: &Shape) -> Self {
        let column = |index: &usize| {
            let column = &shape.columns[*index];
            SegmentColumn {
                attribute: column.attribute as usize - 1,
                image: column.image,
                order: Order::of(column.type_oid, column.collation),
                length: column.length,
                by_value: column.by_value,
            }
        };
        Self {
            columns: shape.segmentby.iter().map(column).collect(),
            ids: HashMap::new(),
            values: Vec::new(),
            // SAFETY: reads a variable.
            context: unsafe { pg_sys::CurrentMemoryContext },
            key: Vec::new(),
            last: None,
            last_key: Vec::new(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// The id of a row's segment: segments are numbered as they are seen.
    ///
    /// # Safety
    /// The arrays hold a row of the chunk. May jump.
    pub unsafe fn id(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> u32 {
        if self.columns.is_empty() {
            return 0;
        }
        self.key.clear();
        for column in &self.columns {
            // SAFETY: the caller's promise.
            unsafe {
                if *nulls.add(column.attribute) {
                    self.key.push(0);
                } else {
                    self.key.push(1);
                    let value = *values.add(column.attribute);
                    let value = if column.by_value { value::canonical(value, column.length) } else { value };
                    value::append_image(column.image, value, &mut self.key);
                }
            }
        }
        if let Some(last) = self.last
            && self.key == self.last_key
        {
            return last;
        }
        let id = match self.ids.get(self.key.as_slice()) {
            Some(id) => *id,
            // SAFETY: the caller's promise.
            None => unsafe { self.add(values, nulls) },
        };
        std::mem::swap(&mut self.key, &mut self.last_key);
        self.last = Some(id);
        id
    }

    /// # Safety
    /// As [`Self::id`].
    unsafe fn add(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> u32 {
        for column in &self.columns {
            // SAFETY: the caller's promise; the context lives as long as self.
            let copy = unsafe {
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = self.context;
                let value = (!*nulls.add(column.attribute))
                    .then(|| raw::datumCopy(*values.add(column.attribute), column.by_value, column.length.into()));
                pg_sys::CurrentMemoryContext = outer;
                value
            };
            self.values.push(copy);
        }
        let id = self.ids.len() as u32;
        self.ids.insert(self.key.as_slice().into(), id);
        id
    }

    /// The place of each segment, by id, in the order of the segments' values, NULL last.
    ///
    /// # Safety
    /// May jump.
    unsafe fn ranks(&self) -> Vec<u32> {
        let width = self.columns.len();
        let mut ids: Vec<u32> = (0..self.count() as u32).collect();
        ids.sort_unstable_by(|left, right| {
            let values = |id: u32| &self.values[id as usize * width..(id as usize + 1) * width];
            let mut order = Ordering::Equal;
            for ((column, left), right) in self.columns.iter().zip(values(*left)).zip(values(*right)) {
                order = match (left, right) {
                    // SAFETY: values of the column.
                    (Some(left), Some(right)) => unsafe { column.order.compare(*left, *right) },
                    (left, right) => left.is_none().cmp(&right.is_none()),
                };
                if order != Ordering::Equal {
                    break;
                }
            }
            order
        });
        let mut ranks = vec![0; ids.len()];
        for (rank, id) in ids.into_iter().enumerate() {
            ranks[id as usize] = rank as u32;
        }
        ranks
    }
}

/// What the first orderby column adds to the integer.
#[derive(Debug, Clone, Copy)]
pub struct OrderPart {
    attribute: usize,
    length: i16,
    least: i64,
    greatest: i64,
    descending: bool,
    /// Bits of the integer that are left for it.
    bits: u32,
    /// Bits of the value that don't fit.
    shift: u32,
}

impl OrderPart {
    /// For an orderby column whose values are integers and never NULL; None for any other. Values range from `least` to `greatest`.
    pub fn new(shape: &Shape, relation: &Relation, least: i64, greatest: i64, segments: usize) -> Option<Self> {
        let attribute = Self::attribute(shape, relation)?;
        let rank_bits = usize::BITS - segments.max(1).leading_zeros();
        let bits = BITS - rank_bits;
        let span = greatest.checked_sub(least)? as u64;
        let needed = u64::BITS - span.leading_zeros();
        let order = shape.orderby.first()?;
        let (length, descending) = (shape.columns[order.column].length, order.descending);
        Some(Self { attribute, length, least, greatest, descending, bits, shift: needed.saturating_sub(bits) })
    }

    /// The index of such a column among the chunk's attributes.
    pub fn attribute(shape: &Shape, relation: &Relation) -> Option<usize> {
        let column = &shape.columns[shape.orderby.first()?.column];
        let is_integer = matches!(Order::of(column.type_oid, column.collation), Order::Signed) && column.image == Image::Word;
        let attribute = column.attribute as usize - 1;
        (is_integer && relation.attributes()[attribute].attnotnull).then_some(attribute)
    }

    fn of(&self, value: pg_sys::Datum) -> i64 {
        let value = value::canonical(value, self.length).value() as i64;
        let value = value.clamp(self.least, self.greatest);
        let distance = if self.descending { self.greatest - value } else { value - self.least };
        ((distance as u64) >> self.shift) as i64
    }

    /// True if equal integers mean equal values.
    fn is_exact(&self) -> bool {
        self.shift == 0
    }
}

/// Sorts rows of a chunk.
pub struct RowSorter {
    sorter: Sorter,
    segments: Segments,
    /// By id; empty if segments stay in the order in which they were seen.
    ranks: Vec<u32>,
    order: Option<OrderPart>,
    slot: *mut pg_sys::TupleTableSlot,
    columns: usize,
}

impl RowSorter {
    /// A sorter within `memory` kilobytes. If `ranked`, all segments have been seen and come out in the order of their values; else in
    /// the order in which they are seen. `order` was made for as many segments as there will be. The relation stays open.
    pub fn new(
        relation: &Relation,
        shape: &Shape,
        segments: Segments,
        ranked: bool,
        order: Option<OrderPart>,
        memory: i32,
    ) -> Result<Self> {
        let columns = relation.attributes().len();
        // SAFETY: the descriptor is made for as many attributes.
        let (desc, ranks) = unsafe {
            let desc = ffi::CreateTemplateTupleDesc(columns as i32 + 1);
            ffi::TupleDescInitEntry(desc, 1, c"rank".as_ptr(), pg_sys::INT8OID, -1, 0);
            for attribute in 1..=columns as i16 {
                ffi::TupleDescCopyEntry(desc, attribute + 1, crate::pg::relation::descriptor(relation), attribute);
            }
            (desc, if ranked { crate::pg::guard::guard(|| segments.ranks()) } else { Vec::new() })
        };
        let mut keys = vec![SortKey { attribute: 1, descending: false, nulls_first: false }];
        // With ranks, equal integers mean the same segment, and maybe the same first value, too.
        let exact = order.is_some_and(|order| order.is_exact());
        let known = if ranked { shape.segmentby.len() + usize::from(exact) } else { 0 };
        keys.extend(shape.sort_keys().into_iter().skip(known).map(|key| SortKey { attribute: key.attribute + 1, ..key }));
        // SAFETY: the descriptor was made above, in the context that the sorter lives in.
        let sorter = unsafe { Sorter::on(desc, &keys, memory)? };
        // SAFETY: the descriptor lives in the current memory context, as does all else.
        let slot = unsafe { ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsVirtual) };
        Ok(Self { sorter, segments, ranks, order, slot, columns })
    }

    /// Adds a row.
    ///
    /// # Safety
    /// The arrays hold a row of the chunk. May jump.
    pub unsafe fn push(&mut self, values: *const pg_sys::Datum, nulls: *const bool) {
        // SAFETY: the caller's promise; the slot has one element more.
        unsafe {
            let id = self.segments.id(values, nulls);
            let rank = i64::from(self.ranks.get(id as usize).copied().unwrap_or(id));
            let first = match &self.order {
                // More segments than were expected: the last integer is all of theirs.
                Some(order) if rank >> (BITS - order.bits) != 0 => i64::MAX,
                Some(order) => rank << order.bits | order.of(*values.add(order.attribute)),
                None => rank,
            };
            crate::pg::slot::clear(self.slot);
            let (to, to_nulls) = ((*self.slot).tts_values, (*self.slot).tts_isnull);
            *to = pg_sys::Datum::from(first);
            *to_nulls = false;
            std::ptr::copy_nonoverlapping(values, to.add(1), self.columns);
            std::ptr::copy_nonoverlapping(nulls, to_nulls.add(1), self.columns);
            raw::ExecStoreVirtualTuple(self.slot);
            self.sorter.push(self.slot);
        }
    }

    /// Ends adding.
    pub fn sort(&mut self) {
        self.sorter.sort();
    }

    /// The next row in order, without going on; None at the end.
    ///
    /// # Safety
    /// `sort` was called. The arrays live until [`Self::advance`]. May jump.
    #[inline]
    pub unsafe fn peek(&mut self) -> Option<(*const pg_sys::Datum, *const bool)> {
        // SAFETY: the caller's promise; the first element is ours.
        unsafe { self.sorter.peek().map(|slot| ((*slot).tts_values.add(1).cast_const(), (*slot).tts_isnull.add(1).cast_const())) }
    }

    /// Goes on.
    #[inline]
    pub fn advance(&mut self) {
        self.sorter.advance();
    }

    /// Frees its memory and files.
    pub fn end(self) {
        self.sorter.end();
        // SAFETY: made by `new`.
        unsafe { ffi::ExecDropSingleTupleTableSlot(self.slot) };
    }
}
