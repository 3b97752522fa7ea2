//! Subscriptions: hypertables that become their targets get intakes.

use pgrx::pg_sys;

use crate::error::Result;
use crate::hypertable::intake;

/// True for a statement that may add targets.
pub fn concerns(tag: pg_sys::NodeTag) -> bool {
    matches!(tag, pg_sys::NodeTag::T_CreateSubscriptionStmt | pg_sys::NodeTag::T_AlterSubscriptionStmt)
}

/// After such a statement, in its transaction: the workers start when it commits and find the intakes there.
pub fn after() -> Result<()> {
    intake::ensure_for_subscriptions()
}
