//! PostgreSQL's `numeric`s with the same number of decimals, as integers.
//!
//! The header holds the number of decimals; the integers (see [`crate::scaled`]) are the numbers times ten to its power.
//! What PostgreSQL stores is two bytes of header (sign, decimals and weight; four bytes if they are large), then digits to the base of
//! 10,000, the first of which counts 10,000 to the power of the weight. Only what can be rebuilt byte for byte is written so.

use std::ops::Range;

use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::Reader;
use crate::{Column, Corrupt, VECTOR_ROWS, Vector, arena};

/// Decimals at most: 10^18 is the last power of ten in 64 bits.
const MAX_SCALE: u32 = 18;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE_SHIFT: u32 = 7;
const SHORT_SCALE_MASK: u16 = 0x3f;
const SHORT_WEIGHT_SIGN: u16 = 0x40;
const SHORT_WEIGHT_MASK: u16 = 0x3f;
const SPECIAL: u16 = 0xc000;
/// Room for a numeric of 64 bits, the header and six digits, so that eight bytes can be read from each byte of it.
const ROOM: usize = 24;

/// The numerics of a block.
#[derive(Debug)]
pub(crate) struct Numerics {
    scale: u32,
    integers: Integers<'static>,
}

impl Numerics {
    /// None if they differ in decimals, or any cannot be rebuilt.
    pub(crate) fn choose(column: &Column, ranges: &Ranges) -> Option<Self> {
        let (scale, _) = integer(column.bytes(0))?;
        let mut integers = Vec::with_capacity(column.values());
        for value in 0..column.values() {
            let bytes = column.bytes(value);
            let (of, integer) = integer(bytes)?;
            let mut rebuilt = [0; ROOM];
            let length = rebuild(integer, scale, &mut rebuilt);
            if of != scale || bytes != &rebuilt[..length] {
                return None;
            }
            integers.push(integer);
        }
        Some(Self { scale, integers: Integers::choose(integers, ranges) })
    }
}

impl Scheme for Numerics {
    fn encoding(&self) -> Encoding {
        Encoding::Numeric
    }

    fn flags(&self) -> u8 {
        self.integers.flags()
    }

    fn cost(&self) -> usize {
        self.integers.cost + 1
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.integers.write_header(out);
        out.push(self.scale as u8);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        self.integers.write_vector(index, out);
    }
}

/// The decimals of a numeric and the number without its point, if they fit.
fn integer(bytes: &[u8]) -> Option<(u32, i64)> {
    let (header, digits) = bytes.split_first_chunk::<2>()?;
    let header = u16::from_le_bytes(*header);
    if header & SPECIAL == SPECIAL || header & SHORT == 0 {
        return None;
    }
    let scale = u32::from(header >> SHORT_SCALE_SHIFT & SHORT_SCALE_MASK);
    let weight = i32::from(header & SHORT_WEIGHT_MASK) - if header & SHORT_WEIGHT_SIGN != 0 { 64 } else { 0 };
    if scale > MAX_SCALE || digits.len() % 2 != 0 || digits.len() > 12 {
        return None;
    }
    // The sum of digit * 10^(4 * (weight - at) + scale).
    let mut sum = 0_i128;
    for (at, digit) in digits.as_chunks::<2>().0.iter().enumerate() {
        let digit = i128::from(i16::from_le_bytes(*digit));
        let power = 4 * (weight - at as i32) + scale as i32;
        if !(0..10_000).contains(&digit) || power > 20 {
            return None;
        }
        if power >= 0 {
            sum += digit * 10_i128.pow(power as u32);
        } else {
            // The last digit may have more places than there are decimals, zeros then.
            let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
            if digit % divisor != 0 {
                return None;
            }
            sum += digit / divisor;
        }
    }
    let sum = if header & SHORT_NEGATIVE != 0 { -sum } else { sum };
    Some((scale, i64::try_from(sum).ok()?))
}

