//! Conditions on `time_bucket(..., time)`, said of the time itself.

use pgrx::pg_sys;
use tsc_kernel::axis::DAY_MICROS;
use tsc_kernel::bucket::{TimeBucket, floor_to};
use tsc_kernel::span::Span;

use super::moment;
use crate::catalog::dimension::axis_of_type;
use crate::catalog::functions::{Known, known};
use crate::pg::datetime::span_of;
use crate::pg::expr::{self, Comparison, Expr};

/// What a bucket of a time zone may be longer than its width: the clocks of a zone never jump by more.
const ZONE_SLACK_DAYS: i64 = 2;

/// A call of `time_bucket`.
pub struct Bucket {
    kind: Known,
    width: Expr,
    /// What is put into buckets.
    pub time: Expr,
    /// What follows: origin or offset; of the time zone's variant the zone, origin and offset.
    rest: Vec<Expr>,
}

/// What may be said of the time.
pub enum Said {
    /// Exactly the same: it takes the condition's place.
    Instead(Expr),
    /// Something weaker, to be added.
    Besides(Expr),
}

impl Bucket {
    /// The call that an expression is.
    pub fn of(expr: Expr) -> Option<Self> {
        let (function, args) = expr.as_call()?;
        let kind = known(function).filter(|kind| !matches!(kind, Known::First | Known::Last))?;
        let [width, time, rest @ ..] = &args[..] else { return None };
        Some(Self { kind, width: *width, time: *time, rest: rest.to_vec() })
    }

    /// Whether a later time is never in an earlier bucket, and a bucket never begins after its times.
    pub fn is_monotone(&self, parameters: pg_sys::ParamListInfo) -> bool {
        self.kind != Known::BucketZone && self.rule(parameters).is_some()
    }

