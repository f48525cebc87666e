//! The database: opening, appending, querying, and the upkeep between head, log and blocks.

mod admin;
mod blocks;
mod chunks;
mod compact;
pub(crate) mod metrics;
mod ooo;
mod options;
#[cfg(test)]
mod overlapping_chunks;
mod read_only;
mod snapshot;
mod stale;
mod stats;
pub(crate) mod tail;
mod uploads;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::{Matcher, TimestampMs};
use storage::{
    Appender, ExemplarQuerier, ExemplarSeries, FileLock, Querier, Queryable, StorageError, merge_queriers,
};

use crate::block::{Block, BlockMeta};
use crate::compact::Compactor;
use crate::head::{
    Head, HeadAppender, HeadOptions, HeadQuerier, ReplayContext, ReplayError, ReplayReport, replay,
};
use crate::head_chunks::HeadChunks;
use crate::wal::{Wal, WalOptions};
use blocks::Blocks;
use compact::Upkeep;
pub(crate) use compact::{Cutter, new_ulid};
use metrics::DbCounters;

pub use chunks::cut_chunk;
pub(crate) use options::SAMPLES_PER_CHUNK;
pub use options::{DbOptions, DbSettings, Log, LogLevel, ReplayProgress, WalCompression, WalSync};
pub use read_only::{last_block, read_blocks};
pub use stats::{HeadStats, LabelCount, Metric, MetricKind};

/// The name of the log in the data directory.
const WAL_DIR: &str = "wal";

struct Inner {
    options: DbOptions,
    /// What may change while the database is open.
    settings: RwLock<Arc<DbSettings>>,
    head: Arc<Head>,
    blocks: Blocks,
    compactor: Compactor,
    report: ReplayReport,
    counters: DbCounters,
    /// Held by whoever does the upkeep.
    upkeep: Mutex<Upkeep>,
    lock: Mutex<Option<Box<dyn FileLock>>>,
    closed: AtomicBool,
}

/// A database in a directory. A clone is another handle on it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

