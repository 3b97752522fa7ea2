//! A vector of integers: the smallest of a few forms, each made of packed integers.
//!
//! Bytes: the form, then what it needs (see [`Form`]). All arithmetic wraps.

use std::ops::Range;

use crate::huffman::{self, Code};
use crate::packed::{self, Packing};
use crate::wire::{Reader, bit_width, put_signed, put_varint, signed_len, varint_len};
use crate::{Corrupt, VECTOR_ROWS};

/// Runs must be this long on average before their cost is computed.
const LEAST_RUN: usize = 3;

/// How a vector is written; the first byte is the number here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// 0, 1 or 2.
    Flat(Flat, Packing),
    /// 3: the number of runs - 1, then their values in a flat form, then their packed lengths.
    Runs(Flat, Packing, Packing),
    /// 4: the values, as symbols of the block's code.
    Coded,
    /// 5: the first value, then the differences as symbols of the block's code.
    CodedDelta,
}

/// A form that has no other in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flat {
    /// 0: the values, packed.
    Plain,
    /// 1: the first value, then the packed differences.
    Delta,
    /// 2: the first value, the first difference, then the packed differences of differences.
    DeltaDelta,
}

/// How to write a vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) form: Form,
    /// Bytes that [`write()`] will append.
    pub(crate) cost: usize,
}

/// The differences of neighbours.
pub(crate) fn deltas(values: &[i64]) -> Vec<i64> {
    values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
}

/// The differences of neighbours in a vector.
fn differences<'a>(values: &[i64], room: &'a mut [i64; VECTOR_ROWS]) -> &'a [i64] {
    let count = values.len().saturating_sub(1);
    let differences = &mut room[..count];
    for (place, pair) in differences.iter_mut().zip(values.windows(2)) {
        *place = pair[1].wrapping_sub(pair[0]);
    }
    differences
}

/// The cheapest plan without a code for at most [`VECTOR_ROWS`] values.
pub(crate) fn plan(values: &[i64]) -> Plan {
    let (flat, packing, cost) = plan_flat(values);
    let flat = Plan { form: Form::Flat(flat, packing), cost };
    // As much as two runs take.
    if cost <= 12 {
        return flat;
    }
    let runs = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if runs * LEAST_RUN > values.len() {
        return flat;
    }
    let (run_values, lengths) = self::runs(values, runs);
    let lengths = Packing::choose(&lengths);
    let cost_of_lengths = 1 + varint_len(runs as u64 - 1) + lengths.cost;
    // No flat form takes less than three bytes.
    if cost_of_lengths + 3 >= cost {
        return flat;
    }
    let (run_form, run_packing, run_cost) = plan_flat(&run_values);
    let cost = cost_of_lengths + run_cost;
    if cost < flat.cost { Plan { form: Form::Runs(run_form, run_packing, lengths), cost } } else { flat }
}

/// The cheapest flat form, and what it takes.
fn plan_flat(values: &[i64]) -> (Flat, Packing, usize) {
    let plain = Packing::choose(values);
    let mut best = (Flat::Plain, plain, 1 + plain.cost);
    if plain.cost <= 12 || values.len() < 3 {
        return best;
    }
    let mut room = [0; VECTOR_ROWS];
    let deltas = differences(values, &mut room);
    let delta = Packing::choose(deltas);
    let cost = 1 + signed_len(values[0]) + delta.cost;
    if cost < best.2 {
        best = (Flat::Delta, delta, cost);
    }
    if delta.cost > 16 && second_differences_are_smaller(deltas) {
        let mut room = [0; VECTOR_ROWS];
        let second = Packing::choose(differences(deltas, &mut room));
        let cost = 1 + signed_len(values[0]) + signed_len(deltas[0]) + second.cost;
        if cost < best.2 {
            best = (Flat::DeltaDelta, second, cost);
        }
    }
    best
}

/// Guesses from a sample whether it is worth to look at the differences of these differences.
fn second_differences_are_smaller(deltas: &[i64]) -> bool {
    const SAMPLES: usize = 64;
    let step = deltas.len().div_ceil(SAMPLES).max(1);
    let mut sample = [0; SAMPLES];
    let mut samples = 0;
    let pairs = || deltas.windows(2).step_by(step);
    for (place, pair) in sample.iter_mut().zip(pairs()) {
        *place = pair[0];
        samples += 1;
    }
    if samples == 0 {
        return false;
    }
    let (_, &mut centre, _) = sample[..samples].select_nth_unstable(samples / 2);
    let width = |value: i64| bit_width(value.unsigned_abs());
    let around: u32 = pairs().map(|pair| width(pair[0].wrapping_sub(centre))).sum();
    let second: u32 = pairs().map(|pair| width(pair[1].wrapping_sub(pair[0]))).sum();
    second < around
}

