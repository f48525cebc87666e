//! Joining head chunks to the series that a snapshot has brought.

use std::path::Path;
use std::sync::Arc;

use model::TimestampMs;
use storage::StorageError;

use super::covered::Covered;
use super::work::Decoded;
use super::{Mapped, Replay};
use crate::head::page::Page;
use crate::wal::fragment::Records;
use crate::wal::reader::map_segment;

impl Replay<'_> {
    /// Gives the series that are there already the full chunks found under their references.
    pub(super) fn join_snapshot(&mut self) {
        if self.context.snapshot.is_none() {
            return;
        }
        let name = |r: u64| self.other_names.get(&r).copied().unwrap_or(r);
        let known = |r: &u64| self.head.has_series(name(*r));
        let mut with_chunks: Vec<_> = self.mapped.keys().copied().filter(known).collect();
        with_chunks.sort_unstable();
        let with_late: Vec<_> = self.late.keys().copied().filter(known).collect();
        for series in with_chunks {
            if let Some(chunks) = self.mapped.remove(&series) {
                self.join(self.other_names.get(&series).copied().unwrap_or(series), chunks);
            }
        }
        for series in with_late {
            if let Some(chunks) = self.late.remove(&series) {
                let name = self.other_names.get(&series).copied().unwrap_or(series);
                self.head.attach_late(name, chunks);
            }
        }
    }

    /// Raises the head's start to what the first record of a checkpoint says that is not replayed.
    pub(super) fn checkpoint_start(&self, path: &Path) -> Result<(), StorageError> {
        let data = map_segment(self.context.fs, path)?;
        if let Ok(Some(found)) = Records::new(&data).next()
            && let Ok(Decoded::MinValidTime(t)) =
                self.decoder.decode(found.bits, &found.data, &Covered::default(), TimestampMs::MIN)
        {
            self.head.raise_min_valid_ms(t);
        }
        Ok(())
    }

    fn join(&mut self, series: u64, chunks: Mapped) {
        let end_ms = chunks.0.last().map_or(TimestampMs::MIN, |c| c.max_ms);
        let take = |page: Arc<Page>| page.lock().get_mut(series)?.take_open();
        let open = self.head.page_of(series).and_then(take);
        self.attach(series, chunks);
        let Some(open) = open else { return };
        if open.min_ms <= end_ms {
            // It was full soon after the snapshot, and is among the chunks.
            self.head.counters.chunks.sub(1);
            self.head.counters.chunks_removed.add(1);
        } else if let Some(page) = self.head.page_of(series)
            && let Some(s) = page.lock().get_mut(series)
        {
            s.resume(open.chunk);
        }
    }
}
