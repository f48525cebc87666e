//! A binary heap whose order among equals is part of the contract.

/// A heap that sifts as Go's `container/heap` does. Which of two samples at the same time survives
/// compaction depends on the order in which a heap hands out equals, so it has to be that one for
/// the same blocks to give the same bytes as in Prometheus.
#[derive(Debug)]
pub struct Heap<T, F> {
    items: Vec<T>,
    less: F,
}

impl<T, F: Fn(&T, &T) -> bool> Heap<T, F> {
    /// An empty heap, the least by `less` on top.
    pub fn new(less: F) -> Self {
        Self { items: Vec::new(), less }
    }

    /// What would come out next.
    pub fn top(&self) -> Option<&T> {
        self.items.first()
    }

    /// Puts an item in.
    pub fn push(&mut self, item: T) {
        self.items.push(item);
        let mut child = self.items.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !(self.less)(&self.items[child], &self.items[parent]) {
                break;
            }
            self.items.swap(child, parent);
            child = parent;
        }
    }

    /// Takes the least item out.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last);
        let popped = self.items.pop();
        let mut parent = 0;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            if left >= last {
                return popped;
            }
            let less = |a: usize, b: usize| (self.less)(&self.items[a], &self.items[b]);
            let child = if right < last && less(right, left) { right } else { left };
            if !less(child, parent) {
                return popped;
            }
            self.items.swap(parent, child);
            parent = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts(list in prop::collection::vec(0..50u8, 0..40)) {
            let mut heap = Heap::new(|a: &u8, b: &u8| a < b);
            list.iter().for_each(|x| heap.push(*x));
            let mut want = list;
            want.sort_unstable();
            prop_assert_eq!(heap.top(), want.first());
            let got: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
            prop_assert_eq!(got, want);
        }
    }

    /// Worked out by hand from the sifting: equals do not come out as they went in.
    #[test]
    fn order_among_equals() {
        let mut heap = Heap::new(|a: &(u8, char), b: &(u8, char)| a.0 < b.0);
        for item in [(1, 'a'), (1, 'b'), (1, 'c'), (1, 'd')] {
            heap.push(item);
        }
        let got: String = std::iter::from_fn(|| heap.pop()).map(|(_, name)| name).collect();
        assert_eq!(got, "adcb");
    }
}
