//! The settings of who sets none.
//!
//! Rows compress best when each lies beside the rows that resemble it: those of the same series, by time. So segmentby is to name what
//! tells series apart. Segments share batches, and many small ones cost nothing; what counts is that a column groups rows at all, and
//! that nearby rows then belong together. The first of these that yields columns decides:
//!
//! 1. the columns before time in a unique index (those after it, if time comes first): `(sensor, time)`;
//! 2. the columns of hash dimensions;
//! 3. the same of another index with time; of several the one that divides finest;
//! 4. the leading column of an index without time; again the finest;
//! 5. without any index, a column that looks like a label: text, an enum, a UUID, or an integer whose name ends in `id`; and a second one,
//!    if it is not determined by the first.
//!
//! A column is passed over if its type is one of measurements or of times, if each row gets a value of its own (an identity, a volatile
//! default), or if statistics say that its values hardly repeat: there must be [`KEY_ROWS`] rows for each value of a key, [`INDEX_ROWS`]
//! in step 4 and [`LABEL_ROWS`] in step 5. Without statistics some pages of the chunk are looked at.
//!
//! Rows of a segment are sorted by time, the latest first, then by the unique index's other columns.

use pgrx::pg_sys;

use crate::catalog::columnstore::OrderColumn;
use crate::catalog::hypertable::Hypertable;
use crate::error::Result;
use crate::pg::relation::{Relation, name_str, name_string};
use crate::pg::statistics::{self, Count};
use crate::pg::{expr, index, typecache};

/// Rows for each value of a column of a key.
const KEY_ROWS: f64 = 4.0;
/// Rows for each value of an indexed column.
const INDEX_ROWS: f64 = 16.0;
/// Rows for each value of a column without an index.
const LABEL_ROWS: f64 = 100.0;
/// A column is determined by another if both together have hardly more values than that one alone.
const DETERMINED: f64 = 1.2;

/// What was chosen, how sure that is (from 0 to 10), and why.
#[derive(Debug, Clone)]
pub struct Choice<T> {
    /// The columns.
    pub columns: Vec<T>,
    /// From 0 to 10.
    pub confidence: i32,
    /// One sentence.
    pub message: &'static str,
}

/// `column DESC`, the order of time.
pub fn latest_first(column: &str) -> OrderColumn {
    OrderColumn { name: column.to_owned(), descending: true, nulls_first: true }
}

/// Chooses segmentby for a hypertable by what is in one of its chunks.
pub fn segmentby(hypertable: &Hypertable, chunk: pg_sys::Oid) -> Result<Choice<String>> {
    let root = Relation::open(hypertable.relid, pg_sys::AccessShareLock);
    let chunk = Relation::open(chunk, pg_sys::AccessShareLock);
    let table = Candidates { root: &root, chunk: &chunk, hypertable, indexes: keys_of_indexes(&root) };
    let steps: [Step; 5] = [
        (Candidates::of_unique_index, 10, "The columns are those of a unique index besides time."),
        (Candidates::of_dimensions, 9, "The hypertable is partitioned by the columns."),
        (Candidates::of_index_with_time, 8, "The columns are those of an index besides time."),
        (Candidates::of_index, 6, "The column is that of an index."),
        (Candidates::of_statistics, 4, "Each value is that of many rows."),
    ];
    for (step, confidence, message) in steps {
        let chosen = step(&table)?;
        if !chosen.is_empty() {
            let columns = chosen.into_iter().map(|attribute| table.name(attribute)).collect();
            return Ok(Choice { columns, confidence, message });
        }
    }
    Ok(Choice { columns: Vec::new(), confidence: 5, message: "No column looks as if it told series apart." })
}

/// Chooses the order of rows within segments.
pub fn orderby(hypertable: &Hypertable, segmentby: &[String]) -> Choice<OrderColumn> {
    let root = Relation::open(hypertable.relid, pg_sys::AccessShareLock);
    let time = hypertable.time();
    let mut columns = Vec::new();
    if !segmentby.contains(&time.column) {
        columns.push(latest_first(&time.column));
    }
    let indexes = keys_of_indexes(&root);
    let unique = indexes.iter().find(|index| index.unique);
    for attribute in unique.iter().flat_map(|index| &index.columns) {
        let name = name_string(&root.attributes()[*attribute as usize - 1].attname);
        if *attribute != time.attribute && !segmentby.contains(&name) {
            columns.push(latest_first(&name));
        }
    }
    let message = if columns.len() > 1 { "Time, and the other columns of a unique index." } else { "Time, the latest first." };
    Choice { columns, confidence: 8, message }
}

/// The key columns of an index, without expressions.
struct Keys {
    columns: Vec<i16>,
    unique: bool,
    primary: bool,
}

/// The btree indexes of a table without expressions and predicates: the primary key first, then unique ones, then by age.
fn keys_of_indexes(relation: &Relation) -> Vec<Keys> {
    let mut indexes: Vec<Keys> = relation
        .index_oids()
        .into_iter()
        .filter_map(|oid| {
            let columns = index::btree_columns(oid);
            let (unique, primary) = index::uniqueness(oid)?;
            (!columns.is_empty() && columns.iter().all(|column| *column > 0)).then_some(Keys { columns, unique, primary })
        })
        .collect();
    indexes.sort_by_key(|index| (!index.primary, !index.unique));
    indexes
}

/// How columns are chosen, how sure the choice is, and why.
type Step<'a> = (fn(&Candidates<'a>) -> Result<Vec<i16>>, i32, &'static str);

/// The columns of a hypertable, of which some are chosen.
struct Candidates<'a> {
    root: &'a Relation,
    chunk: &'a Relation,
    hypertable: &'a Hypertable,
    indexes: Vec<Keys>,
}

