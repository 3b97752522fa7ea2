//! Buckets of a time zone's wall clock.
//!
//! A bucket begins when the zone's clocks first show its start. Clocks may skip that moment (the bucket then begins when
//! they jump past it) or show it twice. Of buckets of a day or more there is one, which begins at the first showing: a day has
//! 23 or 25 hours. Shorter buckets begin anew when the clocks go back: such a day has 25 hourly buckets. The start is never
//! after the time itself. Starts grow with time, but for wide buckets that begin inside a repeated hour (not with it): what the
//! clocks show again then belongs to the bucket before.

use crate::Result;
use crate::bucket::{TimeBucket, Width};
use crate::span::{MICROS_PER_DAY, MIN_TIMESTAMP, is_infinite};

/// The clocks of a time zone.
pub trait Clock {
    /// What the clocks show at an instant.
    fn to_local(&self, instant: i64) -> i64;
    /// An instant at which the clocks show a time: the later one if there are two; if there is none, as if the clocks had not
    /// been put forward yet.
    fn to_instant(&self, local: i64) -> i64;
}

/// The start of the bucket of an instant, for buckets counted on the clocks of a zone.
pub fn start(bucket: &TimeBucket, clock: &impl Clock, instant: i64) -> Result<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    let local = clock.to_local(instant);
    let shown = bucket.start(local)?;
    let usual = clock.to_instant(shown);
    // The start if the clocks were not changed since.
    let unchanged = instant - (local - shown);
    let wide = match bucket.width() {
        Width::Fixed(micros) => micros >= MICROS_PER_DAY,
        Width::Months(_) => true,
    };
    let start = if wide {
        first_showing(clock, shown, usual)
    } else if unchanged == usual || clock.to_local(unchanged) == shown {
        unchanged
    } else {
        usual
    };
    // Only an offset of months can put the start after the time itself on the clocks too.
    if start <= instant || shown > local { Ok(start) } else { Ok(jump_past(clock, shown, unchanged.min(usual) - MICROS_PER_DAY, instant)) }
}

/// The first instant at which the clocks show `shown`, given the last one.
fn first_showing(clock: &impl Clock, shown: i64, last: i64) -> i64 {
    let before = last - MICROS_PER_DAY;
    if before < MIN_TIMESTAMP + MICROS_PER_DAY {
        return last;
    }
    let earlier = shown - (clock.to_local(before) - before);
    if earlier < last && clock.to_local(earlier) == shown { earlier } else { last }
}

/// The first instant above `low` at which the clocks show `shown` or later; at `high` they do.
fn jump_past(clock: &impl Clock, shown: i64, low: i64, high: i64) -> i64 {
    let (mut low, mut high) = (low.max(MIN_TIMESTAMP), high);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if clock.to_local(middle) >= shown {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::{Clock, start};
    use crate::bucket::TimeBucket;
    use crate::span::{MICROS_PER_DAY as DAY, Span};

    const HOUR: i64 = 3_600_000_000;
    const MINUTE: i64 = 60_000_000;

    /// Clocks that run with UTC and are changed by `by` at instant 1000 days.
    struct Changed {
        by: i64,
    }

    const CHANGE: i64 = 1000 * DAY;

    impl Clock for Changed {
        fn to_local(&self, instant: i64) -> i64 {
            if instant < CHANGE { instant } else { instant + self.by }
        }

        fn to_instant(&self, local: i64) -> i64 {
            match (local < CHANGE, local - self.by >= CHANGE) {
                (true, false) => local,
                (false, true) => local - self.by,
                // Twice: the later one. Never: with the old offset.
                (true, true) => local - self.by,
                (false, false) => local,
            }
        }
    }

    fn bucket(width: i64, offset: i64) -> TimeBucket {
        TimeBucket::new(Span::from_micros(width), None, Some(Span::from_micros(offset))).expect("a good width")
    }

    /// Checks the invariants minute by minute and returns the starts around the change, each once.
    fn starts(bucket: &TimeBucket, clock: &Changed) -> Vec<i64> {
        let mut starts: Vec<i64> = Vec::new();
        for instant in (CHANGE - 2 * DAY..CHANGE + 2 * DAY).step_by(MINUTE as usize) {
            let found = start(bucket, clock, instant).expect("in range");
            assert!(found <= instant);
            assert_eq!(start(bucket, clock, found), Ok(found), "the start is in its own bucket");
            if !starts.contains(&found) {
                starts.push(found);
            }
        }
        starts.sort_unstable();
        starts
    }

    fn lengths(starts: &[i64]) -> Vec<i64> {
        starts.windows(2).map(|pair| (pair[1] - pair[0]) / MINUTE).collect()
    }

    #[test]
    fn test_days_when_midnight_comes_twice() {
        // Midnight at the change: 00:00 to 01:00 is shown twice.
        let found = starts(&bucket(DAY, 0), &Changed { by: -HOUR });
        assert!(lengths(&found).iter().all(|minutes| [24 * 60, 25 * 60].contains(minutes)));
        assert_eq!(lengths(&found).iter().filter(|minutes| **minutes == 25 * 60).count(), 1);
    }

    #[test]
    fn test_days_when_midnight_is_skipped() {
        let found = starts(&bucket(DAY, 0), &Changed { by: HOUR });
        assert_eq!(lengths(&found).iter().filter(|minutes| **minutes == 23 * 60).count(), 1);
        assert!(found.contains(&CHANGE));
    }

    #[test]
    fn test_days_when_the_start_is_inside_the_skipped_hour() {
        let found = starts(&bucket(DAY, 30 * MINUTE), &Changed { by: HOUR });
        assert!(found.contains(&CHANGE), "the day begins when the clocks jump past its start");
    }

    #[test]
    fn test_hours_are_shown_twice() {
        let found = starts(&bucket(HOUR, 0), &Changed { by: -HOUR });
        assert!(lengths(&found).iter().all(|minutes| *minutes == 60));
        let found = starts(&bucket(30 * MINUTE, 0), &Changed { by: -HOUR });
        assert!(lengths(&found).iter().all(|minutes| *minutes == 30));
    }

    #[test]
    fn test_hours_are_skipped() {
        for (width, offset) in [(HOUR, 0), (30 * MINUTE, 15 * MINUTE), (2 * HOUR, 0), (2 * HOUR, 30 * MINUTE)] {
            starts(&bucket(width, offset), &Changed { by: HOUR });
        }
    }

    #[test]
    fn test_lengths_and_offsets_of_all_kinds() {
        for by in [-2 * HOUR, -HOUR, -30 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR] {
            for width in [10 * MINUTE, 45 * MINUTE, HOUR, 90 * MINUTE, 7 * HOUR, DAY, 3 * DAY] {
                for offset in [0, 10 * MINUTE, 50 * MINUTE, 23 * HOUR] {
                    starts(&bucket(width, offset), &Changed { by });
                }
            }
        }
    }
}
