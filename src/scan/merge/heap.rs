//! The heap of open batches: the one whose row comes first is on top.

use super::*;

impl Merge {
    #[inline]
    pub(super) unsafe fn comes_first(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.open[one], &self.open[other]);
        match one.rank.cmp(&other.rank) {
            Ordering::Equal if self.rank_decides => false,
            // SAFETY: as for `advance`.
            Ordering::Equal => unsafe { compare_rows(&self.keys, &one.run.key, &other.run.key) == Ordering::Less },
            order => order == Ordering::Less,
        }
    }

    pub(super) unsafe fn sift_up(&mut self, mut at: usize) {
        // SAFETY: as for `advance`.
        while at > 0 && unsafe { self.comes_first(at, (at - 1) / 2) } {
            self.open.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    pub(super) unsafe fn sift_down(&mut self, mut at: usize) {
        // SAFETY: as for `advance`.
        unsafe {
            loop {
                let mut first = at;
                for child in [2 * at + 1, 2 * at + 2] {
                    if child < self.open.len() && self.comes_first(child, first) {
                        first = child;
                    }
                }
                if first == at {
                    return;
                }
                self.open.swap(at, first);
                at = first;
            }
        }
    }
}
