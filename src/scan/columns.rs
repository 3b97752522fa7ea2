//! The columns of the scan tuple, and where a batch has their values.

use std::ops::Range;
use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};
use tsc_codec::VECTOR_ROWS;

use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::columnar::row_id;
use crate::pg::ffi::{self, raw};
use crate::pg::{list, node};

/// A column of a vector that is being handed on.
#[derive(Debug, Clone)]
pub struct Output {
    /// Index in the scan tuple.
    pub index: usize,
    /// Index in the layout.
    pub column: usize,
    words: *const i64,
    /// NULL if all rows have values.
    validity: *const u64,
}

impl Output {
    /// A column of which no vector is loaded.
    pub fn new(index: usize, column: usize) -> Self {
        Self { index, column, words: std::ptr::null(), validity: std::ptr::null() }
    }

    /// Turns to a vector of an open batch.
    ///
    /// # Safety
    /// The batch is one of the layout's chunk. The values are valid until the column is asked for another vector. May jump.
    pub unsafe fn load(&mut self, batch: &mut BatchReader, vector: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.load_part(batch, vector, 0..batch.vector_rows(vector)) };
    }

    /// Turns to some rows of a vector of an open batch.
    ///
    /// # Safety
    /// As [`Self::load`], and the values are valid until the column is asked for other rows.
    pub unsafe fn load_part(&mut self, batch: &mut BatchReader, vector: usize, rows: Range<usize>) {
        // SAFETY: the caller's promise.
        let decoded = unsafe { batch.part(self.column, vector, rows) };
        self.words = decoded.words.as_ptr();
        self.validity = if decoded.all_valid { std::ptr::null() } else { decoded.validity.as_ptr() };
    }

    /// The value of a row; None if NULL.
    ///
    /// # Safety
    /// The vector was loaded and has this row.
    #[inline]
    pub unsafe fn value(&self, row: usize) -> Option<pg_sys::Datum> {
        // SAFETY: the caller's promise.
        unsafe {
            let is_null = !self.validity.is_null() && *self.validity.add(row / 64) >> (row % 64) & 1 == 0;
            (!is_null).then(|| pg_sys::Datum::from(*self.words.add(row)))
        }
    }
}

/// A column that is no column of a batch.
enum Special {
    Ctid,
    /// `xmin` and its like, as the batch's row has them.
    System(i32),
    WholeRow,
}

/// Fills scan tuples.
pub struct Columns {
    outputs: Vec<Output>,
    specials: Vec<(usize, Special)>,
    values: *mut pg_sys::Datum,
    nulls: *mut bool,
    layout: Rc<Layout>,
    chunk: pg_sys::TupleDesc,
    ctid: Box<pg_sys::ItemPointerData>,
    /// Holds the row that was made last.
    context: pg_sys::MemoryContext,
    row_values: Vec<pg_sys::Datum>,
    row_nulls: Vec<bool>,
    /// The columns of the whole row, by index in it.
    row: Vec<Output>,
    /// The batch and the vector that they were loaded of.
    row_loaded: (u64, usize),
}

