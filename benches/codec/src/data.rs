//! The columns that are measured: rows of one batch, made from a fixed seed.

use tsc_codec::{Column, Kind};

/// A column with a name.
pub struct Sample {
    /// What it is like.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// The batches.
    pub batches: Vec<Column>,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn normal(&mut self) -> f64 {
        let bits = f64::from(self.next().count_ones()) - 32.0;
        (bits + self.uniform() - 0.5) / 4.010_402_888_756_67
    }
}

const BATCHES: u64 = 8;

fn words(name: &'static str, kind: Kind, rows: usize, mut make: impl FnMut(&mut Random, i64, &mut f64) -> i64) -> Sample {
    let batches = (0..BATCHES).map(|batch| {
        let mut random = Random(batch);
        let mut state = random.uniform() * 100.0;
        let mut column = Column::default();
        (0..rows as i64).for_each(|row| column.push_word(make(&mut random, row, &mut state)));
        column
    });
    Sample { name, kind, batches: batches.collect() }
}

fn doubles(name: &'static str, rows: usize, mut make: impl FnMut(&mut Random, i64, &mut f64) -> f64) -> Sample {
    words(name, Kind::Float8, rows, |random, row, state| make(random, row, state).to_bits() as i64)
}

fn strings(name: &'static str, kind: Kind, rows: usize, mut make: impl FnMut(&mut Random, u64) -> Vec<u8>) -> Sample {
    let batches = (0..BATCHES).map(|batch| {
        let mut random = Random(batch);
        let mut column = Column::default();
        (0..rows as u64).for_each(|row| column.push_bytes(&make(&mut random, row)));
        column
    });
    Sample { name, kind, batches: batches.collect() }
}

/// PostgreSQL's bytes of a number with two decimals.
fn numeric(number: u64) -> Vec<u8> {
    let (mut digits, mut weight) = (vec![(number / 100) as u16, (number % 100 * 100) as u16], 0_u16);
    if digits[0] == 0 {
        (digits, weight) = (vec![digits[1]], 0x7f);
    }
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let header = 0x8000 | 2 << 7 | if digits.is_empty() { 0 } else { weight };
    [&[header][..], &digits].concat().iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// All of them.
pub fn samples() -> Vec<Sample> {
    const CPU: usize = 4320;
    const ALL: usize = 8192;
    const START: i64 = 504_921_600_000_000;
    let states = ["running", "idle", "stopped", "error: overheated", "maintenance"];
    vec![
        doubles("cpu usage (walk of whole numbers)", CPU, |random, _, state| {
            *state = (*state + random.normal()).clamp(0.0, 100.0);
            state.trunc()
        }),
        words("time, regular", Kind::Int(8), CPU, |_, row, _| START + row * 10_000_000),
        words("time, 8 segments, regular", Kind::Int(8), ALL, |_, row, _| START + row % 1024 * 10_000_000),
        words("time, jitter of 50 ms in us", Kind::Int(8), ALL, |random, row, _| START + row * 10_000_000 + random.below(50_000) as i64),
        words("time, jitter in whole ms", Kind::Int(8), ALL, |random, row, _| START + row * 10_000_000 + random.below(50) as i64 * 1000),
        words("time, random gaps in s", Kind::Int(8), ALL, |random, _, state| {
            *state += random.below(30) as f64;
            START + *state as i64 * 1_000_000
        }),
        words("int4, uniform 10 bits", Kind::Int(4), ALL, |random, _, _| random.below(1000) as i64),
        words("int8, uniform 33 bits", Kind::Int(8), ALL, |random, _, _| random.below(1 << 33) as i64),
        words("counter", Kind::Int(8), ALL, |random, _, state| {
            *state += random.below(2000) as f64;
            *state as i64
        }),
        words("flags, runs of 100", Kind::Bool, ALL, |random, _, state| {
            *state = if random.below(100) == 0 { 1.0 - state.trunc().min(1.0) } else { state.trunc().min(1.0) };
            *state as i64
        }),
        words("flags, random", Kind::Bool, ALL, |random, _, _| random.below(2) as i64),
        words("int8, 50 wide values", Kind::Int(8), ALL, |random, _, _| Random(random.below(50)).next() as i64),
        doubles("sensor, 2 decimals, walk", ALL, |random, _, state| {
            *state += random.normal() / 10.0;
            (*state * 100.0).round() / 100.0
        }),
        doubles("sensor, 1 decimal, uniform", ALL, |random, _, _| random.below(500) as f64 / 10.0),
        doubles("sensor, 3 decimals, with NaN", ALL, |random, _, state| {
            *state += random.normal();
            if random.below(200) == 0 { f64::NAN } else { (*state * 1000.0).round() / 1000.0 }
        }),
        words("float4, 1 decimal, walk", Kind::Float4, ALL, |random, _, state| {
            *state += random.normal() / 10.0;
            i64::from((((*state * 10.0).round() / 10.0) as f32).to_bits() as i32)
        }),
        doubles("doubles, walk", ALL, |random, _, state| {
            *state += random.normal();
            *state
        }),
        doubles("doubles, uniform", ALL, |random, _, _| random.uniform()),
        doubles("doubles that were float4", ALL, |random, _, state| {
            *state += random.normal();
            f64::from(*state as f32)
        }),
        strings("text, 5 states", Kind::Text, ALL, |random, _| states[random.below(5) as usize].into()),
        strings("text, host names in runs", Kind::Text, ALL, |_, row| format!("host_{}", row / 20).into()),
        strings("text, urls", Kind::Text, ALL, |random, _| {
            format!("https://example.com/{}/item?id={}", states[random.below(5) as usize], random.below(100_000)).into()
        }),
        strings("json", Kind::Bytes, ALL, |random, row| {
            format!("{{\"device\": {}, \"ok\": {}, \"level\": {:.2}}}", row % 100, random.below(9) > 0, random.uniform() * 100.0).into()
        }),
        strings("uuid v7", Kind::Uuid, ALL, |random, row| {
            let time = 1_700_000_000_000 + u128::from(row * 15 + random.below(15));
            let rest = (u128::from(random.next()) << 64 | u128::from(random.next())) & 0x0fff_3fff_ffff_ffff_ffff;
            (time << 80 | 7 << 76 | 2 << 62 | rest).to_be_bytes().into()
        }),
        strings("numeric, 2 decimals", Kind::Numeric, ALL, |random, _| numeric(random.below(100_000))),
    ]
}
