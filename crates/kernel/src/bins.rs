//! Histogram bins of equal width between two bounds, with one bin below and one above.

/// The bounds and number of bins of a histogram.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bins {
    min: f64,
    max: f64,
    count: i32,
}

/// Why bounds make no histogram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadBins {
    /// There are fewer than two bins.
    TooFew,
    /// A bound is NaN.
    NotANumber,
    /// A bound is infinite, or so is the distance between the bounds.
    Infinite,
    /// The lower bound is not below the upper bound.
    Order,
}

impl Bins {
    /// `count` bins between `min` and `max`.
    pub fn new(min: f64, max: f64, count: i32) -> Result<Self, BadBins> {
        if min.is_nan() || max.is_nan() {
            return Err(BadBins::NotANumber);
        }
        if !min.is_finite() || !max.is_finite() {
            return Err(BadBins::Infinite);
        }
        if min >= max {
            return Err(BadBins::Order);
        }
        if count < 2 {
            return Err(BadBins::TooFew);
        }
        // A distance times the number of bins that overflows would put every value into one bin.
        if !((max - min) * f64::from(count)).is_finite() {
            return Err(BadBins::Infinite);
        }
        Ok(Self { min, max, count })
    }

    /// Whether these are the bins of these arguments.
    #[inline]
    pub fn matches(&self, min: f64, max: f64, count: i32) -> bool {
        self.min == min && self.max == max && self.count == count
    }

    /// The number of bins, without the two outer ones.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The lower bound.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The upper bound.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The bin of a value: 0 below the bounds, `count + 1` from the upper bound on, None for NaN.
    #[inline]
    pub fn index(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        if value < self.min {
            return Some(0);
        }
        if value >= self.max {
            return Some(self.count as usize + 1);
        }
        // As PostgreSQL's width_bucket, to the last bit; rounding may carry the topmost values past the last bin.
        let bin = f64::from(self.count) * (value - self.min) / (self.max - self.min) + 1.0;
        Some((bin as usize).min(self.count as usize))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadBins, Bins};

    #[test]
    fn test_index() {
        let bins = Bins::new(0.0, 10.0, 5).expect("good bounds");
        for (value, expected) in
            [(-0.1, 0), (0.0, 1), (1.999, 1), (2.0, 2), (9.999, 5), (10.0, 6), (f64::INFINITY, 6), (f64::NEG_INFINITY, 0)]
        {
            assert_eq!(bins.index(value), Some(expected), "{value}");
        }
        assert_eq!(bins.index(f64::NAN), None);
    }

    #[test]
    fn test_new_refuses_bad_bounds() {
        assert_eq!(Bins::new(1.0, 1.0, 5), Err(BadBins::Order));
        assert_eq!(Bins::new(2.0, 1.0, 5), Err(BadBins::Order));
        assert_eq!(Bins::new(f64::NAN, 1.0, 5), Err(BadBins::NotANumber));
        assert_eq!(Bins::new(0.0, f64::INFINITY, 5), Err(BadBins::Infinite));
        assert_eq!(Bins::new(-1.79769e308, 1.79769e308, 10), Err(BadBins::Infinite));
        assert_eq!(Bins::new(0.0, 1.0, 1), Err(BadBins::TooFew));
    }

    proptest! {
        #[test]
        fn test_index_is_inside(min in -1e300..1e300, width in 1e-300..1e300, count in 2..1000, value in any::<f64>()) {
            if let Ok(bins) = Bins::new(min, min + width, count) {
                match bins.index(value) {
                    None => prop_assert!(value.is_nan()),
                    Some(0) => prop_assert!(value < min),
                    Some(bin) if bin == count as usize + 1 => prop_assert!(value >= min + width),
                    Some(bin) => prop_assert!(bin <= count as usize && value >= min && value < min + width),
                }
            }
        }
    }
}
