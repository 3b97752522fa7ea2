//! `create_hypertable`: from the request to the converted or adopted table.

use pgrx::{PgLogLevel, pg_sys};

use super::interval::{self, Given};
use super::{checks, chunk_schema, intake, migrate, partitioning};
use crate::catalog::dimension::{self, Division, NewDimension};
use crate::catalog::hypertable::{self as hypertable_catalog, Hypertable};
use crate::catalog::{cache, chunk as chunk_catalog};
use crate::error::{Error, Result, SqlState};
use crate::pg::convert::{self, RangeKey};
use crate::pg::function::Function;
use crate::pg::relation::{Relation, quote_identifier, relation_name};
use crate::pg::{acl, context, ffi, guard, partition, spi, syscache};

/// What `create_hypertable` was asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The table.
    pub relid: pg_sys::Oid,
    /// The time column.
    pub time_column: String,
    /// The length of a chunk.
    pub interval: Given,
    /// A function to apply to the time column.
    pub time_function: Option<pg_sys::Oid>,
    /// A hash dimension: column, number of partitions, function.
    pub hash: Option<HashRequest>,
    /// The schema of the chunks.
    pub associated_schema: Option<String>,
    /// What chunks' names begin with.
    pub associated_prefix: Option<String>,
    /// Create the indexes that queries by time want.
    pub default_indexes: bool,
    /// No error if it is one already.
    pub if_not_exists: bool,
    /// Move the rows that are there.
    pub migrate_data: bool,
    /// It is to hold what a continuous aggregate has computed, by this id.
    pub storage_id: Option<i32>,
}

/// A hash dimension that was asked for.
#[derive(Debug, Clone)]
pub struct HashRequest {
    /// The column.
    pub column: String,
    /// The number of partitions.
    pub slices: Option<i32>,
    /// A function to apply to the column.
    pub function: Option<pg_sys::Oid>,
}

/// The outcome.
#[derive(Debug, Clone, Copy)]
pub struct Created {
    /// The hypertable's id.
    pub id: i32,
    /// False if it was one already.
    pub created: bool,
}

/// Makes a table a hypertable.
pub fn create(request: &Request) -> Result<Created> {
    if let Some(existing) = existing(request)? {
        return Ok(existing);
    }
    acl::require_owner(request.relid)?;
    let relation = Relation::open(request.relid, pg_sys::AccessExclusiveLock);
    // While we waited for the lock, the table may have changed hands, or another session may have been faster.
    acl::require_owner(request.relid)?;
    if let Some(existing) = existing(request)? {
        return Ok(existing);
    }
    checks::check_table(&relation)?;
    // SAFETY: an ERROR if a cursor or trigger of this session uses the table.
    unsafe { ffi::CheckTableNotInUse(relation.as_ptr(), c"create_hypertable".as_ptr()) };
    let plan = Plan::new(request, &relation)?;
    let created = if relation.is_partitioned() { plan.adopt(relation) } else { plan.convert(relation) }?;
    intake::ensure_if_subscribed(request.relid)?;
    Ok(created)
}

fn existing(request: &Request) -> Result<Option<Created>> {
    let Some(hypertable) = cache::find(request.relid) else { return Ok(None) };
    let message = format!("table \"{}\" is already a hypertable", relation_name(request.relid));
    if !request.if_not_exists {
        return Err(Error::new(SqlState::HYPERTABLE_EXISTS, message).hint("Pass if_not_exists => true to skip it."));
    }
    guard::notice(format!("{message}, skipping"));
    Ok(Some(Created { id: hypertable.id, created: false }))
}

/// A request that was checked against the table.
struct Plan<'a> {
    request: &'a Request,
    attribute: i16,
    key_type: pg_sys::Oid,
    function: Option<Function>,
    interval: i64,
    schema: String,
}

impl<'a> Plan<'a> {
    fn new(request: &'a Request, relation: &Relation) -> Result<Self> {
        let attribute = checks::check_time_column(relation, &request.time_column)?;
        let column_type = relation.attributes()[attribute as usize - 1].atttypid;
        let function = request.time_function.map(|oid| partitioning::check_time(oid, column_type)).transpose()?;
        let key_type = function.as_ref().map_or(column_type, |function| function.result);
        let axis = checks::check_time_type(&request.time_column, key_type)?;
        let interval = interval::resolve(axis, &request.time_column, request.interval)?;
        if request.storage_id.is_none() {
            checks::warn_about_type(&request.time_column, key_type);
        }
        let schema = chunk_schema::resolve(request.associated_schema.as_deref(), relation.class().relowner)?;
        check_prefix(request.associated_prefix.as_deref())?;
        Ok(Self { request, attribute, key_type, function, interval, schema })
    }

