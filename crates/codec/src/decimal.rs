//! Floats that are decimal numbers, as integers.
//!
//! The header holds two powers `e` and `f`; the float of integer `i` is `(i * 10^f) * 10^-e`, or `i / 10^e` if `f` is
//! [`DIVIDE`]: two roundings, or one, of IEEE 754 doubles, never fused; a `real` is that double rounded once more. The powers are those of
//! the tables here. `|i|` is at most 2^51. A float that does not come out bit for bit is an exception. Bytes of a vector: the number of
//! exceptions, their positions in ten bits each, their bits (64 or 32 each), then the integers (see [`crate::scaled`]).

use std::ops::Range;

use crate::bits::{pack, packed_len, unpack};
use crate::scaled::{Header, Integers};
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::wire::{Reader, bit_width, put_varint, varint_len};
use crate::{Corrupt, Kind, VECTOR_ROWS};

/// In the place of `f`: divide by `10^e`.
const DIVIDE: u8 = 255;
const POSITION_BITS: u32 = 10;
/// Adding it to a small float and taking it away again rounds; its bits plus a small integer are the bits of their sum.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// Integers beyond this are left to exceptions.
const LIMIT: i64 = 1 << 51;
/// Floats that are turned into integers before they are looked at for exceptions.
const PART: usize = 32;

const POWERS: [f64; 19] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
const INVERSES: [f64; 19] =
    [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18];

/// The powers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Powers {
    e: u8,
    f: u8,
}

impl Powers {
    fn integer(self, float: f64) -> i64 {
        let scaled = float * POWERS[usize::from(self.e)] * if self.f == DIVIDE { 1.0 } else { INVERSES[usize::from(self.f)] };
        ((scaled + MAGIC).to_bits() as i64).wrapping_sub(MAGIC.to_bits() as i64)
    }

    fn float(self, integer: i64) -> f64 {
        let float = f64::from_bits((MAGIC.to_bits() as i64).wrapping_add(integer) as u64) - MAGIC;
        if self.f == DIVIDE {
            float / POWERS[usize::from(self.e)]
        } else {
            float * POWERS[usize::from(self.f)] * INVERSES[usize::from(self.e)]
        }
    }

    /// The integer of a word, if it comes back.
    #[inline]
    fn encode(self, single: bool, word: i64) -> Option<i64> {
        let integer = self.integer(to_double(single, word));
        (integer.wrapping_add(LIMIT) as u64 <= 2 * LIMIT as u64 && to_word(single, self.float(integer)) == word).then_some(integer)
    }
}

impl Powers {
    /// Writes an integer for each word; true if all come back for sure.
    fn encode_all(self, single: bool, words: &[i64], integers: &mut [i64]) -> bool {
        match (single, self.f == DIVIDE) {
            (false, false) => self.encode_each::<false, false>(words, integers),
            (false, true) => self.encode_each::<false, true>(words, integers),
            (true, false) => self.encode_each::<true, false>(words, integers),
            (true, true) => self.encode_each::<true, true>(words, integers),
        }
    }

    /// [`Self::encode_all`] without a branch in between. The arithmetic is that of [`Self::integer`] and [`Self::float`].
    #[inline]
    fn encode_each<const SINGLE: bool, const DIVISION: bool>(self, words: &[i64], integers: &mut [i64]) -> bool {
        let up = POWERS[usize::from(self.e)];
        let (down, back, by) = if DIVISION {
            (1.0, 1.0, up)
        } else {
            let f = usize::from(self.f);
            (INVERSES[f], POWERS[f], INVERSES[usize::from(self.e)])
        };
        let magic = MAGIC.to_bits() as i64;
        let mut differing = 0;
        for (place, &word) in integers.iter_mut().zip(words) {
            let scaled = to_double(SINGLE, word) * up * down + MAGIC;
            let integer = (scaled.to_bits() as i64).wrapping_sub(magic);
            let whole = f64::from_bits(magic.wrapping_add(integer) as u64) - MAGIC;
            let float = if DIVISION { whole / by } else { whole * back * by };
            // Bits beyond those of an integer within the limit, and bits that the float has otherwise.
            differing |= integer.wrapping_add(LIMIT) as u64 >> 52 | (to_word(SINGLE, float) ^ word) as u64;
            *place = integer;
        }
        differing == 0
    }
}

