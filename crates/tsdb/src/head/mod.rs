//! The newest samples, in memory: series by reference and by labels, their open chunks, and the
//! appenders and queries over them. DESIGN.md beside this file says how commits stay whole.
//! Knows nothing of blocks.

mod append;
mod batch;
mod blocks;
mod delete;
mod exemplars;
pub(crate) mod index;
mod isolation;
mod ooo;
mod open_chunk;
mod ordered;
mod page;
mod postings;
mod querier;
mod replay;
mod series;
mod snapshot;
mod stale;
mod stats;
mod truncate;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use chunk::Encoding;
use model::symbols::{SymbolLabels, Symbols, SymbolsReader};
use model::{Labels, Metadata, SeriesRef, TimestampMs};
use storage::StorageError;

use crate::counter::Counter;
use crate::head_chunks::{HeadChunks, NewChunk};
use crate::int_map::IntMap;
use crate::metadata::SharedMetadata;
use crate::tombstones::Tombstones;
use crate::wal::Wal;
use crate::wal::tail::LogHolds;
use index::HashIndex;
use isolation::Isolation;
use ooo::OooState;
use page::{PAGE_SERIES, Page, Pages, page_number};
use postings::Postings;
use series::{ChunkRules, FullChunk, MappedChunk, Series};

pub(crate) use append::HeadAppender;
pub(crate) use ooo::{OooCompaction, OooTruncation};
pub(crate) use ordered::OrderedSeries;
pub(crate) use querier::HeadQuerier;
pub use replay::ReplayReport;
pub(crate) use replay::{ReplayContext, ReplayError, replay};
pub(crate) use series::{ChunkPlace, range_end_ms};
pub(crate) use snapshot::{
    ChunkRecord, Loaded, LogPosition, SeriesRecord, SnapshotRecord, decode_record as decode_snapshot_record,
    drop_snapshots, load as load_snapshot, snapshots, write as write_snapshot,
};
pub(crate) use stale::{StaleEviction, StaleSeries};
pub(crate) use truncate::Truncation;

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the head is told when it is made.
#[derive(Clone, Debug)]
pub(crate) struct HeadOptions {
    /// Length of a block cut from the head, milliseconds > 0.
    pub(crate) range_ms: i64,
    /// Samples that a chunk of floats is meant to have.
    pub(crate) samples_per_chunk: usize,
    /// Whether start timestamps are kept.
    pub(crate) start_timestamps: bool,
    /// Whether chunks of histograms have room for start timestamps.
    pub(crate) histogram_starts: bool,
    /// Whether metadata is logged, and kept to know when it changes.
    pub(crate) metadata_records: bool,
}

/// The head.
pub(crate) struct Head {
    options: HeadOptions,
    /// Whether new chunks of floats are XOR2.
    xor2: AtomicBool,
    symbols: Symbols,
    index: HashIndex,
    pages: Pages,
    postings: RwLock<Postings>,
    isolation: Arc<Isolation>,
    last_ref: AtomicU64,
    /// First time that may be in the head; `i64::MAX` while it is empty.
    min_ms: AtomicI64,
    /// Time of the newest sample; `i64::MIN` while it is empty.
    max_ms: AtomicI64,
    /// Samples before this belong to blocks.
    min_valid_ms: AtomicI64,
    batches: Mutex<Vec<batch::Batch>>,
    metadata: SharedMetadata,
    chunks: HeadChunks,
    pub(crate) exemplars: exemplars::ExemplarRing,
    /// What there is to know about samples that came late.
    pub(crate) ooo: OooState,
    /// What is deleted though chunks still hold it, by reference. Readers take it as it is.
    tombstones: RwLock<Arc<Tombstones>>,
    /// Set once the log has been replayed.
    wal: OnceLock<Wal>,
    /// Series that are gone, or known under another reference, whose samples may still be in the
    /// log up to the given time: their records must stay there as long.
    wal_expiries: Mutex<IntMap<u64, TimestampMs>>,
    /// What readers of the log still need of it.
    pub(crate) log_holds: LogHolds,
    /// References under which the logs know series that have another one here.
    other_names: Mutex<IntMap<u64, u64>>,
    pub(crate) counters: HeadCounters,
}

/// What happened, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct HeadCounters {
    pub(crate) series: Counter,
    pub(crate) series_created: Counter,
    pub(crate) series_removed: Counter,
    pub(crate) chunks: Counter,
    pub(crate) chunks_created: Counter,
    pub(crate) chunks_removed: Counter,
    pub(crate) appenders_created: Counter,
    pub(crate) samples_appended: Counter,
    pub(crate) histograms_appended: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_order_histograms: Counter,
    pub(crate) out_of_bound: Counter,
    pub(crate) too_old: Counter,
    pub(crate) too_old_histograms: Counter,
    /// Out of order, and taken.
    pub(crate) late_samples: Counter,
    pub(crate) late_histograms: Counter,
    pub(crate) wbl_truncations: Counter,
    pub(crate) out_of_bound_histograms: Counter,
    pub(crate) gc_runs: Counter,
    pub(crate) gc_ns: Counter,
    pub(crate) truncations: Counter,
    pub(crate) truncations_failed: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoints_failed: Counter,
    pub(crate) wal_truncate_ns: Counter,
    pub(crate) wal_truncations: Counter,
    pub(crate) mmap_corruptions: Counter,
    pub(crate) wal_corruptions: Counter,
    pub(crate) replay_ns: Counter,
    pub(crate) snapshots_damaged: Counter,
    /// See [`Head::num_stale`].
    stale_series: Counter,
}