    /// A table that is partitioned already: its partitions become chunks.
    fn adopt(&self, relation: Relation) -> Result<Created> {
        let oid = relation.oid();
        check_adoptable(&relation, self.attribute, &self.request.time_column, self.key_type, self.function.is_some())?;
        let not_null = relation.attributes()[self.attribute as usize - 1].attnotnull;
        drop(relation);
        if !not_null {
            self.announce_not_null();
            let column = quote_identifier(&self.request.time_column);
            spi::execute(&format!("ALTER TABLE {} ALTER COLUMN {column} SET NOT NULL", qualified(oid)?))?;
        }
        let hypertable = self.register(oid, &[])?;
        self.create_default_indexes(oid)?;
        register_partitions(&hypertable, oid);
        Ok(Created { id: hypertable.id, created: true })
    }

    fn convert(&self, relation: Relation) -> Result<Created> {
        checks::check_plain(&relation, self.attribute)?;
        let empty = migrate::is_empty(&relation);
        if !empty && !self.request.migrate_data {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("table \"{}\" is not empty", relation.name()))
                .hint("You can migrate data by specifying 'migrate_data => true' when calling this function."));
        }
        let oid = relation.oid();
        let options = chunk_options(&relation);
        let range = RangeKey { attribute: self.attribute, function: self.function.as_ref().map(|function| function.oid) };
        if !relation.attributes()[self.attribute as usize - 1].attnotnull {
            self.announce_not_null();
            if !empty {
                migrate::check_no_nulls(&relation, self.attribute)?;
            }
            convert::set_not_null(oid, self.attribute);
        }
        let hypertable = self.register(oid, &options)?;
        let moved = if empty {
            migrate::Moved::default()
        } else {
            // A time partitioning function is the owner's.
            context::as_user(relation.class().relowner, || migrate::move_rows(&relation, &hypertable, range))?
        };
        convert::to_partitioned(&relation, range);
        drop(relation);
        cache::invalidate(oid);
        self.create_default_indexes(oid)?;
        let relation = Relation::open(oid, pg_sys::NoLock);
        migrate::attach(&relation, &hypertable, &moved)?;
        Ok(Created { id: hypertable.id, created: true })
    }

    fn announce_not_null(&self) {
        Error::new(SqlState("00000"), format!("adding not-null constraint to column \"{}\"", self.request.time_column))
            .detail("Dimensions cannot have NULL values.")
            .report(PgLogLevel::NOTICE);
    }

    /// Enters the hypertable and its dimensions into the catalog.
    fn register(&self, relid: pg_sys::Oid, options: &[String]) -> Result<Hypertable> {
        let missing = || Error::internal("the extension's catalog is missing");
        let prefix = self.request.associated_prefix.as_deref();
        let id = hypertable_catalog::insert(relid, self.request.storage_id, &self.schema, prefix, options).ok_or_else(missing)?;
        let partitioning_func = self.function.as_ref().map(|function| function.name.clone());
        let division = Division::Range { interval: self.interval };
        dimension::insert(id, relid, 1, &NewDimension { column: self.request.time_column.clone(), division, partitioning_func })
            .ok_or_else(missing)?;
        if let Some(hash) = &self.request.hash {
            super::dimensions::add_hash(id, relid, 2, hash)?;
        }
        hypertable_catalog::read(relid).ok_or_else(missing)
    }

    fn create_default_indexes(&self, relid: pg_sys::Oid) -> Result<()> {
        if !self.request.default_indexes {
            return Ok(());
        }
        let time = &self.request.time_column;
        ensure_index(relid, &[time])?;
        if let Some(hash) = &self.request.hash {
            ensure_index(relid, &[&hash.column, time])?;
        }
        Ok(())
    }
}

/// Creates an index on `columns`, the last one descending, unless there is one on just these columns in this order.
/// The caller holds no reference to the table: CREATE INDEX would take it for a use by this session.
pub fn ensure_index(relid: pg_sys::Oid, columns: &[&str]) -> Result<()> {
    let relation = Relation::open(relid, pg_sys::AccessShareLock);
    let attributes: Vec<i16> =
        columns.iter().map(|column| relation.require_attribute(column).map(|attribute| attribute.attnum)).collect::<Result<_>>()?;
    let exists = relation.index_oids().into_iter().any(|index| {
        syscache::CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, index).is_some_and(|tuple| {
            let whole = tuple.attribute(pg_sys::Anum_pg_index_indpred).is_none();
            // SAFETY: a tuple of pg_index; indkey ends the fixed part and holds indnatts elements.
            let form = unsafe { tuple.form::<pg_sys::FormData_pg_index>() };
            // SAFETY: as above.
            let keys = unsafe { form.indkey.values.as_slice(form.indnkeyatts as usize) };
            whole && keys == attributes
        })
    });
    drop(relation);
    if exists {
        return Ok(());
    }
    let list: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{}{}", quote_identifier(column), if index + 1 == columns.len() { " DESC" } else { "" }))
        .collect();
    spi::execute(&format!("CREATE INDEX ON {} ({})", qualified(relid)?, list.join(", ")))
}

