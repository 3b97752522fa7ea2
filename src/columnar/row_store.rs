//! Rows of a chunk, kept in memory one after the other until they are sorted and gathered into batches.
//!
//! A *record* has a fixed part, in which the cell of each column is at the same place, and behind it values of varying length as they
//! are in a row (compressed, or a pointer to where they are out of line). Segmentby columns have no cell: the number of the segment
//! stands for them.
//!
//! | bytes | holds |
//! |---|---|
//! | 8 | the first orderby column as a number that sorts like it |
//! | 4 | the segment |
//! | 4 | the record's length in units of 8 bytes |
//! | for each cell | a pass-by-value Datum in as many bytes as the type has; a value of fixed length; or where a value of varying length begins |
//! | a bit for each cell | 1 if it is NULL |
//! | | values of varying length |

use pgrx::pg_sys;

use super::layout::Column;
use super::row_order::LeadingKey;
use super::segments::Segments;
use super::shape::Shape;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;

/// Before a record's cells.
const HEADER: usize = 16;
/// Records that are longer are not kept.
const LONGEST: usize = 1 << 30;
/// What sorting takes for each row: an entry, and another one while segments are sorted that were not in order.
const ENTRY_SPACE: usize = 2 * size_of::<super::row_order::Entry>();
/// The sizes of the pieces of memory that records lie in.
const FIRST_PIECE: usize = 16 << 10;
const LARGEST_PIECE: usize = 2 << 20;

/// Where a column is found. In the fixed part of records, it says where (`at`), and the number of the bit for NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cell {
    /// Nowhere: the column was dropped.
    None,
    /// Among the segmentby columns, by its place.
    Segment(usize),
    /// In the fixed part: a Datum in 1, 2, 4 or 8 bytes.
    Word { at: u32, length: u8, bit: u32 },
    /// In the fixed part: a value of this length.
    Fixed { at: u32, length: u16, bit: u32 },
    /// In the fixed part: the offset of a varlena, in 4 bytes.
    Varlena { at: u32, bit: u32 },
    /// In the fixed part: the offset of a text that ends with a NUL, in 4 bytes.
    Cstring { at: u32, bit: u32 },
}

/// A piece of memory with records one after the other.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: *mut u8,
    used: usize,
    size: usize,
}

/// Rows in memory.
pub struct RowStore {
    /// By attribute number - 1.
    cells: Vec<Cell>,
    /// The cells of records, with the index of their attribute.
    written: Vec<(usize, Cell)>,
    leading: LeadingKey,
    /// Where the bits for NULL begin, and the length of the fixed part with them.
    bits_at: usize,
    fixed: usize,
    /// For each of the bytes with the bits, whether any record has them set.
    nulls_seen: Vec<u8>,
    pieces: Vec<Piece>,
    /// Owns the pieces.
    context: pg_sys::MemoryContext,
    memory: usize,
    budget: usize,
    /// Rows of each segment, by id.
    counts: Vec<u32>,
    rows: usize,
    /// The most that the values of varying length of a record take when they are in plain.
    largest: usize,
}

