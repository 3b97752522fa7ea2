//! When a job is due next: pure functions of its schedule, the clocks of its time zone, and how its last run ended.
//!
//! Months and days are counted on the clocks of the zone and the rest of an interval as elapsed time, as `timestamptz + interval` does:
//! a job of every day stays at its hour when the clocks change, a job of every hour runs every hour. Instants are microseconds since
//! 2000-01-01 UTC; `i64::MAX` (infinity) stands for never.

use tsc_kernel::span::{END_TIMESTAMP, MIN_TIMESTAMP, Span};
use tsc_kernel::zoned::Clock;

const SECOND: i64 = 1_000_000;
/// A job whose server crashed is left alone for so long at least.
const AFTER_CRASH: i64 = 300 * SECOND;
/// No failure is followed by a try within less.
const SHORTEST_RETRY: i64 = SECOND;
/// The delay stops growing after so many failures.
const MOST_FAILURES: i32 = 20;
/// The delay is no longer than so many intervals.
const MOST_INTERVALS: i128 = 5;
const MICROS_PER_MONTH: i128 = 30 * 86_400 * SECOND as i128;
/// Never.
pub const NEVER: i64 = i64::MAX;

/// What is said of a job's starts.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// From start to start, or from the end of a run to the next start.
    pub interval: Span,
    /// The first start, from which slots are counted; None: each start is counted from the end of the run before.
    pub slots_from: Option<i64>,
    /// From a failure to the next try.
    pub retry_period: Span,
}

/// How long a span is, roughly: a month counts 30 days.
fn length(span: Span) -> i128 {
    i128::from(span.months) * MICROS_PER_MONTH + span.fixed_micros()
}

/// True for a span by which starts can follow one another: time passes, and no part of it runs backwards.
pub fn is_positive(span: Span) -> bool {
    span.months >= 0 && span.days >= 0 && span.micros >= 0 && length(span) > 0
}

/// The microseconds that something may take; None: as long as it likes.
pub fn limit(span: Span) -> Option<i64> {
    i64::try_from(length(span)).ok().filter(|limit| *limit > 0)
}

/// True for a span that is no less than nothing.
pub fn is_not_negative(span: Span) -> bool {
    span == Span::default() || is_positive(span)
}

/// The instant `times` spans after another one; None beyond the range of timestamps.
fn plus(clock: &impl Clock, instant: i64, span: Span, times: i64) -> Option<i64> {
    let part = |value: i32| i32::try_from(i64::from(value) * times).ok();
    let mut moved = instant;
    for calendar in [Span::from_months(part(span.months)?), Span::from_days(part(span.days)?)] {
        if calendar != Span::default() {
            moved = clock.to_instant(calendar.move_timestamp(clock.to_local(moved), 1).ok()?);
        }
    }
    let moved = i128::from(moved) + i128::from(span.micros) * i128::from(times);
    i64::try_from(moved).ok().filter(|instant| (MIN_TIMESTAMP..END_TIMESTAMP).contains(instant))
}

/// The first slot after an instant; slots lie whole intervals after `origin`, which is the first of them.
fn slot_after(clock: &impl Clock, origin: i64, interval: Span, after: i64) -> i64 {
    if !(MIN_TIMESTAMP..END_TIMESTAMP).contains(&origin) || after < origin {
        return origin.max(MIN_TIMESTAMP);
    }
    let slot = |number: i64| plus(clock, origin, interval, number);
    let is_past = |number: i64| slot(number).is_some_and(|slot| slot <= after);
    // Slots grow with their number. Of two numbers, a slot that is past and one that is not, the one in the middle replaces one.
    let guess = (i128::from(after) - i128::from(origin)) / length(interval).max(1);
    let mut step = i64::try_from(guess / 64).unwrap_or(i64::MAX / 4).max(1);
    let mut past = i64::try_from(guess).unwrap_or(i64::MAX / 4);
    while past > 0 && !is_past(past) {
        past = past.saturating_sub(step).max(0);
        step = step.saturating_mul(2);
    }
    step = 1;
    let mut future = past.saturating_add(1);
    while is_past(future) {
        past = future;
        future = future.saturating_add(step);
        step = step.saturating_mul(2);
    }
    while future - past > 1 {
        let middle = past + (future - past) / 2;
        if is_past(middle) {
            past = middle;
        } else {
            future = middle;
        }
    }
    slot(future).unwrap_or(NEVER)
}

impl Schedule {
    /// The next start after a run that succeeded and ended at `finish`.
    pub fn after_success(&self, clock: &impl Clock, finish: i64) -> i64 {
        match self.slots_from {
            Some(origin) => slot_after(clock, origin, self.interval, finish),
            None => plus(clock, finish, self.interval, 1).unwrap_or(NEVER),
        }
    }

    /// The next start after `failures` runs in a row that failed, the last of which ended at `finish`. `jitter` between -1 and 1 keeps
    /// jobs that fail together from being tried again together.
    pub fn after_failure(&self, clock: &impl Clock, finish: i64, failures: i32, jitter: f64) -> i64 {
        let delay = (length(self.retry_period) * i128::from(failures.clamp(1, MOST_FAILURES))).min(length(self.interval) * MOST_INTERVALS);
        // Less than 2^63 microseconds are told apart well enough.
        let delay = (delay as f64 * (1.0 + jitter.clamp(-1.0, 1.0) * 0.125)).max(SHORTEST_RETRY as f64) as i64;
        let retry = finish.saturating_add(delay);
        match self.slots_from {
            Some(origin) => retry.min(slot_after(clock, origin, self.interval, finish)),
            None => retry,
        }
    }

    /// The next start after a crash of the server that was noticed at `noticed`.
    pub fn after_crash(&self, clock: &impl Clock, noticed: i64, failures: i32, jitter: f64) -> i64 {
        self.after_failure(clock, noticed, failures, jitter).max(noticed.saturating_add(AFTER_CRASH))
    }
}

#[cfg(test)]
mod tests;
