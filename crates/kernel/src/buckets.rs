//! What a refresh of buckets is to do, as sets of positions: windows and batches of whole buckets, and claims.

use crate::ranges::{Range, Ranges};

/// How an axis is divided into buckets. Buckets lie side by side; a position that stands for an infinity may be one by itself.
pub trait Buckets {
    /// The first position of the bucket that holds `position`.
    fn start(&self, position: i64) -> i64;
    /// The first position of the bucket that follows it; one that is not above `position` says that there is none.
    fn end(&self, position: i64) -> i64;
}

/// The last position of the bucket of a position.
fn last(buckets: &dyn Buckets, position: i64) -> i64 {
    let end = buckets.end(position);
    if position == i64::MAX || end <= position { position } else { end - 1 }
}

/// The first position of the bucket of a position.
fn first(buckets: &dyn Buckets, position: i64) -> i64 {
    if position == i64::MIN { position } else { buckets.start(position).min(position) }
}

/// The buckets that a range touches.
pub fn widen(buckets: &dyn Buckets, range: Range) -> Range {
    Range { low: first(buckets, range.low), high: last(buckets, range.high) }
}

/// The buckets that the ranges of a set touch.
pub fn widen_all(buckets: &dyn Buckets, ranges: &Ranges) -> Ranges {
    ranges.as_slice().iter().map(|range| widen(buckets, *range)).collect()
}

/// The buckets that lie wholly in a range. The ends of `i64` stand for no bound.
pub fn shrink(buckets: &dyn Buckets, range: Range) -> Option<Range> {
    let low = if range.low == i64::MIN || first(buckets, range.low) == range.low {
        range.low
    } else {
        last(buckets, range.low).checked_add(1)?
    };
    let high = if range.high == i64::MAX || last(buckets, range.high) == range.high {
        range.high
    } else {
        first(buckets, range.high).checked_sub(1)?
    };
    Range::new(low, high)
}

/// How large a batch of a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// So many buckets.
    Buckets(u32),
    /// The buckets that a stretch of so many positions touches.
    Length(i64),
}

/// The last position of the batch that begins with the bucket at `low`; none lies beyond `limit`.
fn batch_end(buckets: &dyn Buckets, size: BatchSize, low: i64, limit: i64) -> i64 {
    match size {
        BatchSize::Buckets(count) => {
            let mut high = last(buckets, low);
            for _ in 1..count {
                if high >= limit {
                    break;
                }
                high = last(buckets, high + 1);
            }
            high.min(limit)
        }
        BatchSize::Length(length) => last(buckets, low.saturating_add(length.max(1) - 1)).min(limit),
    }
}

/// Cuts whole buckets into batches, the earliest first. `occupied` says where there may be rows: a stretch without any is added to the
/// batch before or after it, however long it is, since it takes no time.
pub fn batches(buckets: &dyn Buckets, wanted: &Ranges, occupied: &Ranges, size: BatchSize) -> Vec<Range> {
    let occupied = widen_all(buckets, occupied);
    let mut cut = Vec::new();
    for range in wanted.as_slice() {
        let within = occupied.intersection(&Ranges::from(Some(*range)));
        let mut next = range.low;
        for stretch in within.as_slice() {
            let mut low = stretch.low;
            loop {
                let high = batch_end(buckets, size, low, stretch.high);
                cut.push(Range { low: next, high });
                if high >= stretch.high {
                    break;
                }
                low = high + 1;
                next = low;
            }
            next = stretch.high.saturating_add(1);
        }
        match cut.last_mut() {
            Some(last) if !within.is_empty() => last.high = range.high,
            _ => cut.push(*range),
        }
    }
    cut
}

/// What is known of the buckets of an aggregate: sets of whole buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Have been materialized, or are just going to be: changes to them are logged.
    pub materialized: Ranges,
    /// Are not what the source says.
    pub invalid: Ranges,
    /// Are to stay, since what they were computed from is gone.
    pub kept: Ranges,
}

/// What a refresh of a window does before it computes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is known then.
    pub known: Known,
    /// What is to be computed.
    pub wanted: Ranges,
}

