//! Which buckets may be made of which: those of a continuous aggregate that is defined over another one.

use crate::cagg::bucket::{Bucket, Width};
use crate::cagg::grid::{Grid, day};
use crate::error::{Error, Result, SqlState};
use crate::pg::zone_offsets;

fn refuse(message: &'static str, detail: String) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail)
}

/// 2000-01-01. Long ago all clocks went by the sun, and some ran a half hour ahead of where they are now: to ask for more would refuse what
/// has no such rows.
const EVEN_SINCE: i64 = 0;
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
    check_zones(child, parent, name)?;
    if !nests(child, parent) {
        return Err(refuse(WIDTH, format!("A bucket of \"{name}\" may lie in two buckets."))
            .hint("Months are made of buckets whose length divides a day, from midnight on."));
    }
    Ok(())
}

/// Whether each bucket of the parent lies in one of the child, which has the same origin and offset, on clocks that show the same.
fn nests(child: &Bucket, parent: &Bucket) -> bool {
    match (Grid::of(child), Grid::of(parent)) {
        (Some(coarse), Some(fine)) => coarse.is_coarser(fine, child.axis),
        // Months that are moved by an offset; so are the parent's buckets.
        _ => match parent.width {
            Width::Fixed(width) => day(child.axis) % width == 0,
            Width::Months(_) => matches!(child.width, Width::Months(_)),
        },
    }
}

/// Checks that the clocks by which the buckets go show the same, or differ by whole buckets of the parent's.
fn check_zones(child: &Bucket, parent: &Bucket, name: &str) -> Result<()> {
    const ZONE: &str = "cannot create continuous aggregate with different bucket time zones";
    match (&child.zone, &parent.zone) {
        (None, None) => Ok(()),
        (Some(zone), Some(below)) if zone == below => Ok(()),
        (Some(zone), Some(below)) => {
            Err(refuse(ZONE, format!("The buckets are of time zone \"{zone}\", those of \"{name}\" of \"{below}\".")))
        }
        (Some(zone), None) => match parent.width {
            Width::Fixed(width) if zone_offsets::even_from(zone, width) <= EVEN_SINCE => Ok(()),
            _ => Err(refuse(
                ZONE,
                format!("The clocks of time zone \"{zone}\" were not always whole buckets of \"{name}\" ahead of UTC since 2000."),
            )
            .hint("Name the time zone in both, or have buckets of 15 minutes below.")),
        },
        (None, Some(below)) if zone_offsets::even_from(below, i64::MAX) == i64::MIN => Ok(()),
        (None, Some(below)) => Err(refuse(ZONE, format!("The buckets of \"{name}\" are of time zone \"{below}\", these of UTC."))
            .hint("Name the time zone in both.")),
    }
}
