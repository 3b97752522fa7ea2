//! Changing the columnstore's settings of a hypertable: `CREATE TABLE ... WITH` and `ALTER TABLE ... SET`, `RESET`.
//!
//! Settings are for chunks that are compressed later; a chunk keeps those it was compressed with.

use pgrx::{PgLogLevel, pg_sys};

use super::layout::block_name;
use super::settings::OrderColumn;
use super::settings_text::{self, SparseIndex, Unreadable};
use super::{defaults, settings_check};
use crate::catalog::columnar_chunk::{self, ColumnarChunk};
use crate::catalog::columnstore::{self, Columnstore};
use crate::catalog::hypertable::Hypertable;
use crate::catalog::naming::Known;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::with_options::{Change, ColumnstoreOptions, read_interval};
use crate::hypertable::{dimensions, interval};
use crate::pg::relation::{Relation, column_of, name_string, relation_name};
use crate::pg::{alter, guard};

/// The settings of a new hypertable: columnstore is on unless it was said otherwise.
pub fn create(relid: pg_sys::Oid, mut options: ColumnstoreOptions) -> Result<()> {
    if options.enable.is_none() && !options.sets() {
        let root = Relation::open(relid, pg_sys::AccessShareLock);
        if settings_check::check_table(&root).is_err() {
            return Ok(());
        }
    }
    options.enable = Some(options.enable.unwrap_or(true));
    alter(relid, &options)
}

/// Carries out what options say.
pub fn alter(relid: pg_sys::Oid, options: &ColumnstoreOptions) -> Result<()> {
    if *options == ColumnstoreOptions::default() {
        return Ok(());
    }
    let hypertable = dimensions::require_owned(relid)?;
    let current = columnstore::find(hypertable.id);
    if options.enable == Some(false) {
        return disable(&hypertable, options, current.is_some());
    }
    if current.is_none() && options.enable.is_none() {
        if !options.sets() {
            return Ok(());
        }
        Error::new(SqlState("00000"), format!("enabling columnstore on {}", Known::of(relid).described()))
            .detail("The options are settings of the columnstore, which was off.")
            .report(PgLogLevel::NOTICE);
    }
    let root = Relation::open(relid, pg_sys::NoLock);
    if current.is_none() {
        settings_check::check_table(&root)?;
    }
    let was = current.clone().unwrap_or_default();
    let new = changed(&root, &hypertable, was, options)?;
    if current.as_ref() == Some(&new) {
        return Ok(());
    }
    settings_check::check(&root, &new)?;
    if options.index != Change::Keep {
        settings_check::explain_sparse(&root, &new);
    }
    columnstore::put(hypertable.id, &new);
    if options.segmentby != Change::Keep || options.orderby != Change::Keep {
        settings_check::warn_of_unique_columns(&root, &new);
    }
    let is_of_chunks = current.is_some_and(|was| Columnstore { direct_compress: new.direct_compress, ..was } != new);
    if is_of_chunks && has_compressed_chunks(hypertable.id) {
        guard::notice("updated compression settings will only apply to future compressions");
    }
    Ok(())
}

fn has_compressed_chunks(hypertable_id: i32) -> bool {
    columnar_chunk::of_hypertable(hypertable_id).iter().any(|chunk| chunk.compressed)
}

fn disable(hypertable: &Hypertable, options: &ColumnstoreOptions, is_enabled: bool) -> Result<()> {
    if options.changes_settings() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "cannot disable columnstore and change its settings at once"));
    }
    if !is_enabled {
        return Ok(());
    }
    if has_compressed_chunks(hypertable.id) {
        let known = Known::of(hypertable.relid);
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot disable columnstore on hypertable with columnstore chunks")
            .detail(format!("Chunks of {} are compressed.", known.described()))
            .hint(format!("Decompress them first: SELECT decompress_chunk(c) FROM show_chunks({}) c;", known.literal())));
    }
    columnstore::delete(hypertable.id);
    crate::pg::table::command_counter_increment();
    Ok(())
}

