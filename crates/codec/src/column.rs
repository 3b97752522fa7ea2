//! A column of a batch on its way into a block.

/// What a column's values are to the codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Words 0 and 1.
    Bool,
    /// Words that are signed integers of 1, 2, 4 or 8 bytes, sign-extended.
    Int(u8),
    /// Words that are the bits of an `f32`, sign-extended from 32 bits.
    Float4,
    /// Words that are the bits of an `f64`.
    Float8,
    /// Byte strings of 16 bytes.
    Uuid,
    /// Byte strings of this many bytes, without a length word.
    Fixed(u16),
    /// Byte strings: PostgreSQL's `numeric` without its length word.
    Numeric,
    /// Byte strings of any length that are mostly text.
    Text,
    /// Byte strings of any length.
    Bytes,
}

impl Kind {
    /// True if values are words, false if they are byte strings.
    pub const fn is_word(self) -> bool {
        matches!(self, Self::Bool | Self::Int(_) | Self::Float4 | Self::Float8)
    }

    /// The length of each byte string, if all have the same and none has a length word.
    pub const fn fixed_length(self) -> Option<usize> {
        match self {
            Self::Uuid => Some(16),
            Self::Fixed(length) => Some(length as usize),
            _ => None,
        }
    }
}

/// The values of a column, row by row; null rows have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Rows, null or not.
    pub rows: usize,
    /// A bit for each row, 1 if it has a value; empty as long as no row is null.
    pub validity: Vec<u64>,
    /// The values of word kinds.
    pub words: Vec<i64>,
    /// Where each byte string ends in `data`.
    pub ends: Vec<u32>,
    /// The byte strings one after the other.
    pub data: Vec<u8>,
}

impl Column {
    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.validity.clear();
        self.words.clear();
        self.ends.clear();
        self.data.clear();
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        if self.validity.is_empty() {
            self.validity = vec![0; self.rows / 64 + 1];
            for row in 0..self.rows {
                self.validity[row / 64] |= 1 << (row % 64);
            }
        }
        self.validity.resize(self.rows / 64 + 1, 0);
        self.rows += 1;
    }

    /// Adds a word.
    pub fn push_word(&mut self, word: i64) {
        self.words.push(word);
        self.push_valid();
    }

    /// Adds words.
    pub fn push_words(&mut self, words: impl ExactSizeIterator<Item = i64>) {
        if self.validity.is_empty() {
            self.rows += words.len();
            self.words.extend(words);
        } else {
            words.for_each(|word| self.push_word(word));
        }
    }

    /// Adds a byte string. All of a column together are shorter than 4 GiB.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(self.data.len() as u32);
        self.push_valid();
    }

    fn push_valid(&mut self) {
        if !self.validity.is_empty() {
            self.validity.resize(self.rows / 64 + 1, 0);
            self.validity[self.rows / 64] |= 1 << (self.rows % 64);
        }
        self.rows += 1;
    }

    /// True if the row has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        self.validity.is_empty() || self.validity[row / 64] >> (row % 64) & 1 == 1
    }

    /// Values, that is rows that are not null.
    pub fn values(&self) -> usize {
        self.words.len().max(self.ends.len())
    }

    /// The byte string of a value (counted without nulls).
    pub fn bytes(&self, value: usize) -> &[u8] {
        let start = if value == 0 { 0 } else { self.ends[value - 1] as usize };
        &self.data[start..self.ends[value] as usize]
    }
}
