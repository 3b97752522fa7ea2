//! Blocks as a whole: every kind comes back, the right encoding wins, and hostile bytes are an error.

use crate::arena::tests::at;
use crate::numeric::tests::numeric;
use crate::*;
use proptest::prelude::*;

/// What a row holds.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Word(i64),
    Bytes(Vec<u8>),
}

fn column(values: &[Value]) -> Column {
    let mut column = Column::default();
    for value in values {
        match value {
            Value::Null => column.push_null(),
            Value::Word(word) => column.push_word(*word),
            Value::Bytes(bytes) => column.push_bytes(bytes),
        }
    }
    column
}

/// The values of a decoded vector.
fn values(kind: Kind, vector: &Vector) -> Vec<Value> {
    assert_eq!(vector.all_valid, (0..vector.rows).all(|row| vector.is_valid(row)));
    assert!((vector.rows..VECTOR_ROWS).all(|row| !vector.is_valid(row)));
    let value = |row: usize| match vector.words[row] {
        _ if kind.is_word() && vector.is_valid(row) => Value::Word(vector.words[row]),
        _ if kind.is_word() => Value::Null,
        offset => {
            // Null rows have a valid offset, too.
            let bytes = at(&vector.arena, offset as usize, kind.fixed_length());
            if vector.is_valid(row) { Value::Bytes(bytes) } else { Value::Null }
        }
    };
    (0..vector.rows).map(value).collect()
}

/// Encodes and decodes, each vector alone and in reverse; returns the bytes and the encoding.
fn round_trip(kind: Kind, rows: &[Value]) -> (usize, Encoding) {
    let mut bytes = Vec::new();
    encode(kind, &column(rows), &mut bytes);
    let block = Block::parse(&bytes, kind, rows.len()).unwrap();
    let mut vector = Vector::default();
    let mut dictionary = Dictionary::default();
    let has_dictionary = block.dictionary(&mut dictionary).unwrap();
    for index in (0..rows.len().div_ceil(VECTOR_ROWS)).rev() {
        let expected = &rows[index * VECTOR_ROWS..rows.len().min((index + 1) * VECTOR_ROWS)];
        block.decode(index, &mut vector).unwrap();
        assert_eq!(values(kind, &vector), expected);
        parts_are_as_the_whole(&block, index, expected, kind);
        assert_eq!(block.codes(index, &mut vector).is_ok(), has_dictionary);
        if has_dictionary {
            for (row, expected) in expected.iter().enumerate() {
                let bytes = at(&dictionary.arena, dictionary.offsets[vector.words[row] as usize] as usize, kind.fixed_length());
                assert_eq!(&if vector.is_valid(row) { Value::Bytes(bytes) } else { Value::Null }, expected);
            }
        }
    }
    assert!(block.decode(rows.len().div_ceil(VECTOR_ROWS), &mut vector).is_err());
    assert!(block.codes(rows.len().div_ceil(VECTOR_ROWS), &mut vector).is_err());
    (bytes.len(), block.encoding())
}

/// Decodes some rows of a vector alone, into a vector with something else in it.
fn parts_are_as_the_whole(block: &Block, index: usize, expected: &[Value], kind: Kind) {
    let count = expected.len();
    let mut seed = count as i64;
    let mut number = |below: usize| {
        seed = noise(seed);
        seed as u64 as usize % below
    };
    for round in 0..8 {
        let start = number(count);
        let rows = match round {
            0 => 0..1,
            1 => count - 1..count,
            2 => 0..count.min(128),
            3 => start..start,
            4 => start..VECTOR_ROWS + 1,
            5 => start..start + 1,
            _ => start..start + 1 + number(count - start),
        };
        let mut vector = Vector::default();
        vector.words.fill(i64::MIN + 1);
        block.decode_part(index, rows.clone(), &mut vector).unwrap();
        assert_eq!(vector.rows, count);
        let value = |row: usize| match vector.words[row] {
            _ if !vector.is_valid(row) => Value::Null,
            word if kind.is_word() => Value::Word(word),
            offset => Value::Bytes(at(&vector.arena, offset as usize, kind.fixed_length())),
        };
        for row in rows.start..rows.end.min(count) {
            assert_eq!(value(row), expected[row], "{:?} {rows:?} {row}", block.encoding());
        }
        assert!((0..count).all(|row| vector.is_valid(row) == (expected[row] != Value::Null)));
        let mut codes = Vector::default();
        if block.codes(index, &mut codes).is_ok() {
            vector.words.fill(i64::MIN + 1);
            block.codes_part(index, rows.clone(), &mut vector).unwrap();
            let range = rows.start..rows.end.min(count);
            assert!(range.into_iter().all(|row| !vector.is_valid(row) || vector.words[row] == codes.words[row]));
        }
    }
}

