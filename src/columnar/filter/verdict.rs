//! Conditions on what is known of a batch without decoding it.

use std::cmp::Ordering;

use pgrx::pg_sys;
use tsc_codec::bloom;
use tsc_codec::zone::{ColumnZone, ZoneValue};
use tsc_kernel::select::{Comparison, order_floats};

use super::{Compare, Condition, List, Verdict};
use crate::columnar::image::Image;
use crate::columnar::order::Order;
use crate::columnar::reader::BatchReader;
use crate::columnar::value;

/// Which results a condition may have on the rows of a batch.
#[derive(Debug, Clone, Copy)]
struct Possible {
    holds: bool,
    fails: bool,
    null: bool,
}

const ANY: Possible = Possible { holds: true, fails: true, null: true };

/// # Safety
/// Prepared conditions and an open batch of their chunk. May jump.
///
/// `met` gets an element for each condition: whether all rows meet it.
pub unsafe fn of(conditions: &[Condition], met: &mut Vec<bool>, batch: &mut BatchReader) -> Verdict {
    let mut verdict = Verdict::All;
    met.clear();
    for condition in conditions {
        // SAFETY: the caller's promise.
        let possible = unsafe {
            match condition {
                // Whether there are NULLs is asked for only where it would tell.
                Condition::Compare(compare) => self::compare(compare, batch, |holds, fails| holds && !fails),
                condition => possible(condition, batch),
            }
        };
        if !possible.holds {
            return Verdict::Nothing;
        }
        met.push(!possible.fails && !possible.null);
        if possible.fails || possible.null {
            verdict = Verdict::Some;
        }
    }
    verdict
}

/// # Safety
/// As [`of`].
unsafe fn possible(condition: &Condition, batch: &mut BatchReader) -> Possible {
    // SAFETY: the caller's promise.
    unsafe {
        match condition {
            Condition::And(parts) => {
                let mut all = Possible { holds: true, fails: false, null: false };
                for part in parts {
                    let part = possible(part, batch);
                    all = Possible { holds: all.holds && part.holds, fails: all.fails || part.fails, null: all.null || part.null };
                }
                all
            }
            Condition::Or(parts) => {
                let mut any = Possible { holds: false, fails: true, null: false };
                for part in parts {
                    let part = possible(part, batch);
                    if part.holds && !part.fails && !part.null {
                        return part;
                    }
                    any = Possible { holds: any.holds || part.holds, fails: any.fails && part.fails, null: any.null || part.null };
                }
                // A part that is NULL where the others fail makes the whole NULL.
                any
            }
            Condition::Not(part) => {
                let part = possible(part, batch);
                Possible { holds: part.fails, fails: part.holds, null: part.null }
            }
            Condition::Compare(compare) => self::compare(compare, batch, |holds, fails| holds != fails),
            Condition::In { compare, list } => membership(compare, list, batch),
            Condition::IsNull { column, negated } => {
                let Some((nulls, rows)) = nulls(*column, batch) else { return ANY };
                let (is_null, is_not_null) = (nulls > 0, nulls < rows);
                let (holds, fails) = if *negated { (is_not_null, is_null) } else { (is_null, is_not_null) };
                Possible { holds, fails, null: false }
            }
            Condition::IsTrue { column } => match (nulls(*column, batch), bounds(*column, batch)) {
                (Some((nulls, _)), Some((least, greatest))) => {
                    Possible { holds: greatest.value() != 0, fails: least.value() == 0, null: nulls > 0 }
                }
                _ => ANY,
            },
            Condition::Predicate(_) => ANY,
        }
    }
}

/// # Safety
/// As [`of`].
unsafe fn zone(column: usize, batch: &mut BatchReader) -> Option<&ColumnZone> {
    // SAFETY: the caller's promise.
    unsafe { batch.zone() }.and_then(|zone| zone.columns.get(column))
}

/// How many rows are NULL, and how many there are.
///
/// # Safety
/// As [`of`].
unsafe fn nulls(column: usize, batch: &mut BatchReader) -> Option<(usize, usize)> {
    let rows = batch.rows();
    if batch.attribute(batch.layout().columns[column].block).is_none() {
        return Some((rows, rows));
    }
    // SAFETY: the caller's promise.
    unsafe { zone(column, batch) }.map(|zone| (zone.nulls as usize, rows))
}

/// The least and the greatest value of a column.
///
/// # Safety
/// As [`of`].
unsafe fn bounds(column: usize, batch: &mut BatchReader) -> Option<(pg_sys::Datum, pg_sys::Datum)> {
    if let Some(bounds) = key_bounds(column, batch) {
        return Some(bounds);
    }
    // SAFETY: the caller's promise; the layout lives as long as the reader.
    unsafe {
        let layout = std::rc::Rc::as_ptr(batch.layout());
        let description = &(&(*layout).columns)[column];
        let (least, greatest) = zone(column, batch)?.range.as_ref()?;
        let datum = |bound: &ZoneValue| match bound {
            ZoneValue::Word(word) => Some(pg_sys::Datum::from(*word)),
            ZoneValue::Bytes(bytes) if description.image != Image::Word => Some(value::datum_of_bytes(description, bytes)),
            ZoneValue::Bytes(_) => None,
        };
        datum(least).zip(datum(greatest))
    }
}

impl Compare {
    /// How a value of the column compares with the constant.
    ///
    /// # Safety
    /// The comparison has bounds; `value` is of the column. May jump.
    unsafe fn order(&self, value: pg_sys::Datum, constant: pg_sys::Datum) -> Ordering {
        match self.order {
            Order::Float8 => order_floats(f64::from_bits(value.value() as u64), self.float(constant)),
            Order::Float4 => order_floats(f32::from_bits(value.value() as u32).into(), self.float(constant)),
            // SAFETY: the caller's promise.
            order => unsafe { order.compare(value, constant) },
        }
    }
}

