//! What stands in the way of making a table a hypertable: every refusal with its reason and the way out.

use pgrx::pg_sys;

use crate::catalog::dimension;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, type_name};
use crate::pg::{ffi, spi};

/// The relation is a table that an owner may convert or adopt.
pub fn check_table(relation: &Relation) -> Result<()> {
    let name = relation.name();
    let wrong = |what: &str| {
        Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is {what}"))
            .hint("Only an ordinary or a partitioned table can become a hypertable.")
    };
    match relation.kind() {
        b'r' | b'p' => {}
        b'v' => return Err(wrong("a view")),
        b'm' => return Err(wrong("a materialized view")),
        b'f' => return Err(wrong("a foreign table")),
        _ => return Err(wrong("no table")),
    }
    // SAFETY: an open relation.
    if unsafe { ffi::IsSystemRelation(relation.as_ptr()) } {
        return Err(wrong("a system catalog"));
    }
    let class = relation.class();
    if class.relpersistence as u8 == b't' {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{name}\" has to be permanent"))
            .detail("Its chunks would outlive a temporary table.")
            .hint("Create the table without TEMPORARY."));
    }
    if class.relispartition {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{name}\" is a partition of another table"))
            .hint("Make the partitioned table itself a hypertable."));
    }
    Ok(())
}

/// A plain table has nothing that a partitioned table can't have.
pub fn check_plain(relation: &Relation, time_attribute: i16) -> Result<()> {
    let name = relation.name();
    let class = relation.class();
    // SAFETY: catalog look-ups.
    if unsafe { ffi::has_subclass(relation.oid()) && has_children(relation) || ffi::has_superclass(relation.oid()) } {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{name}\" is already partitioned by inheritance"))
            .detail("A hypertable is partitioned by PostgreSQL's declarative partitioning, which excludes inheritance.")
            .hint("Remove the inheritance with ALTER TABLE ... NO INHERIT, or move the rows into a new table."));
    }
    if class.reloftype != pg_sys::InvalidOid {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{name}\" is a typed table"))
            .hint("Detach it from its type with ALTER TABLE ... NOT OF."));
    }
    if class.relam != pg_sys::HEAP_TABLE_AM_OID {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{name}\" uses another table access method than heap"))
            .hint("Change it with ALTER TABLE ... SET ACCESS METHOD heap."));
    }
    obstacles(relation, time_attribute)?
        .into_iter()
        .next()
        .map_or(Ok(()), |(kind, object)| Err(obstacle_error(&name, &kind, &object, relation, time_attribute)))
}

fn has_children(relation: &Relation) -> bool {
    // SAFETY: a catalog scan; the list holds OIDs.
    unsafe { !ffi::find_inheritance_children(relation.oid(), pg_sys::NoLock as i32).is_null() }
}

/// What is on the table that PostgreSQL can't put on a partitioned one: kind and name.
fn obstacles(relation: &Relation, time_attribute: i16) -> Result<Vec<(String, String)>> {
    let oid = relation.oid().to_u32();
    let rows = spi::query(&format!(
        "SELECT 'rule', rulename::text FROM pg_catalog.pg_rewrite WHERE ev_class = {oid}
         UNION ALL SELECT 'publication', p.pubname::text FROM pg_catalog.pg_publication_rel r
           JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = {oid}
         UNION ALL SELECT CASE WHEN contype = 'c' THEN 'no inherit' WHEN contype = 'x' THEN 'exclusion' ELSE 'not valid' END, conname::text
           FROM pg_catalog.pg_constraint WHERE conrelid = {oid}
             AND (contype = 'c' AND connoinherit OR contype = 'x' OR contype = 'f' AND NOT convalidated)
         UNION ALL SELECT 'transition', tgname::text FROM pg_catalog.pg_trigger
           WHERE tgrelid = {oid} AND NOT tgisinternal AND tgtype::int & 1 = 1 AND (tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL)
         UNION ALL SELECT 'invalid index', c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
           WHERE i.indrelid = {oid} AND NOT i.indisvalid
         UNION ALL SELECT 'unique', c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
           WHERE indrelid = {oid} AND indisunique AND {time_attribute} <> ALL ((indkey::int2[])[0:indnkeyatts - 1])"
    ))?;
    Ok(rows.into_iter().filter_map(|mut row| Some((row.swap_remove(0)?, row.pop()??))).collect())
}

