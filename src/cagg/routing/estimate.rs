//! What it would cost to answer a query from a continuous aggregate: how much of the time that it asks for is read raw, and how fine
//! what is read from storage is. Only the choice depends on it, never the answer.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::ranges::{Range, Ranges};

use super::candidate::Candidate;
use crate::catalog::{cache, continuous_agg_range};
use crate::change::generation;
use crate::pg::partition;
use crate::pg::relation::Relation;

/// If more than this part of the data is read raw anyway, the detour does not pay.
pub const MOST_RAW: f64 = 0.5;
/// What reading a group costs, compared with the rows that it stands for, where the bucket is a day and there is nothing else to group by.
const GROUP_COST: f64 = 0.001;
/// What each more grouping column multiplies the groups by.
const PER_GROUPING: f64 = 4.0;

/// What an answer would cost, as a part of what reading all rows does.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// The part of the data that would be read raw.
    pub raw: f64,
    /// All of it.
    pub total: f64,
}

/// For how long what was read of the catalog will do.
const FRESH: Duration = Duration::from_secs(1);

/// What is materialized, and can be read from storage, as it was a moment ago.
pub struct Known {
    /// A refresh that has begun since is noticed by this; None while one has materialized what others don't see.
    generation: Option<u64>,
    /// That one which was running then has ended, by this.
    at: Instant,
    materialized: Ranges,
    valid: Ranges,
}

impl Known {
    /// What is known, or what is read now where that is too old.
    fn of(candidate: &Candidate) -> Rc<Self> {
        let generation = generation::of(candidate.definition.agg.source);
        let is_fresh = |known: &Rc<Self>| generation.is_some() && known.generation == generation && known.at.elapsed() < FRESH;
        let known = candidate.known.borrow().clone().filter(is_fresh);
        known.unwrap_or_else(|| {
            // SAFETY: what is committed now.
            let state = unsafe { continuous_agg_range::read(candidate.definition.agg.storage, std::ptr::null_mut()) };
            let valid = state.materialized.difference(&state.invalid).difference(&state.kept);
            let read = Rc::new(Self { generation, at: Instant::now(), materialized: state.materialized, valid });
            candidate.known.replace(Some(read.clone()));
            read
        })
    }
}

/// The time that the chunks of a hypertable cover, as far as they are bounded; None: it has no chunks.
pub fn extent(raw: &Relation, axis: Axis) -> Option<Range> {
    let (low, end) = partition::extent(raw, axis)?;
    Range::new(low, end.saturating_sub(1))
}

/// The cost of the data in `asked` of what there is in `extent`.
pub fn cost(candidate: &Candidate, asked: Range, extent: Range) -> Option<Cost> {
    let known = Known::of(candidate);
    let extent = with_data(candidate, extent, &known.materialized);
    let all = length(&[asked.intersection(extent)?]);
    let whole: Ranges = candidate.bucket().round_inward(asked).and_then(|range| range.intersection(extent)).into_iter().collect();
    let stored = length(known.valid.intersection(&whole).as_slice());
    let raw = ((all - stored) / all).clamp(0.0, 1.0);
    let day = DAY_MICROS as f64;
    let width = candidate.bucket().nominal_width() as f64;
    let groupings = i32::try_from(candidate.groups()).unwrap_or(i32::MAX) - 1;
    let group = (GROUP_COST * (day / width).max(f64::MIN_POSITIVE) * PER_GROUPING.powi(groupings)).min(1e9);
    Some(Cost { raw, total: raw + (1.0 - raw) * (group / (1.0 + group)) })
}

/// The extent without the rest of the last chunk, if a refresh has come as far as that: it stopped at the last row, and most of what is left
/// of the chunk is to come yet.
fn with_data(candidate: &Candidate, extent: Range, materialized: &Ranges) -> Range {
    let Some(done) = materialized.as_slice().last().map(|range| range.high) else { return extent };
    let Some(source) = cache::find(candidate.definition.agg.source) else { return extent };
    let time = source.time();
    let interval = time.interval().unwrap_or(0) / if time.axis() == Some(Axis::Date) { DAY_MICROS } else { 1 };
    if extent.high.saturating_sub(done) < interval { Range::new(extent.low, extent.high.min(done)).unwrap_or(extent) } else { extent }
}

fn length(ranges: &[Range]) -> f64 {
    ranges.iter().map(|range| range.high as f64 - range.low as f64 + 1.0).sum()
}
