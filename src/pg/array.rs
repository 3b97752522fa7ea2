//! One-dimensional arrays of the extension's own catalog tables.

use std::ffi::{c_char, c_int};

use pgrx::pg_sys;

use super::ffi;
use super::relation::name_string;
use super::table::name_datum;

/// The names in a `name[]`; NULL elements are left out.
///
/// # Safety
/// `array` is a `name[]` Datum.
pub unsafe fn names(array: pg_sys::Datum) -> Vec<String> {
    // SAFETY: the elements are NameData structures; the arrays are palloc'd for the caller.
    unsafe {
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let array = ffi::pg_detoast_datum(array.cast_mut_ptr()).cast();
        ffi::deconstruct_array(
            array,
            pg_sys::NAMEOID,
            pg_sys::NAMEDATALEN as c_int,
            false,
            b'c' as c_char,
            &mut elements,
            &mut nulls,
            &mut count,
        );
        let elements = std::slice::from_raw_parts(elements.cast_const(), count as usize);
        let nulls = std::slice::from_raw_parts(nulls.cast_const(), count as usize);
        let present = elements.iter().zip(nulls).filter(|(_, null)| !**null);
        present.map(|(element, _)| name_string(&*element.cast_mut_ptr::<pg_sys::NameData>())).collect()
    }
}

/// The type of an array's elements, and the elements; None for NULL.
///
/// # Safety
/// `array` is an array Datum; the elements live as long as it, or in the current memory context.
pub unsafe fn values(array: pg_sys::Datum) -> (pg_sys::Oid, Vec<Option<pg_sys::Datum>>) {
    // SAFETY: the caller's promise; the arrays are palloc'd for the caller.
    unsafe {
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let (mut length, mut by_value, mut align) = (0, false, 0);
        let array: *mut pg_sys::ArrayType = ffi::pg_detoast_datum(array.cast_mut_ptr()).cast();
        let element_type = (*array).elemtype;
        ffi::get_typlenbyvalalign(element_type, &mut length, &mut by_value, &mut align);
        ffi::deconstruct_array(array, element_type, length.into(), by_value, align, &mut elements, &mut nulls, &mut count);
        let elements = std::slice::from_raw_parts(elements.cast_const(), count as usize);
        let nulls = std::slice::from_raw_parts(nulls.cast_const(), count as usize);
        (element_type, elements.iter().zip(nulls).map(|(element, null)| (!*null).then_some(*element)).collect())
    }
}

/// The elements of an array; NULL elements are left out. `length`, `by_value` and `align` are those of the element's type.
///
/// # Safety
/// `array` is an array Datum of that type; the elements live as long as it, or in the current memory context.
pub unsafe fn elements(array: pg_sys::Datum, length: i16, by_value: bool, align: u8) -> Vec<pg_sys::Datum> {
    // SAFETY: the caller's promise; the arrays are palloc'd for the caller.
    unsafe {
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let array: *mut pg_sys::ArrayType = ffi::pg_detoast_datum(array.cast_mut_ptr()).cast();
        let element_type = (*array).elemtype;
        ffi::deconstruct_array(array, element_type, length.into(), by_value, align as c_char, &mut elements, &mut nulls, &mut count);
        let elements = std::slice::from_raw_parts(elements.cast_const(), count as usize);
        let nulls = std::slice::from_raw_parts(nulls.cast_const(), count as usize);
        elements.iter().zip(nulls).filter(|(_, null)| !**null).map(|(element, _)| *element).collect()
    }
}

/// A `name[]` in the current memory context.
pub fn from_names(names: &[String]) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = names.iter().filter_map(|name| name_datum(name)).collect();
    // SAFETY: the elements are NameData structures, which are copied.
    unsafe {
        pg_sys::Datum::from(ffi::construct_array(
            elements.as_mut_ptr(),
            elements.len() as c_int,
            pg_sys::NAMEOID,
            pg_sys::NAMEDATALEN as c_int,
            false,
            b'c' as c_char,
        ))
    }
}