fn obstacle_error(table: &str, kind: &str, object: &str, relation: &Relation, time_attribute: i16) -> Error {
    let not_supported = |message: String| Error::new(SqlState::FEATURE_NOT_SUPPORTED, message);
    match kind {
        "rule" => not_supported(format!("hypertables do not support rules: table \"{table}\" has rule \"{object}\""))
            .hint("Drop the rule; a trigger can often do its work."),
        "publication" => not_supported(format!("table \"{table}\" is in publication \"{object}\""))
            .hint("Drop the table from the publication, and add it again as a hypertable to one with publish_via_partition_root."),
        "no inherit" => not_supported(format!("cannot have NO INHERIT constraints on hypertable \"{table}\": constraint \"{object}\""))
            .hint("Create the constraint again without NO INHERIT."),
        "exclusion" => Error::new(
            SqlState::BAD_INDEX_DEFINITION,
            format!("exclusion constraint \"{object}\" is not supported on hypertable \"{table}\""),
        )
        .detail("PostgreSQL has no exclusion constraints over partitions.")
        .hint("Drop the constraint."),
        "not valid" => not_supported(format!("foreign key \"{object}\" of table \"{table}\" is NOT VALID"))
            .hint(format!("Validate it first: ALTER TABLE {table} VALIDATE CONSTRAINT {object};")),
        "transition" => {
            not_supported(format!("row trigger \"{object}\" with transition tables is not supported on hypertable \"{table}\""))
                .hint("Make it a statement trigger.")
        }
        "invalid index" => {
            not_supported(format!("index \"{object}\" of table \"{table}\" is not valid")).hint("Drop the index or REINDEX it.")
        }
        _ => unique_error(object, &crate::pg::relation::name_string(&relation.attributes()[time_attribute as usize - 1].attname)),
    }
}

/// The error for a unique index that can't be enforced because it lacks a partitioning column.
pub fn unique_error(index: &str, column: &str) -> Error {
    Error::new(SqlState::BAD_INDEX_DEFINITION, format!("cannot create a unique index without the column \"{column}\" (used in partitioning)"))
        .detail(format!("Index \"{index}\" lacks the column."))
        .hint("If you're creating a hypertable on a table with a primary key, ensure the partitioning column is part of the primary or composite key.")
}

/// The time column can be a partition key. Returns its attribute number.
pub fn check_time_column(relation: &Relation, column: &str) -> Result<i16> {
    let attribute = relation.require_attribute(column)?;
    if attribute.attgenerated != 0 {
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("generated column \"{column}\" can't be a dimension"))
            .detail("PostgreSQL computes generated columns after a row has found its partition.")
            .hint("Partition by a column that holds a value of its own."));
    }
    Ok(attribute.attnum)
}

/// The type of a range dimension has an axis.
pub fn check_time_type(column: &str, type_oid: pg_sys::Oid) -> Result<tsc_kernel::axis::Axis> {
    dimension::axis_of_type(type_oid).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid type for dimension \"{column}\": {}", type_name(type_oid)))
            .hint("Use an integer, timestamp, date or UUID (version 7) type, or give a time_partitioning_func that returns one.")
    })
}

/// Tells users of `timestamp` what they lose.
pub fn warn_about_type(column: &str, type_oid: pg_sys::Oid) {
    if type_oid == pg_sys::TIMESTAMPOID {
        Error::new(
            SqlState("01000"),
            format!("column type \"timestamp without time zone\" used for \"{column}\" does not follow best practices"),
        )
        .hint("Use datatype TIMESTAMPTZ instead.")
        .report(pgrx::PgLogLevel::WARNING);
    }
}
