//! Timestamps as PostgreSQL reads them.

/// `2016-01-01 00:00:10+00` of a number of seconds since 1970.
pub fn timestamp(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}+00", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `2016-01-01 00:00:10.042+00` of a number of milliseconds since 1970.
pub fn timestamp_ms(milliseconds: i64) -> String {
    let mut text = timestamp(milliseconds.div_euclid(1000));
    text.insert_str("0000-00-00 00:00:00".len(), &format!(".{:03}", milliseconds.rem_euclid(1000)));
    text
}

/// Year, month and day in the Gregorian calendar of a number of days since 1970-01-01. Years begin in March here, so
/// that the leap day comes last, and eras of 400 years are all alike.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{timestamp, timestamp_ms};

    #[test]
    fn known_dates() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00+00");
        assert_eq!(timestamp(-1), "1969-12-31 23:59:59+00");
        assert_eq!(timestamp(951_782_400), "2000-02-29 00:00:00+00");
        assert_eq!(timestamp(1_451_606_410), "2016-01-01 00:00:10+00");
        assert_eq!(timestamp(1_456_790_399), "2016-02-29 23:59:59+00");
        assert_eq!(timestamp_ms(1_451_606_410_042), "2016-01-01 00:00:10.042+00");
        assert_eq!(timestamp(4_102_444_800), "2100-01-01 00:00:00+00");
    }
}
