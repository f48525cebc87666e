//! Late samples on their way into blocks: chunks first, then the blocks, then the log and the
//! chunks are dropped.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

use chunk::Encoding;
use model::{Labels, TimestampMs};
use storage::StorageError;

use crate::compact::{Piece, merge_chunks};
use crate::head::blocks::FoundChunks;
use crate::head::page::PAGE_SERIES;
use crate::head::series::{ChunkPlace, MappedChunk, Series};
use crate::head::{Head, lock};
use crate::wal::Wal;
use crate::wal::tail::retire_late;

/// The late chunks that go into blocks.
pub(crate) struct OooCompaction {
    /// Series with such chunks, in order of labels.
    pub(crate) series: Vec<(Labels, u64)>,
    /// First times of the block ranges in which they may have samples.
    pub(crate) ranges: BTreeSet<TimestampMs>,
    /// Chunks behind this place up to `last`.
    after: ChunkPlace,
    last: ChunkPlace,
    /// Segments of the log before this one have nothing else.
    segment: Option<u32>,
}

/// Late chunks that blocks have: queries that begin from now on do without them, and when those that
/// began before have ended they can be forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OooTruncation {
    last: ChunkPlace,
    segment: Option<u32>,
    last_view: u64,
}

impl Head {
    /// Puts all late samples that are in memory into chunks, begins a new segment of their log, and
    /// says what there is to be compacted; `None` where there is nothing. Samples that come
    /// meanwhile may be among them, and are in the new segment in any case.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn begin_ooo_compaction(&self) -> Result<Option<OooCompaction>, StorageError> {
        if self.ooo.span().is_none() {
            return Ok(None);
        }
        let segment = self.ooo.wbl().map(Wal::next_segment).transpose()?;
        let rules = self.chunk_rules();
        for (number, page) in self.pages.all() {
            for (slot, s) in page.lock().iter_mut() {
                if let Some(ooo) = s.ooo_mut() {
                    self.map_late(number * PAGE_SERIES + slot, ooo, self.isolation.low(), &rules);
                }
            }
        }
        // What is in the chunks must have been seen by whoever reads the blocks instead.
        self.isolation.begin().finish();
        let after = self.ooo.in_blocks();
        let (mut series, mut ranges, mut last) = (Vec::new(), BTreeSet::new(), after);
        let symbols = self.symbols.read();
        for (number, page) in self.pages.all() {
            for (slot, s) in page.lock().iter() {
                let Some(ooo) = s.ooo() else { continue };
                let mut found = false;
                for c in ooo.mapped.iter().filter(|c| c.place > after) {
                    found = true;
                    last = last.max(c.place);
                    add_ranges(&mut ranges, (c.min_ms, c.max_ms), self.options.range_ms);
                }
                if found {
                    series.push((s.labels.resolve(&symbols), number * PAGE_SERIES + slot));
                }
            }
        }
        drop(symbols);
        series.sort_unstable();
        Ok((!series.is_empty()).then_some(OooCompaction { series, ranges, after, last, segment }))
    }

    /// The late chunks of a series with samples in `start_ms ..= end_ms` and no others, in order of
    /// time, without deleted samples, appended to `out`. Those that overlap are merged.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub(crate) fn ooo_chunks_between(
        &self,
        job: &OooCompaction,
        (labels, series): &(Labels, u64),
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        out: &mut Vec<Piece<'static>>,
    ) -> Result<(), StorageError> {
        let mut mapped = Vec::new();
        if let Some(page) = self.page_of(*series) {
            let page = page.lock();
            let ooo = page.get(*series).and_then(Series::ooo);
            let all = ooo.map_or(&[][..], |o| &o.mapped).iter();
            let wanted = all.filter(|c| job.after < c.place && c.place <= job.last);
            let within = wanted.filter(|c| c.min_ms <= end_ms && c.max_ms >= start_ms);
            mapped.extend(within.map(|c| MappedChunk { place: c.place, min_ms: c.min_ms, max_ms: c.max_ms }));
        }
        if mapped.is_empty() {
            return Ok(());
        }
        let tombstones = self.tombstones();
        let mut runs = Vec::with_capacity(mapped.len());
        FoundChunks::mapped(mapped).read(&self.chunks, (start_ms, end_ms), tombstones.get(*series), |c| {
            let (min_ms, max_ms, encoding, data) = (c.min_ms, c.max_ms, c.encoding, c.data.into());
            runs.push(vec![Piece { min_ms, max_ms, encoding, data }]);
        })?;
        let floats = if self.xor2.load(Ordering::Relaxed) { Encoding::Xor2 } else { Encoding::Xor };
        merge_chunks(&|| labels.clone(), runs, floats, out).map_err(StorageError::Corrupt)
    }

    /// Hides the chunks of `job`, which blocks have, from new queries.
    pub(crate) fn announce_ooo_truncation(&self, job: &OooCompaction) -> OooTruncation {
        self.ooo.set_in_blocks(job.last);
        OooTruncation { last: job.last, segment: job.segment, last_view: self.isolation.last_view() }
    }

    /// Whether nobody needs any more what `t` would forget.
    pub(crate) fn can_truncate_ooo(&self, t: &OooTruncation) -> bool {
        self.isolation.closed_up_to(t.last_view)
    }

    /// Forgets the late chunks of `t`, the series that have nothing else, and the part of the log
    /// that has no others: what readers of the log still need of it goes to the directory `kept`, as
    /// long as that has no more than `held_bytes_max`.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn truncate_ooo(
        &self,
        t: &OooTruncation,
        kept: &Path,
        held_bytes_max: u64,
    ) -> Result<(), StorageError> {
        let mut chunks = 0;
        for (_, page) in self.pages.all() {
            for (_, s) in page.lock().iter_mut() {
                let Some(ooo) = s.ooo_mut() else { continue };
                chunks += ooo.forget_up_to(t.last);
                if ooo.is_empty() {
                    s.drop_ooo();
                }
            }
        }
        self.counters.chunks_removed.add(chunks as u64);
        self.counters.chunks.sub(chunks as u64);
        // The log first: where chunks are gone that it has marks of, it has to begin behind them.
        if let (Some(wbl), Some(segment)) = (self.ooo.wbl(), t.segment) {
            let options = wbl.options();
            if let Some(last) = segment.checked_sub(1) {
                let needed = self.log_holds.first_late_needed();
                retire_late(&*options.fs, (&options.dir, kept), last, needed, held_bytes_max)?;
            }
            self.counters.wbl_truncations.add(1);
            lock(&self.ooo.wbl_names).clear();
        }
        // What is in order stays as it is.
        self.collect(TimestampMs::MIN)
    }
}

/// Adds the block ranges in which times of `min_ms ..= max_ms` lie.
fn add_ranges(
    ranges: &mut BTreeSet<TimestampMs>,
    (min_ms, max_ms): (TimestampMs, TimestampMs),
    range_ms: i64,
) {
    let mut start_ms = min_ms.div_euclid(range_ms).saturating_mul(range_ms);
    while start_ms <= max_ms {
        ranges.insert(start_ms);
        let Some(next_ms) = start_ms.checked_add(range_ms) else { break };
        start_ms = next_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_aligned() {
        let check = |span, want: &[i64]| {
            let mut ranges = BTreeSet::new();
            add_ranges(&mut ranges, span, 10);
            assert_eq!(ranges.into_iter().collect::<Vec<_>>(), want, "{span:?}");
        };
        check((0, 9), &[0]);
        check((10, 20), &[10, 20]);
        check((-1, 0), &[-10, 0]);
        check((i64::MAX, i64::MAX), &[i64::MAX - 7]);
    }
}
