//! The conditions of a query on its time column, as `cagg_valid` and `cagg_live` are given them.

use pgrx::pg_sys;
use tsc_kernel::axis::Axis;
use tsc_kernel::ranges::{Range, Ranges};

use crate::catalog::dimension::axis_of_type;
use crate::error::{Error, Result};
use crate::pg::{array, axis};

/// Which times a query asks for. The positions of UUIDs are coarser than UUIDs, so what is surely asked for and what may be asked for can
/// differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// All values at these positions qualify; None: no value does.
    pub surely: Option<Range>,
    /// No value elsewhere qualifies; None: no value does.
    pub perhaps: Option<Range>,
}

impl Asked {
    /// Everything.
    pub const ALL: Self = Self { surely: Some(Range::ALL), perhaps: Some(Range::ALL) };
    const NOTHING: Self = Self { surely: None, perhaps: None };

    /// Reads the operators (words such as `>=`) and the array of as many bounds. A bound that is NULL is true of nothing.
    ///
    /// # Safety
    /// `bounds` is an array of a type with an axis.
    pub unsafe fn read(operators: Option<&str>, bounds: Option<pg_sys::Datum>) -> Result<Self> {
        let operators: Vec<&str> = operators.unwrap_or("").split_ascii_whitespace().collect();
        if operators.is_empty() {
            return Ok(Self::ALL);
        }
        let Some(bounds) = bounds else { return Ok(Self::NOTHING) };
        // SAFETY: the caller's promise.
        let (element, bounds) = unsafe { array::values(bounds) };
        let axis = axis_of_type(element).ok_or_else(|| Error::internal("bounds of a type without an axis"))?;
        if bounds.len() != operators.len() {
            return Err(Error::internal(format!("{} bounds for {} operators", bounds.len(), operators.len())));
        }
        let mut asked = Self::ALL;
        for (operator, bound) in operators.into_iter().zip(bounds) {
            let Some(bound) = bound else { return Ok(Self::NOTHING) };
            // SAFETY: a value of the axis's type.
            let position = unsafe { axis::position(axis, bound) };
            let (surely, perhaps) = sides(operator, position, if axis == Axis::Uuid { 999 } else { 0 })?;
            let both = |known: Option<Range>, more: Option<Range>| known.and_then(|known| known.intersection(more?));
            asked = Self { surely: both(asked.surely, surely), perhaps: both(asked.perhaps, perhaps) };
        }
        Ok(asked)
    }

    /// What may be asked for, as a set.
    pub fn perhaps(self) -> Ranges {
        Ranges::from(self.perhaps)
    }
}

/// Where a comparison with a value is surely true, and where it may be. `blur`: values at so many positions more may have this position.
fn sides(operator: &str, position: i64, blur: i64) -> Result<(Option<Range>, Option<Range>)> {
    let from = |low: Option<i64>| low.and_then(|low| Range::new(low, i64::MAX));
    let to = |high: Option<i64>| high.and_then(|high| Range::new(i64::MIN, high));
    let (end, next) = (position.saturating_add(blur), position.saturating_add(blur).checked_add(1));
    let before = position.checked_sub(1);
    let is_exact = blur == 0;
    Ok(match operator {
        ">=" => (from(if is_exact { Some(position) } else { next }), from(Some(position))),
        ">" => (from(next), from(if is_exact { next } else { Some(position) })),
        "<=" => (to(if is_exact { Some(position) } else { before }), to(Some(end))),
        "<" => (to(before), to(if is_exact { before } else { Some(end) })),
        "=" => (Range::new(position, position).filter(|_| is_exact), Range::new(position, end)),
        other => return Err(Error::internal(format!("no condition on time is called \"{other}\""))),
    })
}

#[cfg(test)]
mod tests {
    use super::sides;
    use tsc_kernel::ranges::Range;

    #[test]
    fn test_sides_of_exact_positions_agree() {
        for (operator, low, high) in [(">=", 7, i64::MAX), (">", 8, i64::MAX), ("<=", i64::MIN, 7), ("<", i64::MIN, 6), ("=", 7, 7)] {
            let wanted = Range::new(low, high);
            assert_eq!(sides(operator, 7, 0), Ok((wanted, wanted)), "{operator}");
        }
        assert_eq!(sides(">", i64::MAX, 0), Ok((None, None)));
        assert_eq!(sides("<", i64::MIN, 0), Ok((None, None)));
    }

    #[test]
    fn test_sides_of_blurred_positions_leave_doubt() {
        assert_eq!(sides(">=", 7000, 999), Ok((Range::new(8000, i64::MAX), Range::new(7000, i64::MAX))));
        assert_eq!(sides("<", 7000, 999), Ok((Range::new(i64::MIN, 6999), Range::new(i64::MIN, 7999))));
        assert_eq!(sides("=", 7000, 999), Ok((None, Range::new(7000, 7999))));
    }
}