impl Head {
    pub(crate) fn new(options: HeadOptions, chunks: HeadChunks) -> Self {
        Self {
            options,
            xor2: AtomicBool::new(false),
            chunks,
            exemplars: exemplars::ExemplarRing::default(),
            ooo: OooState::default(),
            tombstones: RwLock::default(),
            wal: OnceLock::new(),
            wal_expiries: Mutex::default(),
            log_holds: LogHolds::default(),
            other_names: Mutex::default(),
            counters: HeadCounters::default(),
            symbols: Symbols::new(),
            index: HashIndex::default(),
            pages: Pages::default(),
            postings: RwLock::default(),
            isolation: Arc::default(),
            last_ref: AtomicU64::new(0),
            min_ms: AtomicI64::new(TimestampMs::MAX),
            max_ms: AtomicI64::new(TimestampMs::MIN),
            min_valid_ms: AtomicI64::new(TimestampMs::MIN),
            batches: Mutex::default(),
            metadata: SharedMetadata::default(),
        }
    }

    pub(crate) fn min_ms(&self) -> TimestampMs {
        self.min_ms.load(Ordering::Acquire)
    }

    pub(crate) fn max_ms(&self) -> TimestampMs {
        self.max_ms.load(Ordering::Acquire)
    }

    /// Whether the head has had its first sample.
    pub(crate) fn initialized(&self) -> bool {
        self.min_ms() != TimestampMs::MAX
    }

