//! Which settings of the columnstore make sense for a table.

use pgrx::{PgLogLevel, pg_sys};

use super::settings_text::{self, SparseIndex, SparseKind};
use super::{image, layout, order};
use crate::catalog::columnstore::Columnstore;
use crate::catalog::naming::Known;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, name_string, type_name};
use crate::pg::{index, spi, typecache};

/// Names that the columnstore keeps for itself.
const RESERVED_PREFIX: &str = "_ts_meta_";

/// The table has nothing that the columnstore can't cope with.
pub fn check_table(root: &Relation) -> Result<()> {
    for attribute in root.attributes().iter().filter(|attribute| !attribute.attisdropped) {
        let name = name_string(&attribute.attname);
        check_name(&name)?;
        check_type(&name, attribute.atttypid)?;
    }
    let oid = root.oid().to_u32();
    let constraints = spi::query(&format!(
        "SELECT c.conname::text FROM pg_catalog.pg_constraint c
         WHERE c.contype = 'x' AND c.conrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree({oid})) LIMIT 1"
    ))?;
    match constraints.into_iter().flatten().next().flatten() {
        None => Ok(()),
        Some(name) => Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("constraint \"{name}\" is not supported for columnstore"))
            .detail("Exclusion constraints are checked against rows in row form only.")
            .hint("Exclusion constraints are not supported on hypertables that have columnstore enabled: drop the constraint.")),
    }
}

/// With a number behind them, the names of what continuous aggregates keep besides their outputs.
const HIDDEN_PREFIXES: [&str; 2] = ["_ts_meta_group_", "_ts_meta_part_"];

/// The name of a column is not one of the columnstore's own.
pub fn check_name(name: &str) -> Result<()> {
    // The hidden columns of a continuous aggregate's storage are none of them.
    let is_hidden = HIDDEN_PREFIXES.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if is_hidden || !name.starts_with(RESERVED_PREFIX) {
        return Ok(());
    }
    Err(Error::new(SqlState::RESERVED_NAME, format!("columnstore cannot be used with a column \"{name}\""))
        .detail(format!("The prefix \"{RESERVED_PREFIX}\" is reserved for columns of the columnstore."))
        .hint("Give the column another name."))
}

/// Values of a column can be kept in batches.
pub fn check_type(name: &str, type_oid: pg_sys::Oid) -> Result<()> {
    let Some(culprit) = image::refers_to_objects(type_oid) else { return Ok(()) };
    let culprit = type_name(culprit);
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("columnstore cannot be used with column \"{name}\" of type {}", type_name(type_oid)))
        .detail(format!("Values of type {culprit} refer to objects of the database. Batches outlive their renaming, and a dump, which neither their names nor their OIDs do."))
        .hint("Make the column text, or oid, which is dumped as a number."))
}

/// All settings together fit the table.
pub fn check(root: &Relation, settings: &Columnstore) -> Result<()> {
    let segmentby = settings.segmentby.as_deref().unwrap_or_default();
    let orderby: Vec<String> = settings.orderby.iter().flatten().map(|column| column.name.clone()).collect();
    check_columns(root, segmentby, "segmentby")?;
    check_columns(root, &orderby, "orderby")?;
    if let Some(both) = segmentby.iter().find(|name| orderby.contains(name)) {
        return Err(Error::new(SqlState::SYNTAX_ERROR, format!("cannot use column \"{both}\" for both ordering and segmenting"))
            .detail("The rows of a segment have one value of each segmentby column: there is nothing to order.")
            .hint("Name the column in one of timescaledb.segmentby and timescaledb.orderby only."));
    }
    if let Some(text) = &settings.sparse_index {
        check_sparse(root, &settings_text::sparse(text).unwrap_or_default(), segmentby, &orderby)?;
    }
    Ok(())
}

fn require<'a>(root: &'a Relation, name: &str, option: &str) -> Result<&'a pg_sys::FormData_pg_attribute> {
    root.attribute(name).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
            .hint(format!("The option timescaledb.{option} must name columns of {}.", Known::of(root.oid()).described()))
    })
}

fn check_columns(root: &Relation, names: &[String], option: &str) -> Result<()> {
    for (position, name) in names.iter().enumerate() {
        let attribute = require(root, name, option)?;
        if names[..position].contains(name) {
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, format!("duplicate column name \"{name}\""))
                .hint(format!("Name each column once in timescaledb.{option}.")));
        }
        if !typecache::is_ordered(attribute.atttypid) {
            let type_name = type_name(attribute.atttypid);
            return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("invalid {option} column type {type_name}"))
                .detail(format!("Values of column \"{name}\" can't be ordered: the type has no default operator class for btree."))
                .hint("Use a column of another type."));
        }
    }
    Ok(())
}

