//! Byte strings one after the other.
//!
//! Bytes of a vector: the lengths as integers (see [`crate::scaled`]) unless the kind has a fixed length, then the bytes (see
//! [`crate::pile`]).

use crate::pile::{self, Pile};
use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::Reader;
use crate::{Column, Corrupt, Kind, VECTOR_ROWS, Vector, arena};

/// The byte strings of a block.
#[derive(Debug)]
pub(crate) struct Strings {
    lengths: Option<Integers<'static>>,
    piles: Vec<Pile>,
}

impl Strings {
    pub(crate) fn new(kind: Kind, column: &Column, ranges: &Ranges) -> Self {
        let lengths = kind.fixed_length().is_none().then(|| {
            let lengths: Vec<i64> = (0..column.values()).map(|value| column.bytes(value).len() as i64).collect();
            Integers::choose(lengths, ranges)
        });
        let start = |value: usize| if value == 0 { 0 } else { column.ends[value - 1] as usize };
        let piles = ranges.iter().map(|range| Pile::new(&column.data[start(range.start)..start(range.end)])).collect();
        Self { lengths, piles }
    }
}

impl Scheme for Strings {
    fn encoding(&self) -> Encoding {
        Encoding::Strings
    }

    fn flags(&self) -> u8 {
        self.lengths.as_ref().map_or(0, Integers::flags)
    }

    fn cost(&self) -> usize {
        self.lengths.as_ref().map_or(0, |lengths| lengths.cost) + self.piles.iter().map(Pile::cost).sum::<usize>()
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        if let Some(lengths) = &self.lengths {
            lengths.write_header(out);
        }
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        if let Some(lengths) = &self.lengths {
            lengths.write_vector(index, out);
        }
        self.piles[index].write(out);
    }
}

/// Reads a vector of `count` values.
pub(crate) fn read(lengths: &Header, kind: Kind, reader: &mut Reader, count: usize, out: &mut Vector) -> Result<(), Corrupt> {
    let mut all = [0; VECTOR_ROWS];
    match kind.fixed_length() {
        Some(length) => all[..count].fill(length as i64),
        None => lengths.read_vector(reader, count, &mut all)?,
    }
    let data = pile::read(reader, arena::total(&all[..count])?)?;
    let words = &mut out.words;
    arena::push_all(&mut out.arena, &data, &all[..count], kind.fixed_length().is_none(), |at, offset| words[at] = offset)
}
