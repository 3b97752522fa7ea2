//! Blocks whose bytes are frozen: they must be read for ever. With `BLESS=1` missing files are written; none is ever replaced.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../fuzz/decode_all.rs"]
mod decode_all;

use std::fs;
use std::path::{Path, PathBuf};
use tsc_codec::{Block, Column, Encoding, Kind, VECTOR_ROWS, Vector, encode, encode_constant_bytes, encode_constant_words};

/// A column, what it is to be written as, and whether its bytes depend on nothing but this crate (LZ4 may get better).
struct Golden {
    name: &'static str,
    kind: Kind,
    column: Column,
    encoding: Encoding,
    same_bytes: bool,
}

/// A number that looks random.
fn noise(n: i64) -> i64 {
    let mut z = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as i64
}

fn words(name: &'static str, kind: Kind, rows: i64, encoding: Encoding, word: impl Fn(i64) -> Option<i64>) -> Golden {
    let mut column = Column::default();
    for row in 0..rows {
        match word(row) {
            Some(word) => column.push_word(word),
            None => column.push_null(),
        }
    }
    Golden { name, kind, column, encoding, same_bytes: true }
}

fn strings(name: &'static str, kind: Kind, rows: i64, encoding: Encoding, string: impl Fn(i64) -> Option<Vec<u8>>) -> Golden {
    let mut column = Column::default();
    for row in 0..rows {
        match string(row) {
            Some(string) => column.push_bytes(&string),
            None => column.push_null(),
        }
    }
    Golden { name, kind, column, encoding, same_bytes: false }
}

fn double(value: f64) -> Option<i64> {
    Some(value.to_bits() as i64)
}

fn goldens() -> Vec<Golden> {
    use Encoding::*;
    let int = Kind::Int(8);
    let time = |row: i64| 504_921_600_000_000 + row * 10_000_000;
    // A walk whose differences are skewed: 0, 1, -1, 2 ...
    let mut walk = vec![50];
    (0..2000).for_each(|n| walk.push(walk[n as usize] + i64::from(noise(n).trailing_zeros().min(4)) * if n % 2 == 0 { 1 } else { -1 }));
    vec![
        words("null", int, 3, Null, |_| None),
        words("constant", int, 2000, Constant, |_| Some(-70)),
        words("constant_with_nulls", int, 1030, Constant, |n| (n % 9 > 0).then_some(5)),
        words("sequence", int, 8192, Sequence, |n| Some(time(n))),
        words("bool_bits", Kind::Bool, 100, Integers, |n| Some(noise(n) & 1)),
        words("bool_runs", Kind::Bool, 1100, Integers, |n| Some(n / 300 % 2)),
        words("packed", Kind::Int(4), 200, Integers, |n| Some(noise(n) & 0x1ff)),
        words("packed_with_exceptions", int, 200, Integers, |n| Some(if n % 50 == 7 { noise(n) } else { noise(n) & 7 })),
        words("packed_with_nulls", int, 1100, Integers, |n| (n % 3 > 0 && n < 1024).then_some(noise(n) & 15)),
        words("delta", int, 300, Integers, |n| Some(time(n) + (noise(n) & 0xff))),
        words("delta_of_delta", int, 300, Integers, |n| Some(n * n * 50 + (noise(n) & 3))),
        words("runs", Kind::Int(2), 1000, Integers, |n| Some(noise(n / 60) & 0x3fff)),
        words("scaled", int, 300, Integers, |n| Some(time(n + (noise(n) & 7)))),
        words("coded", Kind::Int(4), 1500, Integers, |n| Some(i64::from(noise(n).trailing_zeros().min(30)))),
        words("coded_delta", Kind::Float8, 2000, Decimal, |n| double(walk[n as usize] as f64)),
        words("dictionary_of_words", int, 300, Dictionary, |n| Some(noise(noise(n) & 7))),
        words("decimal", Kind::Float8, 300, Decimal, |n| double((noise(n) & 0xfff) as f64 / 100.0)),
        words("decimal_with_exceptions", Kind::Float8, 300, Decimal, |n| {
            double(if n % 60 == 9 { [f64::NAN, -0.0, f64::INFINITY][n as usize / 60 % 3] } else { (noise(n) & 0x3ff) as f64 / 10.0 })
        }),
        words("decimal_of_reals", Kind::Float4, 300, Decimal, |n| Some(i64::from(((noise(n) & 0x3ff) as f32 / 10.0).to_bits() as i32))),
        words("split", Kind::Float8, 100, Split, |n| double((noise(n) >> 11) as f64 / 3.0)),
        words("split_of_reals", Kind::Float4, 100, Split, |n| Some(i64::from(((noise(n) >> 40) as f32 / 3.0).to_bits() as i32))),
        strings("constant_text", Kind::Text, 8192, Constant, |_| Some(b"host_17".into())),
        strings("constant_text_with_nulls", Kind::Text, 100, Constant, |n| (n > 20).then(|| b"only".into())),
        strings("dictionary_of_text", Kind::Text, 300, Dictionary, |n| {
            (n % 10 > 0).then(|| format!("state {}", noise(n) & 3).into_bytes())
        }),
        strings("dictionary_compressed", Kind::Text, 300, Dictionary, |n| {
            Some(format!("the quick brown fox number {:02} and more", noise(n) & 15).into_bytes())
        }),
        strings("strings", Kind::Bytes, 50, Strings, |n| Some(noise(n).to_le_bytes()[..n as usize % 9].into())),
        strings("strings_compressed", Kind::Text, 60, Strings, |n| {
            Some(format!("{{\"reading\": {}, \"sensor\": {n}}}", noise(n) & 0xff).into())
        }),
        strings("fixed", Kind::Fixed(6), 50, Strings, |n| Some(noise(n).to_le_bytes()[..6].into())),
        strings("uuid_v7", Kind::Uuid, 50, TimeUuid, |n| {
            Some(((1_700_000_000_000 + n as u128) << 80 | 7 << 76 | (2 << 62) | u128::from(noise(n) as u64 >> 3)).to_be_bytes().into())
        }),
        strings("numeric", Kind::Numeric, 200, Numeric, |n| {
            // 1234.56 and the like.
            let (whole, part) = ((noise(n) & 0xfff) as u16 + 1, ((noise(n) >> 20 & 0x3f) as u16 + 1) * 100);
            Some([0x8100, whole, part].iter().flat_map(|word: &u16| word.to_le_bytes()).collect())
        }),
    ]
}

