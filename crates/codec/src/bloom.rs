//! A set of hashes that may be asked "is it in?": "no" is certain, "yes" is wrong about once in a hundred times.
//!
//! A classic bloom filter: ten bits for each distinct hash, seven of them set for each. Its bytes are the bits, lowest first, and
//! nothing else, so that a small set takes few bytes.

/// Bits set for each hash.
const PROBES: u32 = 7;
/// Bits for each distinct hash.
const BITS_PER_HASH: usize = 10;

/// Building of filters; asking is [`may_contain`].
#[derive(Debug)]
pub struct Bloom;

impl Bloom {
    /// The filter of these hashes, of which some may be the same.
    pub fn build(hashes: &[u64]) -> Vec<u8> {
        let mut distinct = hashes.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut bytes = vec![0; (distinct.len() * BITS_PER_HASH).div_ceil(8)];
        let bits = bytes.len() * 8;
        for hash in distinct {
            for bit in positions(hash, bits) {
                bytes[bit / 8] |= 1 << (bit % 8);
            }
        }
        bytes
    }
}

/// False only if `hash` was not among those that `bytes` was built of.
pub fn may_contain(bytes: &[u8], hash: u64) -> bool {
    // A filter of no hash at all has no bits: nothing is in it.
    !bytes.is_empty() && positions(hash, bytes.len() * 8).all(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1)
}

/// The bits of a hash, all below `bits`.
fn positions(hash: u64, bits: usize) -> impl Iterator<Item = usize> {
    // Hashes may come from a function that mixes little (SplitMix64's finaliser mixes them).
    let mut mixed = hash;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let step = mixed.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..PROBES).map(move |_| {
        mixed = mixed.wrapping_add(step);
        ((u128::from(mixed) * bits as u128) >> 64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::{Bloom, may_contain};

    #[test]
    fn what_is_in_is_found() {
        for count in [1_u64, 2, 3, 10, 1000, 8192] {
            let hashes: Vec<u64> = (0..count).map(|n| n * 3).collect();
            let bytes = Bloom::build(&hashes);
            assert!(hashes.iter().all(|&hash| may_contain(&bytes, hash)));
        }
    }

    #[test]
    fn what_is_not_in_is_rarely_found() {
        for count in [1_u64, 10, 100, 1000, 8192] {
            let found: usize = (0..50)
                .map(|round| {
                    let hashes: Vec<u64> = (0..count).map(|n| n + (round << 40)).collect();
                    let bytes = Bloom::build(&hashes);
                    (0..2000).filter(|n| may_contain(&bytes, n + (round << 40) + (1 << 30))).count()
                })
                .sum();
            assert!(found < 100_000 * 3 / 200, "{found} of 100,000 for {count}");
        }
    }

    #[test]
    fn duplicates_take_no_room() {
        let bytes = Bloom::build(&[7; 1000]);
        assert_eq!(bytes.len(), 2);
        assert!(may_contain(&bytes, 7));
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        assert!(Bloom::build(&[]).is_empty());
        assert!(!may_contain(&[], 1));
    }
}
