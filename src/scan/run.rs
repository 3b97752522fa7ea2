//! An open batch of an ordered scan: its rows in the order that is wanted, each decoded when it is reached.

use std::cell::Cell;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_codec::VECTOR_ROWS;

use super::columns::{Columns, Output};
use super::key::{Key, compare_rows};
use crate::columnar::blocks::Blocks;
use crate::columnar::filter::{self, Filter, WORDS};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::ffi::{self, raw};

/// In which order the rows of a batch are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As they are.
    Forward,
    /// The other way round.
    Backward,
    /// Sorted anew.
    Sorted,
}

/// Rows that were sorted when the batch was opened.
#[derive(Default)]
struct Sorted {
    /// Rows of the batch.
    rows: Vec<u32>,
    /// For each of them its keys, then its outputs.
    values: Vec<Option<pg_sys::Datum>>,
    /// Indexes in `rows`, in order.
    order: Vec<u32>,
    /// The next one.
    next: usize,
}

/// So many rows of a batch are decoded first.
const FIRST_ROWS: usize = 128;

thread_local! {
    static TOTAL: Cell<usize> = const { Cell::new(0) };
}

/// Roughly the memory of a run in bytes, counted as long as it is there.
#[derive(Default)]
pub struct Size(usize);

impl Size {
    /// The memory of all runs of this process.
    pub fn total() -> usize {
        TOTAL.get()
    }

    fn set(&mut self, size: usize) {
        TOTAL.set(TOTAL.get() + size - self.0);
        self.0 = size;
    }
}

impl Drop for Size {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// An open batch.
pub struct Run {
    /// The batch.
    pub reader: BatchReader,
    /// The keys of the row that it stands on.
    pub key: Vec<Option<pg_sys::Datum>>,
    /// So many of the keys have one value in all rows.
    pub constant: usize,
    way: Way,
    all: bool,
    /// The vector and row that it stands on.
    vector: usize,
    row: usize,
    selection: [u64; WORDS],
    /// Vectors that have not been looked at.
    vectors: std::ops::Range<usize>,
    key_columns: Vec<Output>,
    outputs: Vec<Output>,
    /// The vector that `outputs` were loaded of, and the row up to which they were.
    loaded: usize,
    loaded_end: usize,
    /// Whether the first rows of a batch are decoded alone: often they are all that a LIMIT asks for.
    takes_parts: bool,
    sorted: Sorted,
    /// Holds copies of sorted rows' values.
    context: pg_sys::MemoryContext,
    size: Size,
}

impl Run {
    /// A run without a batch, in the current memory context.
    ///
    /// # Safety
    /// `blocks` is of the same chunk, and lives as long as the run.
    pub unsafe fn new(layout: &Rc<Layout>, keys: &[Key], columns: &Columns, blocks: *mut Blocks) -> Self {
        // SAFETY: a context below the current one.
        let context = unsafe {
            ffi::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"timescale_compat sorted batch".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        let mut reader = BatchReader::new(Rc::clone(layout));
        // SAFETY: the caller's promise.
        unsafe { reader.fetch_by(blocks) };
        Self {
            reader,
            key: vec![None; keys.len()],
            constant: 0,
            way: Way::Forward,
            all: false,
            vector: 0,
            row: 0,
            selection: [0; WORDS],
            vectors: 0..0,
            key_columns: keys.iter().map(|key| Output::new(key.position, key.column)).collect(),
            outputs: columns.outputs().to_vec(),
            loaded: usize::MAX,
            loaded_end: 0,
            takes_parts: columns.takes_parts(),
            sorted: Sorted::default(),
            context,
            size: Size::default(),
        }
    }

    /// Begins with the batch that the reader has opened. `all` says that the filter need not be evaluated.
    ///
    /// # Safety
    /// The filter is prepared. May jump.
    pub unsafe fn begin(&mut self, way: Way, all: bool, filter: &mut Filter, keys: &[Key]) {
        self.way = way;
        self.all = all;
        self.vectors = 0..self.reader.vectors();
        self.selection = [0; WORDS];
        self.loaded = usize::MAX;
        if way == Way::Sorted {
            // SAFETY: the caller's promise.
            unsafe { self.sort(filter, keys) };
        }
        self.measure();
    }

    /// Moves to the next row; false at the end.
    ///
    /// # Safety
    /// As [`Self::begin`]. May jump.
    #[inline]
    pub unsafe fn advance(&mut self, filter: &mut Filter) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if self.way == Way::Sorted {
                return self.advance_sorted();
            }
            loop {
                if self.next_selected() {
                    for (value, column) in self.key.iter_mut().zip(&self.key_columns) {
                        *value = column.value(self.row);
                    }
                    return true;
                }
                let next = if self.way == Way::Forward { self.vectors.next() } else { self.vectors.next_back() };
                let Some(vector) = next else { return false };
                if self.select(vector, filter) > 0 {
                    for column in &mut self.key_columns {
                        column.load(&mut self.reader, vector);
                    }
                }
            }
        }
    }

