//! What a type's values are to the codec.
//!
//! A batch outlives a dump and restore, in which OIDs change. So values that hold OIDs of user-made objects (enums, composite types,
//! arrays of user-made types, `regclass` and its like) are kept as the text that the type's output function gives, as in a dump;
//! all others by their binary image.

use pgrx::pg_sys;
use tsc_codec::Kind;

use super::type_parts;
use crate::pg::{ffi, text_settings};

/// How a column's values get into the codec and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The Datum is the value.
    Word,
    /// The Datum points to as many bytes.
    Fixed(u16),
    /// The Datum points to a varlena.
    Varlena,
    /// The value's text.
    Text {
        /// The type's input function.
        input: pg_sys::Oid,
        /// What the input function wants to be told of the type.
        parameter: pg_sys::Oid,
        /// The type's output function.
        output: pg_sys::Oid,
        /// Its text may depend on settings; a label does not.
        varies: bool,
    },
}

impl Image {
    /// Runs `f`, which makes texts of values or reads them, under the settings that texts in batches are made under.
    ///
    /// # Safety
    /// May jump; `f` returns nothing with a destructor.
    #[inline]
    pub unsafe fn under_settings<T>(self, f: impl FnOnce() -> T) -> T {
        // SAFETY: the caller's promise.
        if matches!(self, Self::Text { varies: true, .. }) { unsafe { text_settings::with(f) } } else { f() }
    }
}

/// Objects with smaller OIDs are PostgreSQL's own, and have the same OIDs everywhere (`FirstGenbkiObjectId` and up are not pinned,
/// but types below this are all in pg_type.dat).
const FIRST_USER_OID: u32 = 10_000;

/// Types whose values are OIDs of objects, and in a dump their names.
const NAMES_OF_OBJECTS: [pg_sys::Oid; 12] = [
    pg_sys::ACLITEMOID,
    pg_sys::REGCLASSOID,
    pg_sys::REGCOLLATIONOID,
    pg_sys::REGCONFIGOID,
    pg_sys::REGDICTIONARYOID,
    pg_sys::REGNAMESPACEOID,
    pg_sys::REGOPEROID,
    pg_sys::REGOPERATOROID,
    pg_sys::REGPROCOID,
    pg_sys::REGPROCEDUREOID,
    pg_sys::REGROLEOID,
    pg_sys::REGTYPEOID,
];

/// The type, in a type or of its parts, whose values refer to objects of the database. A plain table follows when such an object is
/// renamed, and a dump has its name; a batch could only do one of the two.
pub fn refers_to_objects(type_oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    type_parts::find(type_oid, &|part| NAMES_OF_OBJECTS.contains(&part))
}

/// True if the bytes of a value mean the same in another database.
fn is_portable(base: pg_sys::Oid) -> bool {
    // SAFETY: look-ups in the catalog.
    let (kind, element) = unsafe { (ffi::get_typtype(base) as u8, ffi::get_element_type(base)) };
    if NAMES_OF_OBJECTS.contains(&base) {
        return false;
    }
    if element != pg_sys::InvalidOid {
        return element.to_u32() < FIRST_USER_OID && !NAMES_OF_OBJECTS.contains(&element) && element != pg_sys::RECORDOID;
    }
    match kind {
        b'b' => true,
        b'r' | b'm' => base.to_u32() < FIRST_USER_OID,
        _ => false,
    }
}

/// What the codec is told of a type, given how its values lie in memory.
pub fn of(type_oid: pg_sys::Oid, length: i16, by_value: bool) -> (Kind, Image) {
    // SAFETY: look-ups in the catalog.
    unsafe {
        let base = ffi::getBaseType(type_oid);
        if length == -2 || !is_portable(base) {
            let (mut input, mut output, mut parameter, mut varlena) = (pg_sys::InvalidOid, pg_sys::InvalidOid, pg_sys::InvalidOid, false);
            // A domain's rules were checked when the value was made, and may have changed since.
            ffi::getTypeInputInfo(base, &mut input, &mut parameter);
            ffi::getTypeOutputInfo(base, &mut output, &mut varlena);
            let varies = ffi::get_typtype(base) as u8 != pg_sys::TYPTYPE_ENUM;
            return (Kind::Text, Image::Text { input, parameter, output, varies });
        }
        match base {
            pg_sys::BOOLOID => (Kind::Bool, Image::Word),
            pg_sys::FLOAT4OID => (Kind::Float4, Image::Word),
            pg_sys::FLOAT8OID => (Kind::Float8, Image::Word),
            pg_sys::UUIDOID => (Kind::Uuid, Image::Fixed(16)),
            pg_sys::NUMERICOID => (Kind::Numeric, Image::Varlena),
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::JSONOID | pg_sys::XMLOID => (Kind::Text, Image::Varlena),
            _ if by_value => (Kind::Int(length as u8), Image::Word),
            _ if length > 0 => (Kind::Fixed(length as u16), Image::Fixed(length as u16)),
            _ => (Kind::Bytes, Image::Varlena),
        }
    }
}

/// True if values of a column are kept as text that depends on the session's settings: all but that of enums, and arrays of them.
pub fn depends_on_settings(column: &super::layout::Column) -> bool {
    if !matches!(column.image, Image::Text { .. }) {
        return false;
    }
    // SAFETY: look-ups in the catalog.
    unsafe {
        let base = ffi::getBaseType(column.type_oid);
        let element = ffi::get_element_type(base);
        let base = if element == pg_sys::InvalidOid { base } else { ffi::getBaseType(element) };
        ffi::get_typtype(base) as u8 != b'e'
    }
}
