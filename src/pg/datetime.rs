//! Times as PostgreSQL passes them: intervals, UUIDs, and the clocks of a named time zone.

use std::ffi::CStr;

use pgrx::pg_sys;
use tsc_kernel::span::Span;
use tsc_kernel::uuid::Bytes;
use tsc_kernel::zoned::Clock;

use super::fcinfo::Args;
use super::ffi::{self, raw};

impl Args {
    /// An argument of type `interval`, None if NULL.
    pub fn span(self, index: usize) -> Option<Span> {
        self.datum(index).map(|datum| {
            // SAFETY: the SQL declaration gives the argument the type interval.
            unsafe { span_of(datum) }
        })
    }

    /// An argument of type `uuid`, None if NULL.
    pub fn uuid(self, index: usize) -> Option<Bytes> {
        // SAFETY: the SQL declaration gives the argument the type uuid: 16 bytes, passed by reference.
        self.datum(index).map(|datum| unsafe { datum.cast_mut_ptr::<Bytes>().read() })
    }

    /// An argument of type `text` that names a time zone, None if NULL.
    pub fn zone(self, index: usize) -> Option<Zone> {
        self.datum(index).map(Zone)
    }
}

/// The value of an interval.
///
/// # Safety
/// `datum` is a Datum of type interval.
pub unsafe fn span_of(datum: pg_sys::Datum) -> Span {
    // SAFETY: an interval is passed by reference.
    let interval = unsafe { datum.cast_mut_ptr::<pg_sys::Interval>().read() };
    Span { months: interval.month, days: interval.day, micros: interval.time }
}

/// A time zone by its name. A name that PostgreSQL does not know is an ERROR when the zone is used.
pub struct Zone(pg_sys::Datum);

impl Clock for Zone {
    fn to_local(&self, instant: i64) -> i64 {
        self.convert(raw::timestamptz_zone, instant)
    }

    fn to_instant(&self, local: i64) -> i64 {
        self.convert(raw::timestamp_zone, local)
    }
}

impl Zone {
    #[inline]
    fn convert(&self, function: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum, time: i64) -> i64 {
        // SAFETY: both functions take (text, 64-bit time) and return a 64-bit time. They may jump: this and its callers, up to
        // the SQL entry point, hold no destructor.
        let converted = unsafe { raw::DirectFunctionCall2Coll(Some(function), pg_sys::InvalidOid, self.0, time.into()) };
        converted.value() as i64
    }
}

/// Fills `N` bytes from the server's cryptographic source; None if it fails.
pub fn strong_random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the buffer has N bytes; the function never throws.
    unsafe { raw::pg_strong_random(bytes.as_mut_ptr().cast(), N) }.then_some(bytes)
}

/// A UUID as a datum, in the current memory context.
pub fn put_uuid(bytes: Bytes) -> pg_sys::Datum {
    // SAFETY: 16 bytes are allocated and written; callers hold no destructor.
    unsafe {
        let place = raw::palloc(size_of::<Bytes>()).cast::<Bytes>();
        place.write(bytes);
        place.into()
    }
}

/// An interval as a datum, in the current memory context.
pub fn put_span(span: Span) -> pg_sys::Datum {
    // SAFETY: as many bytes are allocated as are written; callers hold no destructor.
    unsafe {
        let place = raw::palloc(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>();
        place.write(pg_sys::Interval { time: span.micros, day: span.days, month: span.months });
        place.into()
    }
}

/// The same where a destructor may be pending.
pub fn span_datum(span: Span) -> pg_sys::Datum {
    // SAFETY: as many bytes are allocated as are written.
    unsafe {
        let place = ffi::palloc(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>();
        place.write(pg_sys::Interval { time: span.micros, day: span.days, month: span.months });
        place.into()
    }
}

/// The text of a span that every session reads as the same one.
pub fn span_text(span: Span) -> String {
    let datum = span_datum(span);
    super::context::with_portable_text(|| {
        // SAFETY: an interval; the result is a palloc'd C string.
        unsafe { super::relation::optional_string(ffi::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_INTERVAL_OUT), datum)) }
    })
    .unwrap_or_default()
}

/// The clocks of a time zone, for callers that may hold destructors.
pub struct NamedZone(Option<String>);

impl NamedZone {
    /// The zone of this name; None: UTC.
    pub fn new(name: Option<&str>) -> Self {
        Self(name.map(str::to_owned))
    }

    fn convert(&self, function: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum, time: i64) -> i64 {
        let Some(name) = self.0.as_deref().and_then(pgrx::IntoDatum::into_datum) else { return time };
        // SAFETY: both functions take (text, 64-bit time) and return a 64-bit time.
        let converted = unsafe { ffi::DirectFunctionCall2Coll(Some(function), pg_sys::InvalidOid, name, time.into()) };
        converted.value() as i64
    }
}