    /// Takes the next row of the vector from the selection.
    #[inline]
    fn next_selected(&mut self) -> bool {
        if self.way != Way::Backward {
            for (word, bits) in self.selection.iter_mut().enumerate().skip(self.row / 64) {
                if *bits != 0 {
                    self.row = word * 64 + bits.trailing_zeros() as usize;
                    *bits &= *bits - 1;
                    return true;
                }
            }
        } else {
            for (word, bits) in self.selection.iter_mut().enumerate().take(self.row / 64 + 1).rev() {
                if *bits != 0 {
                    let bit = 63 - bits.leading_zeros() as usize;
                    self.row = word * 64 + bit;
                    *bits &= !(1 << bit);
                    return true;
                }
            }
        }
        false
    }

    /// # Safety
    /// As [`Self::begin`].
    unsafe fn select(&mut self, vector: usize, filter: &mut Filter) -> usize {
        let rows = self.reader.vector_rows(vector);
        self.vector = vector;
        self.row = if self.way == Way::Backward { VECTOR_ROWS - 1 } else { 0 };
        if self.all {
            filter::fill(&mut self.selection, rows);
            return rows;
        }
        // SAFETY: the caller's promise.
        unsafe { filter.select(&mut self.reader, vector, &mut self.selection) }
    }

