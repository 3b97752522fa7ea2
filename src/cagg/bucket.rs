//! The buckets of a continuous aggregate, as its `time_bucket` call says them, in positions of the time dimension.
//!
//! What is materialized, invalid or valid is said in ranges of time, so a bucket has to be one range. That of a time zone's clock may not
//! be: what the clocks show again, when they go back past a boundary, belongs to the bucket before it. Such neighbours count as
//! one bucket here; the rows of storage still say which is which.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, DAY_MICROS};
use tsc_kernel::bucket::{self, TimeBucket, floor_to};
use tsc_kernel::ranges::Range;
use tsc_kernel::span::{END_DATE, END_TIMESTAMP, MIN_DATE, MIN_TIMESTAMP, Span};
use tsc_kernel::zoned::{self, Clock};

use crate::catalog::dimension::axis_of_type;
use crate::catalog::functions::{Known, known};
use crate::error::{Error, Result, SqlState};
use crate::pg::axis;
use crate::pg::datetime::{NamedZone, span_of, text_of};
use crate::pg::expr::{self, Expr};

/// Where the clocks of a zone are not asked any more: so close to the ends of time the conversion fails.
const MARGIN: i64 = 400 * DAY_MICROS;
/// The days of 400 years, after which the calendar repeats itself.
const GREGORIAN_CYCLE: i64 = 146_097;
/// A quarter of an hour: what the clocks of all zones differ from UTC by a multiple of.
const ZONE_GRAIN: i64 = 900_000_000;

/// How long buckets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A number of positions.
    Fixed(i64),
    /// A number of months.
    Months(i64),
}

/// The rule that gives a position its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The time dimension's axis.
    pub axis: Axis,
    /// How long buckets are; on a zone's clock when that is given.
    pub width: Width,
    /// The time zone whose clock counts.
    pub zone: Option<String>,
    /// The origin that was given, in positions; of a zone's buckets an instant.
    pub origin: Option<i64>,
    /// The offset that was given for buckets of time.
    pub offset: Option<Span>,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Of integers: `offset` is where a bucket begins.
    Integer { offset: i64 },
    /// Of dates (a unit is a day) or timestamps (a unit is a microsecond).
    Time { bucket: TimeBucket, unit: i64 },
}