impl Columns {
    /// Prepares to fill a slot for the scan tuple of a plan, in the current memory context.
    ///
    /// # Safety
    /// `slot` is the node's scan slot, `chunk` the descriptor of the chunk, which stays open.
    pub unsafe fn new(
        plan: *mut pg_sys::CustomScan,
        slot: *mut pg_sys::TupleTableSlot,
        layout: &Rc<Layout>,
        chunk: pg_sys::TupleDesc,
        more: &[i16],
    ) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let mut columns = Self::empty(slot, layout, chunk);
            let used = used(plan);
            for (index, attribute) in attributes(plan).into_iter().enumerate() {
                if used.contains(&(index as i16 + 1)) || more.contains(&attribute) {
                    columns.add(index, attribute);
                }
            }
            if columns.specials.iter().any(|(_, special)| matches!(special, Special::WholeRow)) {
                columns.prepare_row();
            }
            columns
        }
    }

    /// Prepares to fill a slot for the result of a plan, of whose columns `places` tells which of the scan tuple they are.
    ///
    /// # Safety
    /// As [`Self::new`], but for the slot; its columns are columns of batches.
    pub unsafe fn direct(
        plan: *mut pg_sys::CustomScan,
        slot: *mut pg_sys::TupleTableSlot,
        layout: &Rc<Layout>,
        chunk: pg_sys::TupleDesc,
        places: &[usize],
    ) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let mut columns = Self::empty(slot, layout, chunk);
            let attributes = attributes(plan);
            for (index, place) in places.iter().enumerate() {
                columns.add(index, attributes[*place]);
            }
            columns
        }
    }

    /// # Safety
    /// As [`Self::new`].
    unsafe fn empty(slot: *mut pg_sys::TupleTableSlot, layout: &Rc<Layout>, chunk: pg_sys::TupleDesc) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let (values, nulls) = ((*slot).tts_values, (*slot).tts_isnull);
            for index in 0..(*(*slot).tts_tupleDescriptor).natts as usize {
                *nulls.add(index) = true;
                *values.add(index) = pg_sys::Datum::null();
            }
            Self {
                outputs: Vec::new(),
                specials: Vec::new(),
                values,
                nulls,
                layout: Rc::clone(layout),
                chunk,
                ctid: Box::default(),
                context: std::ptr::null_mut(),
                row_values: Vec::new(),
                row_nulls: Vec::new(),
                row: Vec::new(),
                row_loaded: (0, 0),
            }
        }
    }

    /// Prepares to make whole rows.
    ///
    /// # Safety
    /// As [`Self::new`].
    unsafe fn prepare_row(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            self.context = ffi::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"timescale_compat row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            for number in 1..=(*self.chunk).natts {
                let column = self.layout.column_of(number as i16);
                self.row.extend(column.map(|column| Output::new(number as usize - 1, column)));
                let (value, is_null) = if column.is_some() { (pg_sys::Datum::null(), true) } else { missing(self.chunk, number) };
                self.row_values.push(value);
                self.row_nulls.push(is_null);
            }
        }
    }

    /// # Safety
    /// As [`Self::new`].
    unsafe fn add(&mut self, index: usize, attribute: i16) {
        // SAFETY: the slot has this column.
        unsafe {
            match i32::from(attribute) {
                pg_sys::TableOidAttributeNumber => self.set(index, self.layout.chunk.into()),
                pg_sys::SelfItemPointerAttributeNumber => self.specials.push((index, Special::Ctid)),
                0 => self.specials.push((index, Special::WholeRow)),
                system if system < 0 => self.specials.push((index, Special::System(system))),
                number => match self.layout.column_of(attribute) {
                    Some(column) => self.outputs.push(Output::new(index, column)),
                    None => {
                        let (value, is_null) = missing(self.chunk, number);
                        if !is_null {
                            self.set(index, value);
                        }
                    }
                },
            }
        }
    }

    unsafe fn set(&mut self, index: usize, value: pg_sys::Datum) {
        // SAFETY: the slot has this column.
        unsafe {
            *self.values.add(index) = value;
            *self.nulls.add(index) = false;
        }
    }

    /// Whether a vector may be decoded in parts: a whole row takes all of it, and the values that other columns stand on go then.
    pub fn takes_parts(&self) -> bool {
        self.row.is_empty()
    }

    /// Turns to some rows of a vector of an open batch: decodes what is handed on.
    ///
    /// # Safety
    /// The batch is one of the layout's chunk. May jump.
    pub unsafe fn load(&mut self, batch: &mut BatchReader, vector: usize, rows: Range<usize>) {
        let rows = if self.takes_parts() { rows } else { 0..batch.vector_rows(vector) };
        for output in &mut self.outputs {
            // SAFETY: the caller's promise; what the pointers point to stays where it is until the column is asked for another vector.
            unsafe {
                output.load_part(batch, vector, rows.clone());
                if output.validity.is_null() {
                    *self.nulls.add(output.index) = false;
                }
            }
        }
    }

    /// Writes a row of the vector to the slot's arrays.
    ///
    /// # Safety
    /// The vector was loaded from this batch, and has this row. May jump.
    #[inline]
    pub unsafe fn fill(&mut self, batch: &mut BatchReader, vector: usize, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            for output in &self.outputs {
                *self.values.add(output.index) = pg_sys::Datum::from(*output.words.add(row));
                if !output.validity.is_null() {
                    *self.nulls.add(output.index) = *output.validity.add(row / 64) >> (row % 64) & 1 == 0;
                }
            }
            self.put_specials(batch, vector * VECTOR_ROWS + row);
        }
    }

    /// The columns of batches.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Writes a value to the slot's arrays.
    ///
    /// # Safety
    /// The slot has this column.
    #[inline]
    pub unsafe fn put(&mut self, index: usize, value: Option<pg_sys::Datum>) {
        // SAFETY: the caller's promise.
        unsafe {
            *self.values.add(index) = value.unwrap_or(pg_sys::Datum::null());
            *self.nulls.add(index) = value.is_none();
        }
    }

    /// Writes a row of vectors that are loaded in `outputs`, a copy of [`Self::outputs`].
    ///
    /// # Safety
    /// The vectors have this row.
    #[inline]
    pub unsafe fn put_row(&mut self, outputs: &[Output], row: usize) {
        for output in outputs {
            // SAFETY: the caller's promise; the slot has these columns.
            unsafe {
                let is_null = !output.validity.is_null() && *output.validity.add(row / 64) >> (row % 64) & 1 == 0;
                *self.values.add(output.index) = pg_sys::Datum::from(*output.words.add(row));
                *self.nulls.add(output.index) = is_null;
            }
        }
    }

    /// Writes what is no column of a batch for a row of it.
    ///
    /// # Safety
    /// As [`Self::fill`].
    #[inline]
    pub unsafe fn put_specials(&mut self, batch: &mut BatchReader, row: usize) {
        if !self.specials.is_empty() {
            // SAFETY: the caller's promise.
            unsafe { self.fill_specials(batch, row) };
        }
    }

    /// # Safety
    /// As [`Self::fill`], with a row of the batch.
    #[cold]
    unsafe fn fill_specials(&mut self, batch: &mut BatchReader, row: usize) {
        for special in 0..self.specials.len() {
            let (index, kind) = &self.specials[special];
            let index = *index;
            // SAFETY: the caller's promise.
            unsafe {
                match *kind {
                    Special::Ctid => {
                        *self.ctid = row_id::of(batch.tid(), row);
                        let ctid = pg_sys::Datum::from(&raw const *self.ctid);
                        self.set(index, ctid);
                    }
                    Special::System(number) => {
                        let mut is_null = false;
                        let value = raw::heap_getsysattr(batch.tuple(), number, self.chunk, &mut is_null);
                        self.set(index, value);
                    }
                    Special::WholeRow => {
                        let value = self.whole_row(batch, row);
                        self.set(index, value);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::fill_specials`].
    unsafe fn whole_row(&mut self, batch: &mut BatchReader, row: usize) -> pg_sys::Datum {
        // SAFETY: the arrays have an element for each attribute of the chunk.
        unsafe {
            let (vector, index) = (row / VECTOR_ROWS, row % VECTOR_ROWS);
            if self.row_loaded != (batch.serial(), vector) {
                for output in &mut self.row {
                    output.load(batch, vector);
                }
                self.row_loaded = (batch.serial(), vector);
            }
            for output in &self.row {
                let value = output.value(index);
                self.row_values[output.index] = value.unwrap_or(pg_sys::Datum::null());
                self.row_nulls[output.index] = value.is_none();
            }
            raw::MemoryContextReset(self.context);
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.context;
            let tuple = raw::heap_form_tuple(self.chunk, self.row_values.as_mut_ptr(), self.row_nulls.as_mut_ptr());
            // It has a Datum's header already, and no value of a batch lies elsewhere.
            let header = (*tuple).t_data;
            let is_whole = (*header).t_infomask & pg_sys::HEAP_HASEXTERNAL as u16 == 0;
            let datum = if is_whole { pg_sys::Datum::from(header) } else { raw::heap_copy_tuple_as_datum(tuple, self.chunk) };
            pg_sys::CurrentMemoryContext = outer;
            datum
        }
    }
}

/// What rows have in a column that was added after they were compressed; NULL for one that was dropped.
///
/// # Safety
/// An attribute of the descriptor.
unsafe fn missing(chunk: pg_sys::TupleDesc, number: i32) -> (pg_sys::Datum, bool) {
    let mut is_null = true;
    // SAFETY: the caller's promise.
    unsafe {
        let attribute = (*chunk).attrs.as_slice((*chunk).natts as usize)[number as usize - 1];
        let value = if attribute.attisdropped { pg_sys::Datum::null() } else { raw::getmissingattr(chunk, number, &mut is_null) };
        (value, is_null)
    }
}

/// The attribute number of each column of the scan tuple.
///
/// # Safety
/// A plan of ColumnarScan.
pub unsafe fn attributes(plan: *mut pg_sys::CustomScan) -> Vec<i16> {
    // SAFETY: the target list holds Vars.
    unsafe {
        let targets = list::pointers::<pg_sys::TargetEntry>((*plan).custom_scan_tlist);
        targets.into_iter().map(|target| (*(*target).expr.cast::<pg_sys::Var>()).varattno).collect()
    }
}

/// The columns of the scan tuple, from 1, that the node's result or the conditions on rows refer to.
unsafe fn used(plan: *mut pg_sys::CustomScan) -> Vec<i16> {
    // SAFETY: expressions of a finished plan, with Vars of the scan tuple.
    unsafe {
        let plan = &(*plan).scan.plan;
        let mut found = Vec::new();
        for expressions in [plan.targetlist, plan.qual] {
            let flags = pg_sys::PVC_RECURSE_PLACEHOLDERS as i32;
            for var in list::pointers::<pg_sys::Var>(ffi::pull_var_clause(expressions.cast(), flags)) {
                debug_assert_eq!(node::tag(var), NodeTag::T_Var);
                if (*var).varno == pg_sys::INDEX_VAR {
                    found.push((*var).varattno);
                }
            }
        }
        found
    }
}