impl Db {
    /// Opens the database in `options.dir`, making it where there is none: takes the lock file,
    /// loads blocks and head chunks, replays the log and repairs its end.
    ///
    /// # Errors
    /// Where another process has the directory, or its contents cannot be read or repaired.
    pub fn open(options: DbOptions) -> Result<Self, StorageError> {
        if options.min_block_duration_ms <= 0 {
            return Err(StorageError::Invalid("the block duration must be positive".to_owned()));
        }
        let start_ns = options.clock.monotonic_ns();
        let (fs, dir) = (&options.fs, &options.dir);
        fs.create_dir_all(dir).map_err(|e| StorageError::io(format!("create {}", dir.display()), e))?;
        let lock = if options.no_lockfile {
            None
        } else {
            Some(fs.lock(&dir.join("lock")).map_err(|e| StorageError::io("lock DB directory", e))?)
        };
        let blocks = Blocks::load(&**fs, dir, &|level, text| options.log(level, text))?;
        let (head, report) = match fill_head(&options, &blocks, true) {
            // From the log, and what is left of the head chunks.
            Err(ReplayError::ChunksDropped(why)) => {
                fill_head(&options, &blocks, false).map(|(head, mut report)| {
                    head.counters.mmap_corruptions.add(1);
                    report.head_chunks_dropped.get_or_insert(why);
                    (head, report)
                })
            }
            done => done,
        }
        .map_err(|e| match e {
            ReplayError::Storage(e) => e,
            ReplayError::ChunksDropped(why) => StorageError::Corrupt(why),
        })?;
        head.set_wal(Wal::open(WalOptions {
            dir: dir.join(WAL_DIR),
            fs: fs.clone(),
            spawn: options.spawn.clone(),
            segment_bytes: options.wal_segment_bytes,
            compression: options.wal_compression,
            sync: options.wal_sync,
            start_timestamps: options.start_timestamps,
        })?);
        ooo::apply_window(&head, &options, &options.settings)?;
        if head.initialized() {
            head.collect(head.min_valid_ms())?;
        }
        head.count_stale();
        head.counters.replay_ns.set(options.clock.monotonic_ns().saturating_sub(start_ns));
        let inner = Inner {
            head,
            blocks,
            compactor: Compactor {
                segment_bytes_max: options.chunk_segment_bytes,
                ..Compactor::new(options.fs.clone(), &options.dir)
            },
            report,
            counters: DbCounters::default(),
            upkeep: Mutex::default(),
            lock: Mutex::new(lock),
            closed: AtomicBool::new(false),
            settings: RwLock::new(Arc::new(options.settings.clone())),
            options,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Replaces the settings that may change while the database is open.
    ///
    /// # Errors
    /// Where they contradict themselves; the old ones stay.
    pub fn apply(&self, settings: DbSettings) -> Result<(), StorageError> {
        let floats = [chunk::Encoding::Xor, chunk::Encoding::Xor2];
        if !floats.contains(&settings.float_encoding) {
            let name = settings.float_encoding.as_str();
            return Err(StorageError::Invalid(format!("floats cannot be encoded as {name}")));
        }
        ooo::apply_window(&self.inner.head, &self.inner.options, &settings)?;
        self.inner.head.exemplars.resize(settings.exemplars_max, settings.out_of_order_window_ms);
        self.inner.head.set_float_encoding(settings.float_encoding);
        *self.inner.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        Ok(())
    }

    /// The settings as they are now.
    #[must_use]
    pub fn settings(&self) -> Arc<DbSettings> {
        self.inner.settings()
    }

    /// A transaction. Samples of one appender become visible together.
    #[must_use]
    pub fn appender(&self) -> Box<dyn Appender> {
        Box::new(HeadAppender::new(self.inner.head.clone()))
    }

    /// The upkeep that is due: full chunks to disk, blocks out of the head and truncation, merging
    /// blocks, deleting those past retention, loading those that others put into the directory.
    /// Call it every few seconds from a background thread; neither appends nor queries wait for it.
    ///
    /// # Errors
    /// Where files cannot be read or written. Queries go on; see [`Db::refuses_writes`].
    pub fn tick(&self) -> Result<(), StorageError> {
        self.exclusively(|upkeep| {
            self.inner.head.flush_chunks()?;
            self.inner.compact(upkeep)
        })
    }

    /// Cuts blocks out of the head as long as it spans more than one and a half times the block
    /// duration, truncates head and log behind them, and merges blocks. The same as [`Db::tick`],
    /// under the name that one looks for.
    ///
    /// # Errors
    /// As [`Db::tick`].
    pub fn compact(&self) -> Result<(), StorageError> {
        self.tick()
    }

    /// What opening found, repaired and left out.
    #[must_use]
    pub fn replay_report(&self) -> &ReplayReport {
        &self.inner.report
    }

    /// The head in numbers; each list has at most `limit` entries. Walks the whole index.
    #[must_use]
    pub fn head_stats(&self, limit: usize) -> HeadStats {
        self.inner.head.stats(limit)
    }

    /// Number of series in the head.
    #[must_use]
    pub fn num_series(&self) -> u64 {
        self.inner.head.counters.series.get()
    }

    /// First and last time that may be in the head, `None` while it is empty.
    #[must_use]
    pub fn head_range_ms(&self) -> Option<(TimestampMs, TimestampMs)> {
        let head = &self.inner.head;
        head.initialized().then(|| (head.min_ms(), head.max_ms()))
    }

    /// The start of the first block, `None` where there is none.
    #[must_use]
    pub fn first_block_ms(&self) -> Option<TimestampMs> {
        self.inner.blocks.start_ms()
    }

    /// What the blocks say about themselves, in order of time.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockMeta> {
        self.inner.blocks.all().iter().map(|b| b.meta().clone()).collect()
    }

    /// All counters and gauges.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.inner.metrics()
    }