/// A call of `time_bucket` whose arguments are not all known when the view is created, or can't be used.
fn unusable(message: &'static str) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// The number that a constant of an integer type or of a type of time is.
fn number(constant: Expr) -> Option<i64> {
    let (type_oid, datum) = constant.as_const()?;
    // SAFETY: a Datum of the axis's type; a UUID is not among the arguments of time_bucket.
    axis_of_type(type_oid).filter(|axis| *axis != Axis::Uuid).map(|axis| unsafe { axis::position(axis, datum) })
}

fn interval(constant: Expr) -> Option<Span> {
    let (type_oid, datum) = constant.as_const()?;
    // SAFETY: a Datum of type interval.
    (type_oid == pg_sys::INTERVALOID).then(|| unsafe { span_of(datum) })
}

/// An argument that may be missing or NULL. One that is no constant is an error.
fn optional<T>(argument: Option<&Expr>, read: impl Fn(Expr) -> Option<T>) -> Result<Option<T>> {
    match argument {
        Some(argument) if !argument.is_null_const() => read(*argument).map(Some).ok_or_else(not_constant),
        _ => Ok(None),
    }
}

fn not_constant() -> Error {
    unusable("only constant arguments are allowed in the time_bucket call of a continuous aggregate")
        .detail("Which bucket a row is in must never change.")
        .hint("Write the width, time zone, origin and offset as literals.")
}

/// Which `time_bucket` an expression calls, if it does.
fn kind_of(call: Expr) -> Option<Known> {
    let kind = known(call.as_call()?.0)?;
    (!matches!(kind, Known::First | Known::Last)).then_some(kind)
}

/// A call of `time_bucket` as a definition keeps it: what its arguments compute is computed now, by who defines it, if it takes more than
/// PostgreSQL's own functions. Other expressions, and arguments that are not constant, stay as they are.
pub fn settle(call: Expr) -> Expr {
    let arguments = kind_of(call).and_then(|_| call.as_call()).map_or_else(Vec::new, |(_, args)| args);
    arguments.into_iter().map(expr::unnamed).filter(|argument| !expr::is_plain(*argument)).fold(call, |call, argument| {
        let value = expr::fold(argument, std::ptr::null_mut());
        if value.is_const() { expr::put(call, argument, value) } else { call }
    })
}

impl Bucket {
    /// Reads the call of a definition: what [`settle`] made of it. Who reads it runs no functions of who defined it.
    pub fn of_definition(call: Expr) -> Result<Option<(Self, Expr)>> {
        let Some((_, args)) = kind_of(call).and_then(|_| call.as_call()) else { return Ok(None) };
        if !args.into_iter().map(expr::unnamed).all(|argument| argument.as_column().is_some() || expr::is_plain(argument)) {
            return Err(not_constant());
        }
        Self::read(call)
    }

    /// Reads a call of `time_bucket`: the rule, and the expression that is put into buckets. None if the expression is something else.
    /// Functions that its arguments call are run, so it must be the current role's own call.
    pub fn read(call: Expr) -> Result<Option<(Self, Expr)>> {
        let Some(kind) = kind_of(call) else { return Ok(None) };
        // Puts named arguments into their places and computes constant ones.
        let folded = expr::fold(call, std::ptr::null_mut());
        let Some((_, args)) = folded.as_call() else { return Err(not_constant()) };
        let [width, time, rest @ ..] = &args[..] else { return Err(not_constant()) };
        let axis = axis_of_type(time.type_oid()).ok_or_else(|| unusable("time_bucket of a type that has no ranges of time"))?;
        let bucket = match kind {
            Known::BucketInteger => Self::of_integers(axis, *width, rest.first()),
            Known::Bucket => Self::of_time(axis, *width, optional(rest.first(), number)?, None, None),
            Known::BucketOffset => Self::of_time(axis, *width, None, optional(rest.first(), interval)?, None),
            _ => {
                let zone = rest.first().and_then(|zone| zone.as_const()).map(|(_, datum)| text_of(datum)).ok_or_else(not_constant)?;
                Self::of_time(axis, *width, optional(rest.get(1), number)?, optional(rest.get(2), interval)?, Some(zone))
            }
        }?;
        Ok(Some((bucket, *time)))
    }

    fn of_integers(axis: Axis, width: Expr, offset: Option<&Expr>) -> Result<Self> {
        let width = number(width).ok_or_else(not_constant)?;
        if width <= 0 {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "period must be greater than 0"));
        }
        let offset = optional(offset, number)?;
        let rule = Rule::Integer { offset: offset.unwrap_or(0) };
        Ok(Self { axis, width: Width::Fixed(width), zone: None, origin: offset, offset: None, rule })
    }

    fn of_time(axis: Axis, width: Expr, origin: Option<i64>, offset: Option<Span>, zone: Option<String>) -> Result<Self> {
        let span = interval(width).ok_or_else(not_constant)?;
        if origin.is_some() && offset.is_some() {
            return Err(unusable("using offset and origin in a time_bucket function at the same time is not supported"));
        }
        let unit = if axis == Axis::Date { DAY_MICROS } else { 1 };
        let mut local = origin.map(|origin| origin.saturating_mul(unit));
        if let (Some(zone), Some(instant)) = (&zone, local) {
            local = Some(NamedZone::new(Some(zone)).to_local(instant));
        }
        let bucket = TimeBucket::new(span, local, offset)?;
        let moved_by_months = offset.is_some_and(|offset| offset.months != 0);
        let whole_months = offset.is_none_or(|offset| offset.days == 0 && offset.micros == 0);
        let width = match bucket.width() {
            bucket::Width::Fixed(_) if moved_by_months => {
                return Err(unusable("an offset of months is not supported for buckets of days or time"));
            }
            bucket::Width::Fixed(micros) if micros % unit != 0 => {
                return Err(unusable("buckets of dates must be of whole days"));
            }
            bucket::Width::Fixed(micros) => Width::Fixed(micros / unit),
            bucket::Width::Months(_) if moved_by_months && !whole_months => {
                return Err(unusable("an offset of months and days is not supported in a continuous aggregate"));
            }
            bucket::Width::Months(months) => Width::Months(months),
        };
        if unit != 1 && offset.is_some_and(|offset| offset.whole_days().is_err()) {
            return Err(unusable("buckets of dates can only be moved by whole days"));
        }
        Ok(Self { axis, width, zone, origin, offset, rule: Rule::Time { bucket, unit } })
    }

    /// True if all buckets are equally long.
    pub fn is_fixed(&self) -> bool {
        self.zone.is_none() && matches!(self.width, Width::Fixed(_))
    }

    /// The length of a bucket in positions, a month counting 30 days.
    pub fn nominal_width(&self) -> i64 {
        match self.width {
            Width::Fixed(width) => width,
            Width::Months(months) => months.saturating_mul(30).saturating_mul(if self.axis == Axis::Date { 1 } else { DAY_MICROS }),
        }
    }

    /// What all boundaries are multiples of, as far as that makes sense: changes are logged in such units.
    pub fn grain(&self) -> i64 {
        let day = if self.axis == Axis::Date { 1 } else { DAY_MICROS };
        let unit = match (self.width, &self.zone) {
            (Width::Fixed(width), Some(_)) => gcd(width, ZONE_GRAIN),
            (Width::Fixed(width), None) => gcd(width, self.start(0).unsigned_abs().try_into().unwrap_or(width)),
            (Width::Months(_), Some(_)) => ZONE_GRAIN,
            (Width::Months(_), None) => self.offset.map_or(day, |offset| gcd(day, offset.micros)),
        };
        // An odd origin must not make every microsecond count.
        unit.max(self.nominal_width() / 1024).max(1)
    }

    /// Where the bucket of a position begins. Positions that stand for infinity are buckets of their own.
    pub fn start(&self, position: i64) -> i64 {
        let Some(inside) = self.finite(position) else { return position };
        let (first, _) = self.limits();
        self.start_of(inside).map_or(first, |start| start.max(first))
    }

    /// Where the next bucket begins: the first position beyond the bucket of a position.
    pub fn end(&self, position: i64) -> i64 {
        let Some(inside) = self.finite(position) else { return position.saturating_add(1) };
        let (_, end) = self.limits();
        self.end_of(inside).map_or(end, |next| next.min(end))
    }

    /// The bucket of a position.
    pub fn range(&self, position: i64) -> Range {
        let (start, end) = (self.start(position), self.end(position));
        Range { low: start, high: if end > position { (end - 1).max(position) } else { position } }
    }

    /// All buckets that a range touches. Ends of `i64` stand for no bound and stay.
    pub fn round_outward(&self, range: Range) -> Range {
        let low = if range.low == i64::MIN { range.low } else { self.start(range.low) };
        let high = if range.high == i64::MAX { range.high } else { self.range(range.high).high };
        Range { low, high: high.max(range.high) }
    }

    /// All buckets that lie wholly inside a range. Ends of `i64` stand for no bound and stay.
    pub fn round_inward(&self, range: Range) -> Option<Range> {
        let low = match range.low {
            i64::MIN => range.low,
            low if self.start(low) == low => low,
            low => self.end(low),
        };
        let high = match range.high {
            i64::MAX => range.high,
            high if self.range(high).high == high => high,
            high => self.start(high).checked_sub(1)?,
        };
        Range::new(low, high)
    }

    /// The first finite position, and the first beyond the last; those of bigint stand for themselves.
    fn limits(&self) -> (i64, i64) {
        match self.axis {
            Axis::Int2 => (i16::MIN.into(), i64::from(i16::MAX) + 1),
            Axis::Int4 => (i32::MIN.into(), i64::from(i32::MAX) + 1),
            Axis::Int8 => (i64::MIN, i64::MAX),
            Axis::Date => (MIN_DATE, END_DATE),
            Axis::Timestamp | Axis::Uuid => (MIN_TIMESTAMP, END_TIMESTAMP),
        }
    }

    /// The position if it is one that `time_bucket` puts into a bucket with others.
    fn finite(&self, position: i64) -> Option<i64> {
        let (first, end) = self.limits();
        (first <= position && (position < end || self.axis == Axis::Int8)).then_some(position)
    }

    fn clock(&self, position: i64) -> Option<NamedZone> {
        let zone = self.zone.as_deref()?;
        (MIN_TIMESTAMP + MARGIN..END_TIMESTAMP - MARGIN).contains(&position).then(|| NamedZone::new(Some(zone)))
    }

    /// Dates go on when timestamps have ended. What buckets are repeats itself: how many positions before one that can be said there is
    /// another one like it.
    fn shift(&self, position: i64) -> i64 {
        let period = match self.width {
            _ if self.axis != Axis::Date => return 0,
            Width::Fixed(days) => days,
            Width::Months(months) => months.saturating_mul(GREGORIAN_CYCLE),
        };
        position - position.rem_euclid(period)
    }

    /// Without the ends of the type. None: beyond what can be said.
    fn start_of(&self, position: i64) -> Option<i64> {
        match self.rule {
            Rule::Integer { offset } => {
                let Width::Fixed(width) = self.width else { return None };
                floor_to(width, position, offset).ok()
            }
            Rule::Time { bucket, unit } => match (&self.zone, self.clock(position)) {
                (None, _) => {
                    let shift = self.shift(position);
                    Some(bucket.start((position - shift).checked_mul(unit)?).ok()?.div_euclid(unit) + shift)
                }
                (Some(_), Some(clock)) => zone_start(&bucket, &clock, position),
                (Some(_), None) => None,
            },
        }
    }

    fn end_of(&self, position: i64) -> Option<i64> {
        match self.rule {
            Rule::Integer { .. } => {
                let Width::Fixed(width) = self.width else { return None };
                self.start_of(position)?.checked_add(width)
            }
            Rule::Time { bucket, unit } => match (&self.zone, self.clock(position)) {
                (None, _) => {
                    let shift = self.shift(position);
                    Some(bucket.end((position - shift).checked_mul(unit)?).ok()?.div_euclid(unit) + shift)
                }
                (Some(_), Some(clock)) => zone_end(&bucket, &clock, position),
                (Some(_), None) => None,
            },
        }
    }
}

