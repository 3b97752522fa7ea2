//! Types of columns, and changes of types that would change what batches hold.

use pgrx::pg_sys;

use crate::catalog::columnar_chunk;
use crate::columnar::layout::{self, Column};
use crate::columnar::{image, type_parts};
use crate::error::{Error, Result, SqlState};
use crate::pg::constraint::{self, Constraint};
use crate::pg::relation::{Relation, optional_string, relation_name, type_name};
use crate::pg::syscache::CacheTuple;
use crate::pg::{context, ffi, node};

/// Refuses an `ALTER COLUMN .. TYPE` that would change the bytes of values of a chunk.
///
/// # Safety
/// A command of the parser's.
pub unsafe fn check_change(relid: pg_sys::Oid, command: *mut pg_sys::AlterTableCmd) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let name = optional_string((*command).name).unwrap_or_default();
        let chunk = Relation::open(relid, pg_sys::NoLock);
        let Some(old) = layout::columns_of(&chunk).into_iter().find(|column| column.name == name) else { return Ok(()) };
        let definition = (*command).def.cast::<pg_sys::ColumnDef>();
        let (mut type_oid, mut typmod) = (pg_sys::InvalidOid, -1);
        ffi::typenameTypeIdAndMod(std::ptr::null_mut(), (*definition).typeName, &mut type_oid, &mut typmod);
        let collation = if (*definition).collClause.is_null() {
            ffi::get_typcollation(type_oid)
        } else {
            ffi::get_collation_oid((*(*definition).collClause).collname, false)
        };
        if (*definition).raw_default.is_null() && collation == old.collation && keeps_bytes(&old, type_oid, typmod) {
            return Ok(());
        }
        Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot change the type of column \"{name}\" of compressed chunk \"{}\"", relation_name(relid)),
        )
        .detail("Values would have to be converted in its batches.")
        .hint("Decompress the chunk with decompress_chunk(), and try again."))
    }
}

/// True if each value of a column is a value of another type as it is (`ATColumnChangeRequiresRewrite`).
///
/// # Safety
/// An existing type.
unsafe fn keeps_bytes(old: &Column, type_oid: pg_sys::Oid, typmod: i32) -> bool {
    // SAFETY: an expression of a Var, which nobody else uses.
    unsafe {
        let (mut length, mut by_value) = (0i16, false);
        ffi::get_typlenbyval(type_oid, &mut length, &mut by_value);
        if (old.kind, old.image) != image::of(type_oid, length, by_value) {
            return false;
        }
        let variable = ffi::makeVar(1, old.attribute, old.type_oid, old.typmod, old.collation, 0);
        let cast = ffi::coerce_to_target_type(
            std::ptr::null_mut(),
            variable.cast(),
            old.type_oid,
            type_oid,
            typmod,
            pg_sys::CoercionContext::COERCION_ASSIGNMENT,
            pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
            -1,
        );
        if cast.is_null() {
            return false;
        }
        let mut node: *mut pg_sys::Node = ffi::expression_planner(cast.cast()).cast();
        while node::tag(node) == pg_sys::NodeTag::T_RelabelType {
            node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
        }
        node::tag(node) == pg_sys::NodeTag::T_Var
    }
}

/// The chunks with batches that have columns whose values hold values of a type, with these columns' names.
fn chunks_with(type_oid: pg_sys::Oid) -> Vec<(pg_sys::Oid, Vec<(String, pg_sys::Oid)>)> {
    let mut known: Vec<(pg_sys::Oid, bool)> = Vec::new();
    let mut holds_it = |other: pg_sys::Oid| {
        if let Some((_, holds)) = known.iter().find(|(known, _)| *known == other) {
            return *holds;
        }
        let holds = type_parts::find(other, &|part| part == type_oid).is_some();
        known.push((other, holds));
        holds
    };
    let mut chunks = Vec::new();
    for relid in columnar_chunk::all() {
        let Some(chunk) = Relation::try_open(relid, pg_sys::AccessShareLock) else { continue };
        let live = chunk.attributes().iter().filter(|attribute| !attribute.attisdropped);
        let columns: Vec<(String, pg_sys::Oid)> = live
            .filter(|attribute| holds_it(attribute.atttypid))
            .map(|attribute| (crate::pg::relation::name_string(&attribute.attname), attribute.atttypid))
            .collect();
        if !columns.is_empty() {
            chunks.push((relid, columns));
        }
    }
    chunks
}

