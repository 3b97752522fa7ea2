//! How many different values columns have: as ANALYZE counted them, or by a look at some pages.

use pgrx::pg_sys;

use super::relation::{Relation, qualified_name, quote_identifier};
use super::{context, ffi, size, spi, syscache};
use crate::error::Result;

/// Pages that a sample reads.
const SAMPLE_PAGES: f64 = 128.0;

/// What is known of one column, or of several together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Count {
    /// Rows of the table.
    pub rows: f64,
    /// Different values; NULL is one.
    pub distinct: f64,
}

/// What ANALYZE found out about a column; None if it never ran.
pub fn analyzed(relid: pg_sys::Oid, attribute: i16) -> Option<Count> {
    let rows = size::estimated_rows(relid);
    // SAFETY: the cache's keys are a relation, an attribute and whether inheriting tables are included. The copy is palloc'd.
    let distinct = unsafe {
        let cache = pg_sys::SysCacheIdentifier::STATRELATTINH as i32;
        let tuple = ffi::SearchSysCacheCopy(cache, relid.into(), attribute.into(), false.into(), pg_sys::Datum::null());
        if tuple.is_null() {
            return None;
        }
        f64::from((*syscache::form::<pg_sys::FormData_pg_statistic>(tuple)).stadistinct)
    };
    // A negative number is a fraction of the rows; zero says that it is not known.
    let distinct = if distinct < 0.0 { -distinct * rows } else { distinct };
    (rows > 0.0 && distinct > 0.0).then(|| Count { rows, distinct: distinct.max(1.0) })
}

/// True for a table without a page.
pub fn is_empty(relation: &Relation) -> bool {
    // SAFETY: an open relation.
    relation.is_partitioned() || unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) } == 0
}

/// Estimates from a sample of pages; None for a table without rows.
pub fn sampled(relation: &Relation, columns: &[&str]) -> Result<Option<Count>> {
    // SAFETY: an open relation.
    let pages = unsafe { ffi::RelationGetNumberOfBlocksInFork(relation.as_ptr(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    let Some(name) = qualified_name(relation.oid()).filter(|_| pages > 0) else { return Ok(None) };
    let fraction = (SAMPLE_PAGES / f64::from(pages)).min(1.0);
    let columns: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    // Who compresses need not be allowed to read, and types may have functions of the owner's making.
    let sql = format!(
        "SELECT coalesce(sum(n), 0)::float8, count(*)::float8, count(*) FILTER (WHERE n = 1)::float8
         FROM (SELECT count(*) AS n FROM ONLY {name} TABLESAMPLE SYSTEM ({}) REPEATABLE (0) GROUP BY {}) s",
        fraction * 100.0,
        columns.join(", "),
    );
    let rows = context::as_user(relation.class().relowner, || spi::query(&sql))?;
    let numbers: Vec<f64> = rows.iter().flatten().flatten().filter_map(|number| number.parse().ok()).collect();
    let [sample, distinct, once] = numbers[..] else { return Ok(None) };
    if sample == 0.0 {
        return Ok(None);
    }
    // The estimator of Haas and Stokes that ANALYZE uses.
    let rows = sample / fraction;
    let estimate = sample * distinct / (sample - once + once * fraction);
    Ok(Some(Count { rows, distinct: estimate.clamp(distinct, rows) }))
}