/// Whether all that is shown from the start of a bucket on belongs to it or to later ones.
fn is_clean(clock: &impl Clock, start: i64) -> bool {
    let shown = clock.to_local(start);
    let again = clock.to_instant(shown);
    // Shown a second time, and reached by running up to it: what was shown just before belongs to the bucket before.
    again <= start || clock.to_local(again - 1) >= shown
}

fn is_wide(bucket: &TimeBucket) -> bool {
    match bucket.width() {
        bucket::Width::Fixed(micros) => micros >= DAY_MICROS,
        bucket::Width::Months(_) => true,
    }
}

/// The start of the bucket of an instant, or of the neighbours that count as one.
fn zone_start(bucket: &TimeBucket, clock: &impl Clock, instant: i64) -> Option<i64> {
    let mut start = zoned::start(bucket, clock, instant).ok()?;
    while is_wide(bucket) && !is_clean(clock, start) {
        start = zoned::start(bucket, clock, start - 1).ok()?;
    }
    Some(start)
}

/// Where the bucket after that of an instant begins.
fn zone_end(bucket: &TimeBucket, clock: &impl Clock, instant: i64) -> Option<i64> {
    if !is_wide(bucket) {
        return narrow_end(bucket, clock, instant);
    }
    let mut at = instant;
    loop {
        let shown_end = bucket.end(clock.to_local(at)).ok()?;
        // An instant at which the clocks show the end or, if that is skipped, something later.
        let inside = clock.to_instant(shown_end);
        let next = zoned::start(bucket, clock, inside).ok()?;
        if next > instant && is_clean(clock, next) {
            return Some(next);
        }
        at = at.max(inside);
    }
}

/// Buckets of less than a day begin in the order of time: halving finds where the next one does.
fn narrow_end(bucket: &TimeBucket, clock: &impl Clock, instant: i64) -> Option<i64> {
    let start = zoned::start(bucket, clock, instant).ok()?;
    let bucket::Width::Fixed(width) = bucket.width() else { return None };
    let (mut low, mut high) = (instant, instant + width + 2 * DAY_MICROS);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if zoned::start(bucket, clock, middle).ok()? > start {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(i64::MAX)
}