impl RowStore {
    /// An empty store for rows of a chunk within `memory` kilobytes; its memory is a child of the current memory context.
    pub fn new(relation: &Relation, shape: &Shape, memory: i32) -> Self {
        let attributes = relation.attributes().len();
        let mut cells = vec![Cell::None; attributes];
        let columns: Vec<(usize, &Column)> = shape.columns.iter().enumerate().filter(|(_, column)| column.attribute > 0).collect();
        let mut at = HEADER;
        let mut bits = 0;
        // The widest first, so that each is aligned.
        for width in [8, 4, 2, 1] {
            for (index, column) in &columns {
                if width_of(column) != width || shape.segmentby.contains(index) {
                    continue;
                }
                cells[column.attribute as usize - 1] = cell_of(column, at as u32, bits);
                bits += 1;
                at += if !column.by_value && column.length > 0 { (column.length as usize).next_multiple_of(8) } else { width };
            }
        }
        for (position, index) in shape.segmentby.iter().enumerate() {
            cells[shape.columns[*index].attribute as usize - 1] = Cell::Segment(position);
        }
        let is_written = |(_, cell): &(usize, Cell)| !matches!(cell, Cell::None | Cell::Segment(_));
        let nulls_seen = vec![0; (bits as usize).div_ceil(8)];
        Self {
            written: cells.iter().copied().enumerate().filter(is_written).collect(),
            leading: LeadingKey::new(shape),
            cells,
            bits_at: at,
            fixed: (at + nulls_seen.len()).next_multiple_of(8),
            nulls_seen,
            pieces: Vec::new(),
            // SAFETY: freed by `free`, or with its parent.
            context: unsafe {
                ffi::AllocSetContextCreateInternal(
                    pg_sys::CurrentMemoryContext,
                    c"timescale_compat records".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                )
            },
            memory: 0,
            budget: memory as usize * 1024,
            counts: Vec::new(),
            rows: 0,
            largest: 0,
        }
    }

    /// Adds a row of a segment; false if there is no room for it beside the segments.
    ///
    /// # Safety
    /// The arrays hold a row of the chunk. May jump; scraps are palloc'd in the current memory context.
    #[inline]
    pub unsafe fn push(&mut self, segment: u32, values: *const pg_sys::Datum, nulls: *const bool, segments: &Segments) -> bool {
        // SAFETY: the caller's promise; a record has as many bytes as were counted for it.
        unsafe {
            let Some(length) = self.length(values, nulls) else { return false };
            let record = match self.pieces.last_mut() {
                Some(piece) if piece.size - piece.used >= length => {
                    let record = piece.start.add(piece.used);
                    piece.used += length;
                    record
                }
                _ => match self.new_piece(length, segments) {
                    Some(record) => record,
                    None => return false,
                },
            };
            record.cast::<u64>().write(self.leading.of(values, nulls));
            record.add(8).cast::<u32>().write(segment);
            record.add(12).cast::<u32>().write((length / 8) as u32);
            self.write(record, values, nulls);
            let id = segment as usize;
            if id >= self.counts.len() {
                self.counts.resize(id + 1, 0);
            }
            self.counts[id] += 1;
            self.rows += 1;
        }
        true
    }

