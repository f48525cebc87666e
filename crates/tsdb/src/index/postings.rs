//! Set operations on postings: ascending, distinct series numbers in slices.
//!
//! All take the time of one merge, or, where one side is much shorter, of a search per element
//! of the shorter side.

/// From this ratio of lengths on searching beats merging.
const GALLOP_RATIO: usize = 16;

/// The first place in the ascending `list` whose element is not below `x`, found in steps that
/// double from the front: cheap when it is near.
fn gallop<T: Copy + Ord>(list: &[T], x: T) -> usize {
    let mut end = 1;
    while end <= list.len() && list[end - 1] < x {
        end *= 2;
    }
    let start = end / 2;
    start + list[start..end.min(list.len())].partition_point(|y| *y < x)
}

/// Keeps of `list` what `other` has too.
pub fn intersect<T: Copy + Ord>(list: &mut Vec<T>, other: &[T]) {
    let kept = if list.len() > other.len().saturating_mul(GALLOP_RATIO) {
        pick(list, other)
    } else if other.len() > list.len().saturating_mul(GALLOP_RATIO) {
        filter(list, other, true)
    } else {
        merge(list, other)
    };
    list.truncate(kept);
}

/// Intersection where `other` is the short side.
fn pick<T: Copy + Ord>(list: &mut [T], other: &[T]) -> usize {
    let (mut kept, mut from) = (0, 0);
    for x in other {
        from += gallop(&list[from..], *x);
        match list.get(from) {
            None => break,
            Some(y) if y == x => {
                list[kept] = *x;
                kept += 1;
            }
            Some(_) => {}
        }
    }
    kept
}

/// Keeps the elements of `list` whose presence in `other` is `wanted`.
fn filter<T: Copy + Ord>(list: &mut [T], other: &[T], wanted: bool) -> usize {
    let (mut kept, mut from) = (0, 0);
    for i in 0..list.len() {
        let x = list[i];
        from += gallop(&other[from..], x);
        list[kept] = x;
        kept += usize::from((other.get(from) == Some(&x)) == wanted);
    }
    kept
}

/// Intersection of lists of similar length, without branches that depend on the data.
fn merge<T: Copy + Ord>(list: &mut [T], other: &[T]) -> usize {
    let (mut kept, mut i, mut j) = (0, 0, 0);
    while i < list.len() && j < other.len() {
        let (x, y) = (list[i], other[j]);
        list[kept] = x;
        kept += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    kept
}

/// Drops of `list` what `other` has too.
pub fn subtract<T: Copy + Ord>(list: &mut Vec<T>, other: &[T]) {
    if !other.is_empty() {
        let kept = filter(list, other, false);
        list.truncate(kept);
    }
}

/// Whether two lists have an element in common.
#[must_use]
pub fn intersects<T: Copy + Ord>(a: &[T], b: &[T]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut from = 0;
    for x in short {
        from += gallop(&long[from..], *x);
        match long.get(from) {
            None => return false,
            Some(y) if y == x => return true,
            Some(_) => {}
        }
    }
    false
}

/// Makes one list of several that were appended one behind the other: the union.
pub fn unite<T: Copy + Ord>(list: &mut Vec<T>) {
    if list.is_sorted_by(|a, b| a < b) {
        return;
    }
    // The stable sort finds the ascending runs and merges them.
    list.sort();
    list.dedup();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn list(max_len: usize) -> impl Strategy<Value = Vec<u32>> {
        prop::collection::btree_set(0u32..2000, 0..max_len).prop_map(|s| s.into_iter().collect())
    }

    fn set(list: &[u32]) -> BTreeSet<u32> {
        list.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn as_sets(a in prop_oneof![list(5), list(500)], b in prop_oneof![list(5), list(500)]) {
            let (sa, sb) = (set(&a), set(&b));
            let mut x = a.clone();
            intersect(&mut x, &b);
            prop_assert_eq!(&x, &sa.intersection(&sb).copied().collect::<Vec<_>>());
            prop_assert_eq!(intersects(&a, &b), !x.is_empty());
            let mut x = a.clone();
            subtract(&mut x, &b);
            prop_assert_eq!(x, sa.difference(&sb).copied().collect::<Vec<_>>());
            let mut x = [a, b].concat();
            unite(&mut x);
            prop_assert_eq!(x, sa.union(&sb).copied().collect::<Vec<_>>());
        }
    }
}