fn qualified(relid: pg_sys::Oid) -> Result<String> {
    crate::pg::relation::qualified_name(relid).ok_or_else(|| Error::internal("the table is gone"))
}

/// The storage parameters of the table and of its TOAST table, which its chunks take over.
fn chunk_options(relation: &Relation) -> Vec<String> {
    let mut options = syscache::reloptions(relation.oid());
    let toast = relation.class().reltoastrelid;
    if toast != pg_sys::InvalidOid {
        options.extend(syscache::reloptions(toast).into_iter().map(|option| format!("toast.{option}")));
    }
    options
}

/// A prefix leaves room for `_<id>_chunk` in a name of 63 bytes.
fn check_prefix(prefix: Option<&str>) -> Result<()> {
    const LONGEST: usize = 63 - "_2147483647_chunk".len();
    match prefix {
        Some("") => Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "associated_table_prefix must not be empty")),
        Some(prefix) if prefix.len() > LONGEST => {
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "associated_table_prefix too long")
                .hint(format!("Use at most {LONGEST} bytes.")))
        }
        _ => Ok(()),
    }
}

/// Only a table partitioned by range on the one time column can be adopted.
fn check_adoptable(relation: &Relation, attribute: i16, column: &str, key_type: pg_sys::Oid, has_function: bool) -> Result<()> {
    let name = relation.name();
    let refuse = |message: String| Error::new(SqlState::BAD_HYPERTABLE_DEFINITION, message);
    let key = partition::key(relation).ok_or_else(|| Error::internal("a partitioned table without a key"))?;
    if key.strategy != b'r' || key.columns != 1 || key.attribute != attribute || has_function {
        return Err(refuse(format!("table \"{name}\" is already partitioned, but not by range on column \"{column}\" alone")).hint(
            "A partitioned table can be adopted if it is PARTITION BY RANGE on its time column; otherwise move its rows into a new table.",
        ));
    }
    if partition::default_of(relation).is_some_and(|default| !intake::is_intake(default)) {
        return Err(refuse(format!("table \"{name}\" has a default partition"))
            .detail("Rows of ranges without a chunk would go there instead of into new chunks.")
            .hint("Detach the default partition, make the table a hypertable, and insert its rows."));
    }
    let axis = checks::check_time_type(column, key_type)?;
    for child in partition::partitions(relation, axis) {
        let (inexact, foreign) = (!bounds_are_exact(axis, child.slice), has_foreign_leaf(child.oid));
        let child_name = relation_name(child.oid);
        if inexact {
            return Err(refuse(format!("partition \"{child_name}\" is not bounded by whole milliseconds")));
        }
        if foreign {
            return Err(refuse(format!("partition \"{child_name}\" is or has a foreign table")).hint("Detach it first."));
        }
    }
    Ok(())
}

/// UUID bounds count only as whole milliseconds; those of other types always do.
fn bounds_are_exact(axis: tsc_kernel::axis::Axis, slice: tsc_kernel::axis::Slice) -> bool {
    use crate::pg::axis::{datum, position};
    // SAFETY: the Datum was made for the axis.
    let exact = |at: Option<i64>| at.is_none_or(|at| unsafe { position(axis, datum(axis, at)) } == at);
    exact(slice.start) && exact(slice.end)
}

fn leaves(relid: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalog scan; the list holds OIDs. Locks the whole tree as its adoption demands.
    let all = unsafe { crate::pg::list::oids(ffi::find_all_inheritors(relid, pg_sys::AccessExclusiveLock as i32, std::ptr::null_mut())) };
    // SAFETY: a syscache look-up.
    all.into_iter().filter(|oid| unsafe { ffi::get_rel_relkind(*oid) } as u8 != b'p').collect()
}

fn has_foreign_leaf(relid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up.
    leaves(relid).into_iter().any(|oid| unsafe { ffi::get_rel_relkind(oid) } as u8 == b'f')
}

/// Enters leaf partitions that the catalog does not know as chunks.
pub fn register_partitions(hypertable: &Hypertable, relid: pg_sys::Oid) {
    for leaf in leaves(relid) {
        if leaf != relid && chunk_catalog::find(leaf).is_none() && !intake::is_intake(leaf) {
            chunk_catalog::insert(chunk_catalog::next_id(), hypertable.id, leaf);
            crate::pg::table::command_counter_increment();
        }
    }
}
