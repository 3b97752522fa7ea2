//! `CREATE MATERIALIZED VIEW ... WITH (timescaledb.continuous)`: from the analysed query to storage, three views and a catalog row.

use pgrx::pg_sys;

use super::options::Options;
use super::views::Planned;
use super::{analysis, from, storage, views};
use crate::cagg::ddl;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::change::place;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::intake;
use crate::pg::relation::{optional_string, qualified_name, relation_name};
use crate::pg::{acl, ffi, guard, list, node, query};

/// What became of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was a relation of the name already, and IF NOT EXISTS was said.
    Skipped,
    /// It was created.
    Created(ContinuousAgg),
}

/// Carries out the statement, but for filling storage.
///
/// # Safety
/// A statement of the parser's, analysed, that may be changed.
pub unsafe fn run(statement: *mut pg_sys::CreateTableAsStmt, options: &Options) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    unsafe {
        let into = &*(*statement).into;
        let name = into.rel;
        if !into.accessMethod.is_null() {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "a continuous aggregate has no access method of its own"));
        }
        let mut existing = pg_sys::InvalidOid;
        ffi::RangeVarGetAndCheckCreationNamespace(name, pg_sys::NoLock as i32, &mut existing);
        if existing != pg_sys::InvalidOid && (*statement).if_not_exists {
            let what = if continuous_agg::of_view(existing).is_some() { "continuous aggregate" } else { "relation" };
            guard::notice(format!("{what} \"{}\" already exists, skipping", relation_name(existing)));
            return Ok(Outcome::Skipped);
        }
        if (*name).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "a continuous aggregate cannot be temporary"));
        }
        let query: *mut pg_sys::Query = ffi::copyObjectImpl((*statement).query.cast()).cast();
        name_columns(query, into.colNames)?;
        let analysis = analysis::analyze(query)?;
        acl::require_trigger(query::entry(query, analysis.source.relation).relid)?;
        let (live, columns) = views::live(&analysis);
        let (id, names, relid) = storage::create(&analysis, &columns, options, into.tableSpaceName)?;
        let direct = create_view(&names.direct_view, query)?;
        let storage_name = qualified(relid)?;
        let partial = views::partial(&storage_name, live, &columns, analysis.source.hypertable.time().type_oid)?;
        let partial_view = create_view(&names.partial_view, partial)?;
        let from = if options.materialized_only { storage_name } else { qualified(partial_view)? };
        let user = views::user(&from, &visible_names(&columns))?;
        let user_view = query::create_relation(name, b'v', query::column_definitions(user), pg_sys::InvalidOid, std::ptr::null_mut());
        query::define_view(user_view, user, false);
        let agg = ContinuousAgg {
            id,
            storage: relid,
            source: analysis.source.hypertable.relid,
            user_view,
            partial_view,
            direct_view: direct,
            materialized_only: options.materialized_only,
            grain: analysis.bucket.grain(),
            is_restored: false,
        };
        ddl::tie(agg.partial_view, agg.direct_view, agg.user_view);
        place::keep_writers_out(agg.source);
        from::require_fit(agg.source)?;
        continuous_agg::insert(&agg);
        intake::watch_if_subscribed(agg.source)?;
        Ok(Outcome::Created(agg))
    }
}

/// The names of the columns that the user's view has.
pub fn visible_names(columns: &[Planned]) -> Vec<String> {
    columns.iter().filter(|column| column.visible).map(|column| column.name.clone()).collect()
}

fn qualified(relid: pg_sys::Oid) -> Result<String> {
    qualified_name(relid).ok_or_else(|| Error::internal("a relation that was just created is gone"))
}

/// Creates a helper view with a query as its definition.
///
/// # Safety
/// A Query.
unsafe fn create_view(name: &str, query: *mut pg_sys::Query) -> Result<pg_sys::Oid> {
    // SAFETY: the caller's promise.
    unsafe {
        check_collations(query)?;
        let owner = crate::pg::context::current_user();
        let view = storage::create_internal(name, b'v', query::column_definitions(query), owner, std::ptr::null_mut())?;
        query::define_view(view, query, false);
        Ok(view)
    }
}

/// As DefineVirtualRelation.
///
/// # Safety
/// A Query.
unsafe fn check_collations(query: *mut pg_sys::Query) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        for target in query::targets(query).into_iter().filter(|target| !target.resjunk) {
            let expression = target.expr.cast();
            if ffi::type_is_collatable(ffi::exprType(expression)) && ffi::exprCollation(expression) == pg_sys::InvalidOid {
                let name = optional_string(target.resname).unwrap_or_default();
                return Err(Error::new(
                    SqlState("42P22"),
                    format!("could not determine which collation to use for view column \"{name}\""),
                )
                .hint("Use the COLLATE clause to set the collation explicitly."));
            }
        }
    }
    Ok(())
}

/// Gives the columns the names of the statement's list, as DefineView does.
///
/// # Safety
/// A Query and a list of String nodes.
unsafe fn name_columns(query: *mut pg_sys::Query, names: *mut pg_sys::List) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut names = list::pointers::<pg_sys::String>(names).into_iter();
        for target in list::pointers::<pg_sys::TargetEntry>((*query).targetList) {
            if (*target).resjunk {
                continue;
            }
            match names.next().and_then(|name| optional_string((*name).sval)) {
                Some(name) => (*target).resname = node::palloc_str(&name),
                None => break,
            }
        }
        if names.next().is_some() {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
        }
    }
    Ok(())
}