fn words(count: i64, word: impl Fn(i64) -> i64) -> Vec<Value> {
    (0..count).map(|n| Value::Word(word(n))).collect()
}

fn doubles(count: i64, double: impl Fn(i64) -> f64) -> Vec<Value> {
    words(count, |n| double(n).to_bits() as i64)
}

fn texts(count: i64, text: impl Fn(i64) -> String) -> Vec<Value> {
    (0..count).map(|n| Value::Bytes(text(n).into_bytes())).collect()
}

/// A number that looks random.
fn noise(n: i64) -> i64 {
    let mut z = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as i64
}

/// Replaces some rows by null.
fn with_nulls(mut rows: Vec<Value>, is_null: impl Fn(i64) -> bool) -> Vec<Value> {
    rows.iter_mut().enumerate().filter(|(row, _)| is_null(*row as i64)).for_each(|(_, value)| *value = Value::Null);
    rows
}

#[test]
fn the_right_encoding_wins_and_is_small() {
    let n = BATCH_ROWS as i64;
    let time = |n: i64| 500_000_000_000_000 + n * 10_000_000;
    let check = |kind, rows: Vec<Value>, encoding, most: usize| {
        let (bytes, used) = round_trip(kind, &rows);
        assert_eq!(used, encoding, "{kind:?}");
        assert!(bytes <= most, "{kind:?} {encoding:?}: {bytes} bytes");
    };
    let text = Kind::Text;
    check(Kind::Int(8), vec![Value::Null; 8192], Encoding::Null, 2);
    check(Kind::Int(8), words(n, |_| 7), Encoding::Constant, 3);
    check(text, texts(n, |_| "host_17".into()), Encoding::Constant, 9);
    check(Kind::Int(8), words(n, time), Encoding::Sequence, 15);
    check(Kind::Int(8), words(n, |n| time(n) + (noise(n) & 0xfff)), Encoding::Integers, 8192 * 14 / 8);
    check(Kind::Int(8), words(n, |n| time(n * 10 + (noise(n) & 3))), Encoding::Integers, 8192 * 4 / 8);
    check(Kind::Int(4), words(n, |n| noise(n) & 0x3ff), Encoding::Integers, 8192 * 10 / 8 + 64);
    check(Kind::Int(4), words(n, |n| noise(n / 100) & 0x3ff), Encoding::Integers, 400);
    check(Kind::Int(8), words(n, |n| noise(noise(n) & 15)), Encoding::Dictionary, 8192 * 4 / 8 + 200);
    check(Kind::Bool, words(n, |n| noise(n) & 1), Encoding::Integers, 1024 + 48);
    check(Kind::Bool, words(n, |n| i64::from(n % 4000 > 2000)), Encoding::Integers, 80);
    check(Kind::Float8, doubles(n, |n| (noise(n) & 0x3ff) as f64 / 100.0), Encoding::Decimal, 8192 * 10 / 8 + 64);
    check(Kind::Float8, doubles(n, |n| (n * 2 + (noise(n) & 3)) as f64 / 10.0), Encoding::Decimal, 8192 * 4 / 8);
    check(Kind::Float8, doubles(n, |n| (noise(n) >> 11) as f64 / 3.0), Encoding::Split, 8192 * 58 / 8);
    check(Kind::Float8, doubles(n, |n| f64::from(((noise(n) & 0xffff) as f32) / 3.0)), Encoding::Split, 8192 * 30 / 8);
    check(Kind::Float8, doubles(n, |n| (noise(noise(n) & 15) as f64).sqrt()), Encoding::Dictionary, 8192 * 4 / 8 + 200);
    let single = |float: f32| i64::from(float.to_bits() as i32);
    check(Kind::Float4, words(n, |n| single((noise(n) & 0x3ff) as f32 / 100.0)), Encoding::Decimal, 8192 * 10 / 8 + 64);
    check(text, texts(n, |n| format!("state {}", noise(n) & 7)), Encoding::Dictionary, 8192 * 3 / 8 + 150);
    check(text, texts(n, |n| format!("https://example.com/page/{}/{}", n / 10, noise(n))), Encoding::Strings, 8192 * 30);
    let uuid = |n: i64, version: u128| {
        ((1_700_000_000_000 + n as u128) << 80 | version << 76 | noise(n) as u128 & 0xffff_ffff_ffff_ffff).to_be_bytes()
    };
    check(Kind::Uuid, (0..n).map(|n| Value::Bytes(uuid(n, 7).into())).collect(), Encoding::TimeUuid, 8192 * 10 + 100);
    check(
        Kind::Uuid,
        (0..n).map(|n| Value::Bytes(uuid(noise(n) >> 20 & 0xfff_ffff, 4).into())).collect(),
        Encoding::Strings,
        8192 * 16 + 60,
    );
    check(Kind::Uuid, (0..n).map(|n| Value::Bytes(uuid(noise(n) & 7, 4).into())).collect(), Encoding::Dictionary, 8192 * 3 / 8 + 200);
    check(Kind::Numeric, (0..n).map(|n| Value::Bytes(numeric(noise(n) & 0x3ff, 2))).collect(), Encoding::Numeric, 8192 * 10 / 8 + 64);
    check(Kind::Fixed(6), (0..n).map(|n| Value::Bytes(noise(n).to_le_bytes()[..6].into())).collect(), Encoding::Strings, 8192 * 6 + 60);
}