/// Claims the buckets of a window: all of them up to the last one with data become materialized, and what has not been yet, invalid.
/// What is kept is left alone, unless `force`, which has all buckets computed that were ever materialized. `last`: the last position that
/// has data; None if there is none.
pub fn claim(buckets: &dyn Buckets, known: &Known, window: Range, last_data: Option<i64>, force: bool) -> Claim {
    let window = Ranges::from(Some(window));
    let with_data = Ranges::from(last_data.and_then(|at| Range::new(i64::MIN, last(buckets, at))));
    let reach = window.intersection(&with_data);
    let fresh = reach.difference(&known.materialized);
    let materialized = known.materialized.clone().union(&reach);
    let mut invalid = known.invalid.clone().union(&fresh);
    let mut kept = known.kept.clone();
    if force {
        invalid.extend(&window.intersection(&materialized));
        kept = kept.difference(&window);
    } else {
        invalid = invalid.difference(&window.intersection(&kept));
    }
    let wanted = invalid.intersection(&window).intersection(&materialized);
    Claim { known: Known { materialized, invalid, kept }, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Buckets of a width, from a phase.
    struct Every(i64, i64);

    impl Buckets for Every {
        fn start(&self, position: i64) -> i64 {
            position.saturating_sub((position.saturating_sub(self.1)).rem_euclid(self.0))
        }
        fn end(&self, position: i64) -> i64 {
            self.start(position).saturating_add(self.0)
        }
    }

    fn set(bounds: &[(i64, i64)]) -> Ranges {
        bounds.iter().filter_map(|(low, high)| Range::new(*low, *high)).collect()
    }

    fn range(low: i64, high: i64) -> Range {
        Range { low, high }
    }

    #[test]
    fn test_widen_and_shrink_keep_open_ends() {
        let tens = Every(10, 0);
        assert_eq!(widen(&tens, range(i64::MIN, 3)), range(i64::MIN, 9));
        assert_eq!(widen(&tens, range(-1, i64::MAX)), range(-10, i64::MAX));
        assert_eq!(shrink(&tens, range(i64::MIN, 8)), Some(range(i64::MIN, -1)));
        assert_eq!(shrink(&tens, range(1, i64::MAX)), Some(range(10, i64::MAX)));
        assert_eq!(shrink(&tens, range(0, 9)), Some(range(0, 9)));
        assert_eq!(shrink(&tens, range(1, 18)), None);
        assert_eq!(shrink(&tens, range(5, 6)), None);
    }

    #[test]
    fn test_batches_do_not_dwell_on_what_is_empty() {
        let tens = Every(10, 0);
        let found = batches(&tens, &Ranges::all(), &set(&[(0, 39), (1_000_000_003, 1_000_000_004)]), BatchSize::Buckets(2));
        assert_eq!(found, [range(i64::MIN, 19), range(20, 39), range(40, i64::MAX)]);
    }

    #[test]
    fn test_batches_of_what_is_empty_are_as_long_as_it_is() {
        let tens = Every(10, 0);
        let wanted = set(&[(0, 99), (200, 299)]);
        assert_eq!(batches(&tens, &wanted, &Ranges::EMPTY, BatchSize::Buckets(1)), [range(0, 99), range(200, 299)]);
        assert_eq!(batches(&tens, &Ranges::EMPTY, &wanted, BatchSize::Buckets(1)), []);
    }

    #[test]
    fn test_batches_by_length_end_with_a_bucket() {
        let tens = Every(10, 5);
        let wanted = set(&[(5, 104)]);
        assert_eq!(batches(&tens, &wanted, &wanted, BatchSize::Length(32)), [range(5, 44), range(45, 84), range(85, 104)]);
    }

    #[test]
    fn test_claim_of_nothing_new_changes_nothing() {
        let tens = Every(10, 0);
        let known = Known { materialized: set(&[(i64::MIN, 99)]), invalid: set(&[(200, 209)]), kept: set(&[(0, 19)]) };
        let claim = claim(&tens, &known, range(0, 89), Some(95), false);
        assert_eq!(claim, Claim { known, wanted: Ranges::EMPTY });
    }

    #[test]
    fn test_claim_reaches_to_the_last_bucket_with_data() {
        let tens = Every(10, 0);
        let claim = claim(&tens, &Known::default(), Range::ALL, Some(42), false);
        assert_eq!(claim.known.materialized, set(&[(i64::MIN, 49)]));
        assert_eq!(claim.wanted, claim.known.materialized);
    }

    #[test]
    fn test_claim_computes_what_lost_its_data() {
        let tens = Every(10, 0);
        let known = Known { materialized: set(&[(0, 99)]), invalid: set(&[(60, 99)]), kept: Ranges::EMPTY };
        assert_eq!(claim(&tens, &known, Range::ALL, Some(5), false).wanted, set(&[(i64::MIN, -1), (60, 99)]));
        assert_eq!(claim(&tens, &known, Range::ALL, None, false).wanted, set(&[(60, 99)]));
    }

    #[test]
    fn test_claim_takes_what_is_kept_only_by_force() {
        let tens = Every(10, 0);
        let known = Known { materialized: set(&[(0, 99)]), invalid: set(&[(10, 39)]), kept: set(&[(0, 29)]) };
        let usual = claim(&tens, &known, range(10, 49), Some(95), false);
        assert_eq!((usual.wanted, usual.known.kept), (set(&[(30, 39)]), known.kept.clone()));
        let forced = claim(&tens, &known, range(10, 49), Some(95), true);
        assert_eq!((forced.wanted, forced.known.kept), (set(&[(10, 49)]), set(&[(0, 9)])));
    }

    fn sets() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((-30i64..30, 0i64..12), 0..6)
            .prop_map(|pairs| pairs.into_iter().map(|(low, length)| range(low, low + length)).collect())
    }

    proptest! {
        #[test]
        fn test_shrink_undoes_widen(width in 1i64..9, phase in 0i64..9, low in -40i64..40, length in 0i64..40) {
            let buckets = Every(width, phase);
            let given = range(low, low + length);
            let wide = widen(&buckets, given);
            prop_assert!(wide.low <= given.low && given.high <= wide.high);
            prop_assert_eq!(shrink(&buckets, wide), Some(wide));
            for at in given.low - 12..given.high + 12 {
                let whole = buckets.start(at) >= given.low && buckets.end(at) - 1 <= given.high;
                prop_assert_eq!(shrink(&buckets, given).is_some_and(|inner| inner.contains(at)), whole);
                let touched = buckets.start(at) <= given.high && buckets.end(at) > given.low;
                prop_assert_eq!(wide.contains(at), touched);
            }
        }

        #[test]
        fn test_batches_tile_what_is_wanted(
            width in 1i64..9, phase in 0i64..9, wanted in sets(), occupied in sets(), count in 1u32..4, length in 1i64..20, by_count: bool
        ) {
            let buckets = Every(width, phase);
            let wanted = widen_all(&buckets, &wanted);
            let size = if by_count { BatchSize::Buckets(count) } else { BatchSize::Length(length) };
            let cut = batches(&buckets, &wanted, &occupied, size);
            prop_assert_eq!(cut.iter().copied().collect::<Ranges>(), wanted);
            prop_assert!(cut.windows(2).all(|pair| pair[0].high < pair[1].low));
            let occupied = widen_all(&buckets, &occupied);
            for batch in cut {
                prop_assert_eq!(shrink(&buckets, batch), Some(batch));
                let busy = occupied.intersection(&Ranges::from(Some(batch)));
                let held: i64 = busy.as_slice().iter().map(|range| (range.high - range.low + 1) / width).sum();
                let most = if by_count { i64::from(count) } else { (length + 2 * width - 2) / width };
                prop_assert!(held <= most, "{held} buckets in a batch");
            }
        }

        #[test]
        fn test_claim_forgets_nothing(
            width in 1i64..9, m in sets(), i in sets(), k in sets(), low in -40i64..40, length in 0i64..40, last in prop::option::of(-40i64..40), force: bool
        ) {
            let buckets = Every(width, 0);
            let materialized = widen_all(&buckets, &m);
            let known = Known {
                invalid: widen_all(&buckets, &i), kept: widen_all(&buckets, &k).intersection(&materialized), materialized,
            };
            let window = widen(&buckets, range(low, low + length));
            let Claim { known: after, wanted } = claim(&buckets, &known, window, last, force);
            for at in -60..90 {
                let was_valid = known.materialized.contains(at) && !known.invalid.contains(at);
                let is_valid = after.materialized.contains(at) && !after.invalid.contains(at);
                // Nothing becomes valid by a claim but what is kept; outside of the window nothing changes.
                prop_assert!(!is_valid || was_valid || after.kept.contains(at));
                if !window.contains(at) {
                    prop_assert_eq!(is_valid, was_valid);
                    prop_assert_eq!(after.kept.contains(at), known.kept.contains(at));
                }
                prop_assert!(!wanted.contains(at) || (window.contains(at) && !after.kept.contains(at) && after.invalid.contains(at)));
            }
        }
    }
}
