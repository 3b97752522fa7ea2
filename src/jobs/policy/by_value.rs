//! Retention by value: rows whose column has one of some values live longer, or shorter, than the others.
//!
//! A row goes when its whole chunk is older than the age of its value. So a chunk loses its rows value by value, and goes as a whole
//! when the last limit has passed, or when nothing is left in it. A row without a value (NULL) lives as long as those of values that
//! are not named.

use pgrx::pg_sys;
use serde_json::Value;

use super::age::Age;
use crate::catalog::hypertable::Hypertable;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{column_of, qualified_name, qualified_type_name, quote_identifier};
use crate::pg::spi::{self, quote_literal};
use crate::pg::{datetime, function, typecache};

/// Values of a column and how long their rows live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByValue {
    /// The column.
    pub column: String,
    /// Values as text, and the age at which their rows go; None: never.
    pub ages: Vec<(String, Option<Age>)>,
}

/// What is to become of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All limits lie ahead.
    Keep,
    /// All limits have passed.
    Drop,
    /// The rows of these values go, and not those of the others.
    Delete(Vec<String>, Vec<String>),
    /// All rows go but those of these values.
    DeleteAllBut(Vec<String>),
}

impl Verdict {
    /// True if some rows go and others stay.
    pub fn deletes(&self) -> bool {
        matches!(self, Self::Delete(..) | Self::DeleteAllBut(..))
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .hint("Name a column, its values and their ages: '{\"tenant\": {\"A\": \"30 days\", \"B\": null}}'. null stands for never.")
}

impl ByValue {
    /// Reads `{"column": {"value": age, ...}}` and checks it against the hypertable.
    pub fn read(hypertable: &Hypertable, value: &Value) -> Result<Self> {
        let Some((column, Value::Object(values))) =
            value.as_object().filter(|columns| columns.len() == 1).and_then(|columns| columns.iter().next())
        else {
            return Err(invalid("drop_after_by must be a JSON object with one column and ages by value"));
        };
        if values.is_empty() {
            return Err(invalid("drop_after_by names no value"));
        }
        let (_, type_oid) = column_of(hypertable.relid, column)
            .ok_or_else(|| Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" of drop_after_by does not exist")))?;
        if hypertable.time().column == *column {
            return Err(invalid(format!("column \"{column}\" of drop_after_by is the hypertable's time column")));
        }
        let read = |(value, age): (&String, &Value)| {
            // A text that is no value of the type is the type's own error.
            datetime::read(type_oid, value);
            let age = if age.is_null() { None } else { Some(Age::from_json(hypertable, "drop_after_by", age)?) };
            age.map(|age| age.position(hypertable)).transpose()?;
            Ok((value.clone(), age))
        };
        typecache::equality(type_oid)?;
        Ok(Self { column: column.clone(), ages: values.iter().map(read).collect::<Result<_>>()? })
    }

    /// What is to become of a chunk that ends at `end` (in internal form): `others` is the age of rows that are not named.
    pub fn verdict(&self, hypertable: &Hypertable, others: Option<Age>, end: i64) -> Result<Verdict> {
        let has_passed = |age: &Option<Age>| age.map_or(Ok(false), |age| age.position(hypertable).map(|limit| end <= limit));
        let mut passed = Vec::new();
        let mut ahead = Vec::new();
        for (value, age) in &self.ages {
            if has_passed(age)? { passed.push(value.clone()) } else { ahead.push(value.clone()) }
        }
        Ok(match (has_passed(&others)?, passed.is_empty(), ahead.is_empty()) {
            (true, _, true) => Verdict::Drop,
            (true, _, false) => Verdict::DeleteAllBut(ahead),
            (false, true, _) => Verdict::Keep,
            (false, false, _) => Verdict::Delete(passed, ahead),
        })
    }

    /// Deletes rows of a chunk, as its owner would: triggers see the session's search path. The statements name all with its schema.
    pub fn delete(&self, chunk: pg_sys::Oid, verdict: &Verdict) -> Result<()> {
        let (Some(table), Some((_, type_oid))) = (qualified_name(chunk), column_of(chunk, &self.column)) else { return Ok(()) };
        let column = quote_identifier(&self.column);
        let equals = function::operator_name(typecache::equality(type_oid)?).unwrap_or_default();
        let type_name = qualified_type_name(type_oid);
        let array = |values: &[String]| {
            let values: Vec<String> = values.iter().map(|value| format!("{}::{type_name}", quote_literal(value))).collect();
            format!("ARRAY[{}]", values.join(", "))
        };
        match verdict {
            Verdict::Keep | Verdict::Drop => Ok(()),
            Verdict::Delete(passed, ahead) => {
                // Two texts may say the same value; then it lives as long as the older one.
                let except = if ahead.is_empty() { String::new() } else { format!(" AND NOT {column} {equals} ANY ({})", array(ahead)) };
                spi::call(&format!("DELETE FROM ONLY {table} WHERE {column} {equals} ANY ({}){except}", array(passed)), false)
            }
            Verdict::DeleteAllBut(values) => {
                // Two statements, each with a condition that batches can be judged by as a whole.
                spi::call(&format!("DELETE FROM ONLY {table} WHERE NOT {column} {equals} ANY ({})", array(values)), false)?;
                spi::call(&format!("DELETE FROM ONLY {table} WHERE {column} IS NULL"), false)
            }
        }
    }
}
