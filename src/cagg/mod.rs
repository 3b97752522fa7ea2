//! Continuous aggregates.

pub mod answer;
mod bounds;
pub mod bucket;
pub mod conditions;
pub mod ddl;
pub mod definition;
mod grid;
pub mod growing;
pub mod guard;
pub mod parts;
pub mod refresh;
pub mod requirements;
pub mod routing;
pub mod valid;
