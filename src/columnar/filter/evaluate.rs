//! Conditions on decoded vectors.

use pgrx::pg_sys;
use tsc_kernel::select;

use super::{Compare, Condition, List, Predicate, Truth, WORDS, fill};
use crate::columnar::order::Order;
use crate::columnar::reader::BatchReader;
use crate::pg::ffi::raw;

/// For each wanted row of a vector whether a condition is true, and whether it is false; neither if it is NULL.
#[derive(Clone, Copy)]
pub struct Bits {
    /// True.
    pub holds: [u64; WORDS],
    fails: [u64; WORDS],
}

/// What is being evaluated on.
pub struct Scope {
    /// For PostgreSQL's expressions.
    pub econtext: *mut pg_sys::ExprContext,
    /// A virtual slot with the chunk's columns.
    pub slot: *mut pg_sys::TupleTableSlot,
    /// The vector.
    pub vector: usize,
    /// Its rows.
    pub rows: usize,
    /// The rows whose results matter; PostgreSQL's expressions are not evaluated on others.
    pub wanted: [u64; WORDS],
}

impl Scope {
    /// The same for fewer rows.
    fn without(&self, others: &[u64; WORDS]) -> Self {
        let mut wanted = self.wanted;
        for (wanted, other) in wanted.iter_mut().zip(others) {
            *wanted &= !other;
        }
        Self { wanted, ..*self }
    }
}

const NONE: Bits = Bits { holds: [0; WORDS], fails: [0; WORDS] };

/// # Safety
/// A prepared condition and an open batch of its chunk. May jump.
pub unsafe fn condition(condition: &mut Condition, batch: &mut BatchReader, scope: &Scope) -> Bits {
    // SAFETY: the caller's promise.
    unsafe {
        match condition {
            Condition::And(parts) => {
                let mut all = NONE;
                fill(&mut all.holds, scope.rows);
                for part in parts {
                    let bits = self::condition(part, batch, &scope.without(&all.fails));
                    for index in 0..WORDS {
                        all.holds[index] &= bits.holds[index];
                        all.fails[index] |= bits.fails[index];
                    }
                }
                all
            }
            Condition::Or(parts) => {
                let mut any = NONE;
                fill(&mut any.fails, scope.rows);
                for part in parts {
                    let bits = self::condition(part, batch, &scope.without(&any.holds));
                    for index in 0..WORDS {
                        any.holds[index] |= bits.holds[index];
                        any.fails[index] &= bits.fails[index];
                    }
                }
                any
            }
            Condition::Not(part) => {
                let bits = self::condition(part, batch, scope);
                Bits { holds: bits.fails, fails: bits.holds }
            }
            Condition::Compare(compare) => self::compare(compare, batch, scope),
            Condition::In { compare, list } => membership(compare, list, batch, scope),
            Condition::IsNull { column, negated } => {
                let vector = batch.vector(*column, scope.vector);
                let mut bits = Bits { holds: [0; WORDS], fails: vector.validity };
                fill(&mut bits.holds, scope.rows);
                for (holds, valid) in bits.holds.iter_mut().zip(&vector.validity) {
                    *holds &= !valid;
                }
                if *negated { Bits { holds: bits.fails, fails: bits.holds } } else { bits }
            }
            Condition::IsTrue { column } => {
                let vector = batch.vector(*column, scope.vector);
                let mut holds = [0; WORDS];
                select::compare_integers(&vector.words[..scope.rows], select::Comparison::NotEqual, 0, &mut holds);
                valid(holds, &vector.validity)
            }
            Condition::Predicate(predicate) => self::predicate(predicate, batch, scope),
        }
    }
}

/// Results for rows that are not NULL.
fn valid(mut holds: [u64; WORDS], validity: &[u64; WORDS]) -> Bits {
    let mut fails = [0; WORDS];
    for index in 0..WORDS {
        fails[index] = !holds[index] & validity[index];
        holds[index] &= validity[index];
    }
    Bits { holds, fails }
}

/// # Safety
/// As [`condition`].
unsafe fn compare(compare: &mut Compare, batch: &mut BatchReader, scope: &Scope) -> Bits {
    // A comparison with NULL is NULL: btree operators are strict.
    let Some(constant) = compare.constant.value else { return NONE };
    // SAFETY: the caller's promise.
    unsafe {
        if !compare.is_native {
            return predicate(&mut compare.predicate, batch, scope);
        }
        let vector = batch.vector(compare.column, scope.vector);
        let words = &vector.words[..scope.rows];
        let mut holds = [0; WORDS];
        match compare.order {
            Order::Float8 => select::compare_doubles(words, compare.comparison, compare.float(constant), &mut holds),
            Order::Float4 => select::compare_floats(words, compare.comparison, compare.float(constant), &mut holds),
            _ => select::compare_integers(words, compare.comparison, constant.value() as i64, &mut holds),
        }
        valid(holds, &vector.validity)
    }
}

impl Compare {
    /// The constant of a comparison of floats.
    pub fn float(&self, constant: pg_sys::Datum) -> f64 {
        if self.constant.type_oid == pg_sys::FLOAT4OID {
            f32::from_bits(constant.value() as u32).into()
        } else {
            f64::from_bits(constant.value() as u64)
        }
    }
}

