//! Writing batches to a batch table.

use std::rc::Rc;

use pgrx::pg_sys;

use super::builder::Batch;
use super::layout::Layout;
use super::{value, width};
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;
use crate::pg::relation::Relation;

/// How batches are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As rows that every snapshot sees, into a table without an index that this (sub)transaction made.
    Frozen,
    /// As this transaction's rows, into a table without an index yet.
    Unindexed,
    /// As this transaction's rows, into a table with its index.
    Indexed,
}

/// An open batch table.
pub struct BatchWriter {
    relation: Relation,
    layout: Rc<Layout>,
    bulk: pg_sys::BulkInsertState,
    options: i32,
    indexes: Indexes,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// Batches written.
    pub batches: i64,
    /// Their rows.
    pub rows: i64,
}

impl BatchWriter {
    /// Opens the batch table of a chunk on which the caller holds ExclusiveLock at least.
    pub fn open(layout: &Rc<Layout>, mode: Mode) -> Self {
        layout.require_sound();
        let relation = Relation::open(layout.batches, pg_sys::RowExclusiveLock);
        // The blocks mean nothing to a subscriber: rows were decoded when they were written.
        let no_logical = pg_sys::HEAP_INSERT_NO_LOGICAL;
        let options = match mode {
            Mode::Frozen => no_logical | pg_sys::HEAP_INSERT_FROZEN | pg_sys::HEAP_INSERT_SKIP_FSM,
            Mode::Unindexed => no_logical | pg_sys::HEAP_INSERT_SKIP_FSM,
            Mode::Indexed => no_logical,
        };
        let indexes = if mode == Mode::Indexed { Indexes::open(&relation) } else { Indexes(Vec::new()) };
        let count = relation.attributes().len();
        Self {
            // SAFETY: freed by `finish`, or with the memory context and resource owner.
            bulk: unsafe { ffi::GetBulkInsertState() },
            indexes,
            relation,
            layout: Rc::clone(layout),
            options: options as i32,
            values: vec![pg_sys::Datum::null(); count],
            nulls: vec![true; count],
            batches: 0,
            rows: 0,
        }
    }

    /// Writes a batch.
    pub fn write(&mut self, batch: &Batch) {
        width::check(&self.layout, batch);
        self.fill(batch);
        let heap = self.relation.as_ptr();
        let (values, nulls) = (self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        let (options, bulk) = (self.options, self.bulk);
        // SAFETY: an element for each attribute; the tuple is formed for this table.
        let tuple = unsafe {
            guard(|| {
                let tuple = raw::heap_form_tuple((*heap).rd_att, values, nulls);
                raw::heap_insert(heap, tuple, raw::GetCurrentCommandId(true), options, bulk);
                tuple
            })
        };
        // SAFETY: the tuple that was inserted.
        self.indexes.insert(&self.relation, &self.values, &self.nulls, unsafe { (*tuple).t_self });
        self.batches += 1;
        self.rows += batch.rows as i64;
    }

    fn fill(&mut self, batch: &Batch) {
        let layout = Rc::clone(&self.layout);
        self.nulls.fill(true);
        self.set(layout.count, Some(pg_sys::Datum::from(batch.rows as i32)));
        self.set(layout.single, batch.single.map(pg_sys::Datum::from));
        for (key, bounds) in layout.keys.iter().zip(&batch.bounds) {
            self.set(key.min, bounds.map(|bounds| bounds.0));
            self.set(key.max, bounds.map(|bounds| bounds.1));
        }
        self.set_bytes(layout.zone, Some(&batch.zone));
        for (column, block) in layout.columns.iter().zip(&batch.blocks) {
            self.set_bytes(column.block, block.as_deref());
        }
    }

    fn set(&mut self, attribute: i16, value: Option<pg_sys::Datum>) {
        if let Some(index) = (attribute as usize).checked_sub(1) {
            self.nulls[index] = value.is_none();
            self.values[index] = value.unwrap_or(pg_sys::Datum::null());
        }
    }

    fn set_bytes(&mut self, attribute: i16, bytes: Option<&[u8]>) {
        self.set(attribute, bytes.map(bytes_datum));
    }

    /// Closes the table.
    pub fn finish(self) -> Relation {
        self.indexes.close();
        // SAFETY: made by `open`.
        unsafe { ffi::FreeBulkInsertState(self.bulk) };
        self.relation
    }
}

/// A bytea in the current memory context.
pub fn bytes_datum(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: a copy.
    unsafe { guard(|| value::varlena(bytes)) }
}

/// The open indexes of a batch table, with how to fill them.
pub struct Indexes(Vec<(pg_sys::Relation, *mut pg_sys::IndexInfo)>);

impl Indexes {
    /// Opens the indexes of a batch table.
    pub fn open(relation: &Relation) -> Self {
        let open = |oid| {
            // SAFETY: an index of an open table.
            unsafe {
                let index = ffi::index_open(oid, pg_sys::RowExclusiveLock as i32);
                (index, ffi::BuildIndexInfo(index))
            }
        };
        Self(relation.index_oids().into_iter().map(open).collect())
    }

    /// Enters a row of the table into all of them.
    pub fn insert(&self, relation: &Relation, values: &[pg_sys::Datum], nulls: &[bool], tid: pg_sys::ItemPointerData) {
        let mut tid = tid;
        for (index, info) in &self.0 {
            // SAFETY: an open index of the table, on plain columns.
            unsafe { insert_entry(*index, *info, relation.as_ptr(), values, nulls, &mut tid) };
        }
    }

    /// Closes them.
    pub fn close(self) {
        for (index, _) in self.0 {
            // SAFETY: opened by `open`.
            unsafe { ffi::index_close(index, pg_sys::NoLock as i32) };
        }
    }
}

/// # Safety
/// An open index of an open heap, on plain columns of it; the arrays hold the row at `tid`.
unsafe fn insert_entry(
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    heap: pg_sys::Relation,
    values: &[pg_sys::Datum],
    nulls: &[bool],
    tid: pg_sys::ItemPointer,
) {
    let mut keys = [pg_sys::Datum::null(); pg_sys::INDEX_MAX_KEYS as usize];
    let mut key_nulls = [true; pg_sys::INDEX_MAX_KEYS as usize];
    // SAFETY: the caller's promise.
    unsafe {
        let count = (*info).ii_NumIndexAttrs as usize;
        for (position, attribute) in (&(*info).ii_IndexAttrNumbers)[..count].iter().enumerate() {
            let Some(at) = (*attribute as usize).checked_sub(1) else { continue };
            keys[position] = values[at];
            key_nulls[position] = nulls[at];
        }
        let unchecked = pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO;
        ffi::index_insert(index, keys.as_mut_ptr(), key_nulls.as_mut_ptr(), tid, heap, unchecked, false, info);
    }
}
