//! How a caller takes back a question that a store is still busy with.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::StorageError;

/// Elements between two questions whether to go on, where each costs a microsecond or less.
pub const STOP_STRETCH: usize = 1024;

/// Chunks of one series between two questions: some ten thousand samples.
const STOP_CHUNKS: usize = 64;

/// Whether an answer is still wanted. Clones are handles on the same; the default never stops.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Stop {
    /// Stops once `is_asked` says so. It is called every few thousand elements, from any thread.
    pub fn when(is_asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_asked)))
    }

    /// Whether to stop.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|is_asked| is_asked())
    }

    /// # Errors
    /// [`StorageError::Stopped`] where the answer is no longer wanted.
    pub fn check(&self) -> Result<(), StorageError> {
        if self.is_asked() { Err(StorageError::Stopped) } else { Ok(()) }
    }

    /// [`Self::check`] for the element `i` of a loop: asks every [`STOP_STRETCH`] elements.
    ///
    /// # Errors
    /// As [`Self::check`].
    #[inline]
    pub fn check_at(&self, i: usize) -> Result<(), StorageError> {
        if i.is_multiple_of(STOP_STRETCH) { self.check() } else { Ok(()) }
    }

    /// [`Self::check`] for chunk `n` of a series: asks every [`STOP_CHUNKS`], so that few series do.
    ///
    /// # Errors
    /// As [`Self::check`].
    #[inline]
    pub fn check_chunk(&self, n: usize) -> Result<(), StorageError> {
        if n % STOP_CHUNKS == STOP_CHUNKS - 1 { self.check() } else { Ok(()) }
    }

    /// Sorts `list`, stably, as a merge sort that can be left: after an error `list` is in no order
    /// and may lack elements. A list in order already costs one pass; the others need memory for a
    /// second list.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn sort_by<T>(
        &self,
        list: &mut Vec<T>,
        order: impl Fn(&T, &T) -> Ordering,
    ) -> Result<(), StorageError> {
        if list.len() <= STOP_STRETCH {
            list.sort_by(order);
            return Ok(());
        }
        if list.is_sorted_by(|a, b| order(a, b).is_le()) {
            return Ok(());
        }
        for run in list.chunks_mut(STOP_STRETCH) {
            self.check()?;
            run.sort_by(&order);
        }
        let mut len = STOP_STRETCH;
        while len < list.len() {
            *list = self.merge_runs(std::mem::take(list), len, &order)?;
            len *= 2;
        }
        Ok(())
    }

    /// Makes of each two neighbouring runs of `len` elements one.
    fn merge_runs<T>(
        &self,
        list: Vec<T>,
        len: usize,
        order: &impl Fn(&T, &T) -> Ordering,
    ) -> Result<Vec<T>, StorageError> {
        let mut out = Vec::with_capacity(list.len());
        let mut rest = list.into_iter();
        let mut left = Vec::with_capacity(len);
        while rest.len() > 0 {
            left.extend(rest.by_ref().take(len));
            let mut right = rest.by_ref().take(len).peekable();
            for a in left.drain(..) {
                while let Some(b) = right.next_if(|b| order(b, &a).is_lt()) {
                    self.check_at(out.len())?;
                    out.push(b);
                }
                self.check_at(out.len())?;
                out.push(a);
            }
            out.extend(right);
        }
        Ok(out)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Stop(when asked)" } else { "Stop(never)" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// A sequence without pattern.
    fn mixed(n: usize) -> Vec<(u64, usize)> {
        (0..n).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52, i)).collect()
    }

    #[test]
    fn sorts_as_the_standard_library_does() {
        for n in [0, 1, STOP_STRETCH, STOP_STRETCH + 1, 3 * STOP_STRETCH, 50_000] {
            let (mut ours, mut theirs) = (mixed(n), mixed(n));
            Stop::default().sort_by(&mut ours, |a, b| a.0.cmp(&b.0)).unwrap();
            theirs.sort_by_key(|x| x.0);
            assert_eq!(ours, theirs, "{n}");
            Stop::default().sort_by(&mut ours, |a, b| a.0.cmp(&b.0)).unwrap();
            assert_eq!(ours, theirs, "{n}, sorted before");
        }
    }

    #[test]
    fn a_sort_can_be_left_at_any_time() {
        let asked = Arc::new(AtomicUsize::new(0));
        let until = |n: usize| {
            let asked = asked.clone();
            asked.store(0, Relaxed);
            Stop::when(move || asked.fetch_add(1, Relaxed) >= n)
        };
        until(usize::MAX).sort_by(&mut mixed(50_000), Ord::cmp).unwrap();
        let never = mixed(50_000);
        let stop = until(usize::MAX);
        stop.sort_by(&mut never.into_iter().rev().collect(), Ord::cmp).unwrap();
        let all = asked.load(Relaxed);
        assert!(all > 2 * 50_000 / STOP_STRETCH, "asked {all} times only");
        for n in 0..all {
            let mut list: Vec<_> = mixed(50_000).into_iter().rev().collect();
            let stopped = until(n).sort_by(&mut list, Ord::cmp);
            assert!(matches!(stopped, Err(StorageError::Stopped)), "{n}");
        }
    }
}
