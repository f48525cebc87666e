//! The upkeep of blocks: cutting them out of the head, merging them, deleting them by age and size.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::TimestampMs;
use storage::{Clock, Fs, StorageError};

use super::options::LogLevel;
use super::{Inner, blocks, uploads};
use crate::block::{Block, BlockMeta, ChunkData, SymbolBlockWriter, Ulid};
use crate::compact::{Compactor, block_ranges_ms, max_block_duration_ms, plan};
use crate::head::{Head, OooTruncation, OrderedSeries, StaleEviction, Truncation, range_end_ms};
use crate::retention::{BlockSize, Retention, beyond_size, beyond_time};
use crate::wal::segment::directory_bytes;

/// The first pause after merging blocks failed; it doubles with each failure up to the last.
const BACKOFF_MIN_NS: u64 = 1_000_000_000;
const BACKOFF_MAX_NS: u64 = 60_000_000_000;

/// Whether one of the blocks, in order of their start, begins before one before it ends.
fn overlap(blocks: &[Block]) -> bool {
    let mut end_ms = i64::MIN;
    blocks.iter().map(Block::meta).any(|m| {
        let overlaps = m.min_ms < end_ms;
        end_ms = end_ms.max(m.max_ms);
        overlaps
    })
}

/// Writes blocks out of a head.
pub(crate) struct Cutter<'a> {
    pub(crate) head: &'a Head,
    pub(crate) fs: &'a Arc<dyn Fs>,
    /// Once it is set, nothing more is written.
    pub(crate) cancel: &'a AtomicBool,
    /// Size at which chunk segments end, `None` for the usual.
    pub(crate) segment_bytes: Option<u64>,
}

impl Cutter<'_> {
    /// Writes the head's samples within the span of `meta` as a block in the directory `parent`.
    pub(crate) fn cut(&self, parent: &Path, meta: BlockMeta) -> Result<Option<BlockMeta>, StorageError> {
        let span = (meta.min_ms, meta.max_ms.saturating_sub(1));
        self.head.head_chunks().seal()?;
        let ordered = self.head.ordered_between(span.0, span.1);
        self.write_series(parent, meta, &ordered, span, &|_| TimestampMs::MAX)
    }

    /// Writes the samples of the series in `min_ms ..= end_ms`, of each up to its own end, as a block in
    /// the directory `parent`. Full chunks must have been sealed.
    pub(super) fn write_series(
        &self,
        parent: &Path,
        meta: BlockMeta,
        ordered: &OrderedSeries,
        (min_ms, end_ms): (TimestampMs, TimestampMs),
        end_of: &dyn Fn(u64) -> TimestampMs,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let symbols = ordered.symbols();
        let mut writer = SymbolBlockWriter::create(self.fs, parent, meta, self.segment_bytes, &symbols)?;
        let mut chunks = Vec::new();
        ordered.try_each(|series, labels| {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(StorageError::Closed);
            }
            self.head.chunks_between(series, min_ms, end_ms.min(end_of(series)), &mut chunks)?;
            if chunks.is_empty() {
                return Ok(());
            }
            let data = chunks.iter().map(|c| ChunkData {
                min_ms: c.min_ms,
                max_ms: c.max_ms,
                encoding: c.encoding,
                data: &c.data,
            });
            writer.add_series(labels, data)
        })?;
        writer.finish()
    }
}

/// A name for a block, random enough that two databases do not name blocks alike.
pub(crate) fn new_ulid(clock: &dyn Clock) -> Ulid {
    let salt = clock.monotonic_ns();
    let half = || u128::from(RandomState::new().hash_one(salt));
    Ulid::new(clock.now_ms(), half() << 64 | half())
}

/// What upkeep remembers between runs.
#[derive(Default)]
pub(super) struct Upkeep {
    /// A truncation that waits for queries to end.
    waiting: Option<Truncation>,
    /// The same for late samples.
    pub(super) late_waiting: Option<OooTruncation>,
    /// Blocks were cut out of the head, so its late samples are to follow.
    late_due: bool,
    /// Stale series that wait for queries to end.
    pub(super) stale_waiting: Option<StaleEviction>,
    /// When the last block was cut out of the head.
    pub(super) cut_at_ns: Option<u64>,
    /// From when on the head, long enough by now, may be cut.
    cut_due_ns: Option<u64>,
    /// When the data directory is to be looked at next.
    reload_at_ns: u64,
    /// Merging failed: not before this time again, and how long that pause was.
    merge_at_ns: u64,
    backoff_ns: u64,
}

