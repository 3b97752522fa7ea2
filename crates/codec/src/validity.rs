//! Which rows of a vector have a value.
//!
//! Bytes: 0: all. 1: none. 2: a bit for each row. 3: the number of runs, then their lengths, of rows with and without values in turn.

use std::ops::Range;

use crate::wire::{Reader, put_varint, varint_len};
use crate::{Corrupt, VECTOR_ROWS, Vector};

/// Appends the validity of rows `first .. first + rows`, of which `is_valid` tells.
pub(crate) fn write(rows: usize, is_valid: impl Fn(usize) -> bool, out: &mut Vec<u8>) {
    let mut bitmap = vec![0_u8; rows.div_ceil(8)];
    let mut runs = Vec::new();
    let (mut start, mut current) = (0, true);
    for row in 0..rows {
        let valid = is_valid(row);
        bitmap[row / 8] |= u8::from(valid) << (row % 8);
        if valid != current {
            runs.push((row - start) as u64);
            (start, current) = (row, valid);
        }
    }
    runs.push((rows - start) as u64);
    match runs[..] {
        [_] => out.push(0),
        [0, _] => out.push(1),
        _ if varint_len(runs.len() as u64) + runs.iter().map(|&run| varint_len(run)).sum::<usize>() < bitmap.len() => {
            out.push(3);
            put_varint(runs.len() as u64, out);
            runs.into_iter().for_each(|run| put_varint(run, out));
        }
        _ => {
            out.push(2);
            out.extend_from_slice(&bitmap);
        }
    }
}

/// Reads the validity of `out.rows` rows into `out`; returns how many are valid.
pub(crate) fn read(reader: &mut Reader, out: &mut Vector) -> Result<usize, Corrupt> {
    let rows = out.rows;
    match reader.byte()? {
        0 => {
            set_all(out);
            return Ok(rows);
        }
        1 => set_none(out),
        2 => {
            let bytes = reader.take(rows.div_ceil(8))?;
            out.validity = [0; VECTOR_ROWS / 64];
            for (word, bytes) in out.validity.iter_mut().zip(bytes.chunks(8)) {
                let mut whole = [0; 8];
                whole[..bytes.len()].copy_from_slice(bytes);
                *word = u64::from_le_bytes(whole);
            }
            if !rows.is_multiple_of(64) {
                out.validity[rows / 64] &= u64::MAX >> (64 - rows % 64);
            }
        }
        3 => read_runs(reader, out)?,
        _ => return Err(Corrupt("form of validity")),
    }
    let valid = out.validity.iter().map(|word| word.count_ones() as usize).sum();
    out.all_valid = valid == rows;
    Ok(valid)
}

fn read_runs(reader: &mut Reader, out: &mut Vector) -> Result<(), Corrupt> {
    out.validity = [0; VECTOR_ROWS / 64];
    let (mut row, mut valid) = (0, true);
    for _ in 0..reader.at_most(out.rows + 1)? {
        let end = row + reader.at_most(out.rows - row)?;
        if valid {
            (row..end).for_each(|row| out.validity[row / 64] |= 1 << (row % 64));
        }
        row = end;
        valid = !valid;
    }
    if row == out.rows { Ok(()) } else { Err(Corrupt("runs of validity")) }
}

/// Makes all rows valid.
pub(crate) fn set_all(out: &mut Vector) {
    out.all_valid = true;
    for (at, word) in out.validity.iter_mut().enumerate() {
        let rows = out.rows.saturating_sub(at * 64);
        *word = if rows >= 64 { u64::MAX } else { (1 << rows) - 1 };
    }
}

/// Makes all rows null.
pub(crate) fn set_none(out: &mut Vector) {
    out.all_valid = out.rows == 0;
    out.validity = [0; VECTOR_ROWS / 64];
}

/// Which of the values of a vector, whose validity was read into `out`, are those of some rows.
pub(crate) fn values_of(out: &Vector, rows: Range<usize>) -> Range<usize> {
    let end = rows.end.min(out.rows);
    let start = rows.start.min(end);
    if out.all_valid {
        return start..end;
    }
    let before = |row: usize| {
        let whole: u32 = out.validity[..row / 64].iter().map(|word| word.count_ones()).sum();
        let part = out.validity.get(row / 64).map_or(0, |word| (word & ((1 << (row % 64)) - 1)).count_ones());
        (whole + part) as usize
    };
    before(start)..before(end)
}

/// Moves the values from the front of `words` to the rows that are valid; null rows get 0.
pub(crate) fn spread(out: &mut Vector, values: usize) {
    if out.all_valid {
        return;
    }
    let mut value = values;
    for row in (0..out.rows).rev() {
        let valid = out.validity[row / 64] >> (row % 64) & 1;
        value = value.saturating_sub(valid as usize);
        out.words[row] = out.words[value.min(VECTOR_ROWS - 1)] & -(valid as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(bits: &[bool]) -> usize {
        let mut bytes = Vec::new();
        write(bits.len(), |row| bits[row], &mut bytes);
        let mut vector = Vector { rows: bits.len(), ..Vector::default() };
        let valid = read(&mut Reader::new(&bytes), &mut vector).unwrap();
        assert_eq!(valid, bits.iter().filter(|bit| **bit).count());
        assert_eq!(vector.all_valid, valid == bits.len());
        (0..1024).for_each(|row| assert_eq!(vector.is_valid(row), row < bits.len() && bits[row]));
        (0..valid).for_each(|value| vector.words[value] = value as i64 + 1);
        spread(&mut vector, valid);
        let mut next = 0;
        for (row, &valid) in bits.iter().enumerate() {
            next += i64::from(valid);
            assert_eq!(vector.words[row], if valid { next } else { 0 });
        }
        bytes.len()
    }

    #[test]
    fn each_form_comes_back() {
        for rows in [1, 63, 64, 65, 1000, 1024] {
            assert_eq!(round_trip(&vec![true; rows]), 1);
            assert_eq!(round_trip(&vec![false; rows]), 1);
            assert!(round_trip(&(0..rows).map(|row| row * 7919 % 3 > 0).collect::<Vec<_>>()) <= 1 + rows.div_ceil(8));
            assert!(round_trip(&(0..rows).map(|row| row > rows / 2).collect::<Vec<_>>()) <= 7);
            assert!(round_trip(&(0..rows).map(|row| row <= rows / 2).collect::<Vec<_>>()) <= 7);
        }
    }

    #[test]
    fn runs_that_do_not_fit_are_refused() {
        let mut vector = Vector { rows: 10, ..Vector::default() };
        for bytes in [&[3, 1, 9][..], &[3, 2, 5, 6], &[3, 0], &[3, 1, 11], &[2, 0], &[4], &[]] {
            assert!(read(&mut Reader::new(bytes), &mut vector).is_err());
        }
    }
}
