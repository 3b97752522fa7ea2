//! Many bytes in a row, compressed by LZ4 if that pays.
//!
//! Bytes: twice the length of what follows, plus 1 if it is compressed (an LZ4 block without its size), then the bytes.

use crate::wire::{Reader, put_varint, varint_len};
use crate::{Corrupt, arena};
use std::borrow::Cow;

/// What LZ4 can make of a byte at most.
const MAX_RATIO: usize = 255;

/// Bytes, ready to be written.
#[derive(Debug)]
pub(crate) struct Pile {
    bytes: Vec<u8>,
    compressed: bool,
}

impl Pile {
    /// Compresses if an eighth can be saved.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        if bytes.len() >= 16 {
            let compressed = lz4_flex::block::compress(bytes);
            if compressed.len() < bytes.len() / 8 * 7 {
                return Self { bytes: compressed, compressed: true };
            }
        }
        Self { bytes: bytes.to_vec(), compressed: false }
    }

    /// Bytes that [`Self::write`] appends.
    pub(crate) fn cost(&self) -> usize {
        varint_len(self.bytes.len() as u64 * 2) + self.bytes.len()
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_varint(self.bytes.len() as u64 * 2 + u64::from(self.compressed), out);
        out.extend_from_slice(&self.bytes);
    }
}

/// Reads a pile of `length` bytes.
pub(crate) fn read<'a>(reader: &mut Reader<'a>, length: usize) -> Result<Cow<'a, [u8]>, Corrupt> {
    let header = reader.at_most(arena::MAX_BYTES * 2 + 1)?;
    let bytes = reader.take(header / 2)?;
    if header & 1 == 0 {
        return if bytes.len() == length { Ok(Cow::Borrowed(bytes)) } else { Err(Corrupt("length of values")) };
    }
    if length > arena::MAX_BYTES || length > bytes.len() * MAX_RATIO {
        return Err(Corrupt("length of compressed values"));
    }
    let mut out = vec![0; length];
    match lz4_flex::block::decompress_into(bytes, &mut out) {
        Ok(written) if written == length => Ok(Cow::Owned(out)),
        _ => Err(Corrupt("compressed values")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piles_come_back() {
        for bytes in [vec![], vec![1, 2, 3], vec![7; 100_000], (0..=255).collect()] {
            let pile = Pile::new(&bytes);
            let mut out = Vec::new();
            pile.write(&mut out);
            assert_eq!(out.len(), pile.cost());
            assert_eq!(read(&mut Reader::new(&out), bytes.len()).unwrap(), bytes);
            assert!(read(&mut Reader::new(&out), bytes.len() + 1).is_err());
            assert!(read(&mut Reader::new(&out), arena::MAX_BYTES).is_err());
        }
    }
}
