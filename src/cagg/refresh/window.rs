//! What `refresh_continuous_aggregate` is asked for: a window of time, and how it is to go about it.

use serde_json::{Map, Value};
use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::buckets::{BatchSize, Buckets, shrink};
use tsc_kernel::ranges::Range;

use crate::catalog::dimension::Dimension;
use crate::chunk::window;
use crate::error::{Error, Result, SqlState};
use crate::hypertable::interval::Given;

/// How a refresh goes about its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What is kept although its source is gone is computed again, and so is all else in the window.
    pub force: bool,
    /// How much is computed in a transaction; None: as much as a chunk of the source holds.
    pub batch: Option<BatchSize>,
    /// After so many batches it ends.
    pub most_batches: Option<usize>,
    /// The latest batches come first.
    pub newest_first: bool,
    /// Nothing is said if there is nothing to do.
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { force: false, batch: None, most_batches: None, newest_first: true, quiet: false }
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A number of a config that must not be negative; 0 and null stand for the default.
pub fn count(config: &Map<String, Value>, key: &str) -> Result<Option<u32>> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            match number.map(u32::try_from) {
                Some(Ok(0)) => Ok(None),
                Some(Ok(number)) => Ok(Some(number)),
                _ => {
                    Err(invalid(format!("invalid {key}")).detail("It must be an integer, and not negative.").hint("0 stands for no limit."))
                }
            }
        }
    }
}

/// A flag of a config.
pub fn flag(config: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
        Some(_) => Err(invalid(format!("{key} must be true or false"))),
    }
}

const KEYS: [&str; 3] = ["buckets_per_batch", "max_batches_per_execution", "refresh_newest_first"];

impl Options {
    /// Reads the argument `options`.
    pub fn read(force: bool, options: Option<&str>) -> Result<Self> {
        let Some(text) = options else { return Ok(Self { force, ..Self::default() }) };
        let Ok(Value::Object(map)) = serde_json::from_str(text) else {
            return Err(invalid("options must be a JSON object").hint(format!("Its keys are {}.", KEYS.join(", "))));
        };
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!("unknown option \"{key}\"")).hint(format!("Options are {}.", KEYS.join(", "))));
        }
        Ok(Self {
            force,
            batch: count(&map, KEYS[0])?.map(BatchSize::Buckets),
            most_batches: count(&map, KEYS[1])?.map(|most| most as usize),
            newest_first: flag(&map, KEYS[2])?.unwrap_or(true),
            quiet: false,
        })
    }
}

/// The window between two arguments of any type, the second excluded, in positions; None: no bound.
pub fn between(time: &Dimension, start: Given, end: Given) -> Result<Range> {
    let interval = pgrx::pg_sys::INTERVALOID;
    if [start, end].into_iter().flatten().any(|(type_oid, _)| type_oid == interval) {
        return Err(invalid("invalid time argument type \"interval\"").hint("Give points of time, such as now() - INTERVAL '1 day'."));
    }
    let axis = time.axis().ok_or_else(|| Error::internal("a range dimension without an axis"))?;
    let internal = |given: Given| given.map(|given| window::position(time, given)).transpose();
    from_internal(axis, internal(start)?, internal(end)?)
}

/// The same between two points in internal form.
pub fn from_internal(axis: Axis, start: Option<i64>, end: Option<i64>) -> Result<Range> {
    // A day that has begun already is not wholly inside.
    let day = DAY_MICROS - 1;
    let low = start.map_or(i64::MIN, |start| match axis {
        _ if start == i64::MIN => start,
        Axis::Date if start != i64::MAX => axis.from_internal(start.saturating_add(day)),
        _ => axis.from_internal(start),
    });
    let high = match end.filter(|end| *end != i64::MAX).map(|end| axis.from_internal(end)) {
        None => Some(i64::MAX),
        Some(end) => end.checked_sub(1),
    };
    high.and_then(|high| Range::new(low, high)).ok_or_else(|| {
        invalid("invalid refresh window").detail("The window holds nothing.").hint("The start of the window must be before the end.")
    })
}

/// The whole buckets of a window.
pub fn whole(buckets: &dyn Buckets, window: Range) -> Result<Range> {
    shrink(buckets, window).ok_or_else(|| {
        invalid("refresh window too small")
            .detail("The refresh window must cover at least one bucket of data.")
            .hint("Align the refresh window with the bucket time zone or use at least two buckets.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsc_kernel::axis::{EPOCH_DAYS, EPOCH_MICROS};

    #[test]
    fn test_days_that_have_begun_are_left_out() {
        let noon = (EPOCH_DAYS + 3) * DAY_MICROS + DAY_MICROS / 2;
        assert_eq!(from_internal(Axis::Date, Some(noon), Some(noon + 2 * DAY_MICROS)), Ok(Range { low: 4, high: 4 }));
        assert_eq!(from_internal(Axis::Date, None, Some(noon)), Ok(Range { low: i64::MIN, high: 2 }));
        assert!(from_internal(Axis::Date, Some(noon), Some(noon)).is_err());
    }

    #[test]
    fn test_window_without_bounds() {
        assert_eq!(from_internal(Axis::Timestamp, None, None), Ok(Range::ALL));
        assert_eq!(from_internal(Axis::Timestamp, Some(i64::MIN), Some(i64::MAX)), Ok(Range::ALL));
        assert_eq!(from_internal(Axis::Timestamp, Some(EPOCH_MICROS), None), Ok(Range { low: 0, high: i64::MAX }));
        assert!(from_internal(Axis::Int8, Some(5), Some(5)).is_err());
    }

    #[test]
    fn test_options() {
        let read = |text: &str| Options::read(false, Some(text));
        let wanted = Options { batch: Some(BatchSize::Buckets(3)), most_batches: Some(2), newest_first: false, ..Options::default() };
        assert_eq!(read(r#"{"buckets_per_batch": 3, "max_batches_per_execution": 2, "refresh_newest_first": false}"#), Ok(wanted));
        assert_eq!(read(r#"{"buckets_per_batch": 0}"#), Ok(Options::default()));
        for bad in ["[]", r#"{"buckets_per_batch": -1}"#, r#"{"batches": 1}"#, r#"{"refresh_newest_first": 1}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
