//! Foreign keys of chunks: PostgreSQL checks the row part, so the whole chunk is checked by a query like PostgreSQL's own.

use pgrx::pg_sys;

use crate::error::{Error, Result, SqlState};
use crate::pg::constraint::Constraint;
use crate::pg::relation::{Relation, optional_string, qualified_name, quote_identifier, relation_name};
use crate::pg::{column, context, ffi, function, spi};

/// Checks that all rows of a chunk have the row of the other table that a foreign key demands.
pub fn check(relid: pg_sys::Oid, constraint: &Constraint) -> Result<()> {
    let text = query(relid, constraint)?;
    // The role may define the key without being allowed to read the other table; nothing but its own rows can come out. The query
    // calls the key's operators only.
    let rows = context::as_user(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID), || spi::query(&text))?;
    match rows.first() {
        None => Ok(()),
        Some(row) => Err(violation(relid, constraint, row)),
    }
}

fn names(relid: pg_sys::Oid, numbers: &[i16]) -> Vec<String> {
    numbers.iter().map(|number| column::name_of(relid, *number).unwrap_or_default()).collect()
}

/// `SELECT fk.x FROM chunk fk LEFT JOIN other pk ON (pk.x = fk.x) WHERE pk.x IS NULL AND fk.x IS NOT NULL LIMIT 1`
fn query(relid: pg_sys::Oid, constraint: &Constraint) -> Result<String> {
    let gone = || Error::internal("a table of a foreign key is gone");
    let (chunk, other) = qualified_name(relid).zip(qualified_name(constraint.referenced)).ok_or_else(gone)?;
    // What inherits from the other table does not count, its partitions do.
    let is_partitioned = Relation::open(constraint.referenced, pg_sys::AccessShareLock).is_partitioned();
    let only = if is_partitioned { "" } else { "ONLY " };
    let ours = names(relid, &constraint.columns);
    let theirs = names(constraint.referenced, &constraint.referenced_columns);
    let selected: Vec<String> = ours.iter().map(|name| format!("fk.{}", quote_identifier(name))).collect();
    let conditions: Vec<String> = (0..selected.len()).map(|position| condition(relid, constraint, position)).collect::<Result<_>>()?;
    let present: Vec<String> = selected.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    Ok(format!(
        "SELECT {} FROM {chunk} fk LEFT OUTER JOIN {only}{other} pk ON ({}) WHERE pk.{} IS NULL AND ({}) LIMIT 1",
        selected.join(", "),
        conditions.join(" AND "),
        quote_identifier(theirs.first().ok_or_else(gone)?),
        present.join(if constraint.is_full { " OR " } else { " AND " })
    ))
}

/// `pk.x OPERATOR(pg_catalog.=) fk.x`, by the collation of the other table's column.
fn condition(relid: pg_sys::Oid, constraint: &Constraint, position: usize) -> Result<String> {
    let broken = || Error::internal("a foreign key lacks a column or an operator");
    let ours = *constraint.columns.get(position).ok_or_else(broken)?;
    let theirs = *constraint.referenced_columns.get(position).ok_or_else(broken)?;
    let operator = *constraint.operators.get(position).ok_or_else(broken)?;
    let quoted = |relid, number| column::name_of(relid, number).map(|name| quote_identifier(&name)).ok_or_else(broken);
    let collations = (attribute_collation(relid, ours), attribute_collation(constraint.referenced, theirs));
    let collate = if collations.0 == collations.1 || collations.1 == pg_sys::InvalidOid {
        String::new()
    } else {
        // SAFETY: a palloc'd name.
        format!(" COLLATE {}", unsafe { optional_string(ffi::generate_collation_name(collations.1)) }.unwrap_or_default())
    };
    Ok(format!(
        "pk.{} {} fk.{}{collate}",
        quoted(constraint.referenced, theirs)?,
        function::operator_name(operator).ok_or_else(broken)?,
        quoted(relid, ours)?
    ))
}

fn attribute_collation(relid: pg_sys::Oid, number: i16) -> pg_sys::Oid {
    let relation = Relation::open(relid, pg_sys::AccessShareLock);
    relation.attributes().get(number as usize - 1).map_or(pg_sys::InvalidOid, |attribute| attribute.attcollation)
}

fn violation(relid: pg_sys::Oid, constraint: &Constraint, row: &[Option<String>]) -> Error {
    let table = relation_name(relid);
    let error = Error::new(
        SqlState::FOREIGN_KEY_VIOLATION,
        format!("insert or update on table \"{table}\" violates foreign key constraint \"{}\"", constraint.name),
    );
    if row.iter().any(Option::is_none) {
        return error.detail("MATCH FULL does not allow mixing of null and nonnull key values.");
    }
    let values: Vec<&str> = row.iter().flatten().map(String::as_str).collect();
    error.detail(format!(
        "Key ({})=({}) is not present in table \"{}\".",
        names(relid, &constraint.columns).join(", "),
        values.join(", "),
        relation_name(constraint.referenced)
    ))
}
