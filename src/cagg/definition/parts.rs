//! Which hidden parts an output needs.

use crate::pg::expr::Expr;

/// The parts of all aggregates in an output.
pub fn of_output(_output: Expr) -> Vec<Expr> {
    Vec::new()
}
