//! Which buckets may be made of which: those of a continuous aggregate that is defined over another one.

use crate::cagg::bucket::{Bucket, Width};
use crate::error::{Error, Result, SqlState};

fn refuse(message: &'static str, detail: String) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail)
}

const WIDTH: &str = "cannot create continuous aggregate with incompatible bucket width";

/// Checks the buckets of a continuous aggregate over another one of a name.
pub fn check(child: &Bucket, parent: &Bucket, name: &str) -> Result<()> {
    if child.is_fixed() && !parent.is_fixed() {
        return Err(refuse(
            "cannot create continuous aggregate with fixed-width bucket on top of one using variable-width bucket",
            format!("The buckets of \"{name}\" are of months or of a time zone: they have no fixed length."),
        ));
    }
    let (width, below) = (child.nominal_width(), parent.nominal_width());
    if width < below {
        return Err(refuse(WIDTH, format!("The buckets are shorter than those of \"{name}\".")));
    }
    // Of months the number counts, not their days.
    let is_multiple = match (child.width, parent.width) {
        (Width::Months(child), Width::Months(parent)) => child % parent == 0,
        _ => width % below == 0,
    };
    if !is_multiple {
        return Err(refuse(WIDTH, format!("The length of buckets is not a multiple of that of the buckets of \"{name}\"."))
            .hint("A month counts as 30 days."));
    }
    if child.origin != parent.origin {
        return Err(refuse(
            "cannot create continuous aggregate with different bucket origin values",
            format!("The buckets are counted from another origin than those of \"{name}\"."),
        ));
    }
    if child.offset != parent.offset {
        return Err(refuse(
            "cannot create continuous aggregate with different bucket offset values",
            format!("The buckets are moved by another offset than those of \"{name}\"."),
        ));
    }
    if let (Some(zone), Some(below)) = (&child.zone, &parent.zone)
        && zone != below
    {
        return Err(refuse(
            "cannot create continuous aggregate with different bucket time zones",
            format!("The buckets are of time zone \"{zone}\", those of \"{name}\" of \"{below}\"."),
        ));
    }
    Ok(())
}
