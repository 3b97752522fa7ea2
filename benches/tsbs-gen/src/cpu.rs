//! The measurements: for each host ten values, each a random walk between 0 and 100 with normal steps of deviation 1.

use crate::random::Random;

/// The metric columns, in the order of the table.
pub const METRICS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

/// One host's walks.
pub struct Host {
    random: Random,
    state: [f64; METRICS.len()],
}

impl Host {
    /// Host number `host` (from 0) before its first step.
    pub fn new(seed: u64, host: u32) -> Self {
        let mut random = Random::new(seed, u64::from(host));
        let state = std::array::from_fn(|_| random.uniform() * 100.0);
        Host { random, state }
    }

    /// Takes a step and returns the values, which TSBS truncates to integers.
    pub fn step(&mut self) -> [u8; METRICS.len()] {
        let random = &mut self.random;
        self.state.each_mut().map(|value| {
            *value = (*value + random.normal()).clamp(0.0, 100.0);
            *value as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn walks_stay_in_bounds_and_reach_them() {
        let (mut low, mut high) = (100, 0);
        for host in 0..20 {
            let mut host = Host::new(1, host);
            for _ in 0..20_000 {
                for value in host.step() {
                    assert!(value <= 100);
                    low = low.min(value);
                    high = high.max(value);
                }
            }
        }
        assert_eq!((low, high), (0, 100));
    }

    #[test]
    fn steps_are_small_but_not_nothing() {
        let mut host = Host::new(1, 0);
        let mut before = host.step();
        let mut moved = 0;
        for _ in 0..1000 {
            let now = host.step();
            for (a, b) in before.iter().zip(now) {
                assert!(a.abs_diff(b) <= 9);
                moved += u32::from(*a != b);
            }
            before = now;
        }
        assert!((3_000..9_000).contains(&moved), "{moved} of 10,000 values moved");
    }
}
