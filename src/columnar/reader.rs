//! Reading a batch, column by column and vector by vector, only what is asked for.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_codec::zone::ZoneMap;
use tsc_codec::{Block, Corrupt, Dictionary, VECTOR_ROWS, Vector};

use super::blocks::Blocks;
use super::datums::{all_null, arena_datum, to_datums};
use super::layout::Layout;
use crate::error::{Error, SqlState};
use crate::pg::ffi::raw;
use crate::pg::guard::boundary;

/// Decoded values of a column: see [`BatchReader::vector`].
#[derive(Default)]
struct ColumnReader {
    /// The block, once fetched: None if all values are NULL.
    block: Option<&'static [u8]>,
    is_fetched: bool,
    /// Which vector `vector` holds, and of which rows the values.
    decoded: Option<usize>,
    rows: Range<usize>,
    vector: Vector,
    /// The distinct values, and whether there is a dictionary, once asked for.
    dictionary: Dictionary,
    has_dictionary: Option<bool>,
    /// The Datum of each distinct value.
    distinct: Vec<pg_sys::Datum>,
    /// Which vector `vector.words` holds codes of.
    coded: Option<usize>,
}

/// A batch. Opened again and again, it keeps its buffers.
///
/// Its methods may jump, but nothing with a destructor is pending on their frames when they do.
pub struct BatchReader {
    layout: Rc<Layout>,
    columns: Vec<Option<Box<ColumnReader>>>,
    /// Fetches blocks; NULL if PostgreSQL does.
    blocks: *mut Blocks,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    rows: usize,
    zone: Option<ZoneMap>,
    /// Holds the batch's tuple, and what is fetched of it; reset with each batch.
    context: pg_sys::MemoryContext,
    tid: pg_sys::ItemPointerData,
    tuple: pg_sys::HeapTuple,
    /// Tells batches apart: no two that were opened have the same.
    serial: u64,
    /// Of each condition of the filter that looked at the batch, whether all rows meet it.
    pub(super) met: Vec<bool>,
}

thread_local! {
    static OPENED: Cell<u64> = const { Cell::new(0) };
    /// Columns of readers that are gone: to make and to zero their buffers takes longer than to decode a few rows.
    #[expect(clippy::vec_box, reason = "columns are in boxes, and come here in them")]
    static SPARE: RefCell<Vec<Box<ColumnReader>>> = const { RefCell::new(Vec::new()) };
}

/// So many are kept, if none has buffers of more than so many words.
const SPARES: usize = 64;
const SPARE_WORDS: usize = 4096;

impl ColumnReader {
    /// One that has read nothing.
    fn take() -> Box<Self> {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Keeps one for another reader.
    fn give(mut this: Box<Self>) {
        let words = this.vector.arena.capacity().max(this.dictionary.arena.capacity()).max(this.distinct.capacity());
        if words > SPARE_WORDS {
            return;
        }
        this.block = None;
        this.is_fetched = false;
        this.decoded = None;
        this.has_dictionary = None;
        this.distinct.clear();
        this.coded = None;
        // When the process exits, there may be no pool any more.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                spare.push(this);
            }
        });
    }
}

impl Drop for BatchReader {
    fn drop(&mut self) {
        self.columns.drain(..).flatten().for_each(ColumnReader::give);
    }
}

/// Throws an error about bytes that the codec didn't write.
#[cold]
pub fn corrupt(layout: &Layout, column: &str, reason: &Corrupt) -> ! {
    // SAFETY: nothing with a destructor is pending: the text is made inside.
    unsafe {
        boundary(|| {
            Err(Error::new(
                SqlState("XX001"),
                format!("a batch of chunk \"{}\" is corrupt", crate::pg::relation::relation_name(layout.chunk)),
            )
            .detail(format!("Column \"{column}\": {reason}."))
            .hint("Check the storage, and restore the chunk from a backup."))
        })
    }
}