#[test]
fn a_walk_in_small_steps_takes_little_more_than_its_entropy() {
    let mut value = 50.0_f64;
    let mut walk = Vec::new();
    for n in 0..4320 {
        value = (value + (f64::from(noise(n).count_ones()) - 32.0) / 4.0).clamp(0.0, 100.0);
        walk.push(Value::Word(value.trunc().to_bits() as i64));
    }
    let (bytes, encoding) = round_trip(Kind::Float8, &walk);
    assert_eq!(encoding, Encoding::Decimal);
    assert!(bytes * 8 < 4320 * 24 / 10, "{} bits a value", bytes as f64 * 8.0 / 4320.0);
}

#[test]
fn constants_hold_for_any_number_of_rows() {
    let mut vector = Vector::default();
    let word = encode_constant_words(Kind::Int(8), -7);
    let bytes = encode_constant_bytes(Kind::Text, b"default");
    for rows in [1, 20, 1024, 1025, 8192] {
        let block = Block::parse(&word, Kind::Int(8), rows).unwrap();
        let strings = Block::parse(&bytes, Kind::Text, rows).unwrap();
        for index in 0..rows.div_ceil(VECTOR_ROWS) {
            block.decode(index, &mut vector).unwrap();
            assert!(vector.all_valid && vector.words[..vector.rows].iter().all(|&word| word == -7));
            strings.decode(index, &mut vector).unwrap();
            assert!(values(Kind::Text, &vector).iter().all(|value| value == &Value::Bytes(b"default".into())));
        }
    }
    assert!(Block::parse(&encode_constant_bytes(Kind::Uuid, b"short"), Kind::Uuid, 1).is_err());
}

#[test]
fn floats_come_back_bit_for_bit() {
    let odd = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, f64::MAX, 0.1, 1e300, -1.5];
    let mut bits: Vec<i64> = odd.iter().map(|float| float.to_bits() as i64).collect();
    bits.extend([0x7ff0_0000_0000_0001, -1, 0x7ff8_dead_beef_0000]);
    for period in [1, 3, 50] {
        let mixed = |n: i64| if n % period == 0 { bits[(n / period) as usize % bits.len()] } else { (n as f64 / 10.0).to_bits() as i64 };
        round_trip(Kind::Float8, &words(3000, mixed));
        let single =
            |n: i64| if n % period == 0 { (f64::from_bits(mixed(n) as u64) as f32).to_bits() } else { (n as f32 / 10.0).to_bits() };
        round_trip(Kind::Float4, &words(3000, |n| i64::from(single(n) as i32)));
    }
    round_trip(Kind::Float4, &words(3000, |n| noise(n) as i32 as i64));
    round_trip(Kind::Float8, &words(3000, noise));
}