    /// The first sample's time opens the head.
    fn initialize(&self, t: TimestampMs) {
        // The maximum first: who sees the minimum relies on both.
        let _ = self.max_ms.compare_exchange(TimestampMs::MIN, t, Ordering::AcqRel, Ordering::Acquire);
        let _ = self.min_ms.compare_exchange(TimestampMs::MAX, t, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Samples before this are out of bounds: they belong to blocks, or to a block soon to be cut.
    fn appendable_min_ms(&self) -> TimestampMs {
        let window = self.max_ms().saturating_sub(self.options.range_ms / 2);
        window.max(self.min_valid_ms.load(Ordering::Acquire))
    }

    fn widen(&self, min_ms: TimestampMs, max_ms: TimestampMs) {
        self.min_ms.fetch_min(min_ms, Ordering::AcqRel);
        self.max_ms.fetch_max(max_ms, Ordering::AcqRel);
    }

    /// From now on new chunks of floats are of this encoding: XOR or XOR2.
    pub(crate) fn set_float_encoding(&self, encoding: Encoding) {
        self.xor2.store(encoding == Encoding::Xor2, Ordering::Relaxed);
    }

    /// How chunks are written now.
    pub(crate) fn chunk_rules(&self) -> ChunkRules {
        let floats = if self.xor2.load(Ordering::Relaxed) { Encoding::Xor2 } else { Encoding::Xor };
        ChunkRules {
            range_ms: self.options.range_ms,
            samples: self.options.samples_per_chunk,
            floats,
            starts: self.options.start_timestamps,
            histogram_starts: self.options.histogram_starts,
        }
    }

    /// The series with this reference, or, where there is none, with these labels.
    fn existing(&self, series: SeriesRef, labels: &Labels) -> Option<u64> {
        if self.page_of(series.0).is_some_and(|p| p.lock().get(series.0).is_some()) {
            return Some(series.0);
        }
        let hash = labels.hash64();
        let shard = self.index.shard(hash);
        let symbols = self.symbols.read();
        shard.find(hash, |series| self.has_labels(series, labels, &symbols))
    }

    fn has_labels(&self, series: u64, labels: &Labels, symbols: &SymbolsReader<'_>) -> bool {
        self.page_of(series)
            .is_some_and(|p| p.lock().get(series).is_some_and(|s| s.labels.equals(labels, symbols)))
    }

    fn has_metadata(&self, series: u64, metadata: &Metadata) -> bool {
        let Some(page) = self.page_of(series) else { return false };
        let page = page.lock();
        let known = page.get(series).and_then(Series::extra).and_then(|e| e.metadata.as_deref());
        known == Some(metadata)
    }

    fn set_metadata(&self, series: u64, metadata: &Metadata) {
        let metadata = self.metadata.share(metadata);
        if let Some(page) = self.page_of(series)
            && let Some(s) = page.lock().get_mut(series)
        {
            s.extra_mut().metadata = Some(metadata);
        }
    }

    /// The series of `labels`, made if there is none. The series is kept from collection by one
    /// pending count, which the caller must give back. The second value says whether it is new.
    fn get_or_create(&self, labels: &Labels) -> (u64, bool) {
        let hash = labels.hash64();
        let mut shard = self.index.shard(hash);
        {
            let symbols = self.symbols.read();
            let found = shard.find(hash, |series| {
                self.page_of(series).is_some_and(|page| {
                    let mut page = page.lock();
                    let Some(s) = page.get_mut(series).filter(|s| s.labels.equals(labels, &symbols)) else {
                        return false;
                    };
                    s.pending += 1;
                    true
                })
            });
            if let Some(series) = found {
                return (series, false);
            }
        }
        let ids = SymbolLabels::intern(labels, &self.symbols);
        let series = self.last_ref.fetch_add(1, Ordering::Relaxed) + 1;
        // Queued before the shard is unlocked, so before anybody else can find the reference.
        if let Some(wal) = self.wal.get() {
            wal.add_series(series, labels);
        }
        self.insert(&mut shard, hash, series, ids, 1);
        (series, true)
    }

    /// Puts a new series everywhere it belongs.
    fn insert(&self, shard: &mut index::Shard, hash: u64, series: u64, labels: SymbolLabels, pending: u32) {
        let mut s = Series::new(labels.clone());
        s.pending = pending;
        self.pages.put(series, s);
        shard.insert(hash, series);
        self.postings.write().unwrap_or_else(PoisonError::into_inner).add(series, &labels);
        self.counters.series.add(1);
        self.counters.series_created.add(1);
    }

    /// The log, once it has been replayed.
    pub(crate) fn wal(&self) -> Option<&Wal> {
        self.wal.get()
    }

    /// From now on appends are logged.
    pub(crate) fn set_wal(&self, wal: Wal) {
        // A head is given one log, once.
        let _ = self.wal.set(wal);
    }

    /// Why writes are refused, if they are.
    pub(crate) fn refusal(&self) -> Option<Arc<str>> {
        self.wal().and_then(Wal::failed).or_else(|| self.ooo.wbl().and_then(Wal::failed))
    }

    /// Samples before this are in blocks.
    pub(crate) fn min_valid_ms(&self) -> TimestampMs {
        self.min_valid_ms.load(Ordering::Acquire)
    }

    /// Raises the time from which on samples are taken, and hides what may be there from before.
    pub(crate) fn raise_min_valid_ms(&self, t: TimestampMs) {
        self.min_valid_ms.fetch_max(t, Ordering::AcqRel);
        if self.initialized() {
            self.min_ms.fetch_max(t, Ordering::AcqRel);
        }
    }

    /// Whether a block can be cut: the head spans one and a half blocks, the half being where
    /// samples are still taken.
    pub(crate) fn compactable(&self) -> bool {
        self.initialized() && self.max_ms().saturating_sub(self.min_ms()) > self.options.range_ms / 2 * 3
    }

    /// Whether an appender is open that may add samples before `t`.
    pub(crate) fn appenders_before(&self, t: TimestampMs) -> bool {
        self.isolation.appenders_before(t)
    }

    /// Returns when all that has been logged so far is in its series.
    pub(crate) fn settle(&self) {
        self.isolation.settle();
    }

    /// Open appenders and open views.
    pub(crate) fn open_handles(&self) -> (usize, usize) {
        (self.isolation.open_appenders(), self.isolation.open_views())
    }

    pub(crate) fn head_chunks(&self) -> &HeadChunks {
        &self.chunks
    }

    /// Puts a full chunk into the head-chunks files and notes it in its series.
    fn keep_full(&self, series: u64, s: &mut Series, full: Option<FullChunk>) {
        self.counters.chunks_created.add(1);
        self.counters.chunks.add(1);
        let Some(FullChunk { min_ms, max_ms, chunk }) = full else { return };
        let place = self.chunks.put(&NewChunk {
            series,
            min_ms,
            max_ms,
            encoding: chunk.encoding(),
            out_of_order: false,
            data: chunk.bytes(),
        });
        s.add_mapped(MappedChunk { place, min_ms, max_ms });
        if let (Some(why), Some(wal)) = (self.chunks.failed(), self.wal()) {
            wal.fail(&why);
        }
    }

    /// Writes out the chunks that have gathered; a failure ends all writing.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn flush_chunks(&self) -> Result<(), StorageError> {
        let flushed = self.chunks.flush();
        if let (Err(e), Some(wal)) = (&flushed, self.wal()) {
            wal.fail(&e.to_string());
        }
        flushed
    }

    fn page_of(&self, series: u64) -> Option<Arc<Page>> {
        self.pages.get(page_number(series))
    }

    /// All references, in order.
    fn all_refs(&self) -> Vec<u64> {
        let mut refs = Vec::new();
        for (number, page) in self.pages.all() {
            refs.extend(page.lock().iter().map(|(slot, _)| number * PAGE_SERIES + slot));
        }
        refs
    }
}