/// The results of a comparison. `asks` says for which of them it matters whether there are NULLs: finding that out may take the zone map,
/// which the bounds of keys don't. If it does not matter, there may be some.
///
/// # Safety
/// As [`of`].
unsafe fn compare(compare: &Compare, batch: &mut BatchReader, asks: impl Fn(bool, bool) -> bool) -> Possible {
    let never = Possible { holds: false, fails: false, null: true };
    let Some(constant) = compare.constant.value else { return never };
    // SAFETY: the caller's promise.
    unsafe {
        let has_bounds = compare.has_bounds && key_bounds(compare.column, batch).is_some();
        // With bounds there is a value.
        let nulls = if has_bounds { None } else { nulls(compare.column, batch) };
        if nulls.is_some_and(|(nulls, rows)| nulls == rows) {
            return never;
        }
        let null = nulls.is_none_or(|(nulls, _)| nulls > 0);
        if !compare.has_bounds {
            return Possible { null, ..ANY };
        }
        let Some((least, greatest)) = bounds(compare.column, batch) else {
            return Possible { null, holds: may_contain(compare, constant, batch), fails: true };
        };
        let (low, high) = (compare.order(least, constant), compare.order(greatest, constant));
        let (holds, fails) = match compare.comparison {
            Comparison::Equal => (low != Ordering::Greater && high != Ordering::Less, low != Ordering::Equal || high != Ordering::Equal),
            Comparison::NotEqual => (low != Ordering::Equal || high != Ordering::Equal, low != Ordering::Greater && high != Ordering::Less),
            // These hold for one bound if for any value, and fail for the other one if for any.
            Comparison::Less | Comparison::LessOrEqual => (compare.comparison.holds(low), !compare.comparison.holds(high)),
            Comparison::Greater | Comparison::GreaterOrEqual => (compare.comparison.holds(high), !compare.comparison.holds(low)),
        };
        // A bound is the value of some row.
        let is_bound = low == Ordering::Equal || high == Ordering::Equal;
        let holds = holds && (is_bound || may_contain(compare, constant, batch));
        let null = if has_bounds && asks(holds, fails) { may_be_null(compare.column, batch) } else { null };
        Possible { holds, fails, null }
    }
}

/// # Safety
/// As [`of`].
unsafe fn may_be_null(column: usize, batch: &mut BatchReader) -> bool {
    let layout = batch.layout();
    if batch.is_single() && layout.key_of(column).is_some_and(|key| key < layout.segments) {
        // All values are the same, and not NULL if that has bounds.
        return key_bounds(column, batch).is_none();
    }
    // SAFETY: the caller's promise.
    unsafe { nulls(column, batch) }.is_none_or(|(nulls, _)| nulls > 0)
}

/// The bounds of a key, if its batch has them.
fn key_bounds(column: usize, batch: &BatchReader) -> Option<(pg_sys::Datum, pg_sys::Datum)> {
    let key = batch.layout().keys[batch.layout().key_of(column)?];
    batch.attribute(key.min).zip(batch.attribute(key.max))
}

/// False if a bloom filter says that an equality can't hold.
///
/// # Safety
/// As [`of`].
unsafe fn may_contain(compare: &Compare, constant: pg_sys::Datum, batch: &mut BatchReader) -> bool {
    if compare.comparison != Comparison::Equal {
        return true;
    }
    let Some(hash) = compare.hash else { return true };
    // SAFETY: the caller's promise; the constant is of the column's type.
    unsafe {
        let Some(bytes) = zone(compare.column, batch).and_then(|zone| zone.bloom.as_ref()) else { return true };
        bloom::may_contain(bytes, hash.hash(constant))
    }
}

/// # Safety
/// As [`of`].
unsafe fn membership(compare: &Compare, list: &List, batch: &mut BatchReader) -> Possible {
    if compare.constant.value.is_none() {
        return Possible { holds: false, fails: false, null: true };
    }
    // SAFETY: the caller's promise.
    unsafe {
        let null = may_be_null(compare.column, batch) || list.has_null;
        if compare.is_native && matches!(compare.order, Order::Signed) {
            let Some((least, greatest)) = bounds(compare.column, batch) else { return ANY };
            let (least, greatest) = (least.value() as i64, greatest.value() as i64);
            let first = list.sorted.partition_point(|constant| *constant < least);
            let within = list.sorted.get(first).is_some_and(|constant| *constant <= greatest);
            return Possible { holds: within, fails: !(within && least == greatest), null };
        }
        if !compare.has_bounds || compare.is_native {
            return ANY;
        }
        if let Some((least, greatest)) = bounds(compare.column, batch) {
            let first = list.ordered.partition_point(|constant| compare.order.compare(*constant, least) == Ordering::Less);
            let rest = &list.ordered[first..];
            let within = rest.first().is_some_and(|constant| compare.order.compare(*constant, greatest) != Ordering::Greater);
            let is_one = within && compare.order.compare(least, greatest) == Ordering::Equal;
            let holds = within
                && rest
                    .iter()
                    .take_while(|constant| compare.order.compare(**constant, greatest) != Ordering::Greater)
                    .any(|constant| may_contain(compare, *constant, batch));
            return Possible { holds, fails: !is_one, null };
        }
        let holds = list.ordered.iter().any(|constant| may_contain(compare, *constant, batch));
        Possible { holds, fails: true, null }
    }
}