/// Refuses to change a type whose values are in batches as text.
fn check_unused(type_oid: pg_sys::Oid, what: &str) -> Result<()> {
    if crate::pg::table::oid("columnar_chunk").is_none() {
        return Ok(());
    }
    match context::with_temporary(|| chunks_with(type_oid)).first() {
        None => Ok(()),
        Some((chunk, columns)) => Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot {what} type {}", type_name(type_oid)))
            .detail(format!(
                "Column \"{}\" of compressed chunk \"{}\" uses it.",
                columns.first().map_or("", |column| column.0.as_str()),
                relation_name(*chunk)
            ))
            .hint("Decompress the chunk with decompress_chunk(), and try again.")),
    }
}

/// Before `ALTER TYPE .. RENAME VALUE`: batches hold labels.
///
/// # Safety
/// A statement of the parser's.
pub unsafe fn check_enum(statement: *mut pg_sys::AlterEnumStmt) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*statement).oldVal.is_null() || (*statement).newVal.is_null() {
            return Ok(());
        }
        match type_of((*statement).typeName) {
            Some(type_oid) => check_unused(type_oid, "rename a value of"),
            None => Ok(()),
        }
    }
}

/// # Safety
/// A list of the parser's.
unsafe fn type_of(name: *mut pg_sys::List) -> Option<pg_sys::Oid> {
    // SAFETY: the caller's promise; missing_ok.
    unsafe {
        let name = ffi::makeTypeNameFromNameList(name);
        Some(ffi::LookupTypeNameOid(std::ptr::null_mut(), name, true)).filter(|oid| *oid != pg_sys::InvalidOid)
    }
}

/// When a column is added to a table or composite type, or dropped from it: values of the row's type are in batches as text, which
/// has a field for each column.
pub fn check_row_type(relid: pg_sys::Oid) -> Result<()> {
    // SAFETY: a syscache look-up.
    let type_oid = unsafe { ffi::get_rel_type_id(relid) };
    // SAFETY: a syscache look-up; 0 if there is none.
    let array = unsafe { ffi::get_array_type(type_oid) };
    if type_oid == pg_sys::InvalidOid || !crate::pg::catalog_scan::type_is_used(type_oid, array) {
        return Ok(());
    }
    check_unused(type_oid, "change the fields of")
}

/// The rules of a domain before an `ALTER DOMAIN`.
pub struct DomainWatch {
    domain: pg_sys::Oid,
    rules: Vec<pg_sys::Oid>,
}

fn rules_of(domain: pg_sys::Oid) -> Vec<Constraint> {
    constraint::of_domain(domain).into_iter().filter(|rule| rule.kind == b'c' && rule.is_valid).collect()
}

impl DomainWatch {
    /// Before an `ALTER DOMAIN`; None if it makes no rule.
    ///
    /// # Safety
    /// A statement of the parser's.
    pub unsafe fn before(statement: *mut pg_sys::AlterDomainStmt) -> Option<Self> {
        // SAFETY: the caller's promise.
        let domain = unsafe {
            // Add a constraint, validate one, set NOT NULL.
            if !matches!((*statement).subtype as u8, b'C' | b'V' | b'O') {
                return None;
            }
            type_of((*statement).typeName)?
        };
        Some(Self { domain, rules: context::with_temporary(|| rules_of(domain).iter().map(|rule| rule.oid).collect()) })
    }

    /// After it: what holds for the domain now must hold in batches, too.
    pub fn after(&self) -> Result<()> {
        let rules = rules_of(self.domain);
        let fresh: Vec<&Constraint> = rules.iter().filter(|rule| !self.rules.contains(&rule.oid)).collect();
        let not_null = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::TYPEOID, self.domain)
            // SAFETY: a row of pg_type.
            .is_some_and(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_type>() }.typnotnull);
        if fresh.is_empty() && !not_null {
            return Ok(());
        }
        for (relid, columns) in context::with_temporary(|| chunks_with(self.domain)) {
            // As validateDomainConstraint: nobody may write what has not been checked. PostgreSQL refuses domains within other types.
            let chunk = Relation::open(relid, pg_sys::ShareLock);
            let Some(layout) = layout::find(relid) else { continue };
            for (name, _) in columns {
                let Some(position) = chunk.attribute(&name).and_then(|attribute| layout.column_of(attribute.attnum)) else { continue };
                context::with_temporary(|| super::check::domain(&layout, &chunk, position, not_null, &fresh))?;
            }
        }
        Ok(())
    }
}
