//! Stale series into blocks: where many series of the head have ended, those are written out and evicted
//! before the head is long enough for a block of all (Prometheus `CompactStaleHead`).

use model::TimestampMs;
use storage::StorageError;

use super::Inner;
use super::compact::Upkeep;
use super::options::LogLevel;
use crate::block::{BlockMeta, HINT_FROM_STALE_SERIES};
use crate::head::StaleSeries;

/// So long before the next block is cut from the head, its stale series are left to that: ten minutes of
/// two hours, and of a shorter range as large a part.
const SOON_NS: u64 = 600_000_000_000;
const SOON_PART: u64 = 12;

impl Inner {
    /// Compacts the stale series if they are as large a share of all as the settings say, and the head
    /// is not compacted soon anyway.
    pub(super) fn compact_stale_if_due(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let threshold = self.settings().stale_series_threshold;
        let (stale, all) = (self.head.num_stale(), self.head.counters.series.get());
        if threshold <= 0.0 || stale == 0 || (stale as f64) < threshold * all as f64 {
            return Ok(());
        }
        let range_ns =
            u64::try_from(self.options.min_block_duration_ms).unwrap_or(0).saturating_mul(1_000_000);
        let now_ns = self.options.clock.monotonic_ns();
        let soon_ns = SOON_NS.min(range_ns / SOON_PART);
        let soon = |cut_at_ns: u64| now_ns.saturating_add(soon_ns) > cut_at_ns.saturating_add(range_ns);
        let is_soon = self.head.compactable() || upkeep.cut_at_ns.is_some_and(soon);
        if is_soon || upkeep.stale_waiting.is_some() {
            return Ok(());
        }
        self.counters.stale_compactions.add(1);
        self.compact_stale(upkeep).inspect_err(|e| {
            self.counters.stale_compactions_failed.add(1);
            self.options.log(LogLevel::Error, &format!("immediate stale series compaction failed: {e}"));
        })
    }

    /// Writes the stale series without late samples into blocks, one per block range, and evicts them as
    /// soon as no query needs them in the head. A crash at any point leaves samples in the log, in
    /// blocks, or in both.
    fn compact_stale(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        self.options.log(LogLevel::Info, "Starting stale series compaction");
        let start_ns = self.options.clock.monotonic_ns();
        let stale = self.head.stale_series();
        if stale.len() == 0 {
            return Ok(());
        }
        let mut written = Vec::new();
        if let Err(e) = self.write_stale(&stale, &mut written).and_then(|()| self.add_blocks(&written)) {
            // The head has all of it still.
            let ulids: Vec<_> = written.iter().map(|m| m.ulid).collect();
            let log = |level, text: &str| self.options.log(level, text);
            super::blocks::delete(&*self.options.fs, &self.options.dir, &ulids, &log)?;
            return Err(e);
        }
        let names: Vec<_> = written.iter().map(|m| m.ulid.to_string()).collect();
        let (n, took_ns) = (stale.len(), self.options.clock.monotonic_ns().saturating_sub(start_ns));
        self.counters.stale_compactions_done.add(1);
        self.counters.stale_compaction_ns.add(took_ns);
        let (took_ms, names) = (took_ns / 1_000_000, names.join(" "));
        let text =
            format!("Ending stale series compaction num_series={n} duration={took_ms}ms ulids=[{names}]");
        self.options.log(LogLevel::Info, &text);
        upkeep.stale_waiting = Some(self.head.announce_eviction(stale));
        self.evict_waiting(upkeep)
    }

    fn write_stale(&self, stale: &StaleSeries, written: &mut Vec<BlockMeta>) -> Result<(), StorageError> {
        let range_ms = self.options.min_block_duration_ms;
        let (min_ms, max_ms) = (self.head.min_ms(), self.head.max_ms());
        self.head.head_chunks().seal()?;
        let mut start_ms = min_ms.div_euclid(range_ms).saturating_mul(range_ms);
        while start_ms <= max_ms {
            let end_ms = start_ms.saturating_add(range_ms);
            // What is older is in blocks.
            let span: (TimestampMs, TimestampMs) = (start_ms.max(min_ms), end_ms - 1);
            let ordered = self.head.ordered_stale(stale, span.0, span.1);
            let mut meta = BlockMeta::from_head(self.new_ulid(), start_ms, end_ms);
            meta.compaction.hints.push(HINT_FROM_STALE_SERIES.to_owned());
            let end_of = |series| stale.end_ms(series);
            written.extend(self.cutter().write_series(&self.options.dir, meta, &ordered, span, &end_of)?);
            self.counters.compactions.add(1);
            start_ms = end_ms;
        }
        Ok(())
    }

    /// Evicts the stale series that blocks have, once no query needs them in the head any more.
    pub(super) fn evict_waiting(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let Some(waiting) = upkeep.stale_waiting.take_if(|e| self.head.can_evict(e)) else { return Ok(()) };
        let start_ns = self.options.clock.monotonic_ns();
        let evicted = self.head.evict(&waiting);
        let counters = &self.head.counters;
        counters.gc_runs.add(1);
        counters.gc_ns.add(self.options.clock.monotonic_ns().saturating_sub(start_ns));
        evicted.map(drop)
    }
}
