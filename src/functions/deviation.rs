//! Variance and standard deviation of groups that are made of smaller ones: what `cagg::parts` merges them with.
//!
//! Floats: the state is that of PostgreSQL's aggregates (count, sum, sum of squared deviations from the mean), so that its own functions
//! combine and finish. Integers and numeric: from exact sums, in the steps of `numeric_stddev_internal`, so that each digit and the
//! scale are those of PostgreSQL's aggregates.

use std::cmp::Ordering;

use pgrx::pg_sys;

use crate::pg::numeric::Numeric;

sql_function!(
    /// The sum of squared deviations of a state of float8's aggregates; NULL without values.
    tsc_squared_deviations_final,
    |args| -> f64 {
        args.state_context()?;
        Ok(args.float8_state(0)?.and_then(|[count, _, squares]| (count > 0.0).then_some(squares)))
    }
);

sql_function!(
    /// Takes in a group: (state, count, sum, sum of squared deviations).
    tsc_deviation_merge,
    |args| -> pg_sys::Datum {
        args.state_context()?;
        match (args.get::<i64>(1), args.get(2), args.get(3)) {
            (Some(count), Some(sum), Some(squares)) => Ok(args.combine_float8_state(0, [count as f64, sum, squares])),
            // A group without values.
            _ => Ok(args.datum(0)),
        }
    }
);

sql_function!(
    /// (count, sum, sum of squares, of a sample?, its root?)
    tsc_numeric_deviation,
    |args| -> pg_sys::Datum {
        let number = |index| args.datum(index).map(Numeric::from_datum);
        let (Some(count), Some(sum), Some(squares)) = (number(0), number(1), number(2)) else { return Ok(None) };
        let (sample, root) = (args.get_or(3, true), args.get_or(4, false));
        if count.compare(Numeric::from_integer(i64::from(sample))) != Ordering::Greater {
            return Ok(None);
        }
        let numerator = count.times(squares).minus(sum.times(sum));
        if numerator.is_nan() {
            return Ok(Some(numerator.datum()));
        }
        if numerator.compare(Numeric::from_integer(0)) != Ordering::Greater {
            return Ok(Some(Numeric::from_integer(0).datum()));
        }
        let others = if sample { count.minus(Numeric::from_integer(1)) } else { count };
        let variance = numerator.over(count.times(others));
        if !root {
            return Ok(Some(variance.datum()));
        }
        // The root of a number is no closer to the middle between two neighbours than the square of the middle is to the number: with
        // these digits rounding twice gives what rounding once does.
        let scale = variance.scale();
        Ok(Some(variance.round(2 * scale + 20).sqrt().round(scale).datum()))
    }
);
