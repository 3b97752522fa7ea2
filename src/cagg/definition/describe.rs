//! A definition in words, for views and for clients that ask whether a query can be one.

use pgrx::pg_sys;

use super::{Role, analysis};
use crate::catalog::continuous_agg::ContinuousAgg;
use crate::catalog::functions::{Known, known};
use crate::error::{Error, Result, SqlState};
use crate::pg::guard::Caught;
use crate::pg::relation::c_string;
use crate::pg::{axis, context, expr, ffi, list, node, xact};

/// The call of `time_bucket`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketCall {
    /// The function.
    pub function: pg_sys::Oid,
    /// How long buckets are.
    pub width: Option<String>,
    /// The origin, if it was given.
    pub origin: Option<String>,
    /// The offset, if it was given.
    pub offset: Option<String>,
    /// The time zone, if it was given.
    pub zone: Option<String>,
    /// Whether all buckets are equally long.
    pub fixed: bool,
}

/// The call that gives the buckets of a continuous aggregate.
pub fn bucket_call(agg: &ContinuousAgg) -> Result<BucketCall> {
    let definition = super::load(agg)?;
    let call = expr::fold(definition.bucket_column().expr, std::ptr::null_mut());
    let (function, args) = call.as_call().ok_or_else(|| Error::internal("the bucket of a continuous aggregate is no call"))?;
    let text = |index: usize| {
        let (type_oid, datum) = args.get(index)?.as_const()?;
        Some(context::with_portable_text(|| axis::value_text(type_oid, datum)))
    };
    let (zone, origin, offset) = match known(function) {
        Some(Known::BucketZone) => (text(2), text(3), text(4)),
        Some(Known::Bucket) => (None, text(2), None),
        _ => (None, None, text(2)),
    };
    Ok(BucketCall { function, width: text(0), origin, offset, zone, fixed: definition.bucket.is_fixed() })
}

/// The visible columns that a continuous aggregate groups by.
pub fn grouping_columns(agg: &ContinuousAgg) -> Result<Vec<String>> {
    let definition = super::load(agg)?;
    let columns = definition.columns.into_iter().filter(|column| column.visible && matches!(column.role, Role::Bucket | Role::Group));
    Ok(columns.map(|column| column.name).collect())
}

/// Why a query can't define a continuous aggregate; None if it can.
pub fn validate(sql: &str) -> Option<Caught> {
    xact::attempt(|| {
        let text = c_string(sql);
        // SAFETY: the text outlives the analysis; one statement that is a SELECT.
        let checked = unsafe {
            let statements = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT));
            match statements[..] {
                [statement] if node::tag((*statement).stmt) == pg_sys::NodeTag::T_SelectStmt => {
                    analysis::analyze(ffi::parse_analyze_fixedparams(statement, text.as_ptr(), std::ptr::null(), 0, std::ptr::null_mut()))
                }
                [_] => Err(analysis::refuse("Only SELECT is supported.")),
                _ => Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "multiple statements are not supported")),
            }
        };
        if let Err(error) = checked {
            error.throw();
        }
    })
    .err()
}