/// Writes a numeric; returns how many bytes it has.
fn rebuild(integer: i64, scale: u32, out: &mut [u8; ROOM]) -> usize {
    if integer == 0 {
        out[..2].copy_from_slice(&(SHORT | (scale as u16) << SHORT_SCALE_SHIFT).to_le_bytes());
        return 2;
    }
    // Digits from the last: the decimals fill whole digits.
    let places = scale.div_ceil(4);
    let factor = 10_u64.pow(places * 4 - scale);
    let mut weight = -(places as i32);
    let mut digits = [0_u16; 6];
    let mut count = 0;
    let mut push = |digit: u16| {
        if count == 0 && digit == 0 {
            weight += 1;
        } else if let Some(place) = digits.get_mut(count) {
            *place = digit;
            count += 1;
        }
    };
    // All but the highest digits of what does not fit into 64 bits.
    let mut rest = match integer.unsigned_abs().checked_mul(factor) {
        Some(rest) => rest,
        None => {
            let wide = u128::from(integer.unsigned_abs()) * u128::from(factor);
            push((wide % 10_000) as u16);
            (wide / 10_000) as u64
        }
    };
    while rest > 0 {
        push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    weight += count as i32 - 1;
    let sign = if integer < 0 { SHORT_NEGATIVE } else { 0 };
    let weight = weight as u16 & (SHORT_WEIGHT_SIGN | SHORT_WEIGHT_MASK);
    let header = SHORT | sign | (scale as u16) << SHORT_SCALE_SHIFT | weight;
    out[..2].copy_from_slice(&header.to_le_bytes());
    for (place, digit) in out[2..].as_chunks_mut::<2>().0.iter_mut().zip(digits[..count].iter().rev()) {
        *place = digit.to_le_bytes();
    }
    2 + count * 2
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumericHeader<'a> {
    integers: Header<'a>,
    scale: u32,
}

impl<'a> NumericHeader<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>, tag: u8) -> Result<Self, Corrupt> {
        let integers = Header::read(reader, tag)?;
        match u32::from(reader.byte()?) {
            scale if scale <= MAX_SCALE => Ok(Self { integers, scale }),
            _ => Err(Corrupt("decimals of a numeric")),
        }
    }

    /// True if the vectors share a code.
    pub(crate) fn has_code(&self) -> bool {
        self.integers.has_code()
    }

    /// Reads a vector of `count` values, of which only those that are `wanted` are sure to be there.
    pub(crate) fn read_part(&self, reader: &mut Reader, count: usize, wanted: Range<usize>, out: &mut Vector) -> Result<(), Corrupt> {
        let mut integers = [0; VECTOR_ROWS];
        self.integers.read_part(reader, count, wanted.clone(), &mut integers)?;
        out.arena.reserve(wanted.len() * 2);
        let mut bytes = [0; ROOM];
        for (place, &integer) in out.words[wanted.clone()].iter_mut().zip(&integers[wanted]) {
            *place = {
                let length = rebuild(integer, self.scale, &mut bytes);
                arena::push_part(&mut out.arena, &bytes, 0, length, true)
            };
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The bytes of a number with these decimals.
    pub(crate) fn numeric(integer: i64, scale: u32) -> Vec<u8> {
        {
            let mut bytes = [0; ROOM];
            let length = rebuild(integer, scale, &mut bytes);
            bytes[..length].to_vec()
        }
    }

    #[test]
    fn numbers_are_as_postgres_stores_them() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        // 0, 0.00, 1, -1, 12345.67, 0.0001, 10000, 0.5
        assert_eq!(numeric(0, 0), words(&[0x8000]));
        assert_eq!(numeric(0, 2), words(&[0x8100]));
        assert_eq!(numeric(1, 0), words(&[0x8000, 1]));
        assert_eq!(numeric(-1, 0), words(&[0xa000, 1]));
        assert_eq!(numeric(1_234_567, 2), words(&[0x8101, 1, 2345, 6700]));
        assert_eq!(numeric(1, 4), words(&[0x827f, 1]));
        assert_eq!(numeric(10_000, 0), words(&[0x8001, 1]));
        assert_eq!(numeric(5, 1), words(&[0x80ff, 5000]));
    }

    #[test]
    fn numbers_come_back() {
        for scale in 0..=MAX_SCALE {
            let mut number = 1_i64;
            for step in 0..400_i64 {
                number = number.wrapping_mul(3).wrapping_add(step);
                for number in [number, number >> 40, -number, step, i64::MAX, i64::MIN, 10_i64.pow((step % 19) as u32)] {
                    assert_eq!(integer(&numeric(number, scale)), Some((scale, number)));
                }
            }
        }
    }

    #[test]
    fn others_are_left_alone() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        for bytes in [&[][..], &[0xc000], &[0xf000], &[0xd000], &[0, 1, 1], &[0x8000, 10_000], &[0x803f, 1], &[0x807f, 1], &[0x9f80, 1]] {
            assert_eq!(integer(&words(bytes)), None, "{bytes:x?}");
        }
    }
}
