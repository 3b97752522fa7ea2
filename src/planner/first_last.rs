//! stub
use super::level::Level;
/// stub
pub unsafe fn rewrite(_level: Level) {}
