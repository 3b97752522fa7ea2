//! A column of a batch as bytes: a header, then its vectors.
//!
//! The first byte is the version, the second the tag: flags and the [`Encoding`]. See `docs/format.md`.

use std::ops::Range;

use crate::decimal::DecimalHeader;
use crate::dictionary::CodedHeader;
use crate::numeric::NumericHeader;
use crate::scaled::Header;
use crate::scheme::{Scheme, flags};
use crate::split::SplitHeader;
use crate::wire::{Reader, put_varint};
use crate::{
    BATCH_ROWS, Column, Corrupt, Dictionary, Encoding, Kind, MAX_VECTORS, VECTOR_ROWS, VERSION, Vector, arena, choose, strings, uuid,
    validity,
};

/// Encodes a column of at most [`crate::BATCH_ROWS`] rows; appends the block to `out`. A column without rows makes an empty block. The byte
/// strings of a vector must be shorter than 1 GiB together to be decoded again.
pub fn encode(kind: Kind, column: &Column, out: &mut Vec<u8>) {
    out.push(VERSION);
    if column.values() == 0 {
        out.push(Encoding::Null as u8);
        return;
    }
    let nulls = column.values() < column.rows;
    let mut ranges = Vec::with_capacity(MAX_VECTORS);
    let mut values = 0;
    for first in (0..column.rows).step_by(VECTOR_ROWS) {
        let rows = (column.rows - first).min(VECTOR_ROWS);
        let valid = if nulls { (first..first + rows).filter(|&row| column.is_valid(row)).count() } else { rows };
        ranges.push(values..values + valid);
        values += valid;
    }
    let scheme = choose::choose(kind, column, &ranges);
    out.push(scheme.encoding() as u8 | scheme.flags() | if nulls { flags::NULLS } else { 0 });
    if scheme.is_whole() && !nulls {
        scheme.write_header(out);
        return;
    }
    let mut header = Vec::new();
    scheme.write_header(&mut header);
    let (mut vectors, mut ends) = (Vec::with_capacity(scheme.cost()), Vec::with_capacity(MAX_VECTORS));
    for index in 0..ranges.len() {
        if nulls {
            let first = index * VECTOR_ROWS;
            validity::write((column.rows - first).min(VECTOR_ROWS), |row| column.is_valid(first + row), &mut vectors);
        }
        scheme.write_vector(index, &mut vectors);
        ends.push(vectors.len());
    }
    put_varint(header.len() as u64, out);
    let mut start = 0;
    for end in &ends[..ends.len() - 1] {
        put_varint((end - start) as u64, out);
        start = *end;
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(&vectors);
}

/// A block of a word kind, all rows of which have this value, however many rows [`Block::parse`] is told.
pub fn encode_constant_words(_kind: Kind, word: i64) -> Vec<u8> {
    encode_constant(&choose::ConstantWord(word))
}

/// A block of a byte kind, all rows of which have this value, however many rows [`Block::parse`] is told.
pub fn encode_constant_bytes(_kind: Kind, bytes: &[u8]) -> Vec<u8> {
    encode_constant(&choose::ConstantBytes(bytes))
}

fn encode_constant(scheme: &dyn Scheme) -> Vec<u8> {
    let mut out = vec![VERSION, scheme.encoding() as u8];
    scheme.write_header(&mut out);
    out
}

/// An encoded column.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    kind: Kind,
    rows: usize,
    nulls: bool,
    layout: Layout<'a>,
    /// The vectors, one after the other, and where each ends.
    vectors: &'a [u8],
    ends: [usize; MAX_VECTORS],
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    Null,
    ConstantWord(i64),
    ConstantBytes(&'a [u8]),
    Sequence { first: i64, step: i64 },
    Integers(Header<'a>),
    Dictionary(CodedHeader<'a>),
    Decimal(DecimalHeader<'a>),
    Split(SplitHeader<'a>),
    Strings(Header<'a>),
    TimeUuid(Header<'a>),
    Numeric(NumericHeader<'a>),
}

impl<'a> Block<'a> {
    /// Reads the header of a block of `rows` rows (at most [`crate::BATCH_ROWS`]). Cheap: values are not looked at.
    pub fn parse(bytes: &'a [u8], kind: Kind, rows: usize) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Corrupt("unknown version"));
        }
        if rows > BATCH_ROWS {
            return Err(Corrupt("too many rows"));
        }
        let tag = reader.byte()?;
        let encoding = *Encoding::ALL.get(usize::from(tag & flags::SCHEME)).ok_or(Corrupt("unknown encoding"))?;
        let nulls = tag & flags::NULLS != 0;
        let mut ends = [0; MAX_VECTORS];
        let whole = match encoding {
            Encoding::Null => true,
            Encoding::Constant | Encoding::Sequence => !nulls,
            _ => false,
        };
        let (mut header, vectors) = if whole {
            (reader, &[][..])
        } else {
            let header_len = reader.at_most(bytes.len())?;
            let vectors = rows.div_ceil(VECTOR_ROWS);
            let mut end = 0;
            for place in ends.iter_mut().take(vectors.saturating_sub(1)) {
                end += reader.at_most(bytes.len())?;
                *place = end;
            }
            let header = reader.take(header_len)?;
            let rest = reader.rest();
            if end > rest.len() {
                return Err(Corrupt("too short"));
            }
            if let Some(last) = vectors.checked_sub(1) {
                ends[last] = rest.len();
            }
            (Reader::new(header), rest)
        };
        let layout = Layout::read(&mut header, tag, encoding, kind)?;
        Ok(Self { kind, rows, nulls, layout, vectors, ends })
    }

    /// How the values are written.
    pub fn encoding(&self) -> Encoding {
        match self.layout {
            Layout::Null => Encoding::Null,
            Layout::ConstantWord(_) | Layout::ConstantBytes(_) => Encoding::Constant,
            Layout::Sequence { .. } => Encoding::Sequence,
            Layout::Integers(_) => Encoding::Integers,
            Layout::Dictionary(_) => Encoding::Dictionary,
            Layout::Decimal(_) => Encoding::Decimal,
            Layout::Split(_) => Encoding::Split,
            Layout::Strings(_) => Encoding::Strings,
            Layout::TimeUuid(_) => Encoding::TimeUuid,
            Layout::Numeric(_) => Encoding::Numeric,
        }
    }

    /// True if its integers are symbols of a Huffman code, where that saves much.
    pub fn is_entropy_coded(&self) -> bool {
        match &self.layout {
            Layout::Integers(header) | Layout::Strings(header) | Layout::TimeUuid(header) => header.has_code(),
            Layout::Dictionary(header) => header.has_code(),
            Layout::Decimal(header) => header.has_code(),
            Layout::Split(header) => header.has_code(),
            Layout::Numeric(header) => header.has_code(),
            _ => false,
        }
    }

    /// Decodes vector `index` (rows `index * VECTOR_ROWS ..`).
    pub fn decode(&self, index: usize, out: &mut Vector) -> Result<(), Corrupt> {
        self.decode_part(index, 0..VECTOR_ROWS, out)
    }

    /// As [`Self::decode`], but of the values only those of some rows are sure to be there: what stands in `words` at others means
    /// nothing, and need not be an offset. Of which rows there are values is told of all.
    pub fn decode_part(&self, index: usize, rows: Range<usize>, out: &mut Vector) -> Result<(), Corrupt> {
        let (mut reader, values) = self.start(index, out)?;
        let wanted = validity::values_of(out, rows);
        let reader = &mut reader;
        match &self.layout {
            Layout::Null => {}
            Layout::ConstantWord(word) => out.words[wanted].fill(*word),
            Layout::ConstantBytes(bytes) => {
                arena::push(&mut out.arena, bytes, self.kind.fixed_length().is_none());
                out.words[wanted].fill(0);
            }
            Layout::Sequence { first, step } => {
                let first = first.wrapping_add(step.wrapping_mul((index * VECTOR_ROWS + wanted.start) as i64));
                for (at, word) in out.words[wanted].iter_mut().enumerate() {
                    *word = first.wrapping_add(step.wrapping_mul(at as i64));
                }
            }
            Layout::Integers(header) => header.read_part(reader, values, wanted, &mut out.words)?,
            Layout::Dictionary(header) if self.kind.is_word() => header.read_words(reader, values, wanted, &mut out.words)?,
            Layout::Dictionary(header) => {
                let mut offsets = Vec::new();
                header.read_values(self.kind, &mut out.arena, &mut offsets)?;
                header.read_codes(reader, values, wanted.clone(), &mut out.words)?;
                out.words[wanted].iter_mut().for_each(|word| *word = i64::from(offsets[*word as usize]));
            }
            Layout::Decimal(header) => header.read_part(reader, values, wanted, &mut out.words)?,
            Layout::Split(header) => header.read_part(reader, values, wanted, &mut out.words)?,
            Layout::Strings(header) => strings::read(header, self.kind, reader, values, out)?,
            Layout::TimeUuid(header) => uuid::read(header, reader, values, out)?,
            Layout::Numeric(header) => header.read_part(reader, values, wanted, out)?,
        }
        validity::spread(out, values);
        if out.arena.is_empty() && !self.kind.is_word() {
            // So that null rows have an offset, too.
            arena::push(&mut out.arena, &vec![0; self.kind.fixed_length().unwrap_or(0)], self.kind.fixed_length().is_none());
        }
        Ok(())
    }

    /// The distinct values, if the block is of a byte kind and coded by a dictionary; else false, and `out` is left as it is.
    pub fn dictionary(&self, out: &mut Dictionary) -> Result<bool, Corrupt> {
        if self.kind.is_word() || !matches!(self.layout, Layout::Dictionary(_) | Layout::ConstantBytes(_)) {
            return Ok(false);
        }
        out.arena.clear();
        out.offsets.clear();
        match &self.layout {
            Layout::Dictionary(header) => header.read_values(self.kind, &mut out.arena, &mut out.offsets)?,
            Layout::ConstantBytes(bytes) => {
                out.offsets.push(arena::push(&mut out.arena, bytes, self.kind.fixed_length().is_none()) as u32);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Like [`Self::decode`] for a block that has a dictionary, but `words` are indexes into [`Dictionary::offsets`].
    pub fn codes(&self, index: usize, out: &mut Vector) -> Result<(), Corrupt> {
        self.codes_part(index, 0..VECTOR_ROWS, out)
    }

    /// As [`Self::codes`], but only those of some rows are sure to be there.
    pub fn codes_part(&self, index: usize, rows: Range<usize>, out: &mut Vector) -> Result<(), Corrupt> {
        let (mut reader, values) = self.start(index, out)?;
        let wanted = validity::values_of(out, rows);
        match &self.layout {
            Layout::Dictionary(header) if !self.kind.is_word() => header.read_codes(&mut reader, values, wanted, &mut out.words)?,
            Layout::ConstantBytes(_) => out.words[wanted].fill(0),
            _ => return Err(Corrupt("no dictionary")),
        }
        validity::spread(out, values);
        Ok(())
    }

    /// Reads the validity of a vector into `out`; returns the rest of the vector and how many values it has.
    fn start(&self, index: usize, out: &mut Vector) -> Result<(Reader<'a>, usize), Corrupt> {
        if index >= self.rows.div_ceil(VECTOR_ROWS) {
            return Err(Corrupt("no such vector"));
        }
        out.rows = (self.rows - index * VECTOR_ROWS).min(VECTOR_ROWS);
        out.arena.clear();
        let first = if index == 0 { 0 } else { self.ends[index - 1] };
        let mut reader = Reader::new(self.vectors.get(first..self.ends[index]).ok_or(Corrupt("too short"))?);
        let values = if matches!(self.layout, Layout::Null) {
            validity::set_none(out);
            0
        } else if self.nulls {
            validity::read(&mut reader, out)?
        } else {
            validity::set_all(out);
            out.rows
        };
        Ok((reader, values))
    }
}

impl<'a> Layout<'a> {
    fn read(header: &mut Reader<'a>, tag: u8, encoding: Encoding, kind: Kind) -> Result<Self, Corrupt> {
        Ok(match (encoding, kind) {
            (Encoding::Null, _) => Self::Null,
            (Encoding::Constant, kind) if kind.is_word() => Self::ConstantWord(header.signed()?),
            (Encoding::Constant, kind) => {
                let bytes = header.rest();
                if kind.fixed_length().is_some_and(|length| length != bytes.len()) || bytes.len() > arena::MAX_BYTES {
                    return Err(Corrupt("length of a value"));
                }
                Self::ConstantBytes(bytes)
            }
            (Encoding::Sequence, kind) if kind.is_word() => Self::Sequence { first: header.signed()?, step: header.signed()? },
            (Encoding::Integers, kind) if kind.is_word() => Self::Integers(Header::read(header, tag)?),
            (Encoding::Dictionary, _) => Self::Dictionary(CodedHeader::read(header, tag)?),
            (Encoding::Decimal, Kind::Float4 | Kind::Float8) => Self::Decimal(DecimalHeader::read(header, tag, kind)?),
            (Encoding::Split, Kind::Float4 | Kind::Float8) => Self::Split(SplitHeader::read(header, tag, kind)?),
            (Encoding::Strings, kind) if !kind.is_word() => Self::Strings(Header::read(header, tag)?),
            (Encoding::TimeUuid, Kind::Uuid) => Self::TimeUuid(Header::read(header, tag)?),
            (Encoding::Numeric, Kind::Numeric) => Self::Numeric(NumericHeader::read(header, tag)?),
            _ => return Err(Corrupt("encoding of another kind")),
        })
    }
}