    /// The length of the record for a row; None if it is too long.
    ///
    /// # Safety
    /// As [`Self::push`].
    #[inline]
    unsafe fn length(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> Option<usize> {
        let (mut length, mut plain) = (self.fixed, 0);
        for (attribute, cell) in &self.written {
            // SAFETY: the caller's promise.
            unsafe {
                match cell {
                    Cell::Varlena { .. } if !*nulls.add(*attribute) => {
                        let value = (*values.add(*attribute)).cast_mut_ptr::<pg_sys::varlena>();
                        length = place_for(value, length) + pgrx::varsize_any(value);
                        plain += raw::toast_raw_datum_size(pg_sys::Datum::from(value));
                    }
                    Cell::Cstring { .. } if !*nulls.add(*attribute) => {
                        let size = std::ffi::CStr::from_ptr((*values.add(*attribute)).cast_mut_ptr()).to_bytes_with_nul().len();
                        length += size;
                        plain += size;
                    }
                    _ => {}
                }
            }
            if length > LONGEST {
                return None;
            }
        }
        self.largest = self.largest.max(plain);
        Some(length.next_multiple_of(8))
    }

    /// # Safety
    /// As [`Self::push`]; the record has as many bytes as [`Self::length`] said.
    #[inline]
    unsafe fn write(&mut self, record: *mut u8, values: *const pg_sys::Datum, nulls: *const bool) {
        let mut end = self.fixed;
        // SAFETY: the caller's promise.
        unsafe {
            let bits = record.add(self.bits_at);
            bits.write_bytes(0, self.nulls_seen.len());
            for (attribute, cell) in &self.written {
                let value = *values.add(*attribute);
                let is_null = *nulls.add(*attribute);
                let (Cell::Word { bit, .. } | Cell::Fixed { bit, .. } | Cell::Varlena { bit, .. } | Cell::Cstring { bit, .. }) = *cell
                else {
                    continue;
                };
                if is_null {
                    *bits.add(bit as usize / 8) |= 1 << (bit % 8);
                    self.nulls_seen[bit as usize / 8] |= 1 << (bit % 8);
                    continue;
                }
                match *cell {
                    Cell::Word { at, length: 8, .. } => record.add(at as usize).cast::<u64>().write(value.value() as u64),
                    Cell::Word { at, length: 4, .. } => record.add(at as usize).cast::<u32>().write(value.value() as u32),
                    Cell::Word { at, length: 2, .. } => record.add(at as usize).cast::<u16>().write(value.value() as u16),
                    Cell::Word { at, .. } => record.add(at as usize).write(value.value() as u8),
                    Cell::Fixed { at, length, .. } => {
                        record.add(at as usize).copy_from_nonoverlapping(value.cast_mut_ptr::<u8>(), length.into());
                    }
                    Cell::Varlena { at, .. } => {
                        let value = value.cast_mut_ptr::<pg_sys::varlena>();
                        end = place_for(value, end);
                        record.add(at as usize).cast::<u32>().write(end as u32);
                        let size = pgrx::varsize_any(value);
                        record.add(end).copy_from_nonoverlapping(value.cast(), size);
                        end += size;
                    }
                    Cell::Cstring { at, .. } => {
                        let text = std::ffi::CStr::from_ptr(value.cast_mut_ptr()).to_bytes_with_nul();
                        record.add(at as usize).cast::<u32>().write(end as u32);
                        record.add(end).copy_from_nonoverlapping(text.as_ptr(), text.len());
                        end += text.len();
                    }
                    Cell::None | Cell::Segment(_) => {}
                }
            }
        }
    }

    /// Room for a record in a new piece of memory; None if too much would be taken.
    ///
    /// # Safety
    /// May jump.
    #[cold]
    unsafe fn new_piece(&mut self, length: usize, segments: &Segments) -> Option<*mut u8> {
        let size = (self.memory.clamp(FIRST_PIECE, LARGEST_PIECE)).max(length);
        let sorting = (self.rows + size / self.fixed.max(1)) * ENTRY_SPACE + self.counts.capacity() * 3 * size_of::<u32>();
        if self.memory + size + sorting + segments.memory() > self.budget || self.rows > u32::MAX as usize / 2 {
            return None;
        }
        // SAFETY: the context lives as long as self.
        let start = unsafe { raw::MemoryContextAllocHuge(self.context, size) }.cast::<u8>();
        self.pieces.push(Piece { start, used: length, size });
        self.memory += size;
        Some(start)
    }
}

/// The bytes that a column takes in the fixed part, by which it is placed there: 8 for a value of a fixed length.
fn width_of(column: &Column) -> usize {
    match column.length {
        length if column.by_value => length as usize,
        length if length > 0 => 8,
        _ => 4,
    }
}

fn cell_of(column: &Column, at: u32, bit: u32) -> Cell {
    match column.length {
        length if column.by_value => Cell::Word { at, length: length as u8, bit },
        -1 => Cell::Varlena { at, bit },
        -2 => Cell::Cstring { at, bit },
        length => Cell::Fixed { at, length: length as u16, bit },
    }
}

/// Where a varlena begins behind others that end at `end`: those with a long header are aligned, as functions expect.
///
/// # Safety
/// A varlena.
#[inline]
unsafe fn place_for(value: *const pg_sys::varlena, end: usize) -> usize {
    // SAFETY: the caller's promise.
    if unsafe { pgrx::varatt_is_1b(value) } { end } else { end.next_multiple_of(8) }
}

impl RowStore {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The most that the values of varying length of a row take when they are in plain.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Rows of each segment, by id; there may be segments beyond, without any.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// What the first key became.
    pub fn leading(&self) -> &LeadingKey {
        &self.leading
    }

