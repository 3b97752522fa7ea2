//! A column of a batch as bytes.

use crate::{Column, Corrupt, Dictionary, Kind, VECTOR_ROWS, VERSION, Vector};

/// Encodes a column of at most [`crate::BATCH_ROWS`] rows; appends the block to `out`. A column without rows makes an empty block.
pub fn encode(kind: Kind, column: &Column, out: &mut Vec<u8>) {
    out.push(VERSION);
    let mut value = 0;
    for row in 0..column.rows {
        let valid = column.is_valid(row);
        out.push(valid.into());
        if valid {
            if kind.is_word() {
                out.extend_from_slice(&column.words[value].to_le_bytes());
            } else {
                let bytes = column.bytes(value);
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
            value += 1;
        }
    }
}

/// An encoded column.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    bytes: &'a [u8],
    kind: Kind,
    rows: usize,
}

impl<'a> Block<'a> {
    /// Reads the header of a block of `rows` rows (at most [`crate::BATCH_ROWS`]). Cheap: values are not looked at.
    pub fn parse(bytes: &'a [u8], kind: Kind, rows: usize) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&VERSION, bytes)) => Ok(Self { bytes, kind, rows }),
            _ => Err(Corrupt("unknown version")),
        }
    }

    /// Decodes vector `index` (rows `index * VECTOR_ROWS ..`).
    pub fn decode(&self, index: usize, out: &mut Vector) -> Result<(), Corrupt> {
        let first = index * VECTOR_ROWS;
        let last = self.rows.min(first + VECTOR_ROWS);
        out.rows = last - first;
        out.validity = [0; VECTOR_ROWS / 64];
        out.all_valid = true;
        out.arena.clear();
        let mut rest = self.bytes;
        let mut take = |length: usize| -> Result<&[u8], Corrupt> {
            let (head, tail) = rest.split_at_checked(length).ok_or(Corrupt("too short"))?;
            rest = tail;
            Ok(head)
        };
        for row in 0..last {
            let at = row.wrapping_sub(first);
            if take(1)?[0] == 0 {
                if row >= first {
                    out.all_valid = false;
                    out.words[at] = 0;
                }
                continue;
            }
            let bytes = if self.kind.is_word() {
                take(8)?
            } else {
                let length = take(4)?;
                take(u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)?
            };
            if row < first {
                continue;
            }
            out.validity[at / 64] |= 1 << (at % 64);
            out.words[at] = if self.kind.is_word() {
                i64::from_le_bytes(bytes.try_into().map_err(|_| Corrupt("word"))?)
            } else {
                push_value(&mut out.arena, bytes, self.kind.fixed_length().is_none()) as i64
            };
        }
        Ok(())
    }

    /// The distinct values, if the block is of a byte kind and coded by a dictionary; else false, and `out` is left as it is.
    pub fn dictionary(&self, _out: &mut Dictionary) -> Result<bool, Corrupt> {
        Ok(false)
    }

    /// Like [`Self::decode`] for a block that has a dictionary, but `words` are indexes into [`Dictionary::offsets`].
    pub fn codes(&self, _index: usize, _out: &mut Vector) -> Result<(), Corrupt> {
        Err(Corrupt("no dictionary"))
    }
}

/// Appends a byte string, aligned, with its length word if it has one; returns its offset in bytes.
fn push_value(arena: &mut Vec<u64>, bytes: &[u8], with_length: bool) -> usize {
    let offset = arena.len() * 8;
    let mut image = Vec::new();
    if with_length {
        image.extend_from_slice(&((bytes.len() as u32 + 4) << 2).to_ne_bytes());
    }
    image.extend_from_slice(bytes);
    image.resize(image.len().next_multiple_of(8), 0);
    arena.extend(
        image.chunks_exact(8).map(|word| u64::from_ne_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]])),
    );
    offset
}
