//! A stable merge sort that may be jumped out of: it allocates nothing, keeps nothing that has to be put back, and whatever an operator
//! class of a user's says of its values, it ends, with each item in its place once.

/// Runs that are sorted by insertion.
const RUN: usize = 16;

/// Sorts; `scratch` is as long as `items`. `precedes(a, b)` says whether a comes before b.
pub fn sort<T: Copy>(items: &mut [T], scratch: &mut [T], precedes: &mut impl FnMut(&T, &T) -> bool) {
    if items.windows(2).all(|pair| !precedes(&pair[1], &pair[0])) {
        return;
    }
    if items.windows(2).all(|pair| precedes(&pair[1], &pair[0])) {
        items.reverse();
        return;
    }
    for run in items.chunks_mut(RUN) {
        insertion_sort(run, precedes);
    }
    let mut width = RUN;
    while width < items.len() {
        for pair in items.chunks_mut(2 * width) {
            if pair.len() > width {
                merge(pair, width, scratch, precedes);
            }
        }
        width *= 2;
    }
}

fn insertion_sort<T: Copy>(run: &mut [T], precedes: &mut impl FnMut(&T, &T) -> bool) {
    for end in 1..run.len() {
        let mut at = end;
        while at > 0 && precedes(&run[at], &run[at - 1]) {
            run.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Merges `items[..middle]` and `items[middle..]`.
fn merge<T: Copy>(items: &mut [T], middle: usize, scratch: &mut [T], precedes: &mut impl FnMut(&T, &T) -> bool) {
    if !precedes(&items[middle], &items[middle - 1]) {
        return;
    }
    let left = &mut scratch[..middle];
    left.copy_from_slice(&items[..middle]);
    let (mut from_left, mut from_right, mut to) = (0, middle, 0);
    while from_left < left.len() && from_right < items.len() {
        if precedes(&items[from_right], &left[from_left]) {
            items[to] = items[from_right];
            from_right += 1;
        } else {
            items[to] = left[from_left];
            from_left += 1;
        }
        to += 1;
    }
    let rest = left.len() - from_left;
    items[to..to + rest].copy_from_slice(&left[from_left..]);
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// Numbers that look random, few enough that many are equal.
    fn items(count: usize) -> Vec<(u32, usize)> {
        let mut state = 12345_u32;
        let mut next = |index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24, index)
        };
        (0..count).map(&mut next).collect()
    }

    #[pg_test]
    fn sorts_as_the_standard_library_does() {
        for count in [0, 1, 2, 15, 16, 17, 31, 33, 100, 1000, 4099] {
            let mut sorted = items(count);
            let mut expected = sorted.clone();
            expected.sort_by_key(|item| item.0);
            let mut scratch = sorted.clone();
            super::sort(&mut sorted, &mut scratch, &mut |left, right| left.0 < right.0);
            assert_eq!(sorted, expected, "{count} items");
        }
    }

    #[pg_test]
    fn loses_nothing_with_an_order_that_is_none() {
        let mut sorted = items(1000);
        let mut scratch = sorted.clone();
        let mut calls = 0_u32;
        super::sort(&mut sorted, &mut scratch, &mut |_, _| {
            calls += 1;
            calls.is_multiple_of(3)
        });
        sorted.sort_by_key(|item| item.1);
        assert_eq!(sorted, items(1000));
    }
}
