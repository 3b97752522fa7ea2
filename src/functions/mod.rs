//! The functions that users call in queries: buckets of time, first and last, histograms, UUIDs made of time.
//!
//! They are called once per row, so they call PostgreSQL unguarded and hold no destructor while they do. The SQL declarations
//! are in `sql/functions_*.sql`, the arithmetic in the crate `tsc-kernel`. The little `unsafe` here vouches for the types of
//! values that only the call site knows.

mod deviation;
mod first_last;
mod histogram;
mod time_bucket;
mod time_internal;
mod uuid;

use crate::error::{Error, SqlState};

impl From<tsc_kernel::Error> for Error {
    #[cold]
    fn from(error: tsc_kernel::Error) -> Self {
        use tsc_kernel::Error as Kernel;
        let (state, hint) = match error {
            Kernel::NotPositive => (SqlState::INVALID_PARAMETER_VALUE, "The width of a bucket must be positive, such as '1 hour'."),
            Kernel::MixedUnits => (SqlState::INVALID_PARAMETER_VALUE, "State the width in months and years, or in weeks, days and time."),
            Kernel::SubDay => (SqlState::INVALID_PARAMETER_VALUE, "Use a whole number of days, or cast the date to a timestamp."),
            Kernel::InfiniteOrigin => (SqlState::INVALID_PARAMETER_VALUE, "Buckets are counted from the origin."),
            Kernel::SpanOutOfRange => (SqlState::DATETIME_OVERFLOW, "The longest width in days and time is 106751991 days."),
            Kernel::OutOfRange => return Self::new(SqlState::DATETIME_OVERFLOW, error.to_string()),
        };
        Self::new(state, error.to_string()).hint(hint)
    }
}