impl Inner {
    /// Cuts blocks as long as the head is long enough, merges what is due, and now and then looks
    /// for blocks that came from outside or have to go.
    pub(super) fn compact(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let done = self.compact_head(upkeep).and_then(|()| self.merge_blocks(upkeep));
        if matches!(done, Err(StorageError::Closed)) {
            return done;
        }
        if done.is_err() {
            self.counters.compactions_failed.add(1);
        }
        let now_ns = self.options.clock.monotonic_ns();
        if now_ns < upkeep.reload_at_ns {
            return done;
        }
        upkeep.reload_at_ns =
            now_ns.saturating_add(self.options.reload_interval_ms.saturating_mul(1_000_000));
        self.counters.compactions_triggered.add(1);
        done.and(self.reload())?;
        self.compact_stale_if_due(upkeep)
    }

    /// Cuts blocks as long as the head is long enough, then forgets what no query needs any more.
    fn compact_head(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        while self.head.compactable() && !self.delays_cut(upkeep) {
            let min_ms = self.head.min_ms();
            let max_ms = range_end_ms(min_ms, self.options.min_block_duration_ms);
            if self.head.appenders_before(max_ms) {
                // One opened long ago may still commit into the block: another time.
                break;
            }
            if let Err(e) = self.cut_block(min_ms, max_ms) {
                self.options.log(LogLevel::Error, &format!("compact head: {e}"));
                return Err(e);
            }
            upkeep.cut_at_ns = Some(self.options.clock.monotonic_ns());
            upkeep.waiting = Some(self.head.announce_truncation(max_ms));
            upkeep.late_due = true;
            self.collect_waiting(upkeep)?;
            self.truncate_wal(max_ms)?;
        }
        if !self.head.compactable() {
            upkeep.cut_due_ns = None;
        }
        self.collect_waiting(upkeep)?;
        self.collect_late_waiting(upkeep)?;
        self.evict_waiting(upkeep)?;
        if std::mem::take(&mut upkeep.late_due)
            && let Err(e) = self.compact_ooo(upkeep)
        {
            upkeep.late_due = true;
            self.options.log(LogLevel::Error, &format!("compact ooo head: {e}"));
            return Err(e);
        }
        Ok(())
    }

    /// Whether the head, which is long enough, still waits for the delay to pass.
    fn delays_cut(&self, upkeep: &mut Upkeep) -> bool {
        let now_ns = self.options.clock.monotonic_ns();
        let delay_ns = self.options.compaction_delay_ms.saturating_mul(1_000_000);
        now_ns < *upkeep.cut_due_ns.get_or_insert(now_ns.saturating_add(delay_ns))
    }

    /// Writes the block `min_ms .. max_ms` from the head, and opens it for queries.
    fn cut_block(&self, min_ms: i64, max_ms: i64) -> Result<(), StorageError> {
        let written = self.write_head(&self.options.dir, min_ms, max_ms)?;
        self.counters.compactions.add(1);
        if let Some(meta) = written {
            let dir = self.options.dir.join(meta.ulid.to_string());
            self.blocks.add(Block::open(&*self.options.fs, &dir)?);
            let text = format!("write block mint={} maxt={} ulid={}", meta.min_ms, meta.max_ms, meta.ulid);
            self.options.log(LogLevel::Info, &text);
            // Retention has its turn with each block, however many wait to be cut. Should it fail, that is
            // logged, and the next try is near: the block is there all the same.
            let _ = self.reload();
        }
        Ok(())
    }

    /// Writes the head's samples in `min_ms .. max_ms` as a block in the directory `parent`.
    pub(super) fn write_head(
        &self,
        parent: &Path,
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let meta = BlockMeta::from_head(self.new_ulid(), min_ms, max_ms);
        self.cutter().cut(parent, meta)
    }

