//! Numbers as bytes: little-endian base-128 integers, and a cursor that never reads past the end.

use crate::Corrupt;

/// Appends an unsigned integer, seven bits a byte, lowest first; the top bit says that more follow.
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer: small magnitudes take few bytes.
pub(crate) fn put_signed(value: i64, out: &mut Vec<u8>) {
    put_varint(zigzag(value), out);
}

/// Bytes that [`put_varint`] appends.
pub(crate) fn varint_len(value: u64) -> usize {
    (bit_width(value).max(1) as usize).div_ceil(7)
}

/// Bytes that [`put_signed`] appends.
pub(crate) fn signed_len(value: i64) -> usize {
    varint_len(zigzag(value))
}

/// 0, -1, 1, -2 ... as 0, 1, 2, 3 ...
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bits of a number without leading zeros.
#[inline]
pub(crate) fn bit_width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (head, tail) = self.bytes.split_at_checked(length).ok_or(Corrupt("too short"))?;
        self.bytes = tail;
        Ok(head)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take(1)?[0])
    }

    /// What [`put_varint`] wrote.
    pub(crate) fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("number too long"))
    }

    /// What [`put_signed`] wrote.
    pub(crate) fn signed(&mut self) -> Result<i64, Corrupt> {
        Ok(unzigzag(self.varint()?))
    }

    /// A number that is at most `limit`.
    pub(crate) fn at_most(&mut self, limit: usize) -> Result<usize, Corrupt> {
        match self.varint()? {
            value if value <= limit as u64 => Ok(value as usize),
            _ => Err(Corrupt("number too large")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut bytes = Vec::new();
        let numbers = [0, 1, -1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN];
        for number in numbers {
            let before = bytes.len();
            put_signed(number, &mut bytes);
            assert_eq!(bytes.len() - before, signed_len(number), "{number}");
        }
        let mut reader = Reader::new(&bytes);
        for number in numbers {
            assert_eq!(reader.signed(), Ok(number));
        }
        assert!(reader.byte().is_err());
        assert!(Reader::new(&[0x80; 20]).varint().is_err());
    }
}