fn check_sparse(root: &Relation, indexes: &[SparseIndex], segmentby: &[String], orderby: &[String]) -> Result<()> {
    let invalid = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    // Blooms of one column, and minmax: one of them for each column.
    let mut taken: Vec<&str> = Vec::new();
    for index in indexes {
        let kind = index.kind.name();
        if index.kind != SparseKind::Bloom && index.columns.len() > 1 {
            return Err(invalid(format!("sparse index {kind} takes one column")).hint("Only bloom can be over several columns."));
        }
        check_columns_of_sparse(root, index)?;
        if let Some(name) = index.columns.iter().find(|name| segmentby.contains(name)) {
            return Err(invalid(format!("cannot create sparse index {kind} on segmentby column \"{name}\""))
                .detail("Batches are found by their segment anyway."));
        }
        if let [name] = index.columns.as_slice() {
            if index.kind == SparseKind::Bloom && orderby.contains(name) {
                return Err(invalid(format!("cannot create sparse index bloom on orderby column \"{name}\""))
                    .detail("The least and greatest values of orderby columns are kept anyway."));
            }
            if index.kind != SparseKind::FirstLast {
                if taken.contains(&name.as_str()) {
                    return Err(
                        invalid(format!("duplicate sparse index on column \"{name}\"")).hint("Use one of bloom and minmax for a column.")
                    );
                }
                taken.push(name);
            }
        }
    }
    Ok(())
}

fn check_columns_of_sparse(root: &Relation, index: &SparseIndex) -> Result<()> {
    for (position, name) in index.columns.iter().enumerate() {
        let attribute = require(root, name, "index")?;
        if index.columns[..position].contains(name) {
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, format!("duplicate column name \"{name}\"")));
        }
        let (suits, lacks) = match index.kind {
            SparseKind::Bloom => (typecache::is_hashable(attribute.atttypid), "hash"),
            SparseKind::MinMax | SparseKind::FirstLast => (typecache::is_ordered(attribute.atttypid), "btree"),
        };
        if !suits {
            let (kind, type_name) = (index.kind.name(), type_name(attribute.atttypid));
            return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("invalid {kind} column type {type_name}"))
                .detail(format!("The type of column \"{name}\" has no default operator class for {lacks}.")));
        }
    }
    Ok(())
}

/// Uniqueness is checked against all batches that may hold a value; they are found by what batches are sorted by.
pub fn warn_of_unique_columns(root: &Relation, settings: &Columnstore) {
    let (Some(segmentby), Some(orderby)) = (&settings.segmentby, &settings.orderby) else { return };
    let mut warned = Vec::new();
    for oid in root.index_oids() {
        if index::uniqueness(oid).is_none_or(|(unique, _)| !unique) {
            continue;
        }
        for column in index::btree_columns(oid).into_iter().filter(|column| *column > 0) {
            let name = name_string(&root.attributes()[column as usize - 1].attname);
            if !segmentby.contains(&name) && !orderby.iter().any(|column| column.name == name) && !warned.contains(&name) {
                Error::new(SqlState("01000"), format!("column \"{name}\" should be used for segmenting or ordering"))
                    .detail("It is part of a unique index: rows that are inserted are compared with batches by it.")
                    .report(PgLogLevel::WARNING);
                warned.push(name);
            }
        }
    }
}

/// Tells what comes of sparse indexes that were accepted and need no index of their own, or can't have one.
pub fn explain_sparse(root: &Relation, settings: &Columnstore) {
    let indexes = settings.sparse_index.as_deref().and_then(|text| settings_text::sparse(text).ok()).unwrap_or_default();
    let known = layout::columns_of(root);
    for index in &indexes {
        let columns = index.columns.join("\", \"");
        match index.kind {
            SparseKind::Bloom => {
                if index.columns.len() > 1 {
                    notice(
                        format!("each of the columns \"{columns}\" gets a bloom filter of its own"),
                        "A batch is passed over if one of them rules it out.",
                    );
                }
                for name in &index.columns {
                    if known.iter().any(|column| column.name == *name && !order::has_bloom(column)) {
                        notice(format!("column \"{name}\" gets no bloom filter"), "Values of its type are kept as text.");
                    }
                }
            }
            SparseKind::MinMax | SparseKind::FirstLast => {
                let kind = index.kind.name();
                notice(
                    format!("sparse index {kind} on column \"{columns}\" changes nothing"),
                    "The least and greatest value of every column are kept for each batch.",
                );
            }
        }
    }
}

fn notice(message: String, detail: &'static str) {
    Error::new(SqlState("00000"), message).detail(detail).report(PgLogLevel::NOTICE);
}
