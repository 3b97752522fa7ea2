//! Buckets that rows still come into. When a part of one is dropped with its chunk, nothing can tell any more what the whole bucket holds:
//! it is kept as it is, and the rows that come into the rest of it do not count. Who drops chunks is told so.

use pgrx::{PgLogLevel, pg_sys};
use tsc_kernel::buckets::widen;
use tsc_kernel::ranges::{Range, Ranges};

use super::bucket::Bucket;
use super::valid;
use crate::catalog::cache;
use crate::catalog::continuous_agg::{self, ContinuousAgg};
use crate::catalog::continuous_agg_range::{self, State};
use crate::error::{Error, SqlState};
use crate::pg::axis;
use crate::pg::relation::qualified_name;

const HINT: &str = "Define it over a continuous aggregate with shorter buckets, or drop chunks when its buckets are complete.";

/// What was known of the continuous aggregates over a hypertable before chunks were dropped. Their relations are not looked at then: they
/// are locked after the hypertable.
pub struct Growing(Vec<(ContinuousAgg, State)>);

fn state_of(agg: &ContinuousAgg) -> State {
    // SAFETY: what is committed now, and this transaction's.
    unsafe { continuous_agg_range::read(agg.storage, std::ptr::null_mut()) }
}

impl Growing {
    /// Of a hypertable whose chunks are about to be dropped.
    pub fn of(hypertable: pg_sys::Oid) -> Self {
        let known = |agg: ContinuousAgg| {
            let state = state_of(&agg);
            (agg, state)
        };
        Self(continuous_agg::of_source(hypertable).into_iter().map(known).collect())
    }

    /// Says which buckets that rows still come into, the last ones, are kept since, because a part of them was dropped.
    pub fn warn(&self) {
        for (agg, before) in &self.0 {
            let Some(last) = before.materialized.hull().map(|hull| hull.high) else { continue };
            let Ok(rule) = valid::bucket_of(agg) else { continue };
            let range = widen(&rule, Range { low: last, high: last });
            let bucket = Ranges::from(Some(range));
            let kept = state_of(agg).kept.intersection(&bucket);
            if kept.is_empty() || kept == bucket || !before.kept.intersection(&bucket).is_empty() {
                continue;
            }
            let (start, view) = (start_of(agg, range), qualified_name(agg.user_view).unwrap_or_default());
            Error::new(SqlState("01000"), format!("bucket {start} of continuous aggregate {view} stays as it is from now on"))
                .detail("A part of its rows was dropped, so it can't be computed any more. Rows that come into it do not count.")
                .hint(HINT)
                .report(PgLogLevel::WARNING);
        }
    }
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
            .detail("A bucket stays as it is from then on. Rows that come into it do not count.")
            .hint(HINT)
            .report(PgLogLevel::WARNING);
        }
    }
}
