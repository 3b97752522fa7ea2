//! Errors of the domain and the one place that turns them into PostgreSQL errors.
//!
//! Domain functions return [`Result`]; the SQL entry points (`pg::fcinfo`) and executor thunks hand an [`Error`] to
//! [`Error::raise`]. The SQLSTATEs of class `TS` are those that clients of TimescaleDB match on.

use std::borrow::Cow;

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// A relation is no hypertable.
    pub const HYPERTABLE_NOT_EXIST: Self = Self("TS001");
    /// A column is no dimension, or a dimension is missing.
    pub const DIMENSION_NOT_EXIST: Self = Self("TS002");
    /// A relation is no chunk.
    pub const CHUNK_NOT_EXIST: Self = Self("TS003");
    /// The operation is not supported on a hypertable.
    pub const OPERATION_NOT_SUPPORTED: Self = Self("TS101");
    /// A hypertable was defined in a way that can't work.
    pub const BAD_HYPERTABLE_DEFINITION: Self = Self("TS102");
    /// An index can't enforce uniqueness over the partitions.
    pub const BAD_INDEX_DEFINITION: Self = Self("TS103");
    /// The table is a hypertable already.
    pub const HYPERTABLE_EXISTS: Self = Self("TS110");
    /// The tablespace is attached already.
    pub const TABLESPACE_ALREADY_ATTACHED: Self = Self("TS140");
    /// The tablespace is not attached.
    pub const TABLESPACE_NOT_ATTACHED: Self = Self("TS150");
    /// The column is a dimension already.
    pub const DUPLICATE_DIMENSION: Self = Self("TS160");
    /// feature_not_supported
    pub const FEATURE_NOT_SUPPORTED: Self = Self("0A000");
    /// invalid_parameter_value
    pub const INVALID_PARAMETER_VALUE: Self = Self("22023");
    /// null_value_not_allowed
    pub const NULL_VALUE_NOT_ALLOWED: Self = Self("22004");
    /// datetime_field_overflow
    pub const DATETIME_OVERFLOW: Self = Self("22008");
    /// numeric_value_out_of_range
    pub const NUMERIC_OUT_OF_RANGE: Self = Self("22003");
    /// wrong_object_type
    pub const WRONG_OBJECT_TYPE: Self = Self("42809");
    /// undefined_table
    pub const UNDEFINED_TABLE: Self = Self("42P01");
    /// undefined_column
    pub const UNDEFINED_COLUMN: Self = Self("42703");
    /// duplicate_column
    pub const DUPLICATE_COLUMN: Self = Self("42701");
    /// reserved_name
    pub const RESERVED_NAME: Self = Self("42939");
    /// undefined_object
    pub const UNDEFINED_OBJECT: Self = Self("42704");
    /// undefined_function
    pub const UNDEFINED_FUNCTION: Self = Self("42883");
    /// invalid_function_definition
    pub const INVALID_FUNCTION_DEFINITION: Self = Self("42P13");
    /// duplicate_object
    pub const DUPLICATE_OBJECT: Self = Self("42710");
    /// duplicate_table
    pub const DUPLICATE_TABLE: Self = Self("42P07");
    /// invalid_table_definition
    pub const INVALID_TABLE_DEFINITION: Self = Self("42P16");
    /// invalid_object_definition
    pub const INVALID_OBJECT_DEFINITION: Self = Self("42P17");
    /// datatype_mismatch
    pub const DATATYPE_MISMATCH: Self = Self("42804");
    /// syntax_error
    pub const SYNTAX_ERROR: Self = Self("42601");
    /// insufficient_privilege
    pub const INSUFFICIENT_PRIVILEGE: Self = Self("42501");
    /// not_null_violation
    pub const NOT_NULL_VIOLATION: Self = Self("23502");
    /// foreign_key_violation
    pub const FOREIGN_KEY_VIOLATION: Self = Self("23503");
    /// check_violation
    pub const CHECK_VIOLATION: Self = Self("23514");
    /// dependent_objects_still_exist
    pub const DEPENDENT_OBJECTS: Self = Self("2BP01");
    /// program_limit_exceeded
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self("54000");
    /// too_many_columns
    pub const TOO_MANY_COLUMNS: Self = Self("54011");
    /// object_not_in_prerequisite_state
    pub const NOT_IN_PREREQUISITE_STATE: Self = Self("55000");
    /// object_in_use
    pub const OBJECT_IN_USE: Self = Self("55006");
    /// data_corrupted
    pub const DATA_CORRUPTED: Self = Self("XX001");
    /// internal_error: a broken invariant, never something that a user can cause
    pub const INTERNAL: Self = Self("XX000");

    /// PostgreSQL's packed form (`MAKE_SQLSTATE` in utils/elog.h).
    pub fn packed(self) -> i32 {
        self.0.bytes().take(5).enumerate().fold(0, |code, (i, c)| code | ((i32::from(c) - i32::from(b'0')) & 0x3F) << (6 * i))
    }

    /// The five characters of a packed SQLSTATE.
    pub fn unpack(code: i32) -> String {
        (0..5).map(|i| char::from(((code >> (6 * i)) & 0x3F) as u8 + b'0')).collect()
    }
}

/// An error or a message for the client: SQLSTATE, message (lower case, no full stop), and perhaps detail and hint (sentences).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The code that clients match on.
    pub state: SqlState,
    /// What is wrong, in one line.
    pub message: Cow<'static, str>,
    /// The facts behind it.
    pub detail: Option<Cow<'static, str>>,
    /// What to do about it.
    pub hint: Option<Cow<'static, str>>,
}

/// The result of a domain function.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without detail and hint.
    pub fn new(state: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self { state, message: message.into(), detail: None, hint: None }
    }

    /// A broken invariant of our own.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::INTERNAL, message)
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::SqlState;

    #[test]
    fn test_packed_matches_make_sqlstate() {
        // ERRCODE_FEATURE_NOT_SUPPORTED and ERRCODE_INSUFFICIENT_PRIVILEGE of utils/errcodes.h
        assert_eq!(SqlState("0A000").packed(), 1088);
        assert_eq!(SqlState("42501").packed(), 16_797_828);
        assert_eq!(SqlState::unpack(SqlState("TS001").packed()), "TS001");
    }
}