/// The value and the length of each run.
fn runs(values: &[i64], expected: usize) -> (Vec<i64>, Vec<i64>) {
    let (mut run_values, mut lengths) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
    for run in values.chunk_by(|a, b| a == b) {
        run_values.push(run[0]);
        lengths.push(run.len() as i64);
    }
    (run_values, lengths)
}

/// Appends a vector as planned for it.
pub(crate) fn write(values: &[i64], form: &Form, code: Option<&Code>, out: &mut Vec<u8>) {
    match form {
        Form::Flat(flat, packing) => write_flat(values, *flat, packing, out),
        Form::Runs(flat, packing, length_packing) => {
            out.push(3);
            let (values, lengths) = runs(values, VECTOR_ROWS / LEAST_RUN);
            put_varint(values.len() as u64 - 1, out);
            write_flat(&values, *flat, packing, out);
            length_packing.write(&lengths, out);
        }
        Form::Coded => {
            out.push(4);
            huffman::write(values, code, out);
        }
        Form::CodedDelta => {
            out.push(5);
            put_signed(values[0], out);
            huffman::write(differences(values, &mut [0; VECTOR_ROWS]), code, out);
        }
    }
}

fn write_flat(values: &[i64], flat: Flat, packing: &Packing, out: &mut Vec<u8>) {
    out.push(flat as u8);
    match flat {
        Flat::Plain => packing.write(values, out),
        Flat::Delta => {
            put_signed(values[0], out);
            packing.write(differences(values, &mut [0; VECTOR_ROWS]), out);
        }
        Flat::DeltaDelta => {
            let mut room = [0; VECTOR_ROWS];
            let deltas = differences(values, &mut room);
            put_signed(values[0], out);
            put_signed(deltas[0], out);
            packing.write(differences(deltas, &mut [0; VECTOR_ROWS]), out);
        }
    }
}

/// Plans and appends any number of values, in vectors.
pub(crate) fn write_all(values: &[i64], out: &mut Vec<u8>) {
    for values in values.chunks(VECTOR_ROWS) {
        write(values, &plan(values).form, None, out);
    }
}

/// Reads what [`write_all`] wrote.
pub(crate) fn read_all(reader: &mut Reader, count: usize) -> Result<Vec<i64>, Corrupt> {
    let mut all = Vec::new();
    let mut out = [0; VECTOR_ROWS];
    let mut left = count;
    while left > 0 {
        let count = left.min(VECTOR_ROWS);
        read(reader, count, None, &mut out)?;
        all.extend_from_slice(&out[..count]);
        left -= count;
    }
    Ok(all)
}

/// Reads a vector of `count` values to the front of `out`; what follows them there is overwritten.
pub(crate) fn read(reader: &mut Reader, count: usize, code: Option<&[u8]>, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    read_part(reader, count, 0..count, code, out)
}

/// As [`read`], but only those of the `count` values that are `wanted` are sure to be there.
pub(crate) fn read_part(
    reader: &mut Reader,
    count: usize,
    wanted: Range<usize>,
    code: Option<&[u8]>,
    out: &mut [i64; VECTOR_ROWS],
) -> Result<(), Corrupt> {
    if count == 0 {
        return Ok(());
    }
    match reader.byte()? {
        3 => read_runs(reader, count, out),
        4 => huffman::read(reader, count, wanted, code, out),
        5 => {
            let first = reader.signed()?;
            // A value is the sum of all differences before it.
            let end = wanted.end.min(count);
            huffman::read(reader, count - 1, 0..end.min(count - 1), code, out)?;
            sum(first, &mut out[..end]);
            Ok(())
        }
        flat => read_flat(flat, reader, count, wanted, out),
    }
}

/// Reads a flat form; not recursive, so that no bytes can use up the stack.
fn read_flat(form: u8, reader: &mut Reader, count: usize, wanted: Range<usize>, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    let end = wanted.end.min(count);
    match form {
        0 => packed::read_part(reader, count, wanted, out),
        1 => {
            let first = reader.signed()?;
            packed::read_part(reader, count - 1, 0..end.min(count - 1), out)?;
            sum(first, &mut out[..end]);
            Ok(())
        }
        2 => {
            let (first, delta) = (reader.signed()?, reader.signed()?);
            let second = count.saturating_sub(2);
            packed::read_part(reader, second, 0..end.min(second), out)?;
            sum_twice(first, delta, &mut out[..end]);
            Ok(())
        }
        _ => Err(Corrupt("form of integers")),
    }
}

