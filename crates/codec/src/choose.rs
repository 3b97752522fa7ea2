//! Which encoding a column gets: the one of the fewest bytes, all known before any is written.

use crate::decimal::Decimals;
use crate::dictionary::Coded;
use crate::numeric::Numerics;
use crate::scaled::Integers;
use crate::scheme::{Encoding, Ranges, Scheme};
use crate::split::Split;
use crate::strings::Strings;
use crate::uuid::TimeUuids;
use crate::wire::{put_signed, signed_len};
use crate::{Column, Kind};

/// The best way to write a column that has at least one value.
pub(crate) fn choose<'a>(kind: Kind, column: &'a Column, ranges: &'a Ranges) -> Box<dyn Scheme + 'a> {
    let all_valid = column.values() == column.rows;
    if kind.is_word() { words(kind, &column.words, ranges, all_valid) } else { bytes(kind, column, ranges) }
}

fn words<'a>(kind: Kind, words: &'a [i64], ranges: &'a Ranges, all_valid: bool) -> Box<dyn Scheme + 'a> {
    let first = words[0];
    if words.iter().all(|&word| word == first) {
        return Box::new(ConstantWord(first));
    }
    if all_valid && let Some(sequence) = Sequence::choose(words) {
        return Box::new(sequence);
    }
    let mut best: Box<dyn Scheme> = if matches!(kind, Kind::Float4 | Kind::Float8) {
        floats(kind, words, ranges)
    } else {
        Box::new(PlainInts(Integers::choose(words, ranges)))
    };
    // At less than four bits a value a dictionary has little to win.
    if best.cost() * 2 > words.len()
        && let Some(coded) = Coded::words(words, ranges, best.cost())
        && coded.cost() < best.cost()
    {
        best = Box::new(coded);
    }
    best
}

fn floats<'a>(kind: Kind, words: &'a [i64], ranges: &'a Ranges) -> Box<dyn Scheme + 'a> {
    let raw = words.len() * if kind == Kind::Float4 { 4 } else { 8 };
    let mut best: Box<dyn Scheme> = match Decimals::choose(kind, words, ranges) {
        Some(decimals) if decimals.cost() < raw / 2 => return Box::new(decimals),
        Some(decimals) => Box::new(decimals),
        None => Box::new(PlainInts(Integers::choose(words, ranges))),
    };
    if let Some(split) = Split::choose(kind, words, ranges)
        && split.cost() < best.cost()
    {
        best = Box::new(split);
    }
    best
}

fn bytes<'a>(kind: Kind, column: &'a Column, ranges: &'a Ranges) -> Box<dyn Scheme + 'a> {
    let first = column.bytes(0);
    if (1..column.values()).all(|value| column.bytes(value) == first) {
        return Box::new(ConstantBytes(first));
    }
    let special: Option<Box<dyn Scheme>> = match kind {
        Kind::Numeric => Numerics::choose(column, ranges).map(|numerics| Box::new(numerics) as _),
        Kind::Uuid => TimeUuids::choose(column, ranges).map(|uuids| Box::new(uuids) as _),
        _ => None,
    };
    let limit = if special.is_some() { column.values() / 4 } else { column.values() * 3 / 4 };
    let dictionary = Coded::bytes(kind, column, ranges, limit);
    // A dictionary is worth more than its size: filters look at each distinct value once.
    let few = dictionary.as_ref().is_some_and(|dictionary| dictionary.distinct * 4 <= column.values());
    let mut best: Option<Box<dyn Scheme>> = dictionary.map(|dictionary| Box::new(dictionary) as _);
    if let Some(special) = special
        && best.as_ref().is_none_or(|best| special.cost() < best.cost())
    {
        best = Some(special);
    } else if few && let Some(best) = best {
        return best;
    }
    let strings = Strings::new(kind, column, ranges);
    match best {
        Some(best) if best.cost() <= strings.cost() => best,
        _ => Box::new(strings),
    }
}

/// The same word for all.
pub(crate) struct ConstantWord(pub(crate) i64);

impl Scheme for ConstantWord {
    fn encoding(&self) -> Encoding {
        Encoding::Constant
    }

    fn cost(&self) -> usize {
        signed_len(self.0)
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        put_signed(self.0, out);
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn write_vector(&self, _: usize, _: &mut Vec<u8>) {}
}

/// The same bytes for all.
pub(crate) struct ConstantBytes<'a>(pub(crate) &'a [u8]);

impl Scheme for ConstantBytes<'_> {
    fn encoding(&self) -> Encoding {
        Encoding::Constant
    }

    fn cost(&self) -> usize {
        self.0.len()
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn write_vector(&self, _: usize, _: &mut Vec<u8>) {}
}

/// Words at the same distance from each other, without nulls.
struct Sequence {
    first: i64,
    step: i64,
}

impl Sequence {
    fn choose(words: &[i64]) -> Option<Self> {
        let (first, step) = (words[0], words.get(1)?.wrapping_sub(words[0]));
        words.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step).then_some(Self { first, step })
    }
}

impl Scheme for Sequence {
    fn encoding(&self) -> Encoding {
        Encoding::Sequence
    }

    fn cost(&self) -> usize {
        signed_len(self.first) + signed_len(self.step)
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        put_signed(self.first, out);
        put_signed(self.step, out);
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn write_vector(&self, _: usize, _: &mut Vec<u8>) {}
}

/// Words as they are.
struct PlainInts<'a>(Integers<'a>);

impl Scheme for PlainInts<'_> {
    fn encoding(&self) -> Encoding {
        Encoding::Integers
    }

    fn flags(&self) -> u8 {
        self.0.flags()
    }

    fn cost(&self) -> usize {
        self.0.cost
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        self.0.write_header(out);
    }

    fn write_vector(&self, index: usize, out: &mut Vec<u8>) {
        self.0.write_vector(index, out);
    }
}
