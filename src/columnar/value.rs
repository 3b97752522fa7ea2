//! Values between PostgreSQL and the codec.

use pgrx::pg_sys;
use tsc_codec::Column as Data;

use super::image::Image;
use super::layout::Column;
use crate::pg::ffi::raw;

/// A pass-by-value Datum as it comes out of a row. Functions may leave other bits beyond the value's length (`hashtext()` does, for one),
/// which words must not have: they are compared as a whole.
#[inline]
pub fn canonical(value: pg_sys::Datum, length: i16) -> pg_sys::Datum {
    match length {
        1 => pg_sys::Datum::from(value.value() as i8),
        2 => pg_sys::Datum::from(value.value() as i16),
        4 => pg_sys::Datum::from(value.value() as i32),
        _ => value,
    }
}

/// The bytes that a value is to the codec.
///
/// # Safety
/// `value` is of the type that the image is of, by reference. May jump; the bytes live in the value or in the current memory context.
pub unsafe fn bytes<'a>(image: Image, value: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe {
        match image {
            Image::Word => &[],
            Image::Fixed(length) => std::slice::from_raw_parts(value.cast_mut_ptr::<u8>(), length.into()),
            Image::Varlena => {
                let mut plain = value.cast_mut_ptr::<pg_sys::varlena>();
                if pgrx::varatt_is_1b_e(plain) || pgrx::varatt_is_4b_c(plain) {
                    plain = raw::pg_detoast_datum_packed(plain);
                }
                std::slice::from_raw_parts(pgrx::vardata_any(plain).cast(), pgrx::varsize_any_exhdr(plain))
            }
            Image::Text { output, .. } => {
                image.under_settings(|| std::ffi::CStr::from_ptr(raw::OidOutputFunctionCall(output, value)).to_bytes())
            }
        }
    }
}

/// Adds a value to a column.
///
/// # Safety
/// `value` is of the type that the image is of. May jump; scraps are palloc'd in the current memory context.
#[inline]
pub unsafe fn push(image: Image, data: &mut Data, value: pg_sys::Datum) {
    match image {
        Image::Word => data.push_word(value.value() as i64),
        // SAFETY: the caller's promise.
        _ => data.push_bytes(unsafe { bytes(image, value) }),
    }
}

/// Appends the image of a value, with its length if that varies: equal bytes, equal values.
///
/// # Safety
/// As [`push`].
pub unsafe fn append_image(image: Image, value: pg_sys::Datum, to: &mut Vec<u8>) {
    if image == Image::Word {
        to.extend_from_slice(&value.value().to_ne_bytes());
        return;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(image, value) };
    to.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
    to.extend_from_slice(bytes);
}

/// True if a value, or NULL, has the same image as that of the last row of a column.
///
/// # Safety
/// As [`push`].
pub unsafe fn equals_last(image: Image, data: &Data, value: Option<pg_sys::Datum>) -> bool {
    let Some(row) = data.rows.checked_sub(1) else { return false };
    let is_valid = data.is_valid(row);
    match value {
        None => !is_valid,
        Some(_) if !is_valid => false,
        Some(value) if image == Image::Word => data.words.last() == Some(&(value.value() as i64)),
        // SAFETY: the caller's promise.
        Some(value) => data.bytes(data.ends.len() - 1) == unsafe { bytes(image, value) },
    }
}

/// True if two values of a column, counted without nulls, have the same image.
pub fn same(data: &Data, one: usize, other: usize) -> bool {
    if data.ends.is_empty() { data.words[one] == data.words[other] } else { data.bytes(one) == data.bytes(other) }
}

/// The length of a value in bytes.
pub fn length(data: &Data, value: usize) -> usize {
    if data.ends.is_empty() { size_of::<i64>() } else { data.bytes(value).len() }
}

/// A value of a column, counted without nulls, as a Datum: palloc'd in the current memory context if it is by reference.
///
/// # Safety
/// May jump.
pub unsafe fn datum(column: &Column, data: &Data, value: usize) -> pg_sys::Datum {
    match column.image {
        Image::Word => pg_sys::Datum::from(data.words[value]),
        // SAFETY: the bytes were made from a value of the column's type.
        _ => unsafe { datum_of_bytes(column, data.bytes(value)) },
    }
}

/// A value of a column by its image.
///
/// # Safety
/// As [`datum`]; the bytes are the image of a value of the column's type, which is no word.
pub unsafe fn datum_of_bytes(column: &Column, bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: the caller's promise.
    unsafe {
        match column.image {
            Image::Word => pg_sys::Datum::null(),
            Image::Fixed(_) => {
                let copy = raw::palloc(bytes.len()).cast::<u8>();
                copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                pg_sys::Datum::from(copy)
            }
            Image::Varlena => varlena(bytes),
            Image::Text { input, parameter, .. } => {
                let text = raw::palloc(bytes.len() + 1).cast::<u8>();
                text.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                *text.add(bytes.len()) = 0;
                column.image.under_settings(|| raw::OidInputFunctionCall(input, text.cast(), parameter, column.typmod))
            }
        }
    }
}

/// A varlena with these bytes in the current memory context.
///
/// # Safety
/// May jump.
pub unsafe fn varlena(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc'd memory of that size.
    unsafe {
        let copy = raw::palloc(bytes.len() + 4).cast::<u8>();
        copy.cast::<u32>().write(((bytes.len() + 4) as u32) << 2);
        copy.add(4).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        pg_sys::Datum::from(copy)
    }
}

/// Moves the first rows of a column to another one.
pub fn split(from: &mut Data, rows: usize, to: &mut Data) {
    to.clear();
    if from.validity.is_empty() {
        split_valid(from, rows, to);
        return;
    }
    let mut rest = Data::default();
    let mut value = 0;
    for row in 0..from.rows {
        let target = if row < rows { &mut *to } else { &mut rest };
        if !from.is_valid(row) {
            target.push_null();
            continue;
        }
        if from.ends.is_empty() {
            target.push_word(from.words[value]);
        } else {
            target.push_bytes(from.bytes(value));
        }
        value += 1;
    }
    *from = rest;
}

/// The same of a column without nulls.
fn split_valid(from: &mut Data, rows: usize, to: &mut Data) {
    if from.ends.is_empty() {
        to.words.extend(from.words.drain(..rows));
    } else if let Some(end) = rows.checked_sub(1).map(|last| from.ends[last]) {
        to.ends.extend(from.ends.drain(..rows));
        to.data.extend(from.data.drain(..end as usize));
        from.ends.iter_mut().for_each(|other| *other -= end);
    }
    to.rows = rows;
    from.rows -= rows;
}