#[test]
fn every_number_of_rows_comes_back() {
    for rows in [0, 1, 2, 3, 63, 64, 65, 1023, 1024, 1025, 2048, 8191, 8192] {
        for null in [|_| false, |n| n % 7 == 3, |n| n / 1024 == 1, |n| noise(n) & 1 == 0, |n| n > 0] {
            round_trip(Kind::Int(8), &with_nulls(words(rows, |n| n * n), null));
            round_trip(Kind::Int(8), &with_nulls(words(rows, |n| n * 10), null));
            round_trip(Kind::Int(2), &with_nulls(words(rows, |_| 5), null));
            round_trip(Kind::Bool, &with_nulls(words(rows, |n| noise(n) & 1), null));
            round_trip(Kind::Float8, &with_nulls(doubles(rows, |n| (noise(n) & 255) as f64 / 10.0), null));
            round_trip(Kind::Float8, &with_nulls(doubles(rows, |n| (n as f64).sqrt()), null));
            round_trip(Kind::Text, &with_nulls(texts(rows, |n| "x".repeat((noise(n) & 7) as usize)), null));
            round_trip(Kind::Text, &with_nulls(texts(rows, |n| format!("{}", noise(n))), null));
            round_trip(Kind::Text, &with_nulls(texts(rows, |_| "same".into()), null));
            round_trip(Kind::Fixed(8), &with_nulls((0..rows).map(|n| Value::Bytes(noise(n).to_le_bytes().into())).collect(), null));
            round_trip(Kind::Fixed(0), &with_nulls((0..rows).map(|_| Value::Bytes(Vec::new())).collect(), null));
            round_trip(Kind::Numeric, &with_nulls((0..rows).map(|n| Value::Bytes(numeric(noise(n) >> 40, 3))).collect(), null));
        }
    }
}

