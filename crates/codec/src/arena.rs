//! Byte strings as they leave the codec: aligned to eight bytes, behind their length word if they have one.

use crate::Corrupt;

/// Bytes that the strings of a vector, or of a dictionary, may have together.
pub(crate) const MAX_BYTES: usize = (1 << 30) - 8;

/// Appends a byte string; returns its offset in bytes.
pub(crate) fn push(arena: &mut Vec<u64>, bytes: &[u8], with_length: bool) -> i64 {
    push_part(arena, bytes, 0, bytes.len(), with_length)
}

/// Appends strings that lie one after the other in `data` and fill it; calls `place` with the offset of each.
pub(crate) fn push_all(
    arena: &mut Vec<u64>,
    data: &[u8],
    lengths: &[i64],
    with_length: bool,
    mut place: impl FnMut(usize, i64),
) -> Result<(), Corrupt> {
    check_lengths(lengths, data.len())?;
    arena.reserve(data.len() / 8 + lengths.len() * 2);
    let mut start = 0;
    for (at, &length) in lengths.iter().enumerate() {
        let length = length as usize;
        place(at, push_part(arena, data, start, length, with_length));
        start += length;
    }
    Ok(())
}

/// The sum of lengths, if none is negative and it does not go beyond what is allowed.
pub(crate) fn total(lengths: &[i64]) -> Result<usize, Corrupt> {
    let mut total = 0;
    for &length in lengths {
        match usize::try_from(length) {
            Ok(length) if length <= MAX_BYTES - total => total += length,
            _ => return Err(Corrupt("length of a value")),
        }
    }
    Ok(total)
}

fn check_lengths(lengths: &[i64], bytes: usize) -> Result<(), Corrupt> {
    if total(lengths)? == bytes { Ok(()) } else { Err(Corrupt("lengths of values")) }
}

/// Appends `data[start..start + length]`; faster if more bytes follow.
#[inline]
pub(crate) fn push_part(arena: &mut Vec<u64>, data: &[u8], start: usize, length: usize, with_length: bool) -> i64 {
    let offset = arena.len() * 8;
    let (mut at, end) = (start, start + length);
    if with_length {
        let header = u32::from_le_bytes((((length + 4) << 2) as u32).to_ne_bytes());
        let first = load(data, at, length.min(4));
        arena.push((u64::from(header) | first << 32).to_le());
        at += 4;
    }
    while at + 8 <= end {
        arena.push(load(data, at, 8).to_le());
        at += 8;
    }
    if at < end {
        arena.push(load(data, at, end - at).to_le());
    }
    offset as i64
}

/// `count` bytes (at most eight) from `start` on, the first lowest.
#[inline]
fn load(data: &[u8], start: usize, count: usize) -> u64 {
    let mask = u64::MAX.checked_shr(64 - 8 * count as u32).unwrap_or(0);
    if let Some(bytes) = data.get(start..).and_then(|rest| rest.first_chunk()) {
        return u64::from_le_bytes(*bytes) & mask;
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(data.get(start..start + count).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_le_bytes(last)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The byte string at an offset.
    pub(crate) fn at(arena: &[u64], offset: usize, fixed: Option<usize>) -> Vec<u8> {
        assert_eq!(offset % 8, 0);
        let bytes = |length: usize| -> Vec<u8> {
            arena[offset / 8..][..length.div_ceil(8)].iter().flat_map(|word| word.to_ne_bytes()).take(length).collect()
        };
        match fixed {
            Some(length) => bytes(length),
            None => {
                let header = u32::from_ne_bytes(bytes(4).try_into().unwrap());
                assert_eq!(header & 3, 0);
                bytes((header >> 2) as usize).split_off(4)
            }
        }
    }

    #[test]
    fn strings_stand_as_they_should() {
        let strings: Vec<Vec<u8>> = (0..40).map(|length| (1..=length).collect()).collect();
        let data = strings.concat();
        let lengths: Vec<i64> = strings.iter().map(|string| string.len() as i64).collect();
        for with_length in [true, false] {
            let (mut arena, mut offsets) = (Vec::new(), Vec::new());
            push_all(&mut arena, &data, &lengths, with_length, |_, offset| offsets.push(offset as usize)).unwrap();
            for (string, offset) in strings.iter().zip(&offsets) {
                assert_eq!(&at(&arena, *offset, (!with_length).then_some(string.len())), string);
                let mut alone = Vec::new();
                assert_eq!(push(&mut alone, string, with_length), 0);
                assert_eq!(arena[offset / 8..][..alone.len()], alone);
            }
        }
        let mut arena = Vec::new();
        for lengths in [&[5, -1][..], &[3], &[5], &[i64::MAX, i64::MAX, 6]] {
            assert!(push_all(&mut arena, &[0; 4], lengths, true, |_, _| ()).is_err());
        }
    }
}
