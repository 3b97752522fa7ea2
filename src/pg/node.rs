//! Making nodes: `makeNode` and its friends.

use std::ffi::c_char;

use pgrx::pg_sys;

use super::ffi;

/// A zeroed node with its tag set, in the current memory context (`makeNode`).
pub fn make_node<T>(tag: pg_sys::NodeTag) -> *mut T {
    // SAFETY: every node starts with its tag; palloc0 gives aligned, zeroed memory.
    unsafe {
        let node = ffi::palloc0(size_of::<T>());
        node.cast::<pg_sys::Node>().write(pg_sys::Node { type_: tag });
        node.cast()
    }
}

/// A `String` node that holds a copy of `text`.
pub fn make_string(text: &str) -> *mut pg_sys::String {
    // SAFETY: makeString keeps the pointer, which is a palloc'd copy.
    unsafe { ffi::makeString(palloc_str(text)) }
}

/// A NUL-terminated copy of `text` in the current memory context.
pub fn palloc_str(text: &str) -> *mut c_char {
    // SAFETY: pnstrdup reads at most `len` bytes.
    unsafe { ffi::pnstrdup(text.as_ptr().cast(), text.len()) }
}

/// A `Const` of a type that is passed by value, or of a palloc'd Datum.
///
/// # Safety
/// `value` is a Datum of `type_oid`.
pub unsafe fn make_const(type_oid: pg_sys::Oid, value: pg_sys::Datum) -> *mut pg_sys::Const {
    let (mut length, mut by_value) = (0i16, false);
    // SAFETY: get_typlenbyval fills both, or raises an error for a type that does not exist.
    unsafe {
        ffi::get_typlenbyval(type_oid, &mut length, &mut by_value);
        ffi::makeConst(type_oid, -1, pg_sys::InvalidOid, length.into(), value, false, by_value)
    }
}

/// The tag of a node; `T_Invalid` for NULL.
///
/// # Safety
/// `node` is NULL or points to a node.
#[inline]
pub unsafe fn tag<T>(node: *const T) -> pg_sys::NodeTag {
    if node.is_null() {
        return pg_sys::NodeTag::T_Invalid;
    }
    // SAFETY: every node starts with its tag.
    unsafe { (*node.cast::<pg_sys::Node>()).type_ }
}

/// Makes a `RangeVar` from a schema and a name.
pub fn make_range_var(schema: &str, name: &str) -> *mut pg_sys::RangeVar {
    // SAFETY: makeRangeVar keeps the pointers, which are palloc'd copies.
    unsafe { ffi::makeRangeVar(palloc_str(schema), palloc_str(name), -1) }
}

/// The object address of a relation, constraint or type.
pub fn object_address(class: pg_sys::Oid, object: pg_sys::Oid) -> pg_sys::ObjectAddress {
    pg_sys::ObjectAddress { classId: class, objectId: object, objectSubId: 0 }
}
