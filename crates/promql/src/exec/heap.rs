//! A binary heap that moves its elements as Go's `container/heap` does, so that equal values rank
//! as in Prometheus.

/// An element: its value and which series it belongs to.
pub(super) type Item = (f64, usize);

/// NaN is less than anything, then by value.
pub(super) fn by_value(a: &Item, b: &Item) -> bool {
    a.0.is_nan() || a.0 < b.0
}

/// NaN is less than anything, then by falling value.
pub(super) fn by_reverse_value(a: &Item, b: &Item) -> bool {
    a.0.is_nan() || a.0 > b.0
}

type Less = fn(&Item, &Item) -> bool;

/// Adds an element.
pub(super) fn push(heap: &mut Vec<Item>, item: Item, less: Less) {
    heap.push(item);
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !less(&heap[at], &heap[parent]) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Replaces the least element.
pub(super) fn replace_least(heap: &mut [Item], item: Item, less: Less) {
    heap[0] = item;
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            break;
        }
        let right = left + 1;
        let child = if right < heap.len() && less(&heap[right], &heap[left]) { right } else { left };
        if !less(&heap[child], &heap[at]) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// Sorts so that the greatest comes first; NaN comes last.
pub(super) fn sort_descending(items: &mut [Item], less: Less) {
    items.sort_by(|a, b| match (a.0.is_nan(), b.0.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        (false, false) if less(b, a) => std::cmp::Ordering::Less,
        (false, false) if less(a, b) => std::cmp::Ordering::Greater,
        (false, false) => std::cmp::Ordering::Equal,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_greatest() {
        let mut heap = Vec::new();
        for (i, v) in [3.0, f64::NAN, 1.0].into_iter().enumerate() {
            push(&mut heap, (v, i), by_value);
        }
        assert!(heap[0].0.is_nan());
        replace_least(&mut heap, (5.0, 3), by_value);
        assert_eq!(heap[0], (1.0, 2));
        sort_descending(&mut heap, by_value);
        assert_eq!(heap, [(5.0, 3), (3.0, 0), (1.0, 2)]);
    }
}