/// Differences to values; the last of `out` holds no difference yet.
#[inline]
fn sum(first: i64, out: &mut [i64]) {
    let mut value = first;
    for place in out {
        value = value.wrapping_add(std::mem::replace(place, value));
    }
}

/// Differences of differences to values; the last two of `out` hold none yet.
#[inline]
fn sum_twice(first: i64, delta: i64, out: &mut [i64]) {
    let (mut value, mut delta) = (first, delta);
    for place in out {
        let second = std::mem::replace(place, value);
        value = value.wrapping_add(delta);
        delta = delta.wrapping_add(second);
    }
}

fn read_runs(reader: &mut Reader, count: usize, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    let runs = reader.at_most(count - 1)? + 1;
    let mut values = [0; VECTOR_ROWS];
    let mut lengths = [0; VECTOR_ROWS];
    let form = reader.byte()?;
    read_flat(form, reader, runs, 0..runs, &mut values)?;
    packed::read(reader, runs, &mut lengths)?;
    let mut rest = out.get_mut(..count).ok_or(Corrupt("too many values"))?;
    for (&value, &length) in values[..runs].iter().zip(&lengths) {
        let length = usize::try_from(length).map_err(|_| Corrupt("length of a run"))?;
        let (run, after) = std::mem::take(&mut rest).split_at_mut_checked(length).ok_or(Corrupt("length of a run"))?;
        run.fill(value);
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(Corrupt("length of runs")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> Plan {
        let plan = plan(values);
        let mut bytes = Vec::new();
        write(values, &plan.form, None, &mut bytes);
        assert_eq!(bytes.len(), plan.cost);
        let mut out = [7; VECTOR_ROWS];
        let mut reader = Reader::new(&bytes);
        read(&mut reader, values.len(), None, &mut out).unwrap();
        assert_eq!(&out[..values.len()], values);
        assert!(reader.rest().is_empty());
        plan
    }

    #[test]
    fn known_data_takes_the_known_form() {
        let values = |f: fn(i64) -> i64| (0..1024).map(f).collect::<Vec<_>>();
        assert!(matches!(round_trip(&values(|_| 7)).form, Form::Flat(Flat::Plain, _)));
        assert!(matches!(round_trip(&values(|n| n * 37 % 64)).form, Form::Flat(Flat::Plain, _)));
        assert!(matches!(round_trip(&values(|n| n * 1000 + n * 7919 % 16)).form, Form::Flat(Flat::Delta, _)));
        assert!(matches!(round_trip(&values(|n| n * n + n * 7919 % 3)).form, Form::Flat(Flat::DeltaDelta, _)));
        assert!(matches!(round_trip(&values(|n| n / 50 * 7919 % 1000)).form, Form::Runs(..)));
        assert_eq!(round_trip(&values(|n| n * 10)).cost, 1 + 1 + 2);
    }

    #[test]
    fn runs_must_add_up() {
        let mut out = [0; VECTOR_ROWS];
        for length in [9, 11, -1, i64::MIN] {
            let mut bytes = vec![3, 0, 0];
            Packing::choose(&[5]).write(&[5], &mut bytes);
            Packing::choose(&[length]).write(&[length], &mut bytes);
            assert!(read(&mut Reader::new(&bytes), 10, None, &mut out).is_err());
        }
    }

    proptest! {
        #[test]
        fn anything_comes_back(
            values in prop::collection::vec(prop_oneof![8 => -20_i64..20, 1 => any::<i64>()], 1..1024),
            step in any::<i64>(), sums in 0..3,
        ) {
            let mut values = values;
            for _ in 0..sums {
                let mut sum = 0_i64;
                for value in &mut values {
                    sum = sum.wrapping_add(*value).wrapping_add(step);
                    *value = sum;
                }
            }
            round_trip(&values);
        }

        #[test]
        fn runs_come_back(runs in prop::collection::vec((any::<i64>(), 1_usize..100), 1..10)) {
            let values: Vec<i64> = runs.into_iter().flat_map(|(value, length)| std::iter::repeat_n(value, length)).collect();
            round_trip(&values);
        }
    }
}