/// # Safety
/// As [`condition`].
unsafe fn membership(compare: &mut Compare, list: &List, batch: &mut BatchReader, scope: &Scope) -> Bits {
    // SAFETY: the caller's promise.
    unsafe {
        if !(compare.is_native && matches!(compare.order, Order::Signed)) {
            return predicate(&mut compare.predicate, batch, scope);
        }
        if compare.constant.value.is_none() {
            return NONE;
        }
        let vector = batch.vector(compare.column, scope.vector);
        let mut holds = [0; WORDS];
        select::integers_in(&vector.words[..scope.rows], &list.sorted, &mut holds);
        let mut bits = valid(holds, &vector.validity);
        if list.has_null {
            bits.fails = [0; WORDS];
        } else if list.sorted.is_empty() {
            // Nothing is in an empty list, not even NULL.
            fill(&mut bits.fails, scope.rows);
        }
        bits
    }
}

impl Predicate {
    /// Forgets results that hold for other parameters.
    pub fn forget(&mut self) {
        self.of_null = None;
        self.batch = 0;
    }

    /// The result for NULL.
    ///
    /// # Safety
    /// As [`Self::evaluate`].
    unsafe fn of_no_value(&mut self, scope: &Scope, attribute: usize) -> Truth {
        // SAFETY: the caller's promise.
        let truth = self.of_null.unwrap_or_else(|| unsafe { self.evaluate(scope, attribute, None) });
        self.of_null = Some(truth);
        truth
    }

    /// The result for one of the batch's distinct values.
    ///
    /// # Safety
    /// As [`Self::evaluate`].
    unsafe fn of_code(&mut self, scope: &Scope, attribute: usize, values: &[pg_sys::Datum], code: usize) -> Truth {
        let Some(value) = values.get(code) else { return Truth::Null };
        // SAFETY: the caller's promise.
        let truth = self.distinct[code].unwrap_or_else(|| unsafe { self.evaluate(scope, attribute, Some(*value)) });
        self.distinct[code] = Some(truth);
        truth
    }

    /// # Safety
    /// The column of the slot is of the predicate's. May jump.
    unsafe fn evaluate(&self, scope: &Scope, attribute: usize, value: Option<pg_sys::Datum>) -> Truth {
        // SAFETY: a virtual slot with an element for each column; only this predicate's column is read.
        unsafe {
            let slot = scope.slot;
            crate::pg::slot::clear(slot);
            *(*slot).tts_isnull.add(attribute) = value.is_none();
            *(*slot).tts_values.add(attribute) = value.unwrap_or(pg_sys::Datum::null());
            raw::ExecStoreVirtualTuple(slot);
            let econtext = scope.econtext;
            (*econtext).ecxt_scantuple = slot;
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
            let mut is_null = false;
            let result = (*self.state).evalfunc.map_or(pg_sys::Datum::null(), |evaluate| evaluate(self.state, econtext, &mut is_null));
            pg_sys::CurrentMemoryContext = outer;
            match (is_null, result.value() as u8 != 0) {
                (true, _) => Truth::Null,
                (false, true) => Truth::True,
                (false, false) => Truth::False,
            }
        }
    }
}

/// # Safety
/// As [`condition`].
unsafe fn predicate(predicate: &mut Predicate, batch: &mut BatchReader, scope: &Scope) -> Bits {
    let attribute = batch.layout().columns[predicate.column].attribute as usize - 1;
    let mut bits = NONE;
    // SAFETY: the caller's promise.
    unsafe {
        // What the last vector left behind.
        raw::MemoryContextReset((*scope.econtext).ecxt_per_tuple_memory);
        let serial = batch.serial();
        // The reader leaves the values where they are until the next batch.
        let distinct = batch.dictionary(predicate.column).map(std::ptr::from_ref);
        if let Some(distinct) = distinct
            && predicate.batch != serial
        {
            predicate.distinct.clear();
            predicate.distinct.resize((&*distinct).len(), None);
            predicate.batch = serial;
        }
        let vector = match distinct {
            Some(_) => batch.codes(predicate.column, scope.vector),
            None => batch.vector(predicate.column, scope.vector),
        };
        let mut last: Option<(i64, Truth)> = None;
        for row in (0..scope.rows).filter(|row| scope.wanted[row / 64] >> (row % 64) & 1 == 1) {
            let truth = if vector.is_valid(row) {
                let word = vector.words[row];
                let truth = match (last, distinct) {
                    // Equal words are equal values, or the same one.
                    (Some((seen, truth)), _) if seen == word => truth,
                    (_, Some(distinct)) => predicate.of_code(scope, attribute, &*distinct, word as usize),
                    (_, None) => predicate.evaluate(scope, attribute, Some(pg_sys::Datum::from(word))),
                };
                last = Some((word, truth));
                truth
            } else {
                predicate.of_no_value(scope, attribute)
            };
            match truth {
                Truth::True => bits.holds[row / 64] |= 1 << (row % 64),
                Truth::False => bits.fails[row / 64] |= 1 << (row % 64),
                Truth::Null => {}
            }
        }
    }
    bits
}
