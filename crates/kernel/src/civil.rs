//! Days since 2000-01-01 to year, month and day and back, for every day that fits an `i32`.

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH_SHIFT: i64 = 730_425;
/// Days in 400 years.
const ERA: i64 = 146_097;

/// A day of the proleptic Gregorian calendar; year 0 is 1 BC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day, 1 to 31.
    pub day: i64,
}

impl Civil {
    /// The date of a day counted from 2000-01-01.
    pub fn from_days(days: i64) -> Self {
        // Years begin in March here, so that the leap day comes last and months have a regular pattern of lengths.
        let shifted = days + EPOCH_SHIFT;
        let era = shifted.div_euclid(ERA);
        let day_of_era = shifted.rem_euclid(ERA);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    /// Days since 2000-01-01.
    pub fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        era * ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_SHIFT
    }

    /// Months since January of year 0.
    pub fn month_index(self) -> i64 {
        self.year * 12 + self.month - 1
    }

    /// The first day of a month counted from January of year 0.
    pub fn from_month_index(index: i64) -> Self {
        Self { year: index.div_euclid(12), month: index.rem_euclid(12) + 1, day: 1 }
    }

    /// The same day `months` later, or the last day of that month if it is shorter.
    pub fn plus_months(self, months: i64) -> Self {
        let first = Self::from_month_index(self.month_index() + months);
        Self { day: self.day.min(days_in_month(first.year, first.month)), ..first }
    }
}

/// The number of days in a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Civil, days_in_month};

    fn civil(year: i64, month: i64, day: i64) -> Civil {
        Civil { year, month, day }
    }

    #[test]
    fn test_from_days_known() {
        assert_eq!(Civil::from_days(0), civil(2000, 1, 1));
        assert_eq!(Civil::from_days(59), civil(2000, 2, 29));
        assert_eq!(Civil::from_days(-1), civil(1999, 12, 31));
        assert_eq!(Civil::from_days(-10_957), civil(1970, 1, 1));
        // The first day of PostgreSQL's calendar: 4714-11-24 BC.
        assert_eq!(Civil::from_days(-2_451_545), civil(-4713, 11, 24));
        // The last day of its dates: 5874897-12-31.
        assert_eq!(Civil::from_days(2_145_031_948), civil(5_874_897, 12, 31));
    }

    #[test]
    fn test_from_days_is_sequential() {
        let mut expected = civil(-401, 1, 1);
        for days in expected.days()..civil(2401, 1, 1).days() {
            assert_eq!(Civil::from_days(days), expected);
            expected.day += 1;
            if expected.day > days_in_month(expected.year, expected.month) {
                expected.day = 1;
                expected = Civil::from_month_index(expected.month_index() + 1);
            }
        }
    }

    #[test]
    fn test_plus_months_clamps() {
        assert_eq!(civil(2023, 1, 31).plus_months(1), civil(2023, 2, 28));
        assert_eq!(civil(2024, 1, 31).plus_months(1), civil(2024, 2, 29));
        assert_eq!(civil(2024, 1, 31).plus_months(-2), civil(2023, 11, 30));
        assert_eq!(civil(0, 1, 1).plus_months(-1), civil(-1, 12, 1));
    }

    proptest! {
        #[test]
        fn test_days_round_trip(days in i64::from(i32::MIN)..=i64::from(i32::MAX)) {
            prop_assert_eq!(Civil::from_days(days).days(), days);
        }
    }
}
