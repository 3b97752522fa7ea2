//! Random numbers that are the same on every machine and in every version of this program.

/// SplitMix64: one addition and three multiplications a number, and any seed will do.
pub struct Random(u64);

/// Standard deviation of a popcount of 64 fair bits plus a uniform number of width 1: sqrt(16 + 1/12).
const POPCOUNT_SIGMA: f64 = 4.010_402_888_756_67;

impl Random {
    /// A stream of its own for each (seed, stream): a host's data does not depend on how many hosts there are.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = Random(seed);
        let mut random = Random(mixer.next_u64() ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next_u64();
        random
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..limit; the bias of limit / 2^64 is no concern here.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next_u64()) * limit as u128) >> 64) as usize
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Mean 0, deviation 1, bell-shaped: how many of 64 bits are set, smoothed by a uniform number. Its tails end at 8
    /// deviations, and it needs no tables, logarithms or rejections.
    pub fn normal(&mut self) -> f64 {
        let bits = f64::from(self.next_u64().count_ones()) - 32.0;
        (bits + self.uniform() - 0.5) / POPCOUNT_SIGMA
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, stream| Random::new(seed, stream).next_u64();
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
        assert_ne!(first(1, 0), first(0, 1));
    }

    #[test]
    fn normal_has_the_moments_of_a_normal() {
        let mut random = Random::new(7, 0);
        let n = 1_000_000;
        let (mut sum, mut squares, mut fourth, mut beyond_two) = (0.0, 0.0, 0.0, 0);
        for _ in 0..n {
            let x = random.normal();
            sum += x;
            squares += x * x;
            fourth += x.powi(4);
            beyond_two += u32::from(x.abs() > 2.0);
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.005);
        assert!((squares / n - 1.0).abs() < 0.01);
        assert!((fourth / n - 3.0).abs() < 0.1);
        assert!((f64::from(beyond_two) / n - 0.0455).abs() < 0.003);
    }

    #[test]
    fn uniform_and_below_stay_in_range() {
        let mut random = Random::new(3, 3);
        let mut seen = [false; 20];
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&random.uniform()));
            seen[random.below(20)] = true;
        }
        assert!(seen.iter().all(|&s| s));
    }
}
