//! Buckets that rows still come into. When a part of one is dropped with its chunk, nothing can tell any more what the whole bucket holds:
//! it is kept as it is, and the rows that come into the rest of it do not count. Who drops chunks is told so.

use pgrx::{PgLogLevel, pg_sys};
use tsc_kernel::buckets::{widen, widen_all};
use tsc_kernel::ranges::{Range, Ranges};

use super::bucket::Bucket;
use super::valid;
use crate::catalog::cache;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::continuous_agg_range;
use crate::chunk::list;
use crate::error::{Error, SqlState};
use crate::pg::axis;
use crate::pg::relation::qualified_name;

const HINT: &str = "Define it over a continuous aggregate with shorter buckets, or drop chunks when its buckets are complete.";

/// A hypertable with continuous aggregates, before chunks of it are dropped.
pub struct Growing {
    hypertable: pg_sys::Oid,
    /// The time of its chunks.
    chunks: Ranges,
    /// Of each continuous aggregate what is kept already. Their relations are not looked at: they are locked after the hypertable.
    aggregates: Vec<(ContinuousAgg, Ranges)>,
}

fn chunks_of(hypertable: pg_sys::Oid) -> Ranges {
    let chunks = cache::find(hypertable).map_or_else(Vec::new, |hypertable| list::of_hypertable(&hypertable));
    chunks.iter().filter_map(|chunk| chunk.slice.range()).collect()
}

fn kept_of(agg: &ContinuousAgg) -> Ranges {
    // SAFETY: what is committed now, and this transaction's.
    unsafe { continuous_agg_range::read(agg.storage, std::ptr::null_mut()) }.kept
}

impl Growing {
    /// Of a hypertable whose chunks are about to be dropped.
    pub fn of(hypertable: pg_sys::Oid) -> Self {
        let known = |agg: ContinuousAgg| {
            let kept = kept_of(&agg);
            (agg, kept)
        };
        let aggregates: Vec<_> = continuous_agg::of_source(hypertable).into_iter().map(known).collect();
        let chunks = if aggregates.is_empty() { Ranges::EMPTY } else { chunks_of(hypertable) };
        Self { hypertable, chunks, aggregates }
    }

    /// Says which buckets that rows still come into have lost a part of them, for the first time.
    pub fn warn(&self) {
        if self.aggregates.is_empty() {
            return;
        }
        let left = chunks_of(self.hypertable);
        let dropped = self.chunks.difference(&left);
        let end = self.chunks.hull().map_or(i64::MIN, |hull| hull.high);
        for (agg, before) in &self.aggregates {
            let Ok(rule) = valid::bucket_of(agg) else { continue };
            let cut = widen_all(&rule, &dropped).difference(&dropped);
            // There is one at most that rows still come into: where the last chunk ends.
            let Some(last) = cut.hull().map(|hull| widen(&rule, Range { low: hull.high, high: hull.high })) else { continue };
            let bucket = Ranges::from(Some(last));
            if last.high >= end && before.intersection(&bucket).is_empty() {
                tell(agg, last, !kept_of(agg).intersection(&bucket).is_empty());
            }
        }
    }
}

fn tell(agg: &ContinuousAgg, bucket: Range, is_kept: bool) {
    let (start, view) = (start_of(agg, bucket), qualified_name(agg.user_view).unwrap_or_default());
    let (message, detail) = if is_kept {
        (
            format!("bucket {start} of continuous aggregate {view} stays as it is from now on"),
            "A part of its rows was dropped, so it can't be computed any more. Rows that come into it do not count.",
        )
    } else {
        (
            format!("bucket {start} of continuous aggregate {view} will be computed without rows that were dropped"),
            "A part of its rows was dropped before it was complete.",
        )
    };
    Error::new(SqlState("01000"), message).detail(detail).hint(HINT).report(PgLogLevel::WARNING);
}

fn start_of(agg: &ContinuousAgg, range: Range) -> String {
    let time = cache::find(agg.storage).and_then(|storage| Some((storage.time().type_oid, storage.time().axis()?)));
    time.map_or_else(String::new, |(type_oid, axis)| axis::value_text(type_oid, axis::datum(axis, range.low)))
}

/// Warns of retention that will drop parts of buckets while rows still come into them: of continuous aggregates over a hypertable whose
/// buckets are `too_long`.
pub fn warn_of_retention(hypertable: pg_sys::Oid, too_long: impl Fn(&Bucket) -> bool) {
    for agg in continuous_agg::of_source(hypertable) {
        if valid::bucket_of(&agg).is_ok_and(|bucket| too_long(&bucket)) {
            let view = qualified_name(agg.user_view).unwrap_or_default();
            Error::new(
                SqlState("01000"),
                format!("retention drops parts of buckets of continuous aggregate {view} before they are complete"),
            )
            .detail("Such a bucket stays as it is from then on, or is computed from the rows that are left.")
            .hint(HINT)
            .report(PgLogLevel::WARNING);
        }
    }
}
