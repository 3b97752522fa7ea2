//! Checking the rows of batches for what a command has made a rule.

use std::rc::Rc;

use pgrx::pg_sys;

use crate::columnar::layout::Layout;
use crate::columnar::part::scan_batches;
use crate::columnar::reader::BatchReader;
use crate::error::{Error, Result, SqlState};
use crate::pg::constraint::Constraint;
use crate::pg::evaluate::{Evaluator, Prepared};
use crate::pg::ffi;
use crate::pg::relation::{Relation, name_string};
use crate::pg::slot::Virtual;

/// A rule that a row broke.
#[derive(Clone, Copy)]
enum Broken {
    NotNull(i16),
    Check(usize),
}

/// Checks that columns (attribute numbers) are not NULL and CHECK constraints hold in all batches. The caller's lock keeps writers out.
pub fn rows(layout: &Rc<Layout>, chunk: &Relation, not_null: &[i16], checks: &[&Constraint]) -> Result<()> {
    let columns: Vec<usize> = not_null.iter().filter_map(|attribute| layout.column_of(*attribute)).collect();
    if columns.is_empty() && checks.is_empty() {
        return Ok(());
    }
    let evaluator = Evaluator::default();
    let conditions: Vec<Option<Prepared>> = checks.iter().map(|check| prepare(&evaluator, check)).collect();
    let slot = Virtual::new(chunk);
    let mut broken = None;
    {
        let (columns, conditions, evaluator, broken) = (columns.as_slice(), conditions.as_slice(), &evaluator, &mut broken);
        scan_batches(layout, |batch| {
            // SAFETY: the batch is open; only references live on the frames that an ERROR jumps over.
            unsafe {
                if broken.is_none() {
                    *broken = nulls(batch, columns).or_else(|| failing(batch, slot, evaluator, conditions));
                }
            }
        });
    }
    slot.end();
    evaluator.end();
    match broken {
        None => Ok(()),
        Some(Broken::NotNull(attribute)) => Err(contains_nulls(chunk, attribute)),
        Some(Broken::Check(index)) => Err(violated(chunk, &checks[index].name)),
    }
}

fn prepare(evaluator: &Evaluator, check: &Constraint) -> Option<Prepared> {
    // SAFETY: conbin is a pg_node_tree (text); the tree is read for this evaluator.
    check.condition.map(|condition| unsafe {
        let text = ffi::text_to_cstring(condition.cast_mut_ptr());
        evaluator.prepare(ffi::stringToNode(text).cast())
    })
}

/// # Safety
/// An open batch. May jump.
unsafe fn nulls(batch: &mut BatchReader, columns: &[usize]) -> Option<Broken> {
    for column in columns {
        let (attribute, block) = (batch.layout().columns[*column].attribute, batch.layout().columns[*column].block);
        // SAFETY: the caller's promise.
        let has_null = unsafe {
            if batch.attribute(block).is_none() {
                batch.rows() > 0
            } else if let Some(nulls) = batch.zone().and_then(|zone| zone.columns.get(*column)).map(|zone| zone.nulls) {
                nulls > 0
            } else {
                (0..batch.vectors()).any(|vector| !batch.vector(*column, vector).all_valid)
            }
        };
        if has_null {
            return Some(Broken::NotNull(attribute));
        }
    }
    None
}

/// # Safety
/// An open batch, a slot of its chunk. May jump.
unsafe fn failing(batch: &mut BatchReader, slot: Virtual, evaluator: &Evaluator, conditions: &[Option<Prepared>]) -> Option<Broken> {
    if conditions.is_empty() {
        return None;
    }
    for row in 0..batch.rows() {
        // SAFETY: the caller's promise.
        unsafe {
            if pg_sys::InterruptPending != 0 {
                ffi::raw::ProcessInterrupts();
            }
            let (values, nulls) = slot.arrays();
            batch.row(row, values, nulls);
            evaluator.turn_to(slot.stored());
            for (index, condition) in conditions.iter().enumerate() {
                // NULL fulfils a CHECK.
                if condition.is_some_and(|condition| evaluator.value(condition).is_some_and(|value| value.value() as u8 == 0)) {
                    return Some(Broken::Check(index));
                }
            }
        }
    }
    None
}

fn contains_nulls(chunk: &Relation, attribute: i16) -> Error {
    let column = name_string(&chunk.attributes()[attribute as usize - 1].attname);
    Error::new(SqlState::NOT_NULL_VIOLATION, format!("column \"{column}\" of relation \"{}\" contains null values", chunk.name()))
}

fn violated(chunk: &Relation, constraint: &str) -> Error {
    Error::new(
        SqlState::CHECK_VIOLATION,
        format!("check constraint \"{constraint}\" of relation \"{}\" is violated by some row", chunk.name()),
    )
}

/// Checks a column's values in all batches for rules of its domain. The caller's lock keeps writers out.
pub fn domain(layout: &Rc<Layout>, chunk: &Relation, column: usize, not_null: bool, rules: &[&Constraint]) -> Result<()> {
    let evaluator = Evaluator::default();
    let conditions: Vec<Option<Prepared>> = rules.iter().map(|rule| prepare(&evaluator, rule)).collect();
    let mut broken = None;
    {
        let (conditions, evaluator, broken) = (conditions.as_slice(), &evaluator, &mut broken);
        scan_batches(layout, |batch| {
            // SAFETY: the batch is open; only references live on the frames that an ERROR jumps over.
            unsafe {
                if broken.is_none() {
                    *broken = breaking(batch, column, not_null, evaluator, conditions);
                }
            }
        });
    }
    evaluator.end();
    let name = &layout.columns[column].name;
    let problem = |state, what: &str| Err(Error::new(state, format!("column \"{name}\" of table \"{}\" contains {what}", chunk.name())));
    match broken {
        None => Ok(()),
        Some(Broken::NotNull(_)) => problem(SqlState::NOT_NULL_VIOLATION, "null values"),
        Some(Broken::Check(_)) => problem(SqlState::CHECK_VIOLATION, "values that violate the new constraint"),
    }
}

/// # Safety
/// An open batch. May jump.
unsafe fn breaking(
    batch: &mut BatchReader,
    column: usize,
    not_null: bool,
    evaluator: &Evaluator,
    conditions: &[Option<Prepared>],
) -> Option<Broken> {
    for vector in 0..batch.vectors() {
        // SAFETY: the caller's promise.
        unsafe {
            let rows = batch.vector_rows(vector);
            let values = batch.vector(column, vector);
            if not_null && !values.all_valid {
                return Some(Broken::NotNull(0));
            }
            for row in 0..rows {
                evaluator.turn_to_value(values.is_valid(row).then(|| pg_sys::Datum::from(values.words[row])));
                for (index, condition) in conditions.iter().enumerate() {
                    if condition.is_some_and(|condition| evaluator.value(condition).is_some_and(|value| value.value() as u8 == 0)) {
                        return Some(Broken::Check(index));
                    }
                }
            }
        }
    }
    None
}
