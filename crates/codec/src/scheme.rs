//! What is common to the ways a block may be written.

use std::ops::Range;

/// Flags of the tag, the second byte of a block.
pub(crate) mod flags {
    /// Each vector begins with its validity.
    pub(crate) const NULLS: u8 = 0x80;
    /// The integers have a code.
    pub(crate) const CODE: u8 = 0x40;
    /// The integers have a base and a factor.
    pub(crate) const SCALED: u8 = 0x20;
    /// What is left for the scheme.
    pub(crate) const SCHEME: u8 = 0x1f;
}

/// How the values of a block are written: the low bits of the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// No row has a value.
    Null,
    /// All values are the same.
    Constant,
    /// Each value is the one before plus a step.
    Sequence,
    /// Integers: plain, differences, differences of differences or runs, packed to as few bits as they need.
    Integers,
    /// Indexes into the distinct values.
    Dictionary,
    /// Floats as decimal numbers.
    Decimal,
    /// Floats cut in two: the high bits, which change little, and the low bits.
    Split,
    /// Byte strings one after the other, compressed or not.
    Strings,
    /// UUIDs of version 7: the time apart from the rest.
    TimeUuid,
    /// Numerics as integers with the same number of decimals.
    Numeric,
}

impl Encoding {
    /// All of them, by their number in the tag.
    pub(crate) const ALL: [Self; 10] = [
        Self::Null,
        Self::Constant,
        Self::Sequence,
        Self::Integers,
        Self::Dictionary,
        Self::Decimal,
        Self::Split,
        Self::Strings,
        Self::TimeUuid,
        Self::Numeric,
    ];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Constant => "constant",
            Self::Sequence => "sequence",
            Self::Integers => "integers",
            Self::Dictionary => "dictionary",
            Self::Decimal => "decimal",
            Self::Split => "split",
            Self::Strings => "strings",
            Self::TimeUuid => "time uuid",
            Self::Numeric => "numeric",
        }
    }
}

/// A way to write the values of a certain block.
pub(crate) trait Scheme {
    fn encoding(&self) -> Encoding;
    /// Flags besides that of nulls.
    fn flags(&self) -> u8 {
        0
    }
    /// Bytes of the header and the vectors.
    fn cost(&self) -> usize;
    /// Appends what all vectors share.
    fn write_header(&self, out: &mut Vec<u8>);
    /// True if there is nothing but the header.
    fn is_whole(&self) -> bool {
        false
    }
    /// Appends a vector, without its validity.
    fn write_vector(&self, index: usize, out: &mut Vec<u8>);
}

/// The values of each vector.
pub(crate) type Ranges = [Range<usize>];