fn path(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

/// The file; written first if it is to be.
fn file(path: &Path, bytes: &[u8]) -> Vec<u8> {
    if std::env::var_os("BLESS").is_some() && !path.exists() {
        fs::write(path, bytes).unwrap();
    }
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn frozen_blocks_are_read_and_written_as_ever() {
    for Golden { name, kind, column, encoding, same_bytes } in goldens() {
        let mut bytes = Vec::new();
        encode(kind, &column, &mut bytes);
        assert_eq!(Block::parse(&bytes, kind, column.rows).unwrap().encoding(), encoding, "{name}");
        let frozen = file(&path("tests/golden", name), &bytes);
        assert!(!same_bytes || bytes == frozen, "{name} is written in another way");
        for bytes in [&bytes, &frozen] {
            assert!(column == decode(bytes, kind, column.rows), "{name}");
        }
        let number = decode_all::KINDS.iter().position(|of| *of == kind).unwrap() as u8;
        let seed = [&[number][..], &(column.rows as u16).to_le_bytes(), &bytes].concat();
        file(&path("fuzz/corpus/block", name), &seed);
    }
}

#[test]
fn the_simplest_blocks_are_these_bytes() {
    let encoded = |kind, column: &Column| {
        let mut bytes = Vec::new();
        encode(kind, column, &mut bytes);
        bytes
    };
    assert_eq!(encode_constant_words(Kind::Int(4), -1), [1, 1, 1]);
    assert_eq!(encode_constant_bytes(Kind::Text, b"ab"), [1, 1, b'a', b'b']);
    let mut column = Column::default();
    assert_eq!(encoded(Kind::Int(8), &column), [1, 0]);
    (0..4).for_each(|n| column.push_word(10 + n * 3));
    assert_eq!(encoded(Kind::Int(8), &column), [1, 2, 20, 6]);
}

#[test]
fn the_corpus_of_the_fuzzer_does_no_harm() {
    let mut files = 0;
    for entry in fs::read_dir(path("fuzz/corpus", "block")).unwrap() {
        decode_all::decode_all(&fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 20);
}

/// The column of a block.
fn decode(bytes: &[u8], kind: Kind, rows: usize) -> Column {
    let block = Block::parse(bytes, kind, rows).unwrap();
    let mut column = Column::default();
    let mut vector = Vector::default();
    for index in 0..rows.div_ceil(VECTOR_ROWS) {
        block.decode(index, &mut vector).unwrap();
        let arena: Vec<u8> = vector.arena.iter().flat_map(|word| word.to_ne_bytes()).collect();
        for row in 0..vector.rows {
            if !vector.is_valid(row) {
                column.push_null();
            } else if kind.is_word() {
                column.push_word(vector.words[row]);
            } else {
                let bytes = &arena[vector.words[row] as usize..];
                column.push_bytes(match kind.fixed_length() {
                    Some(length) => &bytes[..length],
                    None => &bytes[4..u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize >> 2],
                });
            }
        }
    }
    column
}
