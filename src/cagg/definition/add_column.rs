//! `ALTER MATERIALIZED VIEW .. ADD COLUMN c type GENERATED ALWAYS AS (aggregate) STORED`: one more output, which counts as invalid in all
//! that has been materialized, so that the next refresh computes it.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::{Definition, PART_PREFIX, analysis, parts, views};
use crate::cagg::ddl;
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::catalog::continuous_agg_range::{self, Kind};
use crate::error::{Error, Result, SqlState};
use crate::pg::expr::Expr;
use crate::pg::relation::{
    Relation, name_string, optional_string, qualified_name, qualified_type_name_with, quote_identifier, relation_name,
};
use crate::pg::{context, ffi, guard, list, node, query, spi};

fn unsupported(detail: &'static str) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot add this column to a continuous aggregate")
        .detail(detail)
        .hint("Use ALTER MATERIALIZED VIEW .. ADD COLUMN name type GENERATED ALWAYS AS (aggregate) STORED.")
}

/// Carries it out.
///
/// # Safety
/// An ADD COLUMN of the parser's.
pub unsafe fn run(agg: &ContinuousAgg, command: *mut pg_sys::AlterTableCmd) -> Result<()> {
    // SAFETY: the caller's promise: the definition is a ColumnDef.
    unsafe {
        let column = &*(*command).def.cast::<pg_sys::ColumnDef>();
        let name = optional_string(column.colname).unwrap_or_default();
        ddl::check_column_name(&name)?;
        let view = Relation::open(agg.user_view, pg_sys::AccessExclusiveLock);
        if view.attribute(&name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", relation_name(agg.user_view));
            if (*command).missing_ok {
                guard::notice(format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let owner = view.class().relowner;
        drop(view);
        for relid in [agg.partial_view, agg.storage, agg.direct_view] {
            ffi::LockRelationOid(relid, pg_sys::AccessExclusiveLock as i32);
        }
        let definition = super::load(agg)?;
        let direct = with_output(agg, &name, expression_of(column)?, column.typeName)?;
        // What the owner may not read could never be refreshed.
        let analysis = context::as_user(owner, || analysis::analyze(direct))?;
        let live = extend_live(&definition, direct)?;
        store(agg, &definition, &name, live, direct, analysis.source.hypertable.time().type_oid)
    }
}

/// The expression of the one constraint, GENERATED ALWAYS AS.
///
/// # Safety
/// A ColumnDef of the parser's.
unsafe fn expression_of(column: &pg_sys::ColumnDef) -> Result<*mut pg_sys::Node> {
    // SAFETY: the caller's promise.
    unsafe {
        let constraints = list::pointers::<pg_sys::Constraint>(column.constraints);
        let [constraint] = constraints[..] else { return Err(unsupported("It must be generated, and have no constraints.")) };
        if (*constraint).contype != pg_sys::ConstrType::CONSTR_GENERATED || (*constraint).raw_expr.is_null() {
            return Err(unsupported("It must be generated, and have no constraints."));
        }
        Ok((*constraint).raw_expr)
    }
}

/// The defining query with one more output: as if it had been given so.
///
/// # Safety
/// An expression and a type name of the parser's.
unsafe fn with_output(
    agg: &ContinuousAgg,
    name: &str,
    expression: *mut pg_sys::Node,
    type_name: *mut pg_sys::TypeName,
) -> Result<*mut pg_sys::Query> {
    // SAFETY: the caller's promise; the text of a SELECT is parsed as one SELECT.
    unsafe {
        let view = Relation::open(agg.direct_view, pg_sys::NoLock);
        let old = query::of_view(&view);
        let visible = list::pointers::<pg_sys::TargetEntry>((*old).targetList).into_iter().filter(|target| !(**target).resjunk);
        for (target, attribute) in visible.zip(view.attributes()) {
            (*target).resname = node::palloc_str(&name_string(&attribute.attname));
        }
        let cast: *mut pg_sys::TypeCast = node::make_node(NodeTag::T_TypeCast);
        (*cast).arg = expression;
        (*cast).typeName = type_name;
        (*cast).location = -1;
        let output: *mut pg_sys::ResTarget = node::make_node(NodeTag::T_ResTarget);
        (*output).name = node::palloc_str(name);
        (*output).val = if type_name.is_null() { expression } else { cast.cast() };
        (*output).location = -1;
        query::analyze_with_output(&query::text(old), output)
    }
}

/// The live query with the new output and what parts it needs. The two queries number the relations of their FROM clauses alike, or
/// their old outputs differ.
///
/// # Safety
/// The defining query with one more output.
unsafe fn extend_live(definition: &Definition, direct: *mut pg_sys::Query) -> Result<*mut pg_sys::Query> {
    // SAFETY: the caller's promise; the live query is a copy of this command's own.
    unsafe {
        let live = definition.live_query;
        let outputs: Vec<_> = query::targets(direct).into_iter().filter(|target| !target.resjunk).collect();
        let Some((new, old)) = outputs.split_last() else { return Err(Error::internal("a query without outputs")) };
        let visible = definition.columns.iter().filter(|column| column.visible);
        let alike = old.iter().zip(visible).all(|(target, column)| Expr::new(target.expr).equals(column.expr));
        if !alike || (*direct).hasTargetSRFs || list::cells((*direct).rtable).len() != list::cells((*live).rtable).len() {
            return Err(unsupported("The query of the continuous aggregate returns sets, or can't be extended."));
        }
        let mut targets = list::pointers::<pg_sys::TargetEntry>((*live).targetList);
        let mut add = |expr: Expr, name: &str| {
            let target = ffi::makeTargetEntry(expr.copy().as_ptr(), targets.len() as i16 + 1, node::palloc_str(name), false);
            targets.push(target);
        };
        let output = Expr::new(new.expr);
        add(output, &optional_string(new.resname).unwrap_or_default());
        let mut number = definition.columns.iter().filter(|column| column.name.starts_with(PART_PREFIX)).count();
        let mut known: Vec<Expr> = definition.columns.iter().map(|column| column.expr).chain([output]).collect();
        for part in parts::of_output(output) {
            if !known.iter().any(|expr| expr.equals(part)) {
                number += 1;
                add(part, &format!("{PART_PREFIX}{number}"));
                known.push(part);
            }
        }
        (*live).targetList = list::from_pointers(targets);
        for index in 1..=list::cells((*live).rtable).len() {
            let (to, from) = (query::entry(live, index), query::entry(direct, index));
            to.selectedCols = ffi::bms_add_members(to.selectedCols, from.selectedCols);
        }
        Ok(live)
    }
}

/// Adds the new columns to storage and the views.
///
/// # Safety
/// Queries of the definition with the new output.
unsafe fn store(
    agg: &ContinuousAgg,
    definition: &Definition,
    name: &str,
    live: *mut pg_sys::Query,
    direct: *mut pg_sys::Query,
    time_type: pg_sys::Oid,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let columns = unsafe { views::planned(live, &definition.columns, definition.bucket_column) };
    let storage = qualified_name(agg.storage).ok_or_else(|| Error::internal("a continuous aggregate without storage"))?;
    for column in &columns[definition.columns.len()..] {
        let type_name = qualified_type_name_with(column.type_oid, column.typmod);
        let collation = column.collation_clause();
        let text = format!("ALTER TABLE {storage} ADD COLUMN {} {type_name} {collation}", quote_identifier(&column.name));
        ddl::as_whole(|| spi::execute(&text))?;
    }
    // SAFETY: the caller's promise.
    unsafe {
        query::extend_view(agg.partial_view, views::partial(&storage, live, &columns, time_type)?);
        query::extend_view(agg.direct_view, direct);
    }
    let from = if agg.materialized_only { storage } else { qualified_name(agg.partial_view).unwrap_or_default() };
    let view = Relation::open(agg.user_view, pg_sys::NoLock);
    let mut names: Vec<String> = view.attributes().iter().map(|attribute| name_string(&attribute.attname)).collect();
    drop(view);
    names.push(name.to_owned());
    // SAFETY: a query that was just analysed.
    unsafe { query::extend_view(agg.user_view, views::user(&from, &names)?) };
    // SAFETY: NULL: what is committed, and this transaction's.
    let state = unsafe { continuous_agg_range::read(agg.storage, std::ptr::null_mut()) };
    for range in state.materialized.as_slice() {
        continuous_agg_range::insert(agg.storage, Kind::Invalid, *range);
    }
    Ok(())
}