    /// Where a column is; `attribute` is its attribute number.
    pub fn cell(&self, attribute: i16) -> Cell {
        self.cells[attribute as usize - 1]
    }

    /// True if a column is NULL in any row.
    pub fn has_nulls(&self, cell: Cell) -> bool {
        cell.bit().is_some_and(|bit| self.nulls_seen[bit as usize / 8] >> (bit % 8) & 1 != 0)
    }

    /// The value of a cell of a record; None if NULL. Pointers are into the record.
    ///
    /// # Safety
    /// A record of this store, and a cell of its fixed part.
    #[inline]
    pub unsafe fn value(&self, record: *const u8, cell: Cell) -> Option<pg_sys::Datum> {
        let bit = cell.bit()? as usize;
        // SAFETY: the caller's promise.
        unsafe {
            if *record.add(self.bits_at + bit / 8) >> (bit % 8) & 1 != 0 {
                return None;
            }
            Some(match cell {
                Cell::Word { at, length, .. } => pg_sys::Datum::from(word(record, at, length)),
                Cell::Fixed { at, .. } => pg_sys::Datum::from(record.add(at as usize)),
                Cell::Varlena { at, .. } | Cell::Cstring { at, .. } => {
                    pg_sys::Datum::from(record.add(record.add(at as usize).cast::<u32>().read() as usize))
                }
                Cell::None | Cell::Segment(_) => return None,
            })
        }
    }

    /// Calls `each` with every record, in the order in which rows were added.
    pub fn each_record(&self, mut each: impl FnMut(*const u8)) {
        for piece in &self.pieces {
            let mut at = 0;
            while at < piece.used {
                // SAFETY: records lie one after the other up to there.
                unsafe {
                    let record = piece.start.add(at).cast_const();
                    at += record.add(12).cast::<u32>().read() as usize * 8;
                    each(record);
                }
            }
        }
    }

    /// Forgets all rows, and frees their records.
    ///
    /// # Safety
    /// May jump.
    pub unsafe fn forget(&mut self) {
        self.pieces.clear();
        self.counts.clear();
        (self.rows, self.memory) = (0, 0);
        // SAFETY: nothing refers to the records any more.
        unsafe { raw::MemoryContextReset(self.context) };
    }

    /// Frees all records, which go with the parent of their context otherwise.
    pub fn free(self) {
        // SAFETY: made by `new`.
        unsafe { ffi::MemoryContextDelete(self.context) };
    }
}

impl Cell {
    fn bit(self) -> Option<u32> {
        match self {
            Self::Word { bit, .. } | Self::Fixed { bit, .. } | Self::Varlena { bit, .. } | Self::Cstring { bit, .. } => Some(bit),
            Self::None | Self::Segment(_) => None,
        }
    }
}

/// The first key of a record.
///
/// # Safety
/// A record.
#[inline]
pub unsafe fn key_of(record: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { record.cast::<u64>().read() }
}

/// The segment of a record.
///
/// # Safety
/// A record.
#[inline]
pub unsafe fn segment_of(record: *const u8) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { record.add(8).cast::<u32>().read() }
}

/// A Datum of a record, as it comes out of a row: sign-extended.
///
/// # Safety
/// A record with such a cell, which is not NULL.
#[inline(always)]
pub unsafe fn word(record: *const u8, at: u32, length: u8) -> i64 {
    // SAFETY: the caller's promise.
    unsafe {
        let at = record.add(at as usize);
        match length {
            8 => at.cast::<i64>().read(),
            4 => at.cast::<i32>().read().into(),
            2 => at.cast::<i16>().read().into(),
            _ => at.cast::<i8>().read().into(),
        }
    }
}
