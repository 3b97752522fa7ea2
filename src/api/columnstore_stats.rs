//! What the columnstore saves, and what it would choose.

use pgrx::{IntoDatum, JsonB, pg_sys};

use crate::cagg::ddl::storage_of;
use crate::catalog::cache;
use crate::chunk::{list, size};
use crate::columnar::settings::OrderColumn;
use crate::columnar::{defaults, settings, settings_text};
use crate::error::{Error, SqlState};
use crate::pg::relation::{quote_identifier, relation_name, schema_name};
use crate::pg::size::Size;
use crate::pg::srf::ResultSet;
use crate::pg::table::name_datum;
use crate::sql_function;

fn bytes(size: Option<Size>) -> [Option<pg_sys::Datum>; 4] {
    let of = |part: fn(&Size) -> i64| size.as_ref().map(part).into_datum();
    [of(|size| size.table), of(|size| size.index), of(|size| size.toast), of(|size| size.total)]
}

sql_function!(
    /// `chunk_columnstore_stats(hypertable)`, `chunk_compression_stats(hypertable)`
    tsc_chunk_columnstore_stats,
    |args| -> pg_sys::Datum {
        let chunks = args.get(0).map(storage_of).map(size::compression).transpose()?.flatten().unwrap_or_default();
        let mut rows = ResultSet::new(args);
        for (chunk, compressed) in chunks {
            let status = if compressed.is_some() { "Compressed" } else { "Uncompressed" };
            let schema = schema_name(chunk.relid).as_deref().and_then(name_datum);
            let mut row = vec![schema, name_datum(&relation_name(chunk.relid)), status.into_datum()];
            row.extend(bytes(compressed.map(|sizes| sizes.before)));
            row.extend(bytes(compressed.map(|sizes| sizes.after)));
            row.push(None);
            rows.push(&row);
        }
        Ok(None)
    }
);

sql_function!(
    /// `_timescaledb_functions.get_segmentby_defaults(relation)`
    tsc_get_segmentby_defaults,
    |args| -> JsonB {
        let relid = storage_of(args.require(0, "relation")?);
        let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
        let choice = defaults::segmentby(&hypertable, settings::typical(&hypertable))?;
        let json = serde_json::json!({ "columns": choice.columns, "confidence": choice.confidence, "message": choice.message });
        Ok(Some(JsonB(json)))
    }
);

sql_function!(
    /// `_timescaledb_functions.get_orderby_defaults(relation, segmentby)`
    tsc_get_orderby_defaults,
    |args| -> JsonB {
        let relid = storage_of(args.require(0, "relation")?);
        let hypertable = cache::find(relid).ok_or_else(|| list::not_a_hypertable(relid))?;
        let segmentby: Vec<Option<String>> = args.get_or(1, Vec::new());
        let choice = defaults::orderby(&hypertable, &segmentby.into_iter().flatten().collect::<Vec<_>>());
        let clauses: Vec<String> = choice.columns.iter().map(clause).collect();
        let json = serde_json::json!({ "clauses": clauses, "confidence": choice.confidence, "message": choice.message });
        Ok(Some(JsonB(json)))
    }
);

/// The column as ORDER BY takes it, without what is the default.
fn clause(column: &OrderColumn) -> String {
    let direction = if column.descending { " DESC" } else { "" };
    let nulls = match (column.descending, column.nulls_first) {
        (true, false) => " NULLS LAST",
        (false, true) => " NULLS FIRST",
        _ => "",
    };
    format!("{}{direction}{nulls}", quote_identifier(&column.name))
}

sql_function!(
    /// `_timescaledb_functions.sparse_index_json(sparse_index)`: for views.
    tsc_sparse_index_json,
    |args| -> JsonB {
        let text: String = args.require(0, "sparse_index")?;
        let indexes = settings_text::sparse(&text).map_err(|reason| Error::new(SqlState::SYNTAX_ERROR, reason.0))?;
        let describe = |index: settings_text::SparseIndex| {
            let column = match index.columns.as_slice() {
                [column] => serde_json::json!(column),
                columns => serde_json::json!(columns),
            };
            serde_json::json!({ "type": index.kind.name(), "column": column, "source": "config" })
        };
        Ok(Some(JsonB(serde_json::Value::Array(indexes.into_iter().map(describe).collect()))))
    }
);
