//! Conditions on the columns of a chunk, evaluated on batches: first on what is known without decoding, then on decoded vectors.
//!
//! Results have three values as in SQL: a pair of bits for true and false, neither for NULL.

mod compile;
mod evaluate;
mod verdict;

use std::ops::Range;

use pgrx::pg_sys;
use tsc_codec::VECTOR_ROWS;
use tsc_kernel::select::Comparison;

use super::order::{Hash, Order};
use super::reader::BatchReader;
use crate::pg::ffi::raw;

/// Words of a selection.
pub const WORDS: usize = VECTOR_ROWS / 64;

/// What the rows of a batch may be worth to a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No row meets it.
    Nothing,
    /// It has to be evaluated.
    Some,
    /// All rows meet it.
    All,
}

/// An expression without columns of the chunk, evaluated once per scan.
pub struct Constant {
    expression: *mut pg_sys::Expr,
    state: *mut pg_sys::ExprState,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its value; None if NULL, or before [`Filter::prepare`].
    pub value: Option<pg_sys::Datum>,
}

/// An expression on one column that PostgreSQL evaluates.
struct Predicate {
    column: usize,
    expression: *mut pg_sys::Expr,
    state: *mut pg_sys::ExprState,
    /// Its result for NULL, once evaluated.
    of_null: Option<Truth>,
    /// Its results for the distinct values of the batch that was looked at last, once evaluated.
    distinct: Vec<Option<Truth>>,
    /// Which batch that was.
    batch: u64,
}

/// A truth value of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Null,
}

/// A comparison of a column with a constant.
pub struct Compare {
    /// The column, by index in the layout.
    pub column: usize,
    /// How the column compares with the constant.
    pub comparison: Comparison,
    /// The constant.
    pub constant: Constant,
    order: Order,
    /// Words can be compared as they are.
    is_native: bool,
    /// The constant compares by the column's own order and collation, so that bounds say something of the rows.
    has_bounds: bool,
    hash: Option<Hash>,
    predicate: Predicate,
}

enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Compare),
    In { compare: Compare, list: List },
    IsNull { column: usize, negated: bool },
    IsTrue { column: usize },
    Predicate(Predicate),
}

/// The elements of an array of constants.
#[derive(Default)]
struct List {
    /// If words can be compared as they are: the integers, in order, each once.
    sorted: Vec<i64>,
    /// Else the elements in the order of the column's type, if its bounds say something of them.
    ordered: Vec<pg_sys::Datum>,
    /// Whether NULL is among them.
    has_null: bool,
}

/// A conjunction of conditions.
pub struct Filter {
    conditions: Vec<Condition>,
    econtext: *mut pg_sys::ExprContext,
    /// A virtual slot with the chunk's columns, for [`Predicate`]s.
    slot: *mut pg_sys::TupleTableSlot,
    /// Holds the constants' values; reset when they are evaluated anew.
    context: pg_sys::MemoryContext,
}

impl Filter {
    /// True if there is no condition.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The comparisons with one of several constants, an array, that all rows must meet: [`Compare::comparison`] is `=`.
    pub fn memberships(&self) -> impl Iterator<Item = &Compare> {
        self.conditions.iter().filter_map(|condition| match condition {
            Condition::In { compare, .. } if compare.has_bounds => Some(compare),
            _ => None,
        })
    }

    /// The comparisons that all rows must meet, for finding batches by the index. None among them has `<>`.
    pub fn comparisons(&self) -> impl Iterator<Item = &Compare> {
        self.conditions.iter().filter_map(|condition| match condition {
            Condition::Compare(compare) if compare.has_bounds && compare.comparison != Comparison::NotEqual => Some(compare),
            _ => None,
        })
    }

    /// Whether rows of an open batch may meet the conditions, by the bounds of its keys, its zone map and its bloom filters. Its blocks
    /// are not read.
    ///
    /// # Safety
    /// The filter is prepared, and the batch one of the chunk it was compiled for. May jump.
    pub unsafe fn check(&mut self, batch: &mut BatchReader) -> Verdict {
        let mut met = std::mem::take(&mut batch.met);
        // SAFETY: the caller's promise. Bounds, and the scraps of comparing them, go with the next batch.
        let verdict = unsafe {
            let scraps = (*self.econtext).ecxt_per_tuple_memory;
            raw::MemoryContextReset(scraps);
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = scraps;
            let verdict = verdict::of(&self.conditions, &mut met, batch);
            pg_sys::CurrentMemoryContext = outer;
            verdict
        };
        batch.met = met;
        verdict
    }

    /// Which rows of a vector meet the conditions; returns how many. Bits beyond the vector's rows are 0.
    ///
    /// # Safety
    /// As [`Self::check`].
    pub unsafe fn select(&mut self, batch: &mut BatchReader, vector: usize, selection: &mut [u64; WORDS]) -> usize {
        let rows = batch.vector_rows(vector);
        fill(selection, rows);
        for (index, condition) in self.conditions.iter_mut().enumerate() {
            if batch.met.get(index).is_some_and(|met| *met) {
                continue;
            }
            // PostgreSQL evaluates no condition on a row that an earlier one hides: it might raise an error.
            let scope = evaluate::Scope { econtext: self.econtext, slot: self.slot, vector, rows, wanted: *selection };
            // SAFETY: the caller's promise.
            let bits = unsafe { evaluate::condition(condition, batch, &scope) };
            let mut any = 0;
            for (selected, holds) in selection.iter_mut().zip(&bits.holds) {
                *selected &= holds;
                any |= *selected;
            }
            if any == 0 {
                return 0;
            }
        }
        selection.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// The rows from the first that is selected to the last.
pub fn extent(selection: &[u64; WORDS]) -> Range<usize> {
    let first = selection.iter().position(|bits| *bits != 0).map_or(0, |word| word * 64 + selection[word].trailing_zeros() as usize);
    let end = selection.iter().rposition(|bits| *bits != 0).map_or(0, |word| word * 64 + 64 - selection[word].leading_zeros() as usize);
    first..end
}

/// Sets the bits of the first `rows` rows, and no others.
pub fn fill(selection: &mut [u64; WORDS], rows: usize) {
    for (index, word) in selection.iter_mut().enumerate() {
        let left = rows.saturating_sub(index * 64).min(64);
        *word = if left == 64 { u64::MAX } else { (1 << left) - 1 };
    }
}
