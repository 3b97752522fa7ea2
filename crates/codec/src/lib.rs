//! Columns of a batch to bytes and back.
//!
//! A *batch* holds up to [`BATCH_ROWS`] rows, cut into *vectors* of [`VECTOR_ROWS`]. Each column of it becomes one *block*, and each
//! vector of a block can be decoded by itself. `docs/format.md` says what the bytes mean.
//!
//! Nothing here knows PostgreSQL; but what [`Block::decode`] writes can be handed to it without another copy: words are Datums of
//! pass-by-value types, byte strings stand aligned behind their length word.

#![forbid(unsafe_code)]

mod arena;
mod bits;
mod block;
pub mod bloom;
mod choose;
mod column;
mod decimal;
mod dictionary;
mod error;
mod huffman;
mod ints;
mod numeric;
mod packed;
mod pile;
mod scaled;
mod scheme;
mod split;
mod strings;
#[cfg(test)]
mod tests;
mod uuid;
mod validity;
mod vector;
mod wire;
pub mod zone;

pub use block::{Block, encode, encode_constant_bytes, encode_constant_words};
pub use bloom::Bloom;
pub use column::{Column, Kind};
pub use error::Corrupt;
pub use scheme::Encoding;
pub use vector::{Dictionary, Vector};
pub use zone::{ColumnZone, ZoneMap, ZoneSum, ZoneValue};

/// Rows of a vector, the unit of decoding.
pub const VECTOR_ROWS: usize = 1024;
/// Vectors of a batch at most.
pub const MAX_VECTORS: usize = 8;
/// Rows of a batch at most.
pub const BATCH_ROWS: usize = VECTOR_ROWS * MAX_VECTORS;
/// The version of the format, the first byte of each block.
pub const VERSION: u8 = 1;
