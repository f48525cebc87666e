//! Cutting blocks out of the head. Merging blocks into larger ones, and deleting them by age and
//! size, will stand beside this.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use storage::StorageError;

use super::Inner;
use super::options::LogLevel;
use crate::block::{Block, BlockMeta, BlockWriter, ChunkData, Ulid};
use crate::head::{Truncation, range_end_ms};

/// What upkeep remembers between runs.
#[derive(Default)]
pub(super) struct Upkeep {
    /// A truncation that waits for queries to end.
    waiting: Option<Truncation>,
}

impl Inner {
    /// Cuts blocks as long as the head is long enough, then forgets what no query needs any more.
    pub(super) fn compact(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        while self.head.compactable() {
            let min_ms = self.head.min_ms();
            let max_ms = range_end_ms(min_ms, self.options.min_block_duration_ms);
            if self.head.appenders_before(max_ms) {
                // One opened long ago may still commit into the block: another time.
                break;
            }
            self.counters.compactions_triggered.add(1);
            if let Err(e) = self.cut_block(min_ms, max_ms) {
                self.counters.compactions_failed.add(1);
                self.options.log(LogLevel::Error, &format!("compact head: {e}"));
                return Err(e);
            }
            upkeep.waiting = Some(self.head.announce_truncation(max_ms));
            self.collect_waiting(upkeep)?;
            self.truncate_wal(max_ms)?;
        }
        self.collect_waiting(upkeep)
    }

    /// Writes the block `min_ms .. max_ms` from the head, and opens it for queries.
    fn cut_block(&self, min_ms: i64, max_ms: i64) -> Result<(), StorageError> {
        let now_ms = self.options.clock.now_ms();
        let ulid = Ulid::new(now_ms, self.random());
        let fs = &self.options.fs;
        let mut writer =
            BlockWriter::create(fs, &self.options.dir, BlockMeta::from_head(ulid, min_ms, max_ms))?;
        let mut chunks = Vec::new();
        for (labels, series) in self.head.series_in_order() {
            self.head.chunks_between(series, min_ms, max_ms - 1, &mut chunks)?;
            let data: Vec<ChunkData<'_>> = chunks
                .iter()
                .map(|c| ChunkData {
                    min_ms: c.min_ms,
                    max_ms: c.max_ms,
                    encoding: chunk::Encoding::Xor,
                    data: &c.data,
                })
                .collect();
            writer.add_series(&labels, &data)?;
        }
        let written = writer.finish()?;
        self.counters.compactions.add(1);
        if let Some(meta) = written {
            self.blocks.add(Block::open(&**fs, &self.options.dir.join(meta.ulid.to_string()))?);
            self.counters.reloads.add(1);
            let text = format!("write block mint={} maxt={} ulid={}", meta.min_ms, meta.max_ms, meta.ulid);
            self.options.log(LogLevel::Info, &text);
        }
        Ok(())
    }

    fn collect_waiting(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let Some(t) = upkeep.waiting.filter(|t| self.head.can_truncate(t)) else { return Ok(()) };
        let start_ns = self.options.clock.monotonic_ns();
        let counters = &self.head.counters;
        counters.truncations.add(1);
        let done = self.head.collect(t.mint_ms);
        counters.gc_runs.add(1);
        counters.gc_ns.add(self.options.clock.monotonic_ns().saturating_sub(start_ns));
        if done.is_err() {
            counters.truncations_failed.add(1);
        }
        upkeep.waiting = None;
        done
    }

    fn truncate_wal(&self, mint_ms: i64) -> Result<(), StorageError> {
        let start_ns = self.options.clock.monotonic_ns();
        let done = self.head.truncate_wal(mint_ms);
        let counters = &self.head.counters;
        counters.wal_truncations.add(1);
        counters.wal_truncate_ns.add(self.options.clock.monotonic_ns().saturating_sub(start_ns));
        done
    }

    /// Random enough that two databases do not name blocks alike.
    fn random(&self) -> u128 {
        let salt = self.options.clock.monotonic_ns();
        let half = || u128::from(RandomState::new().hash_one(salt));
        half() << 64 | half()
    }
}
