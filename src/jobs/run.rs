//! `run_job`: a job in the caller's session, as the caller. Its statistics and its schedule stay as they are.

use super::{define, function};
use crate::error::Result;
use crate::pg::{context, spi};

/// Runs a job. `non_atomic`: the caller is in no transaction block, so that a procedure may end transactions.
pub fn run(id: i32, non_atomic: bool) -> Result<()> {
    let statement = context::with_temporary(|| define::find_own(id, "run").and_then(|job| function::statement(&job)))?;
    spi::call(&statement, non_atomic)
}