#[inline]
fn to_double(single: bool, word: i64) -> f64 {
    if single { f64::from(f32::from_bits(word as u32)) } else { f64::from_bits(word as u64) }
}

#[inline]
fn to_word(single: bool, float: f64) -> i64 {
    if single { i64::from((float as f32).to_bits() as i32) } else { float.to_bits() as i64 }
}

/// Floats of a block as decimals.
#[derive(Debug)]
pub(crate) struct Decimals {
    powers: Powers,
    single: bool,
    integers: Integers<'static>,
    /// Positions and words of each vector's exceptions.
    exceptions: Vec<(Vec<i64>, Vec<i64>)>,
    cost: usize,
}

impl Decimals {
    /// None if the floats do not look like decimals.
    pub(crate) fn choose(kind: Kind, words: &[i64], ranges: &Ranges) -> Option<Self> {
        let single = kind == Kind::Float4;
        let powers = find_powers(single, words)?;
        let mut integers = vec![0; words.len()];
        let mut exceptions = Vec::with_capacity(ranges.len());
        let mut cost = 2;
        let mut last = words.iter().find_map(|&word| powers.encode(single, word))?;
        for range in ranges {
            let (mut positions, mut kept) = (Vec::new(), Vec::new());
            let parts = words[range.clone()].chunks(PART).zip(integers[range.clone()].chunks_mut(PART));
            for (part, (words, integers)) in parts.enumerate() {
                if !powers.encode_all(single, words, integers) {
                    for (at, (place, &word)) in integers.iter_mut().zip(words).enumerate() {
                        if let Some(integer) = powers.encode(single, word) {
                            last = integer;
                        } else {
                            positions.push((part * PART + at) as i64);
                            kept.push(word);
                        }
                        *place = last;
                    }
                }
                last = integers.last().copied().unwrap_or(last);
            }
            let count = positions.len();
            cost += varint_len(count as u64) + packed_len(count, POSITION_BITS) + packed_len(count, word_bits(single));
            exceptions.push((positions, kept));
        }
        let integers = Integers::choose(integers, ranges);
        let cost = cost + integers.cost;
        Some(Self { powers, single, integers, exceptions, cost })
    }
}

const fn word_bits(single: bool) -> u32 {
    if single { 32 } else { 64 }
}

impl Scheme for Decimals {
    fn encoding(&self) -> Encoding {
        Encoding::Decimal
    }

    fn flags(&self) -> u8 {
        self.integers.flags()
    }

    fn cost(&self) -> usize {
        self.cost
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.integers.write_header(out);
        out.extend_from_slice(&[self.powers.e, self.powers.f]);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        let (positions, words) = &self.exceptions[index];
        put_varint(positions.len() as u64, out);
        pack(positions, 0, POSITION_BITS, out);
        pack(words, 0, word_bits(self.single), out);
        self.integers.write_vector(index, out);
    }
}

