//! Which batches hold rows that meet a statement's conditions.

use pgrx::pg_sys;

use super::targets::Target;
use crate::columnar::filter::{Filter, Verdict, WORDS, fill};
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;
use crate::pg::{list, slot};

/// How many rows of a batch meet the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matches {
    /// No row.
    None,
    /// One row at least.
    Some,
    /// Each row.
    All,
}

/// A condition that is no matter for a [`Filter`], since it looks at several columns.
struct Rest {
    state: *mut pg_sys::ExprState,
    /// The columns that it looks at: index in the layout, index in the row.
    columns: Vec<(usize, usize)>,
}

impl Rest {
    /// None if it looks at a column that the batches don't have.
    ///
    /// # Safety
    /// As [`Finder::new`].
    unsafe fn new(condition: *mut pg_sys::Node, layout: &Layout, parameters: pg_sys::ParamListInfo) -> Option<Self> {
        // SAFETY: the elements of the list are Vars of the chunk.
        unsafe {
            let vars = list::pointers::<pg_sys::Var>(ffi::pull_var_clause(condition, 0));
            let column = |var: *mut pg_sys::Var| {
                let attribute = (*var).varattno;
                layout.column_of(attribute).map(|column| (column, attribute as usize - 1))
            };
            let columns = vars.into_iter().map(column).collect::<Option<_>>()?;
            Some(Self { state: ffi::ExecInitExprWithParams(condition.cast(), parameters), columns })
        }
    }
}

/// Conditions, prepared. Lives in the memory context that was current, and is of no use when that is reset.
pub struct Finder {
    /// Those that can be evaluated on vectors.
    pub filter: Filter,
    rest: Vec<Rest>,
    /// All conditions of the target are evaluated.
    pub is_exact: bool,
    econtext: *mut pg_sys::ExprContext,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Finder {
    /// Prepares the conditions of a target, and more of them that hold for its rows.
    ///
    /// # Safety
    /// The target is of this statement, whose parameters these are; `chunk` is the target's chunk.
    pub unsafe fn new(target: &Target, more: &[*mut pg_sys::Node], chunk: &Relation, parameters: pg_sys::ParamListInfo) -> Self {
        let layout = &target.layout;
        // SAFETY: the caller's promise. The descriptor is copied: nothing is left to be released.
        unsafe {
            let desc = ffi::CreateTupleDescCopy((*chunk.as_ptr()).rd_att);
            let (vectorised, rest): (Vec<_>, Vec<_>) =
                target.conditions.iter().chain(more).copied().partition(|condition| Filter::accepts(*condition, target.index, layout));
            let mut filter = Filter::compile(&vectorised, target.index, layout, desc, std::ptr::null_mut(), parameters);
            let estate = ffi::CreateExecutorState();
            (*estate).es_param_list_info = parameters;
            let econtext = ffi::CreateExprContext(estate);
            filter.prepare(econtext);
            let slot = ffi::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsVirtual);
            let known = target.conditions.len() + more.len();
            let rest: Vec<Rest> = rest.into_iter().filter_map(|condition| Rest::new(condition, layout, parameters)).collect();
            let is_exact = vectorised.len() + rest.len() == known;
            Self { filter, rest, is_exact, econtext, slot }
        }
    }

    /// How many rows of an open batch meet the conditions. Stops at the first one, unless the question is `whether_all` do.
    ///
    /// # Safety
    /// A batch of the target's. May jump.
    pub unsafe fn examine(&mut self, batch: &mut BatchReader, whether_all: bool) -> Matches {
        // SAFETY: the caller's promise.
        unsafe {
            match self.filter.check(batch) {
                Verdict::Nothing => return Matches::None,
                Verdict::All if self.rest.is_empty() => return Matches::All,
                _ => {}
            }
            let mut found = 0;
            for vector in 0..batch.vectors() {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                let rows = batch.vector_rows(vector);
                let mut selection = [0; WORDS];
                fill(&mut selection, rows);
                let mut selected = self.filter.select(batch, vector, &mut selection);
                if selected > 0 && !self.rest.is_empty() {
                    selected = self.evaluate_rest(batch, vector, &selection, whether_all);
                }
                found += selected;
                if found > 0 && (!whether_all || selected < rows) {
                    return Matches::Some;
                }
            }
            if found == 0 {
                Matches::None
            } else if found == batch.rows() {
                Matches::All
            } else {
                Matches::Some
            }
        }
    }

    /// How many of the selected rows meet the other conditions; at most 1 unless it is asked `whether_all` do.
    ///
    /// # Safety
    /// As [`Self::examine`].
    unsafe fn evaluate_rest(&mut self, batch: &mut BatchReader, vector: usize, selection: &[u64; WORDS], whether_all: bool) -> usize {
        let mut found = 0;
        for row in 0..batch.vector_rows(vector) {
            if selection[row / 64] >> (row % 64) & 1 == 0 {
                continue;
            }
            // SAFETY: the caller's promise.
            if unsafe { self.rest.iter().all(|rest| self.holds(rest, batch, vector, row)) } {
                found += 1;
                if !whether_all {
                    break;
                }
            }
        }
        found
    }

    /// # Safety
    /// As [`Self::examine`].
    unsafe fn holds(&self, rest: &Rest, batch: &mut BatchReader, vector: usize, row: usize) -> bool {
        // SAFETY: the slot has an element for each column of the chunk; the condition looks at those that are set here.
        unsafe {
            slot::clear(self.slot);
            for (column, attribute) in &rest.columns {
                let values = batch.vector(*column, vector);
                let is_valid = values.is_valid(row);
                *(*self.slot).tts_isnull.add(*attribute) = !is_valid;
                *(*self.slot).tts_values.add(*attribute) = pg_sys::Datum::from(if is_valid { values.words[row] } else { 0 });
            }
            raw::ExecStoreVirtualTuple(self.slot);
            let econtext = self.econtext;
            (*econtext).ecxt_scantuple = self.slot;
            raw::MemoryContextReset((*econtext).ecxt_per_tuple_memory);
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
            let mut is_null = false;
            let result = (*rest.state).evalfunc.map_or(pg_sys::Datum::null(), |evaluate| evaluate(rest.state, econtext, &mut is_null));
            pg_sys::CurrentMemoryContext = outer;
            !is_null && result.value() as u8 != 0
        }
    }
}
