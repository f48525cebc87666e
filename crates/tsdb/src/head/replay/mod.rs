//! Filling the head when a database is opened: head chunks first, then checkpoint and log, whose
//! samples are skipped where a chunk has them already.
//!
//! The log is read in batches. While the samples of one are put into their series, by partitions of
//! the pages, the next one is decompressed and decoded. Only what the log says about series, and
//! the order of records, is looked at by one thread.

mod covered;
mod create;
mod snapshot;
#[cfg(test)]
mod tests;
mod work;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use model::TimestampMs;
use storage::{Fs, Spawn, StorageError};

use super::ooo::{OooChunk, replay_wbl};
use super::series::{Kind, MappedChunk};
use super::snapshot::Loaded;
use super::{Head, lock};
use crate::db::{LogLevel, ReplayProgress};
use crate::int_map::IntMap;
use crate::wal::fragment::{Records, Torn, Unchecked};
use crate::wal::reader::{LogFiles, log_files, map_segment, repair};
use crate::wal::record::{RefExemplar, RefMetadata, Stone};
use crate::wal::segment::segment_path;
use covered::Covered;
use work::{Decoded, Decoder, Unknown, Work};

/// Records are decoded and applied in batches of so many bytes, compressed.
const BATCH_BYTES: usize = 4 << 20;

/// Series are applied in so many partitions, by page, whatever the number of threads.
const PARTITIONS: u64 = 8;

/// What opening found, repaired and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// Series in the head.
    pub series: u64,
    /// Samples that the log had, those included that chunks had too.
    pub wal_samples: u64,
    /// Full chunks found.
    pub mapped_chunks: u64,
    /// Where and why the log was cut off, if it was damaged.
    pub wal_repaired: Option<String>,
    /// Why head chunks were dropped, if they were; the log has their samples.
    pub head_chunks_dropped: Option<String>,
    /// Histograms that the log had, in the same way.
    pub wal_histograms: u64,
    /// Exemplars that the log had.
    pub wal_exemplars: u64,
    /// Deletions applied to the head.
    pub tombstones: u64,
    /// Full chunks of unknown encodings, which are not read.
    pub skipped_chunks: u64,
    /// Samples whose series the log does not name.
    pub unknown_series_samples: u64,
    /// Histograms whose series the log does not name.
    pub unknown_series_histograms: u64,
    /// Late samples and histograms that their log had.
    pub wbl_samples: u64,
    /// Those of them whose series the log does not name.
    pub unknown_wbl_samples: u64,
    /// Where and why the log of late samples was cut off, if it was damaged.
    pub wbl_repaired: Option<String>,
    /// Histograms that contradict themselves, which are left out.
    pub invalid_histograms: u64,
    /// Series that a chunk snapshot had.
    pub snapshot_series: u64,
    /// Why a chunk snapshot was dropped, if one was; head chunks and log have what was in it.
    pub snapshot_dropped: Option<String>,
}

/// What replay needs of the database.
pub(crate) struct ReplayContext<'a> {
    pub(crate) fs: &'a dyn Fs,
    pub(crate) wal_dir: &'a Path,
    /// The log of late samples; it need not exist.
    pub(crate) wbl_dir: &'a Path,
    pub(crate) spawn: &'a dyn Spawn,
    pub(crate) progress: &'a dyn Fn(ReplayProgress),
    pub(crate) log: &'a dyn Fn(LogLevel, &str),
    /// What a chunk snapshot has brought into the head already.
    pub(crate) snapshot: Option<&'a Loaded>,
    /// Removes chunk snapshots: called before head chunks or log lose what one may rely on.
    pub(crate) drop_snapshots: &'a dyn Fn() -> Result<(), StorageError>,
}

/// Full chunks of a series and what the last one holds.
type Mapped = (Vec<MappedChunk>, Kind);

struct Replay<'a> {
    head: &'a Head,
    context: &'a ReplayContext<'a>,
    mapped: IntMap<u64, Mapped>,
    /// Up to when the full chunks have the samples of each reference.
    covered: Covered,
    /// Full chunks of late samples.
    late: IntMap<u64, Vec<OooChunk>>,
    /// References in the log that name a series known under another one.
    other_names: IntMap<u64, u64>,
    decoder: Decoder<'a>,
    /// Decoded, and not yet in the series.
    pending: Vec<Work>,
    /// Two full chunks of a series that overlap, found under two of its names.
    overlap: Option<String>,
    report: ReplayReport,
    unknown: Unknown,
    highest_ref: u64,
}

