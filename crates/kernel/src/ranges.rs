//! Sets of positions on an axis, as sorted ranges that neither overlap nor touch.
//!
//! A range `[low, high]` includes both ends, so that the whole axis, infinities included, is `[i64::MIN, i64::MAX]`.

/// Positions from `low` to `high`, both included. Never empty: `low <= high`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Range {
    /// The first position.
    pub low: i64,
    /// The last position.
    pub high: i64,
}

impl Range {
    /// All positions.
    pub const ALL: Self = Self { low: i64::MIN, high: i64::MAX };

    /// From `low` to `high`; None if that is empty.
    pub fn new(low: i64, high: i64) -> Option<Self> {
        (low <= high).then_some(Self { low, high })
    }

    /// True if the position lies inside.
    pub fn contains(self, position: i64) -> bool {
        self.low <= position && position <= self.high
    }

    /// True if they share a position.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.low.max(other.low), self.high.min(other.high))
    }

    /// True if they overlap or lie side by side.
    fn joins(self, other: Self) -> bool {
        self.low <= other.high.saturating_add(1) && other.low <= self.high.saturating_add(1)
    }
}

/// A set of positions.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// No position.
    pub const EMPTY: Self = Self(Vec::new());

    /// All positions.
    pub fn all() -> Self {
        Self(vec![Range::ALL])
    }

    /// The ranges, sorted; no two of them overlap or touch.
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// True if it holds no position.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the first to the last position; None if there is none.
    pub fn hull(&self) -> Option<Range> {
        Some(Range { low: self.0.first()?.low, high: self.0.last()?.high })
    }

    /// The range that holds a position, if any does.
    pub fn find(&self, position: i64) -> Option<Range> {
        let next = self.0.partition_point(|range| range.high < position);
        self.0.get(next).copied().filter(|range| range.low <= position)
    }

    /// True if it holds the position.
    pub fn contains(&self, position: i64) -> bool {
        self.find(position).is_some()
    }

    /// True if it holds all of a range.
    pub fn covers(&self, range: Range) -> bool {
        self.find(range.low).is_some_and(|found| range.high <= found.high)
    }

    /// True if it holds some of a range.
    pub fn overlaps(&self, range: Range) -> bool {
        let next = self.0.partition_point(|other| other.high < range.low);
        self.0.get(next).is_some_and(|other| other.low <= range.high)
    }

    /// Takes everything out; the memory stays for what comes next.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a range, and returns the one that holds it now.
    pub fn insert(&mut self, range: Range) -> Range {
        let start = self.0.partition_point(|other| other.high < range.low && !other.joins(range));
        let count = self.0[start..].iter().take_while(|other| other.joins(range)).count();
        if count == 0 {
            self.0.insert(start, range);
            return range;
        }
        let low = range.low.min(self.0[start].low);
        let high = range.high.max(self.0[start + count - 1].high);
        self.0[start] = Range { low, high };
        self.0.drain(start + 1..start + count);
        self.0[start]
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        for range in &other.0 {
            self.insert(*range);
        }
    }

    /// What either holds.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.extend(other);
        self
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (left.first(), right.first()) {
            both.extend(a.intersection(*b));
            if a.high < b.high {
                left = &left[1..];
            } else {
                right = &right[1..];
            }
        }
        // Ranges of one set don't touch, so neither do parts of them.
        Self(both)
    }

    /// What this holds and the other does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    /// What it does not hold.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(i64::MIN);
        for range in &self.0 {
            gaps.extend(next.and_then(|low| Range::new(low, range.low.checked_sub(1)?)));
            next = range.high.checked_add(1);
        }
        gaps.extend(next.and_then(|low| Range::new(low, i64::MAX)));
        Self(gaps)
    }

    /// Closes the smallest gaps, so that no more than `most` ranges are left, and at least one.
    pub fn coarsen(&mut self, most: usize) {
        let most = most.max(1);
        if self.0.len() <= most {
            return;
        }
        // By where they are, gaps of one width differ.
        let gap = |index: usize| (self.0[index].low.abs_diff(self.0[index - 1].high), index);
        let mut gaps: Vec<(u64, usize)> = (1..self.0.len()).map(gap).collect();
        let closed = self.0.len() - most;
        let (_, widest, _) = gaps.select_nth_unstable(closed - 1);
        let widest = *widest;
        let mut coarse: Vec<Range> = Vec::with_capacity(most);
        for (index, range) in self.0.iter().enumerate() {
            match coarse.last_mut().filter(|_| gap(index) <= widest) {
                Some(last) => last.high = range.high,
                None => coarse.push(*range),
            }
        }
        self.0 = coarse;
    }
}