    /// Writes the row that it stands on to the scan slot's arrays.
    ///
    /// # Safety
    /// After [`Self::advance`]. May jump.
    #[inline]
    pub unsafe fn fill(&mut self, columns: &mut Columns) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.way == Way::Sorted {
                let width = self.key.len() + self.outputs.len();
                let row = self.sorted.order[self.sorted.next - 1] as usize;
                let values = &self.sorted.values[row * width + self.key.len()..][..self.outputs.len()];
                for (output, value) in self.outputs.iter().zip(values) {
                    columns.put(output.index, *value);
                }
                columns.put_specials(&mut self.reader, self.sorted.rows[row] as usize);
                return;
            }
            self.load();
            columns.put_row(&self.outputs, self.row);
            columns.put_specials(&mut self.reader, self.vector * VECTOR_ROWS + self.row);
        }
    }

    /// Writes the columns of the row that it stands on to arrays, each to its place, if it has one there.
    ///
    /// # Safety
    /// After [`Self::advance`]; the arrays have those places, or the place is `usize::MAX`. May jump.
    #[inline]
    pub unsafe fn write(&mut self, values: *mut pg_sys::Datum, nulls: *mut bool, places: &[usize]) {
        // SAFETY: the caller's promise.
        unsafe {
            let put = |place: usize, value: Option<pg_sys::Datum>| {
                if place != usize::MAX {
                    *values.add(place) = value.unwrap_or(pg_sys::Datum::null());
                    *nulls.add(place) = value.is_none();
                }
            };
            if self.way == Way::Sorted {
                let width = self.key.len() + self.outputs.len();
                let row = self.sorted.order[self.sorted.next - 1] as usize;
                let row = &self.sorted.values[row * width + self.key.len()..][..self.outputs.len()];
                for (value, place) in row.iter().zip(places) {
                    put(*place, *value);
                }
                return;
            }
            self.load();
            for (output, place) in self.outputs.iter().zip(places) {
                put(*place, output.value(self.row));
            }
        }
    }

    /// Decodes what is handed on of the vector that it stands on.
    #[inline]
    unsafe fn load(&mut self) {
        if self.loaded != self.vector || self.row >= self.loaded_end {
            let rows = self.reader.vector_rows(self.vector);
            let is_first = self.loaded == usize::MAX && self.takes_parts && self.way == Way::Forward;
            self.loaded_end = if is_first { rows.min(self.row + FIRST_ROWS) } else { rows };
            // Rows before this one do not come again, but for the other way round.
            let first = if self.takes_parts && self.way == Way::Forward { self.row } else { 0 };
            for output in &mut self.outputs {
                // SAFETY: as for `fill`.
                unsafe { output.load_part(&mut self.reader, self.vector, first..self.loaded_end) };
            }
            self.loaded = self.vector;
            self.measure();
        }
    }

    /// Copies all rows that are wanted, and sorts them.
    ///
    /// # Safety
    /// As [`Self::begin`].
    unsafe fn sort(&mut self, filter: &mut Filter, keys: &[Key]) {
        // SAFETY: the caller's promise.
        unsafe {
            raw::MemoryContextReset(self.context);
            let sorted = &mut self.sorted;
            sorted.rows.clear();
            sorted.values.clear();
            sorted.order.clear();
            sorted.next = 0;
            for vector in 0..self.reader.vectors() {
                if self.select(vector, filter) == 0 {
                    continue;
                }
                for column in self.key_columns.iter_mut().chain(&mut self.outputs) {
                    column.load(&mut self.reader, vector);
                }
                while self.next_selected() {
                    self.sorted.rows.push((vector * VECTOR_ROWS + self.row) as u32);
                    for column in self.key_columns.iter().chain(&self.outputs) {
                        let value = column.value(self.row);
                        self.sorted.values.push(value);
                    }
                }
                self.keep_vector();
            }
            let width = self.key.len() + self.outputs.len();
            let Sorted { rows, values, order, .. } = &mut self.sorted;
            order.extend(0..rows.len() as u32);
            order.sort_unstable_by(|one, other| {
                compare_rows(keys, &values[*one as usize * width..][..keys.len()], &values[*other as usize * width..][..keys.len()])
            });
        }
    }

    /// Copies the values of the rows that were just added: decoding another vector would overwrite them.
    ///
    /// # Safety
    /// As [`Self::begin`].
    unsafe fn keep_vector(&mut self) {
        let width = self.key.len() + self.outputs.len();
        let layout = self.reader.layout();
        let first = self.sorted.rows.partition_point(|row| (*row as usize) < self.vector * VECTOR_ROWS);
        // SAFETY: values of these columns.
        unsafe {
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            for (index, column) in self.key_columns.iter().chain(&self.outputs).enumerate() {
                let description = &layout.columns[column.column];
                if description.by_value {
                    continue;
                }
                for row in first..self.sorted.rows.len() {
                    if let Some(value) = &mut self.sorted.values[row * width + index] {
                        *value = raw::datumCopy(*value, false, description.length.into());
                    }
                }
            }
            pg_sys::CurrentMemoryContext = outer;
        }
    }

    fn advance_sorted(&mut self) -> bool {
        let Some(row) = self.sorted.order.get(self.sorted.next) else { return false };
        let width = self.key.len() + self.outputs.len();
        let keys = self.key.len();
        self.key.copy_from_slice(&self.sorted.values[*row as usize * width..][..keys]);
        self.sorted.next += 1;
        true
    }

    /// Notes roughly the memory that it holds.
    fn measure(&mut self) {
        let outputs = if self.loaded == usize::MAX { 0 } else { self.outputs.len() };
        let columns = self.key.len() + outputs;
        let values = self.sorted.values.len() * size_of::<Option<pg_sys::Datum>>() * 2;
        // A vector and its block for each column.
        self.size.set(values + columns * (VECTOR_ROWS * 8 + 6144) + 8192);
    }

    /// Frees it.
    pub fn end(self) {
        self.reader.end();
        // SAFETY: made by `new`.
        unsafe { ffi::MemoryContextDelete(self.context) };
    }
}