/// The powers that suit a sample best.
fn find_powers(single: bool, words: &[i64]) -> Option<Powers> {
    const SAMPLES: usize = 64;
    let step = words.len().div_ceil(SAMPLES).max(1);
    let sample: Vec<i64> = words.iter().copied().skip(step / 2).step_by(step).collect();
    let most = sample.len() * word_bits(single) as usize;
    // How many decimals: fewer exceptions against longer integers.
    let cost = |powers: Powers| {
        let (mut low, mut high, mut failed) = (i64::MAX, i64::MIN, 0);
        for &word in &sample {
            match powers.encode(single, word) {
                Some(integer) => (low, high) = (low.min(integer), high.max(integer)),
                None => failed += 1,
            }
        }
        let width = if low > high { 0 } else { bit_width((high - low) as u64) };
        (failed * (word_bits(single) + POSITION_BITS) as usize + sample.len() * width as usize, failed)
    };
    let mut best = (usize::MAX, usize::MAX, 0);
    for e in 0..POWERS.len() as u8 {
        let (cost, failed) = cost(Powers { e, f: DIVIDE });
        if cost < best.0 {
            best = (cost, failed, e);
        }
        if failed == 0 {
            break;
        }
    }
    let (cost_of_best, failed, e) = best;
    let division = Powers { e, f: DIVIDE };
    if failed == sample.len() || cost_of_best >= most {
        return None;
    }
    // Multiplication is faster; but it fails where division doesn't.
    let mut multiplication = (usize::MAX, division);
    for of in e..POWERS.len() as u8 {
        let powers = Powers { e: of, f: of - e };
        let failed = cost(powers).1;
        if failed < multiplication.0 {
            multiplication = (failed, powers);
        }
        if failed == 0 {
            break;
        }
    }
    Some(if multiplication.0 <= failed { multiplication.1 } else { division })
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecimalHeader<'a> {
    integers: Header<'a>,
    powers: Powers,
    single: bool,
}

impl<'a> DecimalHeader<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>, tag: u8, kind: Kind) -> Result<Self, Corrupt> {
        let integers = Header::read(reader, tag)?;
        let powers = Powers { e: reader.byte()?, f: reader.byte()? };
        if usize::from(powers.e) >= POWERS.len() || (powers.f != DIVIDE && usize::from(powers.f) >= POWERS.len()) {
            return Err(Corrupt("powers of ten"));
        }
        Ok(Self { integers, powers, single: kind == Kind::Float4 })
    }

    /// True if the vectors share a code.
    pub(crate) fn has_code(&self) -> bool {
        self.integers.has_code()
    }

    /// Reads a vector of `count` values, of which only those that are `wanted` are sure to be there.
    pub(crate) fn read_part(
        &self,
        reader: &mut Reader,
        count: usize,
        wanted: Range<usize>,
        out: &mut [i64; VECTOR_ROWS],
    ) -> Result<(), Corrupt> {
        let exceptions = reader.at_most(count)?;
        let positions = reader.take(packed_len(exceptions, POSITION_BITS))?;
        let words = reader.take(packed_len(exceptions, word_bits(self.single)))?;
        self.integers.read_part(reader, count, wanted.clone(), out)?;
        let powers = self.powers;
        let values = &mut out[wanted];
        match (self.single, powers) {
            (true, _) => values.iter_mut().for_each(|value| *value = to_word(true, powers.float(*value))),
            (_, Powers { e: 0, .. }) => {
                values.iter_mut().for_each(|value| *value = to_word(false, Powers { e: 0, f: 0 }.float(*value)));
            }
            (_, Powers { f: DIVIDE, e }) => {
                values.iter_mut().for_each(|value| *value = to_word(false, Powers { e, f: DIVIDE }.float(*value)));
            }
            (_, Powers { e, f }) => {
                let (up, down) = (POWERS[usize::from(f)], INVERSES[usize::from(e)]);
                values.iter_mut().for_each(|value| *value = (Powers { e: 0, f: 0 }.float(*value) * up * down).to_bits() as i64);
            }
        }
        if exceptions > 0 { self.read_exceptions(positions, words, exceptions, out) } else { Ok(()) }
    }

    #[inline(never)]
    fn read_exceptions(&self, positions: &[u8], words: &[u8], count: usize, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
        let mut at = [0; VECTOR_ROWS];
        let mut kept = [0; VECTOR_ROWS];
        unpack(positions, count, POSITION_BITS, 0, &mut at)?;
        unpack(words, count, word_bits(self.single), 0, &mut kept)?;
        for (&position, &word) in at[..count].iter().zip(&kept) {
            let word = if self.single { i64::from(word as i32) } else { word };
            *out.get_mut(position as usize).ok_or(Corrupt("position"))? = word;
        }
        Ok(())
    }
}