    /// Why the database refuses writes, if it does: a write or sync has failed, or see
    /// [`Db::refuse`]. Queries go on.
    #[must_use]
    pub fn refuses_writes(&self) -> Option<String> {
        self.inner.head.refusal().map(|why| why.to_string())
    }

    /// Refuses writes from now on, for a reason that the caller knows. Queries go on; the first
    /// reason stays.
    pub fn refuse(&self, why: &str) {
        if let Some(wal) = self.inner.head.wal() {
            wal.fail(why);
        }
    }

    /// Writes out what is pending, closes the log and gives up the lock. Commits of appenders that
    /// are still open fail; queriers made before keep what they hold; later ones fail.
    ///
    /// # Errors
    /// Where the last bytes cannot be written; the database is closed all the same.
    pub fn close(&self) -> Result<(), StorageError> {
        let inner = &self.inner;
        // A merge that is under way gives up soon.
        inner.compactor.cancel.store(true, Ordering::Relaxed);
        let _upkeep = inner.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let log = inner.head.wal().map_or(Ok(()), Wal::close);
        let late = inner.head.ooo.wbl().map_or(Ok(()), Wal::close);
        // What was logged before goes into its series, and full chunks to the disk.
        inner.head.settle();
        let chunks = inner.head.head_chunks().close();
        let closed = log.and(late).and(chunks);
        let closed = match closed {
            Ok(()) if inner.options.snapshot_on_close => inner.write_snapshot(),
            closed => closed,
        };
        *inner.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        closed
    }
}

/// A new and empty head behind the blocks.
fn new_head(options: &DbOptions, blocks: &Blocks) -> Result<Arc<Head>, StorageError> {
    let (fs, dir) = (&options.fs, &options.dir);
    let chunks = HeadChunks::open(fs.clone(), dir.join("chunks_head"))?;
    let head_options = HeadOptions {
        range_ms: options.min_block_duration_ms,
        samples_per_chunk: match options.samples_per_chunk {
            0 => SAMPLES_PER_CHUNK,
            n => n,
        } as usize,
        start_timestamps: options.start_timestamps,
        histogram_starts: options.start_timestamps || options.histogram_start_encoding,
        metadata_records: options.metadata_records,
    };
    let head = Arc::new(Head::new(head_options, chunks));
    head.set_float_encoding(options.settings.float_encoding);
    if let Some(end_ms) = blocks.end_ms() {
        head.raise_min_valid_ms(end_ms);
    }
    head.exemplars.resize(options.settings.exemplars_max, options.settings.out_of_order_window_ms);
    Ok(head)
}

/// A new head with what snapshot, if it is to be used, head chunks and logs have behind the blocks.
fn fill_head(
    options: &DbOptions,
    blocks: &Blocks,
    with_snapshot: bool,
) -> Result<(Arc<Head>, ReplayReport), ReplayError> {
    let (fs, dir) = (&options.fs, &options.dir);
    let mut head = new_head(options, blocks)?;
    let (loaded, dropped) = if with_snapshot { snapshot::load(options, &head)? } else { (None, None) };
    if dropped.as_ref().is_some_and(|d| d.damaged) {
        head = new_head(options, blocks)?;
        head.counters.snapshots_damaged.add(1);
    }
    let mut report = replay(
        &head,
        &ReplayContext {
            fs: &**fs,
            wal_dir: &dir.join(WAL_DIR),
            wbl_dir: &dir.join(ooo::WBL_DIR),
            spawn: &*options.spawn,
            progress: &|p| {
                if let Some(f) = &options.on_replay {
                    f(p);
                }
            },
            log: &|level, text| options.log(level, text),
            snapshot: loaded.as_ref(),
            drop_snapshots: &|| snapshot::drop_all(options),
        },
    )?;
    report.snapshot_series = loaded.map_or(0, |l| l.series);
    report.snapshot_dropped = dropped.map(|d| d.why);
    Ok((head, report))
}

