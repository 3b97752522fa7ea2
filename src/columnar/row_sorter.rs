//! Sorting rows by (segmentby, orderby), cheaply.
//!
//! Comparing segment values row by row is dear: they are mostly text, far away in memory. So each row gets an integer in front: the rank
//! of its segment, and as much of its first orderby value as fits behind it. PostgreSQL's tuplesort compares such integers without
//! looking at the row. Only rows with equal integers are compared further.

use pgrx::pg_sys;

use super::image::Image;
use super::order::Order;
use super::segments::Segments;
use super::shape::Shape;
use super::value;
use crate::error::Result;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;
use crate::pg::sort::{SortKey, Sorter};

/// Bits of the integer; its sign is not used.
const BITS: u32 = 63;

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
            (desc, if ranked { segments.ranks() } else { Vec::new() })
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
        self.segments.end();
        // SAFETY: made by `new`.
        unsafe { ffi::ExecDropSingleTupleTableSlot(self.slot) };
    }
}