impl From<Option<Range>> for Ranges {
    fn from(range: Option<Range>) -> Self {
        Self(range.into_iter().collect())
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<T: IntoIterator<Item = Range>>(ranges: T) -> Self {
        let mut sorted: Vec<Range> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut().filter(|last| last.joins(range)) {
                Some(last) => last.high = last.high.max(range.high),
                None => merged.push(range),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(bounds: &[(i64, i64)]) -> Ranges {
        bounds.iter().filter_map(|(low, high)| Range::new(*low, *high)).collect()
    }

    #[test]
    fn test_insert_joins_what_touches() {
        let mut set = ranges(&[(0, 4), (10, 14), (20, 24)]);
        set.insert(Range { low: 5, high: 9 });
        assert_eq!(set, ranges(&[(0, 14), (20, 24)]));
        set.insert(Range { low: 26, high: 30 });
        assert_eq!(set.as_slice().len(), 3);
    }

    #[test]
    fn test_complement_of_ends() {
        assert_eq!(Ranges::all().complement(), Ranges::EMPTY);
        assert_eq!(Ranges::EMPTY.complement(), Ranges::all());
        assert_eq!(ranges(&[(i64::MIN, 0)]).complement(), ranges(&[(1, i64::MAX)]));
        assert_eq!(ranges(&[(0, i64::MAX)]).complement(), ranges(&[(i64::MIN, -1)]));
    }

    #[test]
    fn test_coarsen_closes_the_smallest_gap() {
        let mut set = ranges(&[(0, 1), (10, 11), (13, 14), (i64::MAX - 1, i64::MAX)]);
        set.coarsen(3);
        assert_eq!(set, ranges(&[(0, 1), (10, 14), (i64::MAX - 1, i64::MAX)]));
        set.coarsen(0);
        assert_eq!(set, ranges(&[(0, i64::MAX)]));
    }

    fn sets() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0i64..60, 0i64..8).prop_map(|(low, length)| (low, low + length)), 0..12)
    }

    /// The widest of the gaps that were closed, or the smallest of those that were not.
    fn closed_gaps(set: &Ranges, coarse: &Ranges, closed: bool) -> u64 {
        let gaps = set.as_slice().windows(2).filter(|pair| coarse.contains(pair[0].high + 1) == closed);
        let widths = gaps.map(|pair| pair[1].low.abs_diff(pair[0].high));
        if closed { widths.max().unwrap_or(0) } else { widths.min().unwrap_or(u64::MAX) }
    }

    proptest! {
        #[test]
        fn test_agrees_with_a_bitmap(left in sets(), right in sets()) {
            let holds = |set: &[(i64, i64)], at: i64| set.iter().any(|(low, high)| *low <= at && at <= *high);
            let (a, b) = (ranges(&left), ranges(&right));
            let mut inserted = Ranges::EMPTY;
            for range in left.iter().filter_map(|(low, high)| Range::new(*low, *high)) {
                let joined = inserted.insert(range);
                prop_assert_eq!(inserted.find(range.low), Some(joined));
            }
            prop_assert_eq!(&inserted, &a);
            for set in [&a, &a.clone().union(&b), &a.intersection(&b), &a.difference(&b), &a.complement()] {
                prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].high + 1 < pair[1].low));
            }
            for at in -2..72 {
                let (in_a, in_b) = (holds(&left, at), holds(&right, at));
                prop_assert_eq!(a.contains(at), in_a);
                prop_assert_eq!(a.clone().union(&b).contains(at), in_a || in_b);
                prop_assert_eq!(a.intersection(&b).contains(at), in_a && in_b);
                prop_assert_eq!(a.difference(&b).contains(at), in_a && !in_b);
                prop_assert_eq!(a.complement().contains(at), !in_a);
                let span = Range { low: at, high: at + 3 };
                prop_assert_eq!(a.covers(span), (at..at + 4).all(|at| holds(&left, at)));
                prop_assert_eq!(a.overlaps(span), (at..at + 4).any(|at| holds(&left, at)));
            }
        }

        #[test]
        fn test_coarsen_keeps_all(left in sets(), most in 1usize..6) {
            let set = ranges(&left);
            let mut coarse = set.clone();
            coarse.coarsen(most);
            prop_assert_eq!(coarse.as_slice().len(), set.as_slice().len().min(most));
            prop_assert!(set.is_empty() || closed_gaps(&set, &coarse, true) <= closed_gaps(&set, &coarse, false));
            prop_assert!(set.difference(&coarse).is_empty());
            prop_assert_eq!(set.hull(), coarse.hull());
        }
    }
}