impl Clock for NamedZone {
    fn to_local(&self, instant: i64) -> i64 {
        self.convert(raw::timestamptz_zone, instant)
    }

    fn to_instant(&self, local: i64) -> i64 {
        self.convert(raw::timestamp_zone, local)
    }
}

/// What the clock shows: microseconds since 2000-01-01 UTC.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { raw::GetCurrentTimestamp() }
}

/// What a clock shows that nobody sets, in microseconds since some moment that all processes of a server share. For pauses and deadlines.
pub fn steady() -> i64 {
    /// `CLOCK_MONOTONIC` of Linux's time.h
    const CLOCK_MONOTONIC: i32 = 1;
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut pg_sys::timespec) -> i32;
    }
    let mut time = pg_sys::timespec::default();
    // SAFETY: fills the structure.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &mut time) };
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000)
}

/// Reads a value by the input function of its type; an ERROR if the text is none.
pub fn read(type_oid: pg_sys::Oid, text: &str) -> pg_sys::Datum {
    let text = super::relation::c_string(text);
    let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: looks up the type's input function and calls it with a C string.
    unsafe {
        ffi::getTypeInputInfo(type_oid, &mut input, &mut parameter);
        ffi::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1)
    }
}

/// A text (of type text, or a literal of no type yet) as a C string.
fn c_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> *mut std::ffi::c_char {
    if type_oid == pg_sys::UNKNOWNOID {
        return datum.cast_mut_ptr();
    }
    // SAFETY: a text Datum.
    unsafe { ffi::text_to_cstring(datum.cast_mut_ptr()) }
}

/// The value of a Datum of type text.
pub fn text_of(datum: pg_sys::Datum) -> String {
    // SAFETY: a NUL-terminated string.
    unsafe { CStr::from_ptr(c_text(pg_sys::TEXTOID, datum)) }.to_string_lossy().into_owned()
}

/// Reads a text as a value of `target`, by the type's input function.
pub fn read_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum, target: pg_sys::Oid) -> pg_sys::Datum {
    // SAFETY: a NUL-terminated string.
    read(target, &unsafe { CStr::from_ptr(c_text(type_oid, datum)) }.to_string_lossy())
}

/// True for a text with the digits and hyphens of a UUID.
pub fn looks_like_uuid(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> bool {
    // SAFETY: a NUL-terminated string.
    let text = unsafe { CStr::from_ptr(c_text(type_oid, datum)) }.to_bytes();
    text.len() == 36 && text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

/// Converts between date, timestamp and timestamptz as a cast does, by the session's time zone. A `target` of date is not offered.
pub fn convert(from: pg_sys::Oid, datum: pg_sys::Datum, target: pg_sys::Oid) -> pg_sys::Datum {
    let function = match (from, target) {
        (pg_sys::DATEOID, pg_sys::TIMESTAMPTZOID) => pg_sys::F_TIMESTAMPTZ_DATE,
        (pg_sys::TIMESTAMPOID, pg_sys::TIMESTAMPTZOID) => pg_sys::F_TIMESTAMPTZ_TIMESTAMP,
        (pg_sys::DATEOID, pg_sys::TIMESTAMPOID) => pg_sys::F_TIMESTAMP_DATE,
        (pg_sys::TIMESTAMPTZOID, pg_sys::TIMESTAMPOID) => pg_sys::F_TIMESTAMP_TIMESTAMPTZ,
        _ => return datum,
    };
    // SAFETY: the function takes a value of the type.
    unsafe { ffi::OidFunctionCall1Coll(pg_sys::Oid::from(function), pg_sys::InvalidOid, datum) }
}

/// The start of the transaction less an interval, as a timestamp or timestamptz.
pub fn before_now(target: pg_sys::Oid, interval: pg_sys::Datum) -> pg_sys::Datum {
    // SAFETY: reads a variable.
    let now = pg_sys::Datum::from(unsafe { ffi::raw::GetCurrentTransactionStartTimestamp() });
    let minus = if target == pg_sys::TIMESTAMPTZOID { pg_sys::F_TIMESTAMPTZ_MI_INTERVAL } else { pg_sys::F_TIMESTAMP_MI_INTERVAL };
    let now = convert(pg_sys::TIMESTAMPTZOID, now, target);
    // SAFETY: a value of the target type and an interval.
    unsafe { ffi::OidFunctionCall2Coll(pg_sys::Oid::from(minus), pg_sys::InvalidOid, now, interval) }
}
