//! What decoding writes to: reused from vector to vector.

use crate::VECTOR_ROWS;

/// The decoded values of a vector.
///
/// Word kinds: `words[row]` is the value. Byte kinds: `words[row]` is the offset in [`Self::arena`], a multiple of 8, where the value
/// begins: a length word `(length + 4) << 2` in native order (PostgreSQL's 4-byte varlena header) followed by the bytes, or only the
/// bytes if the kind has a fixed length. What stands at a null row means nothing, but is a valid word or offset.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Rows decoded.
    pub rows: usize,
    /// A bit for each row, 1 if it has a value. Bits beyond `rows` are 0.
    pub validity: [u64; VECTOR_ROWS / 64],
    /// True if no row is null.
    pub all_valid: bool,
    /// See above.
    pub words: Box<[i64; VECTOR_ROWS]>,
    /// Byte strings, in words so that they are aligned.
    pub arena: Vec<u64>,
}

impl Default for Vector {
    fn default() -> Self {
        Self { rows: 0, validity: [0; VECTOR_ROWS / 64], all_valid: true, words: Box::new([0; VECTOR_ROWS]), arena: Vec::new() }
    }
}

impl Vector {
    /// True if the row has a value.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.validity[row / 64] >> (row % 64) & 1 == 1
    }
}

/// The distinct values of a dictionary-coded block of a byte kind.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    /// Where each value begins in `arena`, as in [`Vector`].
    pub offsets: Vec<u32>,
    /// The byte strings.
    pub arena: Vec<u64>,
}