/// Why the head cannot be filled.
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// The head chunks contradict each other. They have been deleted, and the log has all that was in
    /// them: a new head can be filled from that.
    ChunksDropped(String),
    Storage(StorageError),
}

impl From<StorageError> for ReplayError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

/// Fills the head with what belongs to `head.min_valid_ms()` and later.
///
/// # Errors
/// Where files cannot be read, a segment is missing, a checkpoint is damaged, or head chunks overlap.
pub(crate) fn replay(head: &Head, context: &ReplayContext<'_>) -> Result<ReplayReport, ReplayError> {
    let mut r = Replay {
        head,
        context,
        mapped: IntMap::default(),
        covered: Covered::default(),
        late: IntMap::default(),
        other_names: context.snapshot.map(|s| s.names.clone()).unwrap_or_default(),
        decoder: Decoder::new(&head.symbols),
        pending: Vec::new(),
        overlap: None,
        report: ReplayReport::default(),
        unknown: Unknown::default(),
        highest_ref: context.snapshot.map_or(0, |s| s.highest_ref),
    };
    r.load_chunks()?;
    r.covered = Covered::new(&r.mapped);
    r.join_snapshot();
    let files = log_files(context.fs, context.wal_dir)?;
    r.replay_log(&files)?;
    r.apply();
    if let Some(why) = r.overlap {
        (context.log)(LogLevel::Error, &format!("Loading on-disk chunks failed: {why}"));
        (context.drop_snapshots)()?;
        head.chunks.discard()?;
        return Err(ReplayError::ChunksDropped(why));
    }
    head.list_postings(context.spawn);
    let min_valid_ms = head.min_valid_ms();
    head.raise_min_valid_ms(min_valid_ms);
    let late_ref = replay_wbl(head, context, context.wbl_dir, &r.other_names, &mut r.report)?;
    // No new series gets a reference that either log uses: it would be given those samples at the next start.
    head.last_ref.fetch_max(r.highest_ref.max(late_ref), Ordering::Relaxed);
    *lock(&head.other_names) = std::mem::take(&mut r.other_names);
    r.report.series = head.counters.series.get();
    r.report.unknown_series_samples = r.unknown.samples.load(Ordering::Relaxed);
    r.report.unknown_series_histograms = r.unknown.histograms.load(Ordering::Relaxed);
    let (samples, histograms) = (r.report.unknown_series_samples, r.report.unknown_series_histograms);
    if samples + histograms > 0 {
        let text = format!("Unknown series references: {samples} samples, {histograms} histograms");
        (context.log)(LogLevel::Warn, &text);
    }
    if r.report.invalid_histograms > 0 {
        let n = r.report.invalid_histograms;
        (context.log)(LogLevel::Warn, &format!("Invalid histograms in the WAL: {n}"));
    }
    Ok(r.report)
}