impl Inner {
    fn settings(&self) -> Arc<DbSettings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Queryable for Db {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        let inner = &self.inner;
        if inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        // The head's view first: what is cut into a block after this stays there for us, and what
        // was cut before is in the list of blocks.
        let head = HeadQuerier::new(inner.head.clone(), start_ms, end_ms);
        let blocks = inner.blocks.all();
        // The order decides between samples of the same time; it is Prometheus'.
        let mut queriers: Vec<Box<dyn Querier>> = Vec::new();
        let within = |b: &&Block| b.overlaps(start_ms, end_ms);
        if head.overlaps() || !blocks.iter().any(|b| within(&b)) {
            queriers.push(Box::new(head));
        }
        for block in blocks.iter().filter(within) {
            queriers.push(block.querier(start_ms, end_ms)?);
        }
        Ok(merge_queriers(queriers))
    }
}

impl ExemplarQuerier for Db {
    fn exemplars(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        matchers: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        Ok(self.inner.head.exemplars.select(start_ms, end_ms, matchers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Columns, Labels, SeriesRef};
    use storage::{Exemplar, Inline, ManualClock, MemFs, SelectHints};

    #[test]
    fn append_commit_query() {
        let o =
            DbOptions::new("data", Arc::new(MemFs::new()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
        let db = Db::open(o).unwrap();
        let up = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let mut a = db.appender();
        let r = a.append(SeriesRef::NONE, &up, 1000, 0, 1.0).unwrap();
        let q = db.querier(0, 10_000).unwrap();
        let hints = SelectHints { start_ms: 0, end_ms: 10_000, ..SelectHints::default() };
        assert!(q.select(&hints, &[]).unwrap().is_empty());
        a.commit().unwrap();
        let mut a = db.appender();
        a.append_known(r, 2000, 2.0).unwrap();
        a.commit().unwrap();
        let q = db.querier(0, 10_000).unwrap();
        let set = q.select(&hints, &[Matcher::equal("job", "a")]).unwrap();
        assert_eq!(set.labels(0), up);
        let mut c = Columns::default();
        set.read(0, &mut c).unwrap();
        assert_eq!((c.t, c.v), (vec![1000, 2000], vec![1.0, 2.0]));
    }

    #[test]
    fn exemplars_are_kept_and_come_back() {
        let fs = Arc::new(MemFs::new());
        let mut o = DbOptions::new("data", fs, Arc::new(ManualClock::new(0)), Arc::new(Inline));
        o.settings.exemplars_max = 10;
        let db = Db::open(o.clone()).unwrap();
        let up = Labels::from_pairs([("__name__", "up")]);
        let exemplar =
            Exemplar { labels: Labels::from_pairs([("id", "x")]), value: 0.5, timestamp_ms: Some(900) };
        let mut a = db.appender();
        let unknown = a.append_exemplar(SeriesRef::NONE, &up, &exemplar);
        assert_eq!(unknown, Err(storage::AppendError::UnknownSeries));
        let r = a.append(SeriesRef::NONE, &up, 1000, 0, 1.0).unwrap();
        assert_eq!(a.append_exemplar(SeriesRef::NONE, &up, &exemplar), Ok(r));
        assert_eq!(db.exemplars(0, 1000, &[Vec::new()]).unwrap(), []);
        a.commit().unwrap();
        // Without a sample, and one that is there already.
        let later = Exemplar { timestamp_ms: Some(950), ..exemplar.clone() };
        let mut a = db.appender();
        assert_eq!(a.append_exemplar(r, &Labels::empty(), &exemplar), Ok(r));
        assert_eq!(a.append_exemplar(r, &Labels::empty(), &later), Ok(r));
        a.commit().unwrap();
        let want = [ExemplarSeries { series: up, exemplars: vec![exemplar, later] }];
        assert_eq!(db.exemplars(0, 1000, &[Vec::new()]).unwrap(), want);
        db.close().unwrap();
        let db = Db::open(o).unwrap();
        assert_eq!(db.exemplars(0, 1000, &[Vec::new()]).unwrap(), want);
        assert_eq!(db.replay_report().wal_exemplars, 2);
    }
}
