//! The layout of a version 7 UUID (RFC 9562, section 5.7, with method 3 of section 6.2): 48 bits of Unix milliseconds, the
//! version, 12 bits that hold the fraction of a millisecond, the variant, and 62 random bits.

use crate::span::{UNIX_EPOCH_SHIFT, check_timestamp, is_infinite};
use crate::{Error, Result};

/// A UUID in its 16 bytes.
pub type Bytes = [u8; 16];

/// Nanoseconds in a millisecond.
const NANOS_PER_MILLI: i128 = 1_000_000;
/// The first millisecond that 48 bits do not hold.
const END_MILLIS: i128 = 1 << 48;
/// The smallest step of time that changes the fraction, in nanoseconds.
pub const STEP_NANOS: i64 = 245;

/// The UUID of an instant in Unix nanoseconds; of `random`, the bits are taken that the layout leaves free.
pub fn from_unix_nanos(nanos: i128, random: [u8; 8]) -> Result<Bytes> {
    let millis = nanos.div_euclid(NANOS_PER_MILLI);
    if !(0..END_MILLIS).contains(&millis) {
        return Err(Error::OutOfRange);
    }
    let fraction = (nanos.rem_euclid(NANOS_PER_MILLI) << 12) / NANOS_PER_MILLI;
    let high = (millis as u64) << 16 | 0x7000 | fraction as u64;
    let low = u64::from_be_bytes(random) >> 2 | 1 << 63;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    Ok(bytes)
}

/// The UUID of a timestamp.
pub fn from_timestamp(ts: i64, random: [u8; 8]) -> Result<Bytes> {
    if is_infinite(ts) {
        return Err(Error::OutOfRange);
    }
    from_unix_nanos((i128::from(ts) + i128::from(UNIX_EPOCH_SHIFT)) * 1000, random)
}

/// The version, whatever the variant.
pub fn version(uuid: &Bytes) -> i32 {
    i32::from(uuid[6] >> 4)
}

/// The timestamp of a version 7 UUID in whole milliseconds, None for any other UUID.
pub fn timestamp_millis(uuid: &Bytes) -> Option<i64> {
    if version(uuid) != 7 || uuid[8] >> 6 != 0b10 {
        return None;
    }
    let millis = uuid[..6].iter().fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
    check_timestamp(millis * 1000 - UNIX_EPOCH_SHIFT).ok()
}

/// The timestamp of a version 7 UUID with its microseconds, None for any other UUID.
///
/// The fraction is rounded, since writing it rounds down, but never into the next millisecond.
pub fn timestamp_micros(uuid: &Bytes) -> Option<i64> {
    let millis = timestamp_millis(uuid)?;
    let fraction = i64::from(uuid[6] & 0x0F) << 8 | i64::from(uuid[7]);
    Some(millis + ((fraction * 1000 + 2048) >> 12).min(999))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bytes, from_timestamp, from_unix_nanos, timestamp_micros, timestamp_millis, version};
    use crate::span::UNIX_EPOCH_SHIFT;

    #[test]
    fn test_from_unix_nanos_rfc_example() {
        // RFC 9562, A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F is 2022-02-22 19:22:22.000 UTC.
        let rfc: Bytes = 0x017F_22E2_79B0_7CC3_98C4_DC0C_0C07_398F_u128.to_be_bytes();
        assert_eq!(version(&rfc), 7);
        assert_eq!(timestamp_millis(&rfc), Some(1_645_557_742_000_000 - UNIX_EPOCH_SHIFT));
        let made = from_unix_nanos(1_645_557_742_000_000_000, [0; 8]).map(u128::from_be_bytes);
        assert_eq!(made, Ok(0x017F_22E2_79B0_7000_8000_0000_0000_0000));
    }

    #[test]
    fn test_fraction_of_every_microsecond_round_trips() {
        for micros in 0..1000 {
            let uuid = from_timestamp(micros, [0xFF; 8]).map(|uuid| timestamp_micros(&uuid));
            assert_eq!(uuid, Ok(Some(micros)));
        }
    }

    #[test]
    fn test_range() {
        assert!(from_timestamp(-UNIX_EPOCH_SHIFT, [0; 8]).is_ok());
        assert!(from_timestamp(-UNIX_EPOCH_SHIFT - 1, [0; 8]).is_err());
        assert!(from_timestamp((1 << 48) * 1000 - UNIX_EPOCH_SHIFT - 1, [0; 8]).is_ok());
        assert!(from_timestamp((1 << 48) * 1000 - UNIX_EPOCH_SHIFT, [0; 8]).is_err());
        assert!(from_timestamp(i64::MAX, [0; 8]).is_err());
        assert!(from_timestamp(i64::MIN, [0; 8]).is_err());
    }

    #[test]
    fn test_other_uuids_have_no_timestamp() {
        assert_eq!(timestamp_millis(&[0; 16]), None);
        assert_eq!(timestamp_millis(&[0xFF; 16]), None);
        // Version 7, but not of the variant of the RFC.
        assert_eq!(timestamp_micros(&[0x77; 16]), None);
    }

    proptest! {
        #[test]
        fn test_timestamp_round_trips_and_orders(a in 0..(1_i64 << 48) * 1000, b in 0..(1_i64 << 48) * 1000, random in any::<[u8; 8]>()) {
            let (a, b) = (a - UNIX_EPOCH_SHIFT, b - UNIX_EPOCH_SHIFT);
            let made = from_timestamp(a, random).expect("in range");
            prop_assert_eq!(timestamp_micros(&made), Some(a));
            prop_assert_eq!(timestamp_millis(&made), Some(a.div_euclid(1000) * 1000));
            let boundary = from_timestamp(b, [0; 8]).expect("in range");
            prop_assert_eq!(made >= boundary, a >= b);
        }
    }
}
