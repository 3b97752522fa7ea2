//! What a statement holds to record the times of its rows.

use tsc_kernel::ranges::Range;

use super::entry::{self, Entry};
use crate::catalog::hypertable::Hypertable;

/// The name of the plan node that records what the statement's ModifyTable changes.
pub const NODE: &std::ffi::CStr = c"ChangeRecorder";

/// Records the times of rows. Plain data without a destructor; recording calls nothing of PostgreSQL's and does not fail.
#[derive(Clone, Copy)]
pub struct Recorder(*mut Entry);

impl Recorder {
    /// Records nothing.
    pub const NONE: Self = Self(std::ptr::null_mut());

    /// Records changes to a hypertable, unless no continuous aggregate is to know of them. For the running transaction.
    pub fn of(hypertable: &Hypertable) -> Self {
        hypertable.grain.map_or(Self::NONE, |grain| Self(entry::ensure(hypertable, grain)))
    }

    /// True if it records nothing.
    pub fn is_none(self) -> bool {
        self.0.is_null()
    }

    /// A row at `position` is about to come, to change or to go.
    #[inline]
    pub fn note(self, position: i64) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: entries are never freed, and a backend has one thread.
        let entry = unsafe { &mut *self.0 };
        if position < entry.low || position > entry.high {
            entry.add(Range { low: position, high: position });
        }
    }

    /// Rows in a range are about to.
    pub fn note_range(self, range: Range) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as above.
        let entry = unsafe { &mut *self.0 };
        if range.low < entry.low || range.high > entry.high {
            entry.add(range);
        }
    }
}
