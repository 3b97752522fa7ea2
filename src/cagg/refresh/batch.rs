//! A batch of a refresh: its invalid buckets are computed anew from what one snapshot sees of the source.

use pgrx::{PgLogLevel, pg_sys};
use tsc_kernel::buckets::widen_all;
use tsc_kernel::ranges::{Range, Ranges};

use super::{claim, ledger};
use crate::cagg::bounds;
use crate::cagg::definition::{self, Definition};
use crate::cagg::{guard, routing};
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::change;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{Relation, qualified_name, quote_identifier, relation_name};
use crate::pg::{axis, context, ffi, spi};

/// Computes what is invalid in a range of whole buckets. `settled`: the claim has been committed. README.md says why each step is where
/// it is.
pub fn run(agg: &ContinuousAgg, batch: Range, settled: bool) -> Result<()> {
    let entries = ledger::lock(agg.storage, batch)?;
    if entries.is_empty() {
        return Ok(());
    }
    change::announce(agg.source, settled);
    lock_chunks(agg.source, batch, pg_sys::AccessShareLock)?;
    lock_chunks(agg.storage, batch, pg_sys::RowExclusiveLock)?;
    let owner = Relation::open(agg.user_view, pg_sys::AccessShareLock).class().relowner;
    let computed = context::with_temporary(|| {
        let definition = definition::load(agg)?;
        let bucket = &definition.bucket;
        let invalid = widen_all(bucket, &entries.iter().map(|entry| entry.range).collect());
        let kept = widen_all(bucket, &ledger::state_now(agg.storage).kept);
        let wanted = invalid.intersection(&Ranges::from(Some(batch))).difference(&kept);
        for range in wanted.as_slice() {
            context::as_user(owner, || compute(&definition, *range))?;
        }
        Ok::<_, Error>(wanted)
    })?;
    for range in computed.as_slice() {
        // Those who aggregate this one may have read what it computed live, so that rows that stayed away have changed, too.
        change::note(agg.storage, *range);
    }
    let batch = Ranges::from(Some(batch));
    let others = entries.iter().flat_map(|entry| Ranges::from(Some(entry.range)).difference(&batch).as_slice().to_vec());
    ledger::replace(agg.storage, &entries, &others.collect::<Vec<_>>())
}

/// Keeps the chunks that hold a part of a range from being dropped: what is gone by now is known to be kept.
fn lock_chunks(hypertable: pg_sys::Oid, within: Range, lock: u32) -> Result<()> {
    for (range, part) in claim::slices(hypertable)? {
        if range.overlaps(within) {
            // SAFETY: locks the table and what it is divided into by hash; it may be gone.
            unsafe { ffi::find_all_inheritors(part, lock as i32, std::ptr::null_mut()) };
        }
    }
    Ok(())
}

/// Replaces the rows of storage in a range of whole buckets by what the definition says now.
fn compute(definition: &Definition, range: Range) -> Result<()> {
    let agg = &definition.agg;
    let gone = || {
        Error::new(SqlState::UNDEFINED_TABLE, "continuous aggregate does not exist").detail("It was dropped while it was being refreshed.")
    };
    let storage = qualified_name(agg.storage).ok_or_else(gone)?;
    let column = definition.bucket_column();
    let (_, axis) = claim::hypertable(agg.storage)?;
    let (_, source_axis) = claim::hypertable(agg.source)?;
    let (Some((first, last)), Some((low, high))) = (bounds::values(axis, range), bounds::values(source_axis, range)) else {
        return Ok(());
    };
    let name = quote_identifier(&column.name);
    let literal = |value| bounds::literal(column.type_oid, value);
    let delete = format!("DELETE FROM {storage} WHERE {name} >= {} AND {name} <= {}", literal(first), literal(last));
    let removed = guard::refreshing(agg.storage, || spi::change(&delete))?;
    let columns: Vec<String> = definition.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    // A coarse aggregate may be computed from a fine one.
    let insert = format!("INSERT INTO {storage} ({}) {}", columns.join(", "), definition.live_sql(low, high));
    let added = guard::refreshing(agg.storage, || routing::while_refreshing(agg.storage, || spi::change(&insert)))?;
    let text = |value| context::with_portable_text(|| axis::value_text(column.type_oid, value));
    Error::new(
        SqlState("00000"),
        format!("refreshed continuous aggregate \"{}\" from {} to {}", relation_name(agg.user_view), text(first), text(last)),
    )
    .detail(format!("{removed} rows were replaced by {added}."))
    .report(PgLogLevel::DEBUG1);
    Ok(())
}