/// Values of a kind, of different sorts.
fn some_values(kind: Kind) -> BoxedStrategy<Value> {
    let single = |word: i64| i64::from(word as i32);
    match kind {
        Kind::Bool => (0..2_i64).prop_map(Value::Word).boxed(),
        Kind::Float4 => {
            prop_oneof![any::<i32>().prop_map(i64::from), any::<i16>().prop_map(move |n| single((f32::from(n) / 10.0).to_bits().into()))]
                .prop_map(Value::Word)
                .boxed()
        }
        Kind::Float8 => prop_oneof![1 => any::<i64>(), 8 => any::<i16>().prop_map(|n| (f64::from(n) / 100.0).to_bits() as i64)]
            .prop_map(Value::Word)
            .boxed(),
        Kind::Int(length) => {
            prop_oneof![any::<i64>().prop_map(move |n| n >> (64 - 8 * u32::from(length))), -5..5_i64].prop_map(Value::Word).boxed()
        }
        Kind::Uuid => any::<[u8; 16]>()
            .prop_map(|mut bytes| {
                bytes[6] |= 0x70;
                bytes[6] &= if bytes[0] > 2 { 0x7f } else { 0xff };
                Value::Bytes(bytes.into())
            })
            .boxed(),
        Kind::Fixed(length) => prop::collection::vec(0..4_u8, usize::from(length)).prop_map(Value::Bytes).boxed(),
        Kind::Numeric => prop_oneof![
            20 => any::<i32>().prop_map(|n| numeric(n.into(), 2)), 1 => (any::<i64>(), 0..19_u32).prop_map(|(n, scale)| numeric(n, scale)),
            1 => prop::collection::vec(any::<u8>(), 0..20)]
        .prop_map(Value::Bytes)
        .boxed(),
        Kind::Text | Kind::Bytes => {
            prop_oneof!["[a-c]{0,3}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)].prop_map(Value::Bytes).boxed()
        }
    }
}

fn some_rows() -> impl Strategy<Value = (Kind, Vec<Value>)> {
    let kinds = [
        Kind::Bool,
        Kind::Int(1),
        Kind::Int(2),
        Kind::Int(4),
        Kind::Int(8),
        Kind::Float4,
        Kind::Float8,
        Kind::Uuid,
        Kind::Fixed(3),
        Kind::Numeric,
        Kind::Text,
        Kind::Bytes,
    ];
    prop::sample::select(kinds.to_vec()).prop_flat_map(|kind| {
        let null = prop_oneof![Just(0), Just(1), Just(20)];
        let distinct = prop_oneof![Just(1_usize), 2..10_usize, Just(5000)];
        (prop_oneof![0..40_usize, 1000..1100_usize, 2000..2500_usize], null, distinct, 1..20_usize).prop_flat_map(
            move |(rows, null, distinct, run)| {
                let values = prop::collection::vec(some_values(kind), 1..=distinct.min(rows.max(1)));
                (values, any::<u32>()).prop_map(move |(values, seed)| {
                    let value = |row: usize| match noise((row + seed as usize) as i64) as usize {
                        random if random % 32 < null => Value::Null,
                        _ => values[noise((row / run) as i64) as usize % values.len()].clone(),
                    };
                    (kind, (0..rows).map(value).collect())
                })
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn anything_comes_back((kind, rows) in some_rows()) {
        round_trip(kind, &rows);
    }

    #[test]
    fn hostile_bytes_are_an_error_at_worst((kind, rows) in some_rows(), changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in any::<u16>()) {
        let mut bytes = Vec::new();
        encode(kind, &column(&rows), &mut bytes);
        for (at, byte) in changes {
            // Most of what matters is in front.
            let at = if byte % 2 == 0 { at % bytes.len() } else { at % bytes.len().min(40) };
            bytes[at] ^= byte;
        }
        bytes.truncate(bytes.len().max(1) - usize::from(cut) % (bytes.len() / 8 + 1));
        try_all(&bytes, kind, rows.len());
    }

    #[test]
    fn random_bytes_are_an_error_at_worst(tag in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0..3000_usize) {
        let bytes = [&[VERSION, tag], bytes.as_slice()].concat();
        for kind in [Kind::Int(8), Kind::Float8, Kind::Float4, Kind::Text, Kind::Uuid, Kind::Numeric, Kind::Fixed(3)] {
            try_all(&bytes, kind, rows);
        }
    }
}

/// Does all that can be done with bytes.
fn try_all(bytes: &[u8], kind: Kind, rows: usize) {
    let Ok(block) = Block::parse(bytes, kind, rows) else { return };
    let mut vector = Vector::default();
    _ = block.dictionary(&mut Dictionary::default());
    for index in 0..rows.div_ceil(VECTOR_ROWS) + 1 {
        if block.decode(index, &mut vector).is_ok() {
            values(kind, &vector);
        }
        _ = block.codes(index, &mut vector);
        for rows in [0..1, 100..130, 511..513, 700..VECTOR_ROWS, 5..usize::MAX, 9..9] {
            if block.decode_part(index, rows.clone(), &mut vector).is_ok() && !kind.is_word() {
                let valid = (rows.start..rows.end.min(vector.rows)).filter(|row| vector.is_valid(*row));
                valid.for_each(|row| _ = at(&vector.arena, vector.words[row] as usize, kind.fixed_length()));
            }
            _ = block.codes_part(index, rows, &mut vector);
        }
    }
}

#[test]
fn each_byte_may_be_wrong() {
    let n = 1500;
    let columns = [
        (Kind::Int(8), with_nulls(words(n, |n| n * 1000 + noise(n) % 50), |n| n % 9 == 0)),
        (Kind::Float8, doubles(n, |n| (noise(n) % 100) as f64 / 10.0)),
        (Kind::Float8, doubles(n, |n| f64::from((noise(n) % 8).count_ones()))),
        (Kind::Float8, doubles(n, |n| (n as f64).sin())),
        (Kind::Text, texts(n, |n| format!("state {}", noise(n) & 7))),
        (Kind::Text, texts(n, |n| format!("some text and {n}"))),
        (Kind::Numeric, (0..n).map(|n| Value::Bytes(numeric(noise(n) & 0x3ff, 2))).collect()),
    ];
    for (kind, rows) in columns {
        let mut bytes = Vec::new();
        encode(kind, &column(&rows), &mut bytes);
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(150)).chain(0..40) {
            for change in [1, 0x80, 0xff] {
                bytes[at] ^= change;
                try_all(&bytes, kind, rows.len());
                bytes[at] ^= change;
            }
            try_all(&bytes[..at], kind, rows.len());
        }
        for rows in [0, 1, 1024, 8192, 8193, usize::MAX] {
            if rows < usize::MAX {
                try_all(&bytes, kind, rows);
            }
            assert_eq!(rows > BATCH_ROWS, Block::parse(&bytes, kind, rows).err() == Some(Corrupt("too many rows")));
        }
    }
}
