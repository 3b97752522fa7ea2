//! Packing of integers of the same width, one after the other, lowest bit first.
//!
//! Sixty-four values of width `W` are `W` words, so the decoder has a kernel for each width in which every shift and mask is a
//! constant. The last group may be cut short: `count` values take exactly [`packed_len`] bytes.

use std::ops::Range;

use crate::{Corrupt, VECTOR_ROWS};

/// Values that a kernel unpacks at a time.
const GROUP: usize = 64;

/// Bytes that `count` values of `width` bits take.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` bits of each value's distance from `base`.
pub(crate) fn pack(values: &[i64], base: i64, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let Some(pack) = packer(width) else { return };
    let start = out.len();
    let group_len = GROUP / 8 * width as usize;
    out.resize(start + values.len().div_ceil(GROUP) * group_len, 0);
    let (groups, rest) = values.as_chunks::<GROUP>();
    let mut places = out[start..].chunks_exact_mut(group_len);
    groups.iter().zip(&mut places).for_each(|(group, place)| pack(group, base, place));
    if let Some(place) = places.next() {
        let mut last = [base; GROUP];
        last[..rest.len()].copy_from_slice(rest);
        pack(&last, base, place);
    }
    out.truncate(start + packed_len(values.len(), width));
}

/// Writes `base` plus each of `count` values to the front of `out`; what follows them, up to a multiple of 64, is overwritten too.
pub(crate) fn unpack(bytes: &[u8], count: usize, width: u32, base: i64, out: &mut [i64; VECTOR_ROWS]) -> Result<(), Corrupt> {
    unpack_part(bytes, count, 0..count, width, base, out)
}

/// As [`unpack`], but only those values of the `count` that are `wanted` are sure to be there.
pub(crate) fn unpack_part(
    bytes: &[u8],
    count: usize,
    wanted: Range<usize>,
    width: u32,
    base: i64,
    out: &mut [i64; VECTOR_ROWS],
) -> Result<(), Corrupt> {
    let groups = wanted.start / GROUP..wanted.end.min(count).div_ceil(GROUP);
    if width == 0 {
        out.get_mut(groups.start * GROUP..groups.end * GROUP).unwrap_or_default().fill(base);
        return Ok(());
    }
    let unpack = kernel(width).ok_or(Corrupt("width"))?;
    if count > VECTOR_ROWS || bytes.len() < packed_len(count, width) {
        return Err(Corrupt("too short"));
    }
    let group_len = GROUP / 8 * width as usize;
    let mut rest = bytes.get(groups.start * group_len..).unwrap_or_default();
    for group in out.as_chunks_mut::<GROUP>().0.iter_mut().take(groups.end).skip(groups.start) {
        if let Some((head, tail)) = rest.split_at_checked(group_len) {
            unpack(head, base, group);
            rest = tail;
        } else {
            let mut last = [0; GROUP * 8];
            last[..rest.len()].copy_from_slice(rest);
            unpack(&last[..group_len], base, group);
        }
    }
    Ok(())
}

type Kernel = fn(&[u8], i64, &mut [i64; GROUP]);
type Packer = fn(&[i64; GROUP], i64, &mut [u8]);

/// What is made for each width.
macro_rules! for_width {
    ($width:expr, $function:ident as $type:ty) => {
        for_width!($width, $function as $type: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64)
    };
    ($width:expr, $function:ident as $type:ty: $($of:literal)*) => {
        match $width {
            $($of => Some($function::<$of> as $type),)*
            _ => None,
        }
    };
}

fn kernel(width: u32) -> Option<Kernel> {
    for_width!(width, unpack_group as Kernel)
}

fn packer(width: u32) -> Option<Packer> {
    for_width!(width, pack_group as Packer)
}

/// Packs into `W` words of eight bytes.
fn pack_group<const W: usize>(values: &[i64; GROUP], base: i64, out: &mut [u8]) {
    let mut words = [0; W];
    macro_rules! unroll {
        ($($at:literal)*) => { $( insert::<W, $at>(values[$at].wrapping_sub(base) as u64, &mut words); )* };
    }
    unroll!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    for (word, bytes) in words.iter().zip(out.as_chunks_mut::<8>().0) {
        *bytes = word.to_le_bytes();
    }
}

/// Puts value `AT` into its place in a group.
#[inline(always)]
fn insert<const W: usize, const AT: usize>(value: u64, words: &mut [u64; W]) {
    let value = value & (u64::MAX >> (64 - W));
    let (word, shift) = (AT * W / 64, AT * W % 64);
    words[word] |= value << shift;
    if shift + W > 64 {
        words[word + 1] |= value >> (64 - shift);
    }
}

/// Unpacks `W` words of eight bytes.
fn unpack_group<const W: usize>(bytes: &[u8], base: i64, out: &mut [i64; GROUP]) {
    let mut words = [0; W];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    macro_rules! unroll {
        ($($at:literal)*) => { $( out[$at] = base.wrapping_add(extract::<W, $at>(&words)); )* };
    }
    unroll!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
}

/// Value `AT` of a group.
#[inline(always)]
fn extract<const W: usize, const AT: usize>(words: &[u64; W]) -> i64 {
    let (word, shift) = (AT * W / 64, AT * W % 64);
    let mut value = words[word] >> shift;
    if shift + W > 64 {
        value |= words[word + 1] << (64 - shift);
    }
    (value & (u64::MAX >> (64 - W))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_comes_back() {
        let mut out = [0; VECTOR_ROWS];
        for width in 0..=64 {
            for count in [0, 1, 2, 63, 64, 65, 1000, 1023, 1024] {
                let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
                let values: Vec<i64> = (0..count as u64)
                    .map(|n| ((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask) as i64)
                    .map(|n| n.wrapping_sub(5))
                    .collect();
                let mut bytes = Vec::new();
                pack(&values, -5, width, &mut bytes);
                assert_eq!(bytes.len(), packed_len(count, width));
                unpack(&bytes, count, width, -5, &mut out).unwrap();
                assert_eq!(out[..count], values, "{width} {count}");
                if count > 0 && width > 0 {
                    assert!(unpack(&bytes[1..], count, width, -5, &mut out).is_err());
                }
            }
        }
        assert!(unpack(&[0; 9000], 1024, 65, 0, &mut out).is_err());
    }
}
