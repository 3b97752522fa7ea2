//! Schedules on clocks that are made for the tests: no server, no present.

use tsc_kernel::civil::Civil;
use tsc_kernel::span::{MICROS_PER_DAY as DAY, Span};
use tsc_kernel::zoned::Clock;

use super::{NEVER, SECOND, Schedule, is_not_negative, is_positive};

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Clocks of Central Europe in 2024: an hour ahead, two from 31 March 01:00 UTC to 27 October 01:00 UTC.
struct Berlin;
/// Clocks that never change.
struct Utc;

fn at(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> i64 {
    Civil { year, month, day }.days() * DAY + hour * HOUR + minute * MINUTE
}

impl Clock for Berlin {
    fn to_local(&self, instant: i64) -> i64 {
        let summer = (at(2024, 3, 31, 1, 0)..at(2024, 10, 27, 1, 0)).contains(&instant);
        instant + if summer { 2 * HOUR } else { HOUR }
    }

    fn to_instant(&self, local: i64) -> i64 {
        // The later of two instants; in a gap, as if the clocks had not been put forward.
        let (winter, summer) = (local - HOUR, local - 2 * HOUR);
        if self.to_local(winter) == local || self.to_local(summer) != local { winter } else { summer }
    }
}

impl Clock for Utc {
    fn to_local(&self, instant: i64) -> i64 {
        instant
    }

    fn to_instant(&self, local: i64) -> i64 {
        local
    }
}

fn fixed(interval: Span, slots_from: i64) -> Schedule {
    Schedule { interval, slots_from: Some(slots_from), retry_period: Span::from_micros(5 * MINUTE) }
}

fn drifting(interval: Span) -> Schedule {
    Schedule { interval, slots_from: None, retry_period: Span::from_micros(5 * MINUTE) }
}

#[test]
fn test_after_success_fixed_keeps_to_its_slots() {
    let hourly = fixed(Span::from_micros(HOUR), at(2024, 1, 1, 0, 15));
    assert_eq!(hourly.after_success(&Utc, at(2024, 1, 1, 0, 15)), at(2024, 1, 1, 1, 15));
    assert_eq!(hourly.after_success(&Utc, at(2024, 1, 1, 0, 50)), at(2024, 1, 1, 1, 15));
    // A run that took longer than an interval skips the slots that it missed.
    assert_eq!(hourly.after_success(&Utc, at(2024, 1, 1, 5, 15)), at(2024, 1, 1, 6, 15));
    assert_eq!(hourly.after_success(&Utc, at(2024, 1, 1, 5, 14)), at(2024, 1, 1, 5, 15));
}

#[test]
fn test_after_success_fixed_starts_at_its_origin() {
    let daily = fixed(Span::from_days(1), at(2030, 1, 1, 0, 0));
    assert_eq!(daily.after_success(&Utc, at(2024, 1, 1, 0, 0)), at(2030, 1, 1, 0, 0));
}

#[test]
fn test_after_success_drifting_counts_from_the_end() {
    let hourly = drifting(Span::from_micros(HOUR));
    assert_eq!(hourly.after_success(&Utc, at(2024, 1, 1, 0, 50)), at(2024, 1, 1, 1, 50));
    assert_eq!(drifting(Span::from_months(1)).after_success(&Utc, at(2024, 1, 31, 0, 0)), at(2024, 2, 29, 0, 0));
}

#[test]
fn test_days_stay_at_their_hour_when_clocks_change() {
    // 04:30 in Berlin
    let daily = fixed(Span::from_days(1), at(2024, 3, 1, 3, 30));
    assert_eq!(daily.after_success(&Berlin, at(2024, 3, 30, 4, 0)), at(2024, 3, 31, 2, 30));
    assert_eq!(daily.after_success(&Berlin, at(2024, 3, 31, 2, 30)), at(2024, 4, 1, 2, 30));
    assert_eq!(daily.after_success(&Berlin, at(2024, 10, 26, 3, 0)), at(2024, 10, 27, 3, 30));
    // On clocks that don't change they stay where they are.
    assert_eq!(daily.after_success(&Utc, at(2024, 3, 30, 4, 0)), at(2024, 3, 31, 3, 30));
}

#[test]
fn test_a_slot_in_the_skipped_hour_is_not_lost() {
    // 02:30 in Berlin, which 31 March does not have.
    let daily = fixed(Span::from_days(1), at(2024, 3, 1, 1, 30));
    assert_eq!(daily.after_success(&Berlin, at(2024, 3, 30, 1, 30)), at(2024, 3, 31, 1, 30));
    assert_eq!(daily.after_success(&Berlin, at(2024, 3, 31, 1, 30)), at(2024, 4, 1, 0, 30));
}

#[test]
fn test_a_slot_in_the_repeated_hour_comes_once() {
    // 02:30 in Berlin, which 27 October has twice.
    let daily = fixed(Span::from_days(1), at(2024, 10, 1, 0, 30));
    let on_the_day = daily.after_success(&Berlin, at(2024, 10, 26, 12, 0));
    assert_eq!(on_the_day, at(2024, 10, 27, 1, 30));
    assert_eq!(daily.after_success(&Berlin, on_the_day), at(2024, 10, 28, 1, 30));
}

#[test]
fn test_hours_go_on_when_clocks_change() {
    let hourly = fixed(Span::from_micros(HOUR), at(2024, 3, 1, 0, 0));
    for day in [at(2024, 3, 31, 0, 0), at(2024, 10, 27, 0, 0)] {
        for hour in 0..6 {
            assert_eq!(hourly.after_success(&Berlin, day + hour * HOUR), day + (hour + 1) * HOUR);
        }
    }
}

#[test]
fn test_months_do_not_creep() {
    let monthly = fixed(Span::from_months(1), at(2024, 1, 31, 0, 0));
    assert_eq!(monthly.after_success(&Utc, at(2024, 2, 10, 0, 0)), at(2024, 2, 29, 0, 0));
    assert_eq!(monthly.after_success(&Utc, at(2024, 2, 29, 0, 0)), at(2024, 3, 31, 0, 0));
    assert_eq!(monthly.after_success(&Utc, at(2024, 3, 31, 0, 0)), at(2024, 4, 30, 0, 0));
    let mixed = fixed(Span { months: 1, days: 2, micros: HOUR }, at(2024, 1, 31, 0, 0));
    assert_eq!(mixed.after_success(&Utc, at(2024, 2, 1, 0, 0)), at(2024, 3, 2, 1, 0));
}

#[test]
fn test_slots_follow_each_other_for_decades() {
    for interval in [Span::from_micros(7 * MINUTE), Span::from_days(1), Span::from_months(5), Span { months: 1, days: 1, micros: 1 }] {
        let origin = at(1999, 12, 31, 23, 7);
        let schedule = fixed(interval, origin);
        for start in [origin, at(2010, 5, 5, 5, 5), at(2024, 2, 29, 0, 0), at(2150, 1, 1, 0, 0)] {
            let mut last = start;
            for _ in 0..50 {
                let next = schedule.after_success(&Berlin, last);
                assert!(next > last);
                // No slot lies between: just before the next one, the next one is still to come.
                assert_eq!(schedule.after_success(&Berlin, next - 1), next);
                last = next;
            }
        }
    }
}

#[test]
fn test_the_end_of_time_is_never() {
    assert_eq!(fixed(Span::from_days(1_000_000_000), at(2024, 1, 1, 0, 0)).after_success(&Utc, at(2024, 1, 1, 0, 0)), NEVER);
    assert_eq!(drifting(Span { months: i32::MAX, days: 0, micros: 0 }).after_success(&Utc, 0), NEVER);
    assert_eq!(fixed(Span::from_days(1), NEVER).after_success(&Utc, 0), NEVER);
    assert_eq!(drifting(Span::from_days(1)).after_success(&Utc, NEVER), NEVER);
}

#[test]
fn test_after_failure_backs_off() {
    let daily = drifting(Span::from_days(1));
    let minutes = |failures| (daily.after_failure(&Utc, 0, failures, 0.0)) / MINUTE;
    assert_eq!([minutes(1), minutes(2), minutes(20), minutes(21), minutes(1000)], [5, 10, 100, 100, 100]);
}

#[test]
fn test_after_failure_waits_five_intervals_at_most() {
    let often = drifting(Span::from_micros(MINUTE));
    assert_eq!(often.after_failure(&Utc, 0, 10, 0.0), 5 * MINUTE);
}

#[test]
fn test_after_failure_jitters_by_an_eighth() {
    let daily = drifting(Span::from_days(1));
    assert_eq!(daily.after_failure(&Utc, 0, 8, -1.0), 35 * MINUTE);
    assert_eq!(daily.after_failure(&Utc, 0, 8, 1.0), 45 * MINUTE);
    assert_eq!(daily.after_failure(&Utc, 0, 8, 9.0), 45 * MINUTE);
}

#[test]
fn test_after_failure_never_misses_a_slot() {
    let hourly = fixed(Span::from_micros(HOUR), at(2024, 1, 1, 0, 0));
    assert_eq!(hourly.after_failure(&Utc, at(2024, 1, 1, 0, 57), 1, 0.0), at(2024, 1, 1, 1, 0));
    assert_eq!(hourly.after_failure(&Utc, at(2024, 1, 1, 0, 10), 1, 0.0), at(2024, 1, 1, 0, 15));
}

#[test]
fn test_after_failure_is_never_at_once() {
    let schedule = Schedule { retry_period: Span::default(), ..drifting(Span::from_days(1)) };
    assert_eq!(schedule.after_failure(&Utc, 0, 1, 0.0), SECOND);
}

#[test]
fn test_after_crash_waits_five_minutes() {
    let hourly = fixed(Span::from_micros(HOUR), at(2024, 1, 1, 0, 0));
    // Even past a slot.
    assert_eq!(hourly.after_crash(&Utc, at(2024, 1, 1, 0, 58), 1, 0.0), at(2024, 1, 1, 1, 3));
    assert_eq!(hourly.after_crash(&Utc, at(2024, 1, 1, 0, 10), 3, 0.0), at(2024, 1, 1, 0, 25));
}

#[test]
fn test_signs() {
    assert!(is_positive(Span::from_micros(1)));
    assert!(!is_positive(Span::default()));
    assert!(!is_positive(Span { months: 1, days: -29, micros: 0 }));
    assert!(is_not_negative(Span::default()));
    assert!(!is_not_negative(Span { months: 0, days: 1, micros: -1 }));
}