impl BatchReader {
    /// A reader whose memory is a child of the current memory context.
    pub fn new(layout: Rc<Layout>) -> Self {
        layout.require_sound();
        // SAFETY: the context is freed with its parent, if not before.
        let context = unsafe {
            crate::pg::ffi::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"timescale_compat batch".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        let columns = layout.columns.iter().map(|_| None).collect();
        let tid = pg_sys::ItemPointerData::default();
        Self {
            layout,
            columns,
            blocks: std::ptr::null_mut(),
            values: Vec::new(),
            nulls: Vec::new(),
            rows: 0,
            zone: None,
            context,
            tid,
            tuple: std::ptr::null_mut(),
            serial: 0,
            met: Vec::new(),
        }
    }

    /// Has blocks fetched by `blocks`.
    ///
    /// # Safety
    /// `blocks` is of the batch table whose rows are opened, and lives as long as they are.
    pub unsafe fn fetch_by(&mut self, blocks: *mut Blocks) {
        self.blocks = blocks;
    }

    /// Frees its memory, which goes with its parent otherwise.
    pub fn end(self) {
        // SAFETY: made by `new`.
        unsafe { crate::pg::ffi::MemoryContextDelete(self.context) };
    }

    /// Turns to another batch, of which it keeps a copy.
    ///
    /// # Safety
    /// `tuple` is a row of the batch table, whose descriptor `desc` is. Pointers to earlier values are invalid afterwards. May jump.
    pub unsafe fn open(&mut self, tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) {
        // SAFETY: the caller's promise; the arrays have an element for each attribute.
        unsafe {
            raw::MemoryContextReset(self.context);
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            let copy = raw::heap_copytuple(tuple);
            pg_sys::CurrentMemoryContext = outer;
            let attributes = (*desc).natts as usize;
            self.values.resize(attributes, pg_sys::Datum::null());
            self.nulls.resize(attributes, true);
            raw::heap_deform_tuple(copy, desc, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            self.tid = (*copy).t_self;
            self.tuple = copy;
        }
        self.rows =
            self.attribute(self.layout.count).map_or(0, |count| (count.value() as i32).clamp(0, tsc_codec::BATCH_ROWS as i32) as usize);
        self.zone = None;
        self.met.clear();
        self.serial = OPENED.get() + 1;
        OPENED.set(self.serial);
        for column in self.columns.iter_mut().flatten() {
            column.is_fetched = false;
            column.decoded = None;
            column.has_dictionary = None;
            column.coded = None;
        }
    }

    /// Whether a row of the batch table is the version of a batch that is open already: the same place and the same inserter.
    ///
    /// # Safety
    /// As [`Self::open`].
    pub unsafe fn is_open(&self, tuple: pg_sys::HeapTuple) -> bool {
        // SAFETY: NULL, or a copy of a tuple.
        unsafe {
            !self.tuple.is_null()
                && pg_sys::ItemPointerEquals(&raw mut (*self.tuple).t_self, &raw mut (*tuple).t_self)
                && (*self.tuple).t_len == (*tuple).t_len
                && (*(*self.tuple).t_data).t_choice.t_heap.t_xmin == (*(*tuple).t_data).t_choice.t_heap.t_xmin
        }
    }

    /// The layout that it reads by.
    pub fn layout(&self) -> &Rc<Layout> {
        &self.layout
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Vectors of the batch.
    pub fn vectors(&self) -> usize {
        self.rows.div_ceil(VECTOR_ROWS)
    }

    /// Rows of a vector of the batch.
    pub fn vector_rows(&self, vector: usize) -> usize {
        (self.rows - vector * VECTOR_ROWS).min(VECTOR_ROWS)
    }

    /// A number that no other batch has that was opened in this session.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Where the batch's row lies in the batch table.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        self.tid
    }

    /// The batch's row, until the next one is opened; NULL before the first.
    pub fn tuple(&self) -> pg_sys::HeapTuple {
        self.tuple
    }

    /// An attribute of the batch's row; None if NULL or not there.
    pub fn attribute(&self, number: i16) -> Option<pg_sys::Datum> {
        let index = (number as usize).checked_sub(1)?;
        (!*self.nulls.get(index)?).then(|| self.values[index])
    }

    /// True if each segmentby column has one value, or only NULLs.
    pub fn is_single(&self) -> bool {
        self.attribute(self.layout.single).is_some_and(|single| single.value() != 0)
    }

    /// The zone map, read once; None if the batch has none.
    ///
    /// # Safety
    /// A batch is open. May jump.
    pub unsafe fn zone(&mut self) -> Option<&ZoneMap> {
        if self.zone.is_none() {
            let datum = self.attribute(self.layout.zone)?;
            // SAFETY: the attribute is a bytea.
            match ZoneMap::decode(unsafe { self.bytes(datum) }) {
                Ok(zone) => self.zone = Some(zone),
                Err(reason) => corrupt(&self.layout, super::layout::ZONE, &reason),
            }
        }
        self.zone.as_ref()
    }

    /// # Safety
    /// `datum` is a bytea of the open batch. The bytes live until the next batch. May jump.
    unsafe fn bytes(&self, datum: pg_sys::Datum) -> &'static [u8] {
        // SAFETY: the caller's promise; detoasted into the batch's context.
        unsafe {
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            let fetched = self.blocks.as_mut().and_then(|blocks| blocks.fetch(datum.cast_mut_ptr()));
            let plain = fetched.unwrap_or_else(|| raw::pg_detoast_datum_packed(datum.cast_mut_ptr()));
            pg_sys::CurrentMemoryContext = outer;
            std::slice::from_raw_parts(pgrx::vardata_any(plain).cast(), pgrx::varsize_any_exhdr(plain))
        }
    }

    /// Has the column's block fetched.
    ///
    /// # Safety
    /// A batch is open. May jump.
    unsafe fn fetch(&mut self, column: usize) -> &mut ColumnReader {
        if self.columns[column].is_none() {
            self.columns[column] = Some(ColumnReader::take());
        }
        if !self.columns[column].as_ref().is_some_and(|reader| reader.is_fetched) {
            // SAFETY: blocks are bytea.
            let block = self.attribute(self.layout.columns[column].block).map(|datum| unsafe { self.bytes(datum) });
            if let Some(reader) = self.columns[column].as_mut() {
                reader.block = block;
                reader.is_fetched = true;
            }
        }
        match &mut self.columns[column] {
            Some(reader) => reader,
            None => unreachable!("made above"),
        }
    }

    /// The decoded values of a column: `words[row]` is the Datum of each row of the vector that is valid. By-reference Datums live until
    /// the column is asked for another vector or batch.
    ///
    /// # Safety
    /// A batch is open that has this vector. May jump.
    pub unsafe fn vector(&mut self, column: usize, vector: usize) -> &Vector {
        // SAFETY: the caller's promise.
        unsafe { self.part(column, vector, 0..self.vector_rows(vector)) }
    }

    /// As [`Self::vector`], but only the values of some rows are sure to be there, though validity is that of all. When more rows are asked
    /// for, by-reference Datums of those that are there become invalid.
    ///
    /// # Safety
    /// A batch is open whose vector has these rows. May jump.
    pub unsafe fn part(&mut self, column: usize, vector: usize, rows: Range<usize>) -> &Vector {
        // SAFETY: the caller's promise.
        unsafe {
            let is_there = |reader: &ColumnReader| {
                reader.is_fetched && reader.decoded == Some(vector) && reader.rows.start <= rows.start && rows.end <= reader.rows.end
            };
            if !self.columns[column].as_deref().is_some_and(is_there) {
                self.decode(column, vector, rows);
            }
        }
        match &self.columns[column] {
            Some(reader) => &reader.vector,
            None => unreachable!("made above"),
        }
    }

    /// # Safety
    /// As [`Self::part`].
    unsafe fn decode(&mut self, column: usize, vector: usize, wanted: Range<usize>) {
        let (rows, count) = (self.rows, self.vector_rows(vector));
        let layout = Rc::as_ptr(&self.layout);
        let context = self.context;
        // SAFETY: the layout lives as long as self, and is not changed.
        let layout = unsafe { &*layout };
        let description = &layout.columns[column];
        // SAFETY: the caller's promise.
        unsafe {
            let has_dictionary = !description.kind.is_word() && self.dictionary(column).is_some();
            let reader = self.fetch(column);
            reader.decoded = Some(vector);
            reader.rows = wanted.clone();
            let Some(bytes) = reader.block else {
                all_null(&mut reader.vector, count);
                return;
            };
            let block = match Block::parse(bytes, description.kind, rows) {
                Ok(block) => block,
                Err(reason) => corrupt(layout, &description.name, &reason),
            };
            let result = match has_dictionary {
                true => block.codes_part(vector, wanted.clone(), &mut reader.vector),
                false => block.decode_part(vector, wanted.clone(), &mut reader.vector),
            };
            if let Err(reason) = result {
                corrupt(layout, &description.name, &reason);
            }
            if has_dictionary {
                let ColumnReader { vector, distinct, .. } = reader;
                for word in vector.words[wanted].iter_mut() {
                    *word = distinct.get(*word as usize).map_or(0, |datum| datum.value() as i64);
                }
                reader.coded = None;
            } else if !description.kind.is_word() {
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = context;
                description.image.under_settings(|| to_datums(description, wanted, &mut reader.vector));
                pg_sys::CurrentMemoryContext = outer;
            }
        }
    }

    /// The Datums of the distinct values of a column in this batch, if it is coded by a dictionary; see [`Self::codes`].
    ///
    /// # Safety
    /// A batch is open. May jump.
    pub unsafe fn dictionary(&mut self, column: usize) -> Option<&[pg_sys::Datum]> {
        let rows = self.rows;
        let context = self.context;
        // SAFETY: the layout lives as long as self, and is not changed.
        let layout = unsafe { &*Rc::as_ptr(&self.layout) };
        let description = &layout.columns[column];
        // SAFETY: the caller's promise; the dictionary's arena stays where it is until the next batch.
        unsafe {
            let reader = self.fetch(column);
            if reader.has_dictionary.is_none() {
                let found = match reader.block {
                    None => Ok(false),
                    Some(bytes) => Block::parse(bytes, description.kind, rows).and_then(|block| block.dictionary(&mut reader.dictionary)),
                };
                match found {
                    Ok(found) => reader.has_dictionary = Some(found),
                    Err(reason) => corrupt(layout, &description.name, &reason),
                }
                reader.distinct.clear();
                if reader.has_dictionary == Some(true) {
                    let outer = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = context;
                    let base = reader.dictionary.arena.as_ptr().cast::<u8>();
                    description.image.under_settings(|| {
                        for offset in &reader.dictionary.offsets {
                            reader.distinct.push(arena_datum(description, base.add(*offset as usize)));
                        }
                    });
                    pg_sys::CurrentMemoryContext = outer;
                }
            }
            (reader.has_dictionary == Some(true)).then_some(reader.distinct.as_slice())
        }
    }

    /// Which distinct value each row of a vector has: `words[row]` is the index in [`Self::dictionary`], if the row is valid.
    /// [`Self::vector`] of the same column must be asked for again afterwards.
    ///
    /// # Safety
    /// A batch is open that has this vector, and the column a dictionary. May jump.
    pub unsafe fn codes(&mut self, column: usize, vector: usize) -> &Vector {
        let rows = self.rows;
        // SAFETY: the layout lives as long as self, and is not changed.
        let layout = unsafe { &*Rc::as_ptr(&self.layout) };
        let description = &layout.columns[column];
        // SAFETY: the caller's promise.
        let reader = unsafe { self.fetch(column) };
        if reader.coded != Some(vector) {
            reader.decoded = None;
            reader.coded = Some(vector);
            let bytes = reader.block.unwrap_or_default();
            let result = Block::parse(bytes, description.kind, rows).and_then(|block| block.codes(vector, &mut reader.vector));
            if let Err(reason) = result {
                corrupt(layout, &description.name, &reason);
            }
        }
        &reader.vector
    }

    /// Writes a row to arrays that have an element for each attribute of the chunk; columns that were dropped become NULL.
    ///
    /// # Safety
    /// A batch is open that has this row. By-reference Datums live as those of [`Self::vector`]. May jump.
    pub unsafe fn row(&mut self, row: usize, values: &mut [pg_sys::Datum], nulls: &mut [bool]) {
        nulls.fill(true);
        let (vector, index) = (row / VECTOR_ROWS, row % VECTOR_ROWS);
        for column in 0..self.columns.len() {
            let attribute = self.layout.columns[column].attribute;
            if attribute == 0 {
                continue;
            }
            // SAFETY: the caller's promise.
            let decoded = unsafe { self.vector(column, vector) };
            if decoded.is_valid(index) {
                values[attribute as usize - 1] = pg_sys::Datum::from(decoded.words[index]);
                nulls[attribute as usize - 1] = false;
            }
        }
    }
}