impl<'a> Candidates<'a> {
    fn attribute(&self, number: i16) -> &pg_sys::FormData_pg_attribute {
        &self.root.attributes()[number as usize - 1]
    }

    fn name(&self, number: i16) -> String {
        name_string(&self.attribute(number).attname)
    }

    fn time(&self) -> i16 {
        self.hypertable.time().attribute
    }

    /// What is known of the values of some columns together.
    fn count(&self, columns: &[i16]) -> Result<Option<Count>> {
        if let [column] = columns
            && let Some(attribute) = self.chunk.attribute(&self.name(*column))
            && let Some(count) = statistics::analyzed(self.chunk.oid(), attribute.attnum)
        {
            return Ok(Some(count));
        }
        if self.chunk.is_partitioned() {
            return Ok(None);
        }
        let names: Vec<String> = columns.iter().map(|column| self.name(*column)).collect();
        statistics::sampled(self.chunk, &names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The columns may be chosen: there are as many rows for each value of theirs, as far as is known.
    fn repeats(&self, column: i16, rows: f64) -> Result<bool> {
        Ok(self.count(&[column])?.is_none_or(|count| count.distinct * rows <= count.rows))
    }

    fn keep(&self, columns: &[i16], rows: f64) -> Result<Vec<i16>> {
        let mut kept = Vec::new();
        for column in columns {
            if *column != self.time() && is_label(self.root, self.attribute(*column)) && self.repeats(*column, rows)? {
                kept.push(*column);
            }
        }
        Ok(kept)
    }

    /// The columns before time in an index, or else those after it; none if it lacks time.
    fn beside_time(&self, index: &Keys) -> Result<Vec<i16>> {
        let Some(position) = index.columns.iter().position(|column| *column == self.time()) else { return Ok(Vec::new()) };
        let (before, after) = index.columns.split_at(position);
        self.keep(if before.is_empty() { after } else { before }, KEY_ROWS)
    }

    /// Of several sets of columns the one that divides the rows finest; the first one, if nothing is known.
    fn finest(&self, sets: Vec<Vec<i16>>) -> Result<Vec<i16>> {
        let mut best: (f64, Vec<i16>) = (0.0, Vec::new());
        for set in sets {
            let mut distinct = 1.0f64;
            for column in &set {
                distinct = distinct.max(self.count(&[*column])?.map_or(1.0, |count| count.distinct));
            }
            if !set.is_empty() && distinct > best.0 {
                best = (distinct, set);
            }
        }
        Ok(best.1)
    }

    fn of_unique_index(&self) -> Result<Vec<i16>> {
        for index in self.indexes.iter().filter(|index| index.unique) {
            let columns = self.beside_time(index)?;
            if !columns.is_empty() {
                return Ok(columns);
            }
        }
        Ok(Vec::new())
    }

    fn of_dimensions(&self) -> Result<Vec<i16>> {
        let columns: Vec<i16> = self.hypertable.hash_dimensions().iter().map(|dimension| dimension.attribute).collect();
        self.keep(&columns, KEY_ROWS)
    }

    fn of_index_with_time(&self) -> Result<Vec<i16>> {
        let sets = self.indexes.iter().filter(|index| !index.unique).map(|index| self.beside_time(index)).collect::<Result<_>>()?;
        self.finest(sets)
    }

    fn of_index(&self) -> Result<Vec<i16>> {
        let without_time = self.indexes.iter().filter(|index| !index.unique && !index.columns.contains(&self.time()));
        let sets = without_time.map(|index| self.keep(&index.columns[..1], INDEX_ROWS)).collect::<Result<_>>()?;
        self.finest(sets)
    }

    fn of_statistics(&self) -> Result<Vec<i16>> {
        let mut labels: Vec<(i16, Count)> = Vec::new();
        for attribute in self.root.attributes().iter().filter(|attribute| !attribute.attisdropped && attribute.attnum != self.time()) {
            if is_label(self.root, attribute)
                && is_named_as_label(attribute)
                && let Some(count) = self.count(&[attribute.attnum])?
                && count.distinct >= 2.0
                && count.distinct * LABEL_ROWS <= count.rows
            {
                labels.push((attribute.attnum, count));
            }
        }
        labels.sort_by(|(_, a), (_, b)| b.distinct.total_cmp(&a.distinct));
        let Some(((first, alone), others)) = labels.split_first() else { return Ok(Vec::new()) };
        for (second, _) in others {
            if let Some(both) = self.count(&[*first, *second])?
                && both.distinct > alone.distinct * DETERMINED
                && both.distinct * LABEL_ROWS <= both.rows
            {
                return Ok(vec![*first, *second]);
            }
        }
        Ok(vec![*first])
    }
}

/// True for a column whose values may name something: not measure it, say when it was, or number the rows.
fn is_label(root: &Relation, attribute: &pg_sys::FormData_pg_attribute) -> bool {
    let type_oid = typecache::base_type(attribute.atttypid);
    let suits = match type_oid {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID | pg_sys::UUIDOID | pg_sys::MACADDROID | pg_sys::MACADDR8OID => true,
        // Strings, enums, addresses in networks.
        _ => matches!(typecache::category(type_oid), b'S' | b'E' | b'I') && typecache::is_ordered(type_oid),
    };
    suits && attribute.attidentity == 0 && !(attribute.atthasdef && expr::has_volatile_default(root, attribute.attnum))
}

/// Without an index an integer may as well be a measurement: its name decides.
fn is_named_as_label(attribute: &pg_sys::FormData_pg_attribute) -> bool {
    let is_integer = matches!(typecache::base_type(attribute.atttypid), pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID);
    !is_integer || name_str(&attribute.attname).to_bytes().to_ascii_lowercase().ends_with(b"id")
}
