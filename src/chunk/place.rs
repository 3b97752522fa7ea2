//! `move_chunk` and `reorder_chunk`: where a chunk's rows lie.

use pgrx::pg_sys;

use super::{list, row_form};
use crate::catalog::columnar_chunk;
use crate::catalog::naming;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, qualified_name, quote_identifier, relation_name};
use crate::pg::{ffi, function, spi};

fn qualified(relid: pg_sys::Oid) -> Result<String> {
    qualified_name(relid).ok_or_else(|| Error::new(SqlState::UNDEFINED_TABLE, format!("relation {} does not exist", relid.to_u32())))
}

/// Moves a chunk to a tablespace and its indexes to the same or another, and perhaps puts its rows in the order of an index.
pub fn move_chunk(
    relid: pg_sys::Oid,
    tablespace: &str,
    index_tablespace: Option<&str>,
    order: Option<pg_sys::Oid>,
    verbose: bool,
) -> Result<()> {
    let located = list::require(relid)?;
    naming::require_owner(located.hypertable.relid)?;
    let index_tablespace = index_tablespace.unwrap_or(tablespace);
    for name in [tablespace, index_tablespace] {
        function::tablespace_oid(name)
            .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist")))?;
    }
    let order = order.map(|order| chunk_index(relid, located.hypertable.relid, order)).transpose()?;
    let relation = Relation::open(relid, pg_sys::AccessExclusiveLock);
    let mut indexes = relation.index_oids();
    drop(relation);
    if order.is_some() {
        row_form::require(relid, "reorder")?;
    }
    if let Some(part) = columnar_chunk::find(relid) {
        indexes.extend(Relation::open(part.batches, pg_sys::AccessExclusiveLock).index_oids());
    }
    // The batches follow the chunk; see the hook on ALTER TABLE.
    spi::execute(&format!("ALTER TABLE {} SET TABLESPACE {}", qualified(relid)?, quote_identifier(tablespace)))?;
    for index in indexes {
        spi::execute(&format!("ALTER INDEX {} SET TABLESPACE {}", qualified(index)?, quote_identifier(index_tablespace)))?;
    }
    order.map_or(Ok(()), |index| cluster(relid, index, verbose))
}

/// Puts a chunk's rows in the order of an index, which is remembered for the next time.
pub fn reorder(relid: pg_sys::Oid, index: Option<pg_sys::Oid>, verbose: bool) -> Result<()> {
    let located = list::require(relid)?;
    naming::require_owner(located.hypertable.relid)?;
    row_form::require(relid, "reorder")?;
    let index = match index {
        Some(index) => chunk_index(relid, located.hypertable.relid, index)?,
        None => clustered_index(relid)?,
    };
    cluster(relid, index, verbose)
}

fn cluster(relid: pg_sys::Oid, index: pg_sys::Oid, verbose: bool) -> Result<()> {
    let options = if verbose { "(VERBOSE) " } else { "" };
    spi::execute(&format!("CLUSTER {options}{} USING {}", qualified(relid)?, quote_identifier(&relation_name(index))))
}

/// The chunk's index that an index of the chunk or of its hypertable stands for.
pub fn chunk_index(relid: pg_sys::Oid, root: pg_sys::Oid, index: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let chunk = Relation::open(relid, pg_sys::AccessShareLock);
    let own = chunk.index_oids();
    if own.contains(&index) {
        return Ok(index);
    }
    if Relation::open(root, pg_sys::AccessShareLock).index_oids().contains(&index) {
        for candidate in own {
            // SAFETY: a catalog look-up; the list holds OIDs.
            let ancestors = unsafe { crate::pg::list::oids(ffi::get_partition_ancestors(candidate)) };
            if ancestors.contains(&index) {
                return Ok(candidate);
            }
        }
    }
    Err(Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("\"{}\" is not an index of chunk \"{}\"", relation_name(index), relation_name(relid)),
    )
    .hint("Name an index of the chunk or of its hypertable."))
}

/// True for the index by which its table was ordered last.
pub fn is_clustered(index: pg_sys::Oid) -> bool {
    crate::pg::syscache::CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, index)
        // SAFETY: a tuple of pg_index.
        .is_some_and(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_index>() }.indisclustered)
}

/// The index by which the chunk was ordered last.
fn clustered_index(relid: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let chunk = Relation::open(relid, pg_sys::AccessShareLock);
    let clustered = chunk.index_oids().into_iter().find(|index| is_clustered(*index));
    clustered.ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("there is no previously clustered index for table \"{}\"", relation_name(relid)))
            .hint("Name the index to order by.")
    })
}