    /// What cuts the head, until this database is closed.
    pub(super) fn cutter(&self) -> Cutter<'_> {
        Cutter {
            head: &self.head,
            fs: &self.options.fs,
            cancel: &self.compactor.cancel,
            segment_bytes: self.options.chunk_segment_bytes,
        }
    }

    /// Merges blocks as long as there is something to merge and the head does not wait to be cut.
    fn merge_blocks(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let now_ns = self.options.clock.monotonic_ns();
        if now_ns < upkeep.merge_at_ns {
            return Ok(());
        }
        let done = self.merge_all(upkeep);
        match &done {
            Ok(()) => upkeep.backoff_ns = 0,
            Err(StorageError::Closed) => {}
            Err(e) => {
                self.options.log(LogLevel::Error, &format!("compaction failed: {e}"));
                upkeep.backoff_ns = (upkeep.backoff_ns * 2).clamp(BACKOFF_MIN_NS, BACKOFF_MAX_NS);
                upkeep.merge_at_ns = now_ns.saturating_add(upkeep.backoff_ns);
            }
        }
        done
    }

    fn merge_all(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let shortest_ms = self.options.min_block_duration_ms;
        let longest_ms = match self.options.max_block_duration_ms {
            0 => max_block_duration_ms(shortest_ms, self.settings().retention_ms),
            given => given.max(shortest_ms),
        };
        let ranges = block_ranges_ms(shortest_ms, longest_ms);
        while !self.head.compactable() || self.delays_cut(upkeep) {
            let blocks = self.blocks.all();
            // A block with samples in order says that the head begins behind it, and what it is
            // merged with makes it no longer: late samples from further on have to wait.
            let end_ms = self.blocks.end_ms().unwrap_or(i64::MIN);
            let mut metas: Vec<_> = blocks.iter().map(Block::meta).filter(|m| m.max_ms <= end_ms).collect();
            if let Some(file) = &self.options.uploads_file
                && let Err(e) = uploads::without_waiting(&*self.options.fs, file, &mut metas)
            {
                self.options.log(LogLevel::Warn, &e);
            }
            let planned: Vec<Block> = plan(&metas, &ranges, self.options.overlapping_compaction)
                .iter()
                .filter_map(|ulid| blocks.iter().find(|b| b.meta().ulid == *ulid).cloned())
                .collect();
            if planned.is_empty() {
                break;
            }
            self.merge(&planned)?;
        }
        Ok(())
    }

    fn merge(&self, parents: &[Block]) -> Result<(), StorageError> {
        if overlap(parents) {
            self.counters.vertical_compactions.add(1);
            self.options.log(LogLevel::Info, "Found overlapping blocks during compaction");
        }
        let merged = self.compactor().merge(self.new_ulid(), parents);
        self.counters.compactions.add(1);
        let sources: Vec<_> = parents.iter().map(|b| b.meta().ulid.to_string()).collect();
        let sources = sources.join(" ");
        match merged {
            Ok(meta) => {
                let text = match &meta {
                    Some(m) => {
                        let (min_ms, max_ms, ulid) = (m.min_ms, m.max_ms, m.ulid);
                        format!("compact blocks mint={min_ms} maxt={max_ms} ulid={ulid} sources=[{sources}]")
                    }
                    None => format!("compact blocks resulted in empty block sources=[{sources}]"),
                };
                self.options.log(LogLevel::Info, &text);
                self.replaced(parents, meta.as_ref())
            }
            Err(StorageError::Closed) => Err(StorageError::Closed),
            Err(e) => {
                for block in parents {
                    self.blocks.add(block.mark_failed(&*self.options.fs)?);
                }
                Err(e)
            }
        }
    }

    /// The compactor as the settings want it now: what it encodes anew becomes what the head writes.
    fn compactor(&self) -> Compactor {
        Compactor { float_encoding: self.settings().float_encoding, ..self.compactor.clone() }
    }

    /// Puts the block that was written in the place of its parents, for queries that begin from
    /// now on, and deletes those. Without such a block they have no sample left.
    fn replaced(&self, parents: &[Block], child: Option<&BlockMeta>) -> Result<(), StorageError> {
        if child.is_none() {
            for block in parents {
                self.blocks.add(block.mark_deletable(&*self.options.fs)?);
            }
        }
        let reloaded = self.reload();
        if let (Err(_), Some(child)) = (&reloaded, child) {
            // Where the child did not get into the list the parents stay, and are merged again.
            if !self.blocks.all().iter().any(|b| b.meta().ulid == child.ulid) {
                let log = |level, text: &str| self.options.log(level, text);
                blocks::delete(&*self.options.fs, &self.options.dir, &[child.ulid], &log)?;
            }
        }
        reloaded
    }

    /// Writes every block with deleted samples again without them.
    pub(super) fn clean_tombstones(&self) -> Result<(), StorageError> {
        let start_ns = self.options.clock.monotonic_ns();
        while let Some(block) = self.blocks.all().iter().find(|b| !b.tombstones().is_empty()) {
            let written = self.compactor().rewrite(self.new_ulid(), block)?;
            self.counters.compactions.add(1);
            self.replaced(std::slice::from_ref(block), written.as_ref())?;
        }
        self.counters.tombstone_cleanups.add(1);
        let took_ns = self.options.clock.monotonic_ns().saturating_sub(start_ns);
        self.counters.tombstone_cleanup_ns.add(took_ns);
        Ok(())
    }

    /// Looks at the data directory, and deletes blocks past retention.
    fn reload(&self) -> Result<(), StorageError> {
        let log = |level, text: &str| self.options.log(level, text);
        let beyond = |blocks: &[Block]| self.beyond_retention(blocks);
        let done = self.blocks.reload(&*self.options.fs, &self.options.dir, &log, &beyond);
        self.counters.reloads.add(1);
        if let Err(e) = &done {
            self.counters.reloads_failed.add(1);
            self.options.log(LogLevel::Error, &format!("reloadBlocks: {e}"));
        }
        done
    }

    fn beyond_retention(&self, blocks: &[Block]) -> BTreeSet<Ulid> {
        let settings = self.settings();
        let retention = Retention {
            time_ms: settings.retention_ms,
            bytes: settings.retention_bytes,
            percentage: settings.retention_percentage,
        };
        let sizes: Vec<BlockSize> = blocks
            .iter()
            .map(|b| BlockSize { ulid: b.meta().ulid, max_ms: b.meta().max_ms, bytes: b.size_bytes() })
            .collect();
        let mut beyond = beyond_time(&sizes, retention.time_ms);
        if !beyond.is_empty() {
            self.counters.time_retentions.add(1);
        }
        let limit_bytes = retention.limit_bytes(self.disk_bytes(&retention));
        if limit_bytes > 0 {
            // Both logs, with their checkpoints, and the head's chunks count (Prometheus `Head.Size`).
            let log_bytes = |name| directory_bytes(&*self.options.fs, &self.options.dir.join(name));
            let used_bytes = log_bytes("wal") + log_bytes("wbl") + self.head.head_chunks().size();
            let large = beyond_size(&sizes, used_bytes, limit_bytes);
            if !large.is_empty() {
                self.counters.size_retentions.add(1);
            }
            beyond.extend(large);
        }
        beyond
    }

    /// Size of the disk that the data is on, where a share of it is what may be used.
    fn disk_bytes(&self, retention: &Retention) -> Option<u64> {
        if retention.percentage <= 0.0 {
            return None;
        }
        let disk_bytes = self.options.fs.disk_bytes(&self.options.dir).ok().filter(|bytes| *bytes > 0);
        if disk_bytes.is_none() {
            let dir = self.options.dir.display();
            let text = format!(
                "Unable to retrieve filesystem size of database directory, skip percentage limitation and default to fixed size limitation dir={dir}"
            );
            self.options.log(LogLevel::Warn, &text);
        }
        disk_bytes
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
        let done = self.head.truncate_wal(mint_ms, self.options.wal_held_bytes_max);
        let counters = &self.head.counters;
        counters.wal_truncations.add(1);
        counters.wal_truncate_ns.add(self.options.clock.monotonic_ns().saturating_sub(start_ns));
        done
    }

    pub(super) fn new_ulid(&self) -> Ulid {
        new_ulid(&*self.options.clock)
    }
}
