//! What a query puts times into.

use pgrx::pg_sys;
use tsc_kernel::axis::DAY_MICROS;

use crate::cagg::bucket::Bucket;
use crate::cagg::grid::{Grid, day};
use crate::catalog::functions::known;
use crate::pg::datetime::text_of;
use crate::pg::expr::{self, Expr};

/// A call that puts times into buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its boundaries.
    pub grid: Grid,
    /// The zone whose clocks count; an empty name: the session's.
    pub zone: Option<String>,
    /// The call, with its arguments in their places.
    pub call: Expr,
    /// What is put into buckets.
    pub time: Expr,
    /// None of the buckets is shorter than a day.
    pub wide: bool,
}

impl Target {
    /// What a call of `time_bucket` or `date_trunc` with constant arguments puts times into.
    pub fn of(call: Expr, parameters: pg_sys::ParamListInfo) -> Option<Self> {
        let (function, _) = call.as_call()?;
        let truncates =
            [pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMP, pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ, pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT]
                .contains(&function.to_u32());
        if !truncates && known(function).is_none() {
            return None;
        }
        let call = expr::fold(call, parameters);
        if let Ok(Some((bucket, time))) = Bucket::read(call) {
            let wide = bucket.nominal_width() >= day(bucket.axis);
            return Some(Self { grid: Grid::of(&bucket)?, zone: bucket.zone, call, time, wide });
        }
        let (function, args) = call.as_call()?;
        let zone = match (function.to_u32(), args.get(2)) {
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMP, None) => None,
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ, None) => Some(String::new()),
            (pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, Some(zone)) => Some(text_of(zone.as_const()?.1)),
            _ => return None,
        };
        let unit = text_of(args.first()?.as_const()?.1).to_ascii_lowercase();
        let fixed = |width| Grid::Fixed { width, phase: 0 };
        let months = |months| Grid::Months { months, phase: 0 };
        let grid = match unit.as_str() {
            "second" => fixed(1_000_000),
            "minute" => fixed(60_000_000),
            "hour" => fixed(3_600_000_000),
            "day" => fixed(DAY_MICROS),
            // From Monday, such as 2000-01-03.
            "week" => Grid::Fixed { width: 7 * DAY_MICROS, phase: 2 * DAY_MICROS },
            "month" => months(1),
            "quarter" => months(3),
            "year" => months(12),
            _ => return None,
        };
        Some(Self { grid, zone, call, time: *args.get(1)?, wide: !matches!(grid, Grid::Fixed { width, .. } if width < DAY_MICROS) })
    }
}
