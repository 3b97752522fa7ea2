//! placeholder until settings land
use crate::catalog::hypertable::Hypertable;
use crate::error::Result;
use pgrx::pg_sys;

/// A column to order by.
pub struct OrderColumn {
    /// name
    pub name: String,
    /// desc
    pub descending: bool,
    /// nulls first
    pub nulls_first: bool,
}
/// Settings.
pub struct Settings {
    /// seg
    pub segmentby: Vec<String>,
    /// order
    pub orderby: Vec<OrderColumn>,
}
/// resolve
pub fn resolve(hypertable: &Hypertable, _chunk: pg_sys::Oid) -> Result<Option<Settings>> {
    let segmentby = match crate::pg::relation::column_of(hypertable.relid, "hostname") {
        Some(_) => vec!["hostname".to_owned()],
        None => Vec::new(),
    };
    Ok(Some(Settings {
        segmentby,
        orderby: vec![OrderColumn { name: hypertable.time().column.clone(), descending: true, nulls_first: true }],
    }))
}
