//! UUIDs of version 7: their first 48 bits are a time.
//!
//! Bytes of a vector: the other ten bytes of each, then the times as integers (see [`crate::scaled`]).

use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::Reader;
use crate::{Column, Corrupt, VECTOR_ROWS, Vector, arena};

const TIME_BYTES: usize = 6;
const UUID_BYTES: usize = 16;
const REST_BYTES: usize = UUID_BYTES - TIME_BYTES;

/// The UUIDs of a block.
#[derive(Debug)]
pub(crate) struct TimeUuids<'a> {
    column: &'a Column,
    ranges: &'a Ranges,
    times: Integers<'static>,
}

impl<'a> TimeUuids<'a> {
    /// None if any is of another version.
    pub(crate) fn choose(column: &'a Column, ranges: &'a Ranges) -> Option<Self> {
        let (uuids, _) = column.data.as_chunks::<UUID_BYTES>();
        if uuids.len() != column.ends.len() || uuids.iter().any(|uuid| uuid[6] >> 4 != 7) {
            return None;
        }
        let times: Vec<i64> = uuids.iter().map(|uuid| (i128::from_be_bytes(*uuid) >> 80) as i64 & 0xffff_ffff_ffff).collect();
        Some(Self { column, ranges, times: Integers::choose(times, ranges) })
    }
}

impl Scheme for TimeUuids<'_> {
    fn encoding(&self) -> Encoding {
        Encoding::TimeUuid
    }

    fn flags(&self) -> u8 {
        self.times.flags()
    }

    fn cost(&self) -> usize {
        self.times.cost + self.column.ends.len() * REST_BYTES
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.times.write_header(out);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        let (uuids, _) = self.column.data.as_chunks::<UUID_BYTES>();
        uuids[self.ranges[index].clone()].iter().for_each(|uuid| out.extend_from_slice(&uuid[TIME_BYTES..]));
        self.times.write_vector(index, out);
    }
}

/// Reads a vector of `count` values.
pub(crate) fn read(times: &Header, reader: &mut Reader, count: usize, out: &mut Vector) -> Result<(), Corrupt> {
    let rest = reader.take(count * REST_BYTES)?;
    let mut all = [0; VECTOR_ROWS];
    times.read_vector(reader, count, &mut all)?;
    out.arena.reserve(count * 2);
    for ((place, time), rest) in out.words.iter_mut().zip(&all).zip(rest.as_chunks::<REST_BYTES>().0) {
        let mut uuid = [0; UUID_BYTES];
        uuid[..TIME_BYTES].copy_from_slice(&time.to_be_bytes()[2..]);
        uuid[TIME_BYTES..].copy_from_slice(rest);
        *place = arena::push(&mut out.arena, &uuid, false);
    }
    Ok(())
}
