//! Bits per value, and millions of values per second on one core, of the codec on columns of several sorts, beside what LZ4, zstd and
//! pco need for the same batches. `codec-bench [part of a name]`.

mod data;

use data::Sample;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tsc_codec::{Block, Column, Corrupt, Kind, VECTOR_ROWS, Vector, encode};

fn main() -> Result<(), Corrupt> {
    let part = std::env::args().nth(1).unwrap_or_default();
    println!(
        "{:34} {:>18} {:>7} {:>8} {:>8} | {:>6} {:>7} {:>7} {:>7}",
        "bits a value, million values a s", "encoding", "bits", "encode", "decode", "raw", "lz4", "zstd -3", "pco"
    );
    for sample in data::samples().iter().filter(|sample| sample.name.contains(&part)) {
        measure(sample)?;
    }
    Ok(())
}

fn measure(sample: &Sample) -> Result<(), Corrupt> {
    let kind = sample.kind;
    let values: usize = sample.batches.iter().map(|column| column.rows).sum();
    let mut bytes = Vec::new();
    let encode_time = fastest(|| {
        for column in &sample.batches {
            bytes.clear();
            encode(kind, black_box(column), &mut bytes);
        }
    });
    let blocks: Vec<Vec<u8>> = sample
        .batches
        .iter()
        .map(|column| {
            let mut bytes = Vec::new();
            encode(kind, column, &mut bytes);
            bytes
        })
        .collect();
    let mut vector = Vector::default();
    let mut result = Ok(());
    let decode_time = fastest(|| {
        for (bytes, column) in blocks.iter().zip(&sample.batches) {
            result = decode(bytes, kind, column.rows, &mut vector);
        }
    });
    result?;
    let block = Block::parse(&blocks[0], kind, sample.batches[0].rows)?;
    let bits = |bytes: usize| bytes as f64 * 8.0 / values as f64;
    let raw: Vec<Vec<u8>> = sample.batches.iter().map(|column| raw_bytes(kind, column)).collect();
    let others = [raw.iter().map(Vec::len).sum::<usize>(), lz4(&raw), zstd(&raw), pco(sample)];
    let speed = |time: Duration| values as f64 / time.as_secs_f64() / 1e6;
    println!(
        "{:34} {:>18} {:7.2} {:8.0} {:8.0} | {:6.1} {:7.2} {:7.2} {:7.2}",
        sample.name,
        format!("{}{}", block.encoding().name(), if block.is_entropy_coded() { "+huffman" } else { "" }),
        bits(blocks.iter().map(Vec::len).sum()),
        speed(encode_time),
        speed(decode_time),
        bits(others[0]),
        bits(others[1]),
        bits(others[2]),
        bits(others[3]),
    );
    Ok(())
}

fn decode(bytes: &[u8], kind: Kind, rows: usize, vector: &mut Vector) -> Result<(), Corrupt> {
    let block = Block::parse(bytes, kind, rows)?;
    for index in 0..rows.div_ceil(VECTOR_ROWS) {
        block.decode(index, black_box(vector))?;
        black_box(&vector);
    }
    Ok(())
}

/// The least time of many.
fn fastest(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < Duration::from_millis(250) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}

/// The values as PostgreSQL holds them, without padding.
fn raw_bytes(kind: Kind, column: &Column) -> Vec<u8> {
    let width = match kind {
        Kind::Bool => 1,
        Kind::Int(width) => width.into(),
        Kind::Float4 => 4,
        _ => 8,
    };
    if kind.is_word() { column.words.iter().flat_map(|word| word.to_le_bytes()[..width].to_vec()).collect() } else { column.data.clone() }
}

fn lz4(batches: &[Vec<u8>]) -> usize {
    batches.iter().map(|bytes| lz4_flex::block::compress(bytes).len()).sum()
}

fn zstd(batches: &[Vec<u8>]) -> usize {
    batches.iter().map(|bytes| zstd::bulk::compress(bytes, 3).map_or(0, |bytes| bytes.len())).sum()
}

fn pco(sample: &Sample) -> usize {
    let config = pco::ChunkConfig::default();
    let compress = |column: &Column| match sample.kind {
        Kind::Int(_) => pco::standalone::simple_compress(&column.words, &config).map_or(0, |bytes| bytes.len()),
        Kind::Float8 => {
            let floats: Vec<f64> = column.words.iter().map(|word| f64::from_bits(*word as u64)).collect();
            pco::standalone::simple_compress(&floats, &config).map_or(0, |bytes| bytes.len())
        }
        Kind::Float4 => {
            let floats: Vec<f32> = column.words.iter().map(|word| f32::from_bits(*word as u32)).collect();
            pco::standalone::simple_compress(&floats, &config).map_or(0, |bytes| bytes.len())
        }
        _ => 0,
    };
    sample.batches.iter().map(compress).sum()
}
