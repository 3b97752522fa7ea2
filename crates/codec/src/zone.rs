//! The zone map of a batch: what is known of each column without decoding it.
//!
//! The only user of `bincode`, so that it can be replaced: the bytes are a version followed by bincode's standard encoding.

use crate::Corrupt;
use serde::{Deserialize, Serialize};

/// The version of the bytes, the first of them.
const VERSION: u8 = 1;
/// Bytes that a zone map may claim while it is decoded.
const LIMIT: usize = 64 << 20;

/// What is known of the columns of a batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ZoneMap {
    /// By position of the column.
    pub columns: Vec<ColumnZone>,
}

/// What is known of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnZone {
    /// Rows that are null.
    pub nulls: u32,
    /// The least and the greatest value; none if there is no value, no order or they are too long.
    pub range: Option<(ZoneValue, ZoneValue)>,
    /// The sum of the values, if they can be added without loss (or are floats).
    pub sum: Option<ZoneSum>,
    /// A filter of the values' hashes: see [`crate::bloom`].
    #[serde(with = "optional_bytes")]
    pub bloom: Option<Vec<u8>>,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneValue {
    /// Of a word kind: the word.
    Word(i64),
    /// Of a byte kind: the bytes.
    Bytes(#[serde(with = "bytes")] Vec<u8>),
}

/// The sum of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum ZoneSum {
    /// Of integers, exact.
    Int(i128),
    /// Of floats, added in the order of the rows.
    Float(f64),
}

impl ZoneMap {
    /// The zone map as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Writing to memory does not fail; if it did, what is there would not be decoded, and readers look at the batch itself.
        if bincode::serde::encode_into_std_write(self, &mut bytes, bincode::config::standard()).is_err() {
            bytes.truncate(1);
        }
        bytes
    }

    /// The zone map of these bytes, all of which must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(Corrupt("unknown version of a zone map")) };
        let config = bincode::config::standard().with_limit::<LIMIT>();
        match bincode::serde::decode_from_slice(rest, config) {
            Ok((map, read)) if read == rest.len() => Ok(map),
            _ => Err(Corrupt("zone map")),
        }
    }
}

/// Byte strings as a whole, where serde would go through them byte by byte.
mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }

    pub(super) struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}

/// The same for a byte string that may be missing.
mod optional_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "super::bytes")] Vec<u8>);

    #[derive(Serialize)]
    struct Part<'a>(#[serde(with = "super::bytes")] &'a [u8]);

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(Part).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Whole>::deserialize(deserializer)?.map(|whole| whole.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{ColumnZone, ZoneMap, ZoneSum, ZoneValue};

    fn example() -> ZoneMap {
        let word = |word| ZoneValue::Word(word);
        let text = |text: &str| ZoneValue::Bytes(text.as_bytes().to_vec());
        ZoneMap {
            columns: vec![
                ColumnZone::default(),
                ColumnZone { nulls: 3, range: Some((word(i64::MIN), word(7))), sum: Some(ZoneSum::Int(i128::MAX)), bloom: None },
                ColumnZone { nulls: 0, range: Some((text(""), text("zone"))), sum: None, bloom: Some(vec![1, 2, 255]) },
                ColumnZone { nulls: 8192, range: None, sum: Some(ZoneSum::Float(-0.0)), bloom: Some(Vec::new()) },
            ],
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        for map in [example(), ZoneMap::default()] {
            assert_eq!(ZoneMap::decode(&map.encode()), Ok(map));
        }
    }

    #[test]
    fn the_bytes_are_frozen() {
        let map = ZoneMap {
            columns: vec![ColumnZone {
                nulls: 1,
                range: Some((ZoneValue::Word(-1), ZoneValue::Bytes(vec![9, 8]))),
                sum: Some(ZoneSum::Int(5)),
                bloom: Some(vec![255]),
            }],
        };
        assert_eq!(map.encode(), [1, 1, 1, 1, 0, 1, 1, 2, 9, 8, 1, 0, 10, 1, 1, 255]);
    }

    #[test]
    fn other_bytes_are_an_error() {
        let bytes = example().encode();
        for length in 0..bytes.len() {
            assert!(ZoneMap::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(ZoneMap::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(ZoneMap::decode(&[2]).is_err());
        for at in 0..bytes.len() {
            for flip in 1..=255 {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                _ = ZoneMap::decode(&bytes);
            }
        }
        // A count of 2^63 columns.
        assert!(ZoneMap::decode(&[1, 253, 0, 0, 0, 0, 0, 0, 0, 128]).is_err());
    }
}