impl Replay<'_> {
    fn load_chunks(&mut self) -> Result<(), ReplayError> {
        let min_valid_ms = self.head.min_valid_ms();
        loop {
            let mapped = &mut self.mapped;
            let report = &mut self.report;
            let highest_ref = &mut self.highest_ref;
            mapped.clear();
            let late = &mut self.late;
            late.clear();
            (report.mapped_chunks, report.skipped_chunks) = (0, 0);
            let damage = self.head.chunks.load(self.context.drop_snapshots, |c| {
                *highest_ref = c.series.max(*highest_ref);
                let Some(encoding) = c.encoding else {
                    report.skipped_chunks += 1;
                    return Ok(());
                };
                if c.out_of_order {
                    let (place, min_ms, max_ms) = (c.place, c.min_ms, c.max_ms);
                    let chunk = OooChunk { place, min_ms, max_ms, recent: Box::default() };
                    late.entry(c.series).or_default().push(chunk);
                    report.mapped_chunks += 1;
                    return Ok(());
                }
                if c.max_ms < min_valid_ms {
                    return Ok(());
                }
                let (list, kind) = mapped.entry(c.series).or_default();
                if let Some(last) = list.last().filter(|last| last.max_ms >= c.min_ms) {
                    return Err(format!(
                        "out of sequence m-mapped chunk for series ref {}, last chunk: [{}, {}], new: [{}, {}]",
                        c.series, last.min_ms, last.max_ms, c.min_ms, c.max_ms
                    ));
                }
                report.mapped_chunks += 1;
                *kind = Kind::of(encoding);
                list.push(MappedChunk { place: c.place, min_ms: c.min_ms, max_ms: c.max_ms });
                Ok(())
            })?;
            let Some(why) = damage else { return Ok(()) };
            self.head.counters.mmap_corruptions.add(1);
            (self.context.log)(LogLevel::Error, &format!("Loading on-disk chunks failed: {why}"));
            if self.context.snapshot.is_some() {
                // The log has what is missing, from before the snapshot on.
                return Err(ReplayError::ChunksDropped(why));
            }
            self.report.head_chunks_dropped.get_or_insert(why);
        }
    }

    fn replay_log(&mut self, files: &LogFiles) -> Result<(), StorageError> {
        let from = self.context.snapshot.map(|s| s.position);
        // The one that this opening begins; nothing is in it yet.
        let last_segment = files.segments.last().map_or(0, |last| last.saturating_add(1));
        let first_segment = files.checkpoint.as_ref().map(|(n, _)| *n).or(files.segments.first().copied());
        let first_segment = first_segment.unwrap_or_default().max(from.map_or(0, |from| from.segment));
        let progress = |current_segment| {
            (self.context.progress)(ReplayProgress { first_segment, last_segment, current_segment });
        };
        if let Some((n, paths)) = &files.checkpoint {
            let needed = from.is_none_or(|from| *n >= from.segment);
            if !needed && let Some(first) = paths.first() {
                self.checkpoint_start(first)?;
            }
            for path in paths.iter().filter(|_| needed) {
                if let Some(torn) = self.file(path, 0)? {
                    let Torn { offset, reason } = torn;
                    let path = path.display();
                    let why =
                        format!("backfill checkpoint: corruption in segment {path} at {offset}: {reason}");
                    return Err(StorageError::Corrupt(why));
                }
            }
            progress(*n);
        }
        for n in files.segments.iter().filter(|n| from.is_none_or(|from| **n >= from.segment)) {
            let path = segment_path(self.context.wal_dir, *n);
            let offset = from.filter(|from| from.segment == *n).map_or(0, |from| from.offset);
            if let Some(torn) = self.file(&path, usize::try_from(offset).unwrap_or(usize::MAX))? {
                let why =
                    format!("corruption in segment {} at {}: {}", path.display(), torn.offset, torn.reason);
                self.head.counters.wal_corruptions.add(1);
                let text = format!("Encountered WAL read error, attempting repair: {why}");
                (self.context.log)(LogLevel::Warn, &text);
                if from.is_none() {
                    // What comes will be in places that one of them says it has.
                    (self.context.drop_snapshots)()?;
                }
                repair(self.context.fs, self.context.wal_dir, *n, &torn)?;
                (self.context.log)(LogLevel::Info, "Successfully repaired WAL");
                self.report.wal_repaired = Some(why);
                return Ok(());
            }
            progress(*n);
        }
        progress(last_segment);
        Ok(())
    }

    /// Replays one file from `offset` on; returns where it is damaged. The samples of what was whole are
    /// pending.
    fn file(&mut self, path: &Path, offset: usize) -> Result<Option<Torn>, StorageError> {
        let data = map_segment(self.context.fs, path)?;
        let mut records = Records::behind(&data, offset);
        loop {
            let mut batch = Vec::new();
            let end = records.next_batch(BATCH_BYTES, &mut batch);
            let decoded = self.apply_and_decode(&batch);
            for (found, record) in batch.iter().zip(decoded) {
                match record {
                    Ok(record) => self.record(record),
                    Err(reason) => return Ok(Some(Torn { offset: found.offset, reason })),
                }
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn record(&mut self, record: Decoded) {
        match record {
            Decoded::Series(series) => self.series(series),
            Decoded::Samples { work, all } => {
                self.report.wal_samples += all;
                self.take(work);
            }
            Decoded::Histograms { work, all, invalid } => {
                self.report.wal_histograms += all;
                self.report.invalid_histograms += invalid;
                self.take(work);
            }
            Decoded::Tombstones(stones) => self.tombstones(stones),
            Decoded::Metadata(metadata) => self.metadata(metadata),
            Decoded::MinValidTime(t) => self.head.raise_min_valid_ms(t),
            Decoded::Exemplars(exemplars) => self.exemplars(exemplars),
            Decoded::Other => {}
        }
    }

    fn take(&mut self, work: Work) {
        self.highest_ref = self.highest_ref.max(work.highest_ref());
        self.pending.push(work);
    }

    /// Puts exemplars into the ring.
    fn exemplars(&mut self, mut exemplars: Vec<RefExemplar>) {
        let min_valid_ms = self.head.min_valid_ms();
        self.report.wal_exemplars += exemplars.len() as u64;
        self.highest_ref = exemplars.iter().map(|e| e.series).fold(self.highest_ref, u64::max);
        for e in exemplars.iter_mut().filter(|e| e.t >= min_valid_ms) {
            e.series = self.other_names.get(&e.series).copied().unwrap_or(e.series);
            self.head.replay_exemplar(e);
        }
    }

    fn metadata(&mut self, metadata: Vec<RefMetadata>) {
        self.highest_ref = metadata.iter().map(|m| m.series).fold(self.highest_ref, u64::max);
        if !self.head.options.metadata_records {
            return;
        }
        for m in metadata {
            let series = self.other_names.get(&m.series).copied().unwrap_or(m.series);
            self.head.set_metadata(series, &m.metadata);
        }
    }

    /// Applies deletions to the series that the log named before.
    fn tombstones(&mut self, mut stones: Vec<Stone>) {
        let min_valid_ms = self.head.min_valid_ms();
        self.highest_ref = stones.iter().map(|s| s.series).fold(self.highest_ref, u64::max);
        let whole = |s: &Stone| (s.min_ms, s.max_ms) == (TimestampMs::MIN, TimestampMs::MAX);
        if stones.iter().any(whole) {
            // The series itself has gone: a later one of the same labels is another.
            self.apply();
            for s in stones.iter().filter(|s| whole(s)) {
                self.remove_series(self.other_names.get(&s.series).copied().unwrap_or(s.series));
            }
            stones.retain(|s| !whole(s));
        }
        // Late samples may lie before what is in order.
        if !self.context.fs.exists(self.context.wbl_dir) {
            stones.retain(|s| s.max_ms >= min_valid_ms);
        }
        let mut expiries = lock(&self.head.wal_expiries);
        for s in &mut stones {
            if let Some(name) = self.other_names.get(&s.series) {
                // The record of the other name must stay as long as the deletion uses it.
                let until = expiries.entry(s.series).or_insert(s.max_ms);
                *until = s.max_ms.max(*until);
                s.series = *name;
            }
        }
        drop(expiries);
        stones.retain(|s| self.head.page_of(s.series).is_some_and(|p| p.lock().get(s.series).is_some()));
        self.report.tombstones += stones.len() as u64;
        self.head.add_tombstones(&stones);
    }

    /// Puts everything pending into its series, and decodes the records of the next batch meanwhile.
    fn apply_and_decode(&mut self, batch: &[Unchecked<'_>]) -> Vec<Result<Decoded, String>> {
        let min_valid_ms = self.head.min_valid_ms();
        let mut pending = std::mem::take(&mut self.pending);
        self.rename(&mut pending, min_valid_ms);
        let partitions = if pending.is_empty() { 0 } else { PARTITIONS as usize };
        let decoded: Vec<Mutex<Option<Result<Decoded, String>>>> =
            batch.iter().map(|_| Mutex::new(None)).collect();
        let (head, unknown, covered, decoder) = (self.head, &self.unknown, &self.covered, &self.decoder);
        let rules = head.chunk_rules();
        self.context.spawn.for_each(partitions + batch.len(), &|i| {
            if let Some(i) = i.checked_sub(partitions) {
                let found = &batch[i];
                let data = found.data();
                let record = data.and_then(|data| decoder.decode(found.bits, &data, covered, min_valid_ms));
                *lock(&decoded[i]) = Some(record);
            } else {
                work::apply_partition(head, i as u64, &pending, min_valid_ms, &rules, unknown);
            }
        });
        self.decoder.reuse(pending);
        let missing = || Err("not decoded".to_owned());
        let take = |slot: Mutex<Option<_>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        decoded.into_iter().map(|slot| take(slot).unwrap_or_else(missing)).collect()
    }

    /// Puts everything pending into its series.
    fn apply(&mut self) {
        self.apply_and_decode(&[]);
    }

    /// Gives samples of series that are known under another name that name.
    fn rename(&self, pending: &mut [Work], min_valid_ms: TimestampMs) {
        if self.other_names.is_empty() || pending.is_empty() {
            return;
        }
        let slots: Vec<Mutex<&mut Work>> = pending.iter_mut().map(Mutex::new).collect();
        let (names, expiries) = (&self.other_names, &self.head.wal_expiries);
        self.context.spawn.for_each(slots.len(), &|i| {
            let used = lock(&slots[i]).rename(names, min_valid_ms);
            if used.is_empty() {
                return;
            }
            // The record of the other name must stay as long as samples use it.
            let mut expiries = lock(expiries);
            for (name, t) in used {
                let until = expiries.entry(name).or_insert(t);
                *until = t.max(*until);
            }
        });
    }
}
