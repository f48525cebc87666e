//! What readers of the log still need of it, and how far they have come in time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::TimestampMs;

/// The first segment that each reader needs. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogHolds(Arc<Mutex<Holds>>);

#[derive(Debug, Default)]
struct Holds {
    last_id: u64,
    readers: HashMap<u64, Reader>,
}

#[derive(Clone, Copy, Debug)]
struct Reader {
    /// The first segment that it needs.
    needed: u32,
    /// The highest time of what it is done with; 0 before the first.
    sent_ms: TimestampMs,
}

impl LogHolds {
    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new reader, which needs the segments from `segment` on.
    pub(super) fn hold(&self, segment: u32) -> LogHold {
        let mut holds = self.lock();
        holds.last_id += 1;
        let id = holds.last_id;
        holds.readers.insert(id, Reader { needed: segment, sent_ms: 0 });
        LogHold { id, holds: self.clone() }
    }

    /// The first segment that anybody needs.
    pub(crate) fn first_needed(&self) -> Option<u32> {
        self.lock().readers.values().map(|r| r.needed).min()
    }

    /// The highest time of what the slowest reader is done with; 0 where there is no reader.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn lowest_sent_ms(&self) -> TimestampMs {
        self.lock().readers.values().map(|r| r.sent_ms).min().unwrap_or(0)
    }
}

/// What one reader needs, until dropped.
#[derive(Debug)]
pub(super) struct LogHold {
    id: u64,
    holds: LogHolds,
}

impl LogHold {
    /// From now on only those from `segment` on.
    pub(super) fn advance(&self, segment: u32) {
        if let Some(reader) = self.holds.lock().readers.get_mut(&self.id) {
            reader.needed = segment;
        }
    }

    /// What has the time `t` is done with.
    pub(super) fn sent(&self, t: TimestampMs) {
        if let Some(reader) = self.holds.lock().readers.get_mut(&self.id) {
            reader.sent_ms = reader.sent_ms.max(t);
        }
    }
}

impl Drop for LogHold {
    fn drop(&mut self) {
        self.holds.lock().readers.remove(&self.id);
    }
}

/// The last segment that may be taken away where `last` could, some are held from `needed` on, and what is held may have
/// `bytes_max` altogether. `segments` are those there are, in order, with their bytes.
pub(crate) fn last_free(
    segments: &[(u32, u64)],
    last: u32,
    needed: Option<u32>,
    bytes_max: u64,
) -> Option<u32> {
    let Some(needed) = needed.filter(|n| *n <= last) else { return Some(last) };
    let mut bytes = 0u64;
    let over = segments.iter().rev().find(|(_, len)| {
        bytes = bytes.saturating_add(*len);
        bytes > bytes_max
    });
    let free = needed.checked_sub(1).max(over.map(|(n, _)| *n));
    free.map(|n| n.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_reader_counts_as_long_as_it_lives() {
        let holds = LogHolds::default();
        assert_eq!(holds.first_needed(), None);
        let (a, b) = (holds.hold(3), holds.hold(5));
        assert_eq!(holds.first_needed(), Some(3));
        a.advance(9);
        assert_eq!(holds.first_needed(), Some(5));
        assert_eq!(holds.lowest_sent_ms(), 0);
        a.sent(70);
        b.sent(30);
        b.sent(20);
        assert_eq!(holds.lowest_sent_ms(), 30);
        drop(b);
        assert_eq!(holds.lowest_sent_ms(), 70);
        assert_eq!(holds.first_needed(), Some(9));
        drop(a);
        assert_eq!(holds.first_needed(), None);
    }

    #[test]
    fn what_is_held_stays_up_to_the_bound() {
        let segments: Vec<(u32, u64)> = (0..10).map(|n| (n, 100)).collect();
        let free = |last, needed, max| last_free(&segments, last, needed, max);
        assert_eq!(free(6, None, 0), Some(6));
        assert_eq!(free(6, Some(7), 0), Some(6), "nobody needs those");
        assert_eq!(free(6, Some(4), 1 << 20), Some(3));
        assert_eq!(free(6, Some(0), 1 << 20), None);
        // Segments 5 to 9 have 500 bytes.
        assert_eq!(free(6, Some(0), 500), Some(4));
        assert_eq!(free(6, Some(0), 499), Some(5));
        assert_eq!(free(6, Some(0), 0), Some(6), "never more than without");
    }
}
