//! The hypertable that holds what a continuous aggregate has computed.

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;

use super::analysis::Analysis;
use super::options::Options;
use super::views::Planned;
use crate::catalog::{cache, dimension};
use crate::error::{Error, Result};
use crate::hypertable::chunk_schema;
use crate::hypertable::create::{self, Request};
use crate::hypertable::interval::Given;
use crate::hypertable::with_options::read_interval;
use crate::pg::relation::{Relation, exists, optional_string};
use crate::pg::{acl, context, ffi, function, index, node, query, table};

/// How many chunks of the source one of storage is as long as.
const CHUNKS: i64 = 10;

/// The name of storage without its id.
const PREFIX: &str = "_materialized_hypertable_";

/// The names of the relations of an id.
pub struct Names {
    /// The storage.
    pub storage: String,
    /// The view that is the defining query.
    pub direct_view: String,
    /// The view of all groups with the hidden parts.
    pub partial_view: String,
}

impl Names {
    /// Those of an id.
    pub fn of(id: i32) -> Self {
        Self { storage: format!("{PREFIX}{id}"), direct_view: format!("_direct_view_{id}"), partial_view: format!("_partial_view_{id}") }
    }

    /// Those that belong to a name of storage.
    pub fn of_storage(name: &str) -> Option<Self> {
        name.strip_prefix(PREFIX)?.parse().ok().map(Self::of)
    }
}

/// An id and its names, which are free: a restore without data leaves relations that the catalog knows nothing of.
fn free_id(owner: pg_sys::Oid) -> Result<(i32, Names)> {
    let schema = chunk_schema::resolve(None, owner)?;
    let oid = function::schema_oid(&schema).ok_or_else(|| Error::internal("the schema of chunks is gone"))?;
    loop {
        let id = table::next_id("hypertable_id_seq");
        let names = Names::of(id);
        if ![&names.storage, &names.direct_view, &names.partial_view].into_iter().any(|name| exists(oid, name)) {
            return Ok((id, names));
        }
    }
}

/// Creates a relation of a continuous aggregate in the schema of chunks, in which its owner may not create any.
///
/// # Safety
/// ColumnDef nodes that need no parse analysis.
pub unsafe fn create_internal(
    name: &str,
    kind: u8,
    columns: Vec<*mut pg_sys::ColumnDef>,
    owner: pg_sys::Oid,
    tablespace: *mut std::ffi::c_char,
) -> Result<pg_sys::Oid> {
    let schema = chunk_schema::resolve(None, owner)?;
    let schema_owner =
        function::schema_oid(&schema).map(function::schema_owner).ok_or_else(|| Error::internal("the schema of chunks is gone"))?;
    let variable = node::make_range_var(&schema, name);
    // SAFETY: the caller's promise.
    Ok(context::as_user(schema_owner, || unsafe { query::create_relation(variable, kind, columns, owner, tablespace) }))
}

/// Creates storage for the columns, as the hypertable of a new id.
pub fn create(
    analysis: &Analysis,
    columns: &[Planned],
    options: &Options,
    tablespace: *mut std::ffi::c_char,
) -> Result<(i32, Names, pg_sys::Oid)> {
    let owner = context::current_user();
    check_rights(columns, tablespace, owner)?;
    let (id, names) = free_id(owner)?;
    let bucket = columns.iter().find(|column| column.is_bucket).ok_or_else(|| Error::internal("a continuous aggregate without bucket"))?;
    let definitions = columns.iter().map(|column| {
        // SAFETY: the node is fresh; it keeps a palloc'd copy of the name.
        unsafe {
            let definition = ffi::makeColumnDef(node::palloc_str(&column.name), column.type_oid, column.typmod, column.collation);
            (*definition).is_not_null = column.is_bucket;
            definition
        }
    });
    // SAFETY: definitions by type OIDs.
    let relid = unsafe { create_internal(&names.storage, b'r', definitions.collect(), owner, tablespace) }?;
    create::create(&Request {
        relid,
        time_column: bucket.name.clone(),
        interval: interval(analysis, options, relid, &bucket.name)?,
        time_function: None,
        hash: None,
        associated_schema: None,
        associated_prefix: None,
        default_indexes: false,
        if_not_exists: false,
        migrate_data: false,
        storage_id: Some(id),
    })?;
    copy_integer_now(analysis, relid);
    index::create(relid, &[(&bucket.name, true)]);
    if options.group_indexes {
        for column in columns.iter().filter(|column| column.grouped && !column.is_bucket && index::can_sort(column.type_oid)) {
            index::create(relid, &[(&column.name, false), (&bucket.name, true)]);
        }
    }
    Ok((id, names, relid))
}

/// What PostgreSQL asks of who creates a table, and would ask of the owner of the schema, as whom it is created here.
fn check_rights(columns: &[Planned], tablespace: *mut std::ffi::c_char, role: pg_sys::Oid) -> Result<()> {
    // SAFETY: look-ups; a tablespace that does not exist is an ERROR, as is a type that the role may not use.
    unsafe {
        for column in columns {
            let allowed = ffi::pg_type_aclcheck(column.type_oid, role, pg_sys::ACL_USAGE);
            if allowed != pg_sys::AclResult::ACLCHECK_OK {
                ffi::aclcheck_error_type(allowed, column.type_oid);
            }
        }
        let oid = match tablespace.is_null() {
            true => ffi::GetDefaultTablespace(pg_sys::RELPERSISTENCE_PERMANENT as std::ffi::c_char, false),
            false => ffi::get_tablespace_oid(tablespace, false),
        };
        if oid == pg_sys::InvalidOid || oid == pg_sys::MyDatabaseTableSpace {
            return Ok(());
        }
        acl::require_create_in_tablespace(oid, &optional_string(ffi::get_tablespace_name(oid)).unwrap_or_default(), role)
    }
}

/// What was asked for, or ten times the source's; over another continuous aggregate as long as that one's, which is ten times the
/// raw table's already.
fn interval(analysis: &Analysis, options: &Options, relid: pg_sys::Oid, bucket: &str) -> Result<Given> {
    if let Some(text) = &options.chunk_interval {
        let relation = Relation::open(relid, pg_sys::AccessShareLock);
        return read_interval(&relation, bucket, text).map(Some);
    }
    let time = analysis.source.hypertable.time();
    let source = time.interval().ok_or_else(|| Error::internal("a time dimension without interval"))?;
    let most = match time.axis() {
        Some(Axis::Int2) => i16::MAX.into(),
        Some(Axis::Int4) => i32::MAX.into(),
        _ => i64::MAX,
    };
    let length = if analysis.source.parent.is_some() { source } else { source.saturating_mul(CHUNKS).min(most) };
    Ok(Some((pg_sys::INT8OID, pg_sys::Datum::from(length))))
}

fn copy_integer_now(analysis: &Analysis, relid: pg_sys::Oid) {
    if let (Some(function), Some(storage)) = (&analysis.source.hypertable.time().integer_now_func, cache::find(relid)) {
        dimension::set_integer_now(storage.time().id, relid, Some(function));
    }
}
