//! The only error of decoding.

/// The bytes are not what [`crate::encode`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "corrupt block: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}