/// What is set after options changed it, names checked for existence only.
fn changed(root: &Relation, hypertable: &Hypertable, mut settings: Columnstore, options: &ColumnstoreOptions) -> Result<Columnstore> {
    match &options.segmentby {
        Change::Keep => {}
        Change::Reset => settings.segmentby = None,
        Change::To(text) => {
            settings.segmentby = Some(settings_text::columns(text).map_err(|reason| {
                unreadable("segmenting", text, reason).hint("The option timescaledb.segmentby is a list of columns, separated by commas.")
            })?);
        }
    }
    match &options.orderby {
        Change::Keep => {}
        Change::Reset => settings.orderby = None,
        Change::To(text) => settings.orderby = read_order(text)?,
    }
    match &options.index {
        Change::Keep => {}
        Change::Reset => settings.sparse_index = None,
        Change::To(text) => settings.sparse_index = Some(settings_text::sparse_text(&read_sparse(text)?)),
    }
    match &options.direct_compress {
        Change::Keep => {}
        Change::Reset => settings.direct_compress = false,
        Change::To(text) => settings.direct_compress = text == "true",
    }
    if let Change::To(text) = &options.compress_interval {
        settings.compress_interval = read_compress_interval(root, hypertable, text)?;
    }
    let time = &hypertable.time().column;
    let is_segment = settings.segmentby.as_ref().is_some_and(|columns| columns.contains(time));
    if let Some(orderby) = settings.orderby.as_mut().filter(|_| !is_segment)
        && !orderby.iter().any(|column| column.name == *time)
    {
        orderby.push(defaults::latest_first(time));
    }
    Ok(settings)
}

fn unreadable(what: &str, text: &str, reason: Unreadable) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, format!("unable to parse {what} option \"{text}\"")).detail(reason.0)
}

fn read_order(text: &str) -> Result<Option<Vec<OrderColumn>>> {
    let columns = settings_text::order(text).map_err(|reason| {
        unreadable("ordering", text, reason)
            .hint("The option timescaledb.orderby is a list of columns with ASC, DESC, NULLS FIRST or NULLS LAST, as in ORDER BY.")
    })?;
    Ok(Some(columns).filter(|columns| !columns.is_empty()))
}

fn read_sparse(text: &str) -> Result<Vec<SparseIndex>> {
    settings_text::sparse(text).map_err(|reason| {
        unreadable("sparse index", text, reason).hint("The option timescaledb.index is a list such as 'bloom(a, b), minmax(c)'.")
    })
}

/// The length in the unit of the time column; None for 0, which turns merging off.
fn read_compress_interval(root: &Relation, hypertable: &Hypertable, text: &str) -> Result<Option<i64>> {
    if text.trim() == "0" {
        return Ok(None);
    }
    let time = hypertable.time();
    let axis = time.axis().ok_or_else(|| Error::internal("a range dimension without an axis"))?;
    let length = interval::resolve(axis, &time.column, Some(read_interval(root, &time.column, text)?))?;
    if let Some(chunk) = time.interval().filter(|chunk| length % chunk != 0) {
        Error::new(SqlState("01000"), "the interval up to which chunks are merged is not a multiple of the chunk interval")
            .detail(format!("A merged chunk will be {} chunks long.", (length / chunk).max(1)))
            .report(PgLogLevel::WARNING);
    }
    Ok(Some(length))
}

/// The name of a new column is not one of the columnstore's own, if that is on.
pub fn check_new_column(hypertable: &Hypertable, name: &str) -> Result<()> {
    if columnstore::find(hypertable.id).is_some() { settings_check::check_name(name) } else { Ok(()) }
}

/// The type of a new column is one that the columnstore can keep, if that is on.
pub fn check_new_type(hypertable: &Hypertable, name: &str, type_oid: pg_sys::Oid) -> Result<()> {
    if columnstore::find(hypertable.id).is_some() { settings_check::check_type(name, type_oid) } else { Ok(()) }
}