    /// What `bucket comparison value` says of the time; `value` is the same for all rows of a scan.
    pub fn conditions(&self, comparison: Comparison, value: Expr, parameters: pg_sys::ParamListInfo) -> Option<Said> {
        let value = expr::fold(value, parameters);
        if let Some(exact) = self.exact(comparison, value, parameters) {
            return Some(Said::Instead(exact));
        }
        if !self.begins_before_its_times(parameters) {
            return None;
        }
        let parts: Vec<Expr> = [self.lower(comparison, value), self.upper(comparison, value, parameters)].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| Said::Besides(expr::junction(true, &parts)))
    }

    /// `bucket >= c` is `time >= b` where b is the first boundary from c on; `bucket > c` is `time >= n` where n is the first
    /// boundary after c; `<` and `<=` are their opposites.
    fn exact(&self, comparison: Comparison, value: Expr, parameters: pg_sys::ParamListInfo) -> Option<Expr> {
        let at = moment::position(value, self.time.type_oid())?;
        let (start, next) = self.rule(parameters)?.boundaries(at)?;
        let from = if start == at { at } else { next };
        let bound = |comparison, position| moment::bound(self.time, comparison, position);
        match comparison {
            Comparison::GreaterEqual => bound(Comparison::GreaterEqual, from),
            Comparison::Greater => bound(Comparison::GreaterEqual, next),
            Comparison::Less => bound(Comparison::Less, from),
            Comparison::LessEqual => bound(Comparison::Less, next),
            Comparison::Equal => Some(expr::junction(true, &[bound(Comparison::GreaterEqual, from)?, bound(Comparison::Less, next)?])),
        }
    }

    /// A time is not before its bucket.
    fn lower(&self, comparison: Comparison, value: Expr) -> Option<Expr> {
        match comparison {
            Comparison::GreaterEqual | Comparison::Equal => expr::compare(self.time, Comparison::GreaterEqual, value),
            Comparison::Greater => expr::compare(self.time, Comparison::Greater, value),
            Comparison::Less | Comparison::LessEqual => None,
        }
    }

    /// A time is less than the greatest width after its bucket.
    fn upper(&self, comparison: Comparison, value: Expr, parameters: pg_sys::ParamListInfo) -> Option<Expr> {
        if matches!(comparison, Comparison::Greater | Comparison::GreaterEqual) {
            return None;
        }
        let at = moment::position(value, self.time.type_oid())?;
        moment::bound(self.time, Comparison::Less, at.checked_add(self.greatest_width(parameters)?)?)
    }

    fn greatest_width(&self, parameters: pg_sys::ParamListInfo) -> Option<i64> {
        let width = expr::fold(self.width, parameters);
        let axis = axis_of_type(self.time.type_oid())?;
        match moment::units_per_day(axis) {
            None => moment::position(width, pg_sys::INT8OID).filter(|width| *width > 0),
            Some(day) => {
                let span = interval(width)?;
                let days = i64::from(span.months) * 31 + i64::from(span.days) + span.micros / DAY_MICROS + 1 + ZONE_SLACK_DAYS;
                days.checked_mul(day).filter(|width| *width > 0)
            }
        }
    }

    /// Moving by months and back may change the order of times on the last days of a month; nothing else does.
    fn begins_before_its_times(&self, parameters: pg_sys::ParamListInfo) -> bool {
        let offset = match self.kind {
            Known::BucketOffset => self.rest.first(),
            Known::BucketZone => self.rest.get(2),
            _ => None,
        };
        offset.is_none_or(|offset| interval(expr::fold(*offset, parameters)).is_some_and(|span| span.months == 0))
    }

    /// The rule, if all of it is known and it keeps the order of times.
    fn rule(&self, parameters: pg_sys::ParamListInfo) -> Option<Rule> {
        let fold = |expr: &Expr| expr::fold(*expr, parameters);
        let axis = axis_of_type(self.time.type_oid())?;
        let third = self.rest.first().map(fold);
        if self.kind == Known::BucketInteger {
            let number = |expr| moment::position(expr, pg_sys::INT8OID);
            let width = number(fold(&self.width)).filter(|width| *width > 0)?;
            return Some(Rule::Integer { width, offset: third.map_or(Some(0), number)? });
        }
        let unit = DAY_MICROS / moment::units_per_day(axis)?;
        let (origin, offset) = match (self.kind, third) {
            (Known::Bucket, third) => (third.map(|third| moment::position(third, self.time.type_oid())), None),
            (Known::BucketOffset, Some(third)) => (None, Some(interval(third)?)),
            _ => return None,
        };
        let origin = match origin {
            None => None,
            Some(origin) => Some(origin?.checked_mul(unit)?),
        };
        if offset.is_some_and(|offset| offset.months != 0) {
            return None;
        }
        let bucket = TimeBucket::new(interval(fold(&self.width))?, origin, offset).ok()?;
        Some(Rule::Time { bucket, unit })
    }
}

/// Which buckets there are.
enum Rule {
    Integer {
        width: i64,
        offset: i64,
    },
    /// Of dates (a unit is a day) or timestamps (a unit is a microsecond).
    Time {
        bucket: TimeBucket,
        unit: i64,
    },
}

impl Rule {
    /// Where the bucket of a position begins and ends.
    fn boundaries(&self, at: i64) -> Option<(i64, i64)> {
        match self {
            Self::Integer { width, offset } => {
                let start = floor_to(*width, at, *offset).ok()?;
                Some((start, start.checked_add(*width)?))
            }
            Self::Time { bucket, unit } => {
                let micros = at.checked_mul(*unit)?;
                let (start, end) = (bucket.start(micros).ok()?, bucket.end(micros).ok()?);
                (start % unit == 0 && end % unit == 0).then(|| (start / unit, end / unit))
            }
        }
    }
}

/// The value of a constant of type interval.
fn interval(constant: Expr) -> Option<Span> {
    let (type_oid, datum) = constant.as_const()?;
    // SAFETY: a Datum of type interval.
    (type_oid == pg_sys::INTERVALOID).then(|| unsafe { span_of(datum) })
}