/// Follows `ALTER TABLE ... RENAME COLUMN`.
pub fn rename_column(hypertable: &Hypertable, from: &str, to: &str) {
    if let Some(mut settings) = columnstore::find(hypertable.id) {
        let rename = |name: &mut String| {
            if name == from {
                *name = to.to_owned();
            }
        };
        settings.segmentby.iter_mut().flatten().for_each(rename);
        settings.orderby.iter_mut().flatten().for_each(|column| rename(&mut column.name));
        if let Some(Ok(mut indexes)) = settings.sparse_index.as_deref().map(settings_text::sparse) {
            indexes.iter_mut().flat_map(|index| &mut index.columns).for_each(rename);
            settings.sparse_index = Some(settings_text::sparse_text(&indexes));
        }
        columnstore::put(hypertable.id, &settings);
    }
    replace_column(hypertable, from, to);
}

fn replace_column(hypertable: &Hypertable, from: &str, to: &str) {
    for mut chunk in columnar_chunk::of_hypertable(hypertable.id) {
        if let Some(column) = chunk.columns.iter_mut().find(|column| *column == from) {
            to.clone_into(column);
            columnar_chunk::put(&chunk);
        }
    }
    crate::pg::table::command_counter_increment();
}

/// A column of a table, perhaps a chunk, is about to be dropped, by whatever command: refused if batches are sorted by it.
/// Its blocks go with it: a new column of its name will have nothing to do with them.
pub fn drop_column(relid: pg_sys::Oid, attribute: i16) -> Result<()> {
    let Some(mut chunk) = columnar_chunk::find(relid) else { return Ok(()) };
    let relation = Relation::open(relid, pg_sys::NoLock);
    let name = name_string(&relation.attributes()[attribute as usize - 1].attname);
    check_keys(&chunk, &name)?;
    if let Some(position) = chunk.columns.iter().position(|column| *column == name) {
        chunk.columns[position].clear();
        columnar_chunk::put(&chunk);
        crate::pg::table::command_counter_increment();
        let blocks = block_name(position);
        if column_of(chunk.batches, &blocks).is_some() {
            alter::drop_column(chunk.batches, &blocks);
        }
    }
    Ok(())
}

fn used(name: &str, detail: String, hint: String) -> Error {
    let message = format!("cannot drop orderby or segmentby column \"{name}\" of a hypertable with columnstore enabled");
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail).hint(hint)
}

fn check_keys(chunk: &ColumnarChunk, name: &str) -> Result<()> {
    let mut keys = chunk.segmentby.iter().copied().chain(chunk.orderby.iter().map(|order| order.column));
    if !chunk.compressed || !keys.any(|key| chunk.columns.get(key).is_some_and(|column| column == name)) {
        return Ok(());
    }
    let detail = format!("The batches of chunk \"{}\" are sorted by it.", relation_name(chunk.relid));
    let hint = "Decompress the chunks that are compressed, drop the column, and compress them again.";
    Err(used(name, detail, hint.to_owned()))
}

/// Refuses to drop a column that settings name or that the batches of a chunk are sorted by.
pub fn check_drop_column(hypertable: &Hypertable, name: &str) -> Result<()> {
    if let Some(settings) = columnstore::find(hypertable.id) {
        let option = if settings.segmentby.iter().flatten().any(|column| column == name) {
            "segmentby"
        } else if settings.orderby.iter().flatten().any(|column| column.name == name) {
            "orderby"
        } else if sparse_columns(&settings).any(|column| column == name) {
            "index"
        } else {
            ""
        };
        if !option.is_empty() {
            return Err(used(
                name,
                format!("The option timescaledb.{option} names it."),
                format!("Set the option anew, or {} RESET (timescaledb.{option}).", Known::of(hypertable.relid).alter()),
            ));
        }
    }
    columnar_chunk::of_hypertable(hypertable.id).iter().try_for_each(|chunk| check_keys(chunk, name))
}

fn sparse_columns(settings: &Columnstore) -> impl Iterator<Item = String> {
    let indexes = settings.sparse_index.as_deref().and_then(|text| settings_text::sparse(text).ok());
    indexes.into_iter().flatten().flat_map(|index| index.columns)
}
