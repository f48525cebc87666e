//! Filling the head when a database is opened: head chunks first, then checkpoint and log, whose
//! samples are skipped where a chunk has them already.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::symbols::SymbolLabels;
use model::{Labels, TimestampMs};
use storage::{Fs, Spawn, StorageError};

use super::page::page_number;
use super::series::{MappedChunk, Pushed};
use super::{Head, lock};
use crate::db::{LogLevel, ReplayProgress};
use crate::int_map::IntMap;
use crate::wal::fragment::{Records, Torn};
use crate::wal::reader::{LogFiles, log_files, map_segment, repair};
use crate::wal::record::{self, Record, RefExemplar, RefSample, Stone};
use crate::wal::{decompress, segment::segment_path};

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
    /// Records with native histograms, which are not read yet.
    pub skipped_histogram_records: u64,
    /// Exemplars that the log had.
    pub wal_exemplars: u64,
    /// Deletions applied to the head.
    pub tombstones: u64,
    /// Full chunks of other kinds than floats in order, which are not read yet.
    pub skipped_chunks: u64,
    /// Samples whose series the log does not name.
    pub unknown_series_samples: u64,
}

/// What replay needs of the database.
pub(crate) struct ReplayContext<'a> {
    pub(crate) fs: &'a dyn Fs,
    pub(crate) wal_dir: &'a Path,
    pub(crate) spawn: &'a dyn Spawn,
    pub(crate) progress: &'a dyn Fn(ReplayProgress),
    pub(crate) log: &'a dyn Fn(LogLevel, &str),
}

struct Replay<'a> {
    head: &'a Head,
    context: &'a ReplayContext<'a>,
    mapped: IntMap<u64, Vec<MappedChunk>>,
    /// Up to when the full chunks have the samples of each reference.
    covered: Covered,
    /// References in the log that name a series known under another one.
    other_names: IntMap<u64, u64>,
    report: ReplayReport,
    unknown: AtomicU64,
    highest_ref: u64,
}

/// Fills the head with what belongs to `head.min_valid_ms()` and later.
///
/// # Errors
/// Where files cannot be read, a segment is missing, or a checkpoint is damaged.
pub(crate) fn replay(head: &Head, context: &ReplayContext<'_>) -> Result<ReplayReport, StorageError> {
    let mut r = Replay {
        head,
        context,
        mapped: IntMap::default(),
        covered: Covered::default(),
        other_names: IntMap::default(),
        report: ReplayReport::default(),
        unknown: AtomicU64::new(0),
        highest_ref: 0,
    };
    r.load_chunks()?;
    r.covered = Covered::new(&r.mapped);
    let files = log_files(context.fs, context.wal_dir)?;
    r.replay_log(&files)?;
    head.last_ref.fetch_max(r.highest_ref, Ordering::Relaxed);
    let min_valid_ms = head.min_valid_ms();
    head.raise_min_valid_ms(min_valid_ms);
    r.report.series = head.counters.series.get();
    r.report.unknown_series_samples = r.unknown.load(Ordering::Relaxed);
    if r.report.unknown_series_samples > 0 {
        let n = r.report.unknown_series_samples;
        (context.log)(LogLevel::Warn, &format!("Unknown series references: {n} samples"));
    }
    Ok(r.report)
}

impl Replay<'_> {
    fn load_chunks(&mut self) -> Result<(), StorageError> {
        let min_valid_ms = self.head.min_valid_ms();
        loop {
            let mapped = &mut self.mapped;
            let report = &mut self.report;
            let highest_ref = &mut self.highest_ref;
            mapped.clear();
            (report.mapped_chunks, report.skipped_chunks) = (0, 0);
            let damage = self.head.chunks.load(|c| {
                *highest_ref = c.series.max(*highest_ref);
                if c.out_of_order || !c.readable {
                    report.skipped_chunks += 1;
                    return Ok(());
                }
                if c.max_ms < min_valid_ms {
                    return Ok(());
                }
                let list = mapped.entry(c.series).or_default();
                if let Some(last) = list.last().filter(|last| last.max_ms >= c.min_ms) {
                    return Err(format!(
                        "out of sequence m-mapped chunk for series ref {}, last chunk: [{}, {}], new: [{}, {}]",
                        c.series, last.min_ms, last.max_ms, c.min_ms, c.max_ms
                    ));
                }
                report.mapped_chunks += 1;
                list.push(MappedChunk { place: c.place, min_ms: c.min_ms, max_ms: c.max_ms });
                Ok(())
            })?;
            let Some(why) = damage else { return Ok(()) };
            self.head.counters.mmap_corruptions.add(1);
            (self.context.log)(LogLevel::Error, &format!("Loading on-disk chunks failed: {why}"));
            self.report.head_chunks_dropped.get_or_insert(why);
        }
    }

    fn replay_log(&mut self, files: &LogFiles) -> Result<(), StorageError> {
        let last_segment = files.segments.last().copied().unwrap_or_default();
        let first_segment = files.checkpoint.as_ref().map(|(n, _)| *n).or(files.segments.first().copied());
        let first_segment = first_segment.unwrap_or_default();
        let progress = |current_segment| {
            (self.context.progress)(ReplayProgress { first_segment, last_segment, current_segment });
        };
        if let Some((n, paths)) = &files.checkpoint {
            for path in paths {
                if let Some(torn) = self.file(path)? {
                    let Torn { offset, reason } = torn;
                    let path = path.display();
                    let why =
                        format!("backfill checkpoint: corruption in segment {path} at {offset}: {reason}");
                    return Err(StorageError::Corrupt(why));
                }
            }
            progress(*n);
        }
        for n in &files.segments {
            let path = segment_path(self.context.wal_dir, *n);
            if let Some(torn) = self.file(&path)? {
                let why =
                    format!("corruption in segment {} at {}: {}", path.display(), torn.offset, torn.reason);
                self.head.counters.wal_corruptions.add(1);
                let text = format!("Encountered WAL read error, attempting repair: {why}");
                (self.context.log)(LogLevel::Warn, &text);
                repair(self.context.fs, self.context.wal_dir, *n, &torn)?;
                (self.context.log)(LogLevel::Info, "Successfully repaired WAL");
                self.report.wal_repaired = Some(why);
                return Ok(());
            }
            progress(*n);
        }
        Ok(())
    }

    /// Replays one file; returns where it is damaged, all before that having been replayed.
    fn file(&mut self, path: &Path) -> Result<Option<Torn>, StorageError> {
        let data = map_segment(self.context.fs, path)?;
        let mut records = Records::new(&data);
        loop {
            let mut batch = Vec::new();
            let mut bytes = 0;
            let mut end = None;
            while bytes < BATCH_BYTES {
                match records.next() {
                    Ok(Some(found)) => {
                        bytes += found.data.len() + 64;
                        batch.push(found);
                    }
                    Ok(None) => {
                        end = Some(None);
                        break;
                    }
                    Err(torn) => {
                        end = Some(Some(torn));
                        break;
                    }
                }
            }
            let decoded: Vec<Mutex<Option<Result<Owned, String>>>> =
                batch.iter().map(|_| Mutex::new(None)).collect();
            let (covered, min_valid_ms) = (&self.covered, self.head.min_valid_ms());
            self.context.spawn.for_each(batch.len(), &|i| {
                *lock(&decoded[i]) =
                    Some(decode(batch[i].bits, &batch[i].data).map(|r| covered.strip(r, min_valid_ms)));
            });
            let mut samples = Vec::new();
            for (found, slot) in batch.iter().zip(decoded) {
                match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    Some(Ok(record)) => self.record(record, &mut samples),
                    Some(Err(reason)) => {
                        self.apply(&mut samples);
                        return Ok(Some(Torn { offset: found.offset, reason }));
                    }
                    None => {}
                }
            }
            self.apply(&mut samples);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn record(&mut self, record: Owned, samples: &mut Vec<Vec<RefSample>>) {
        match record {
            Owned::Series(series) => {
                for (r, labels) in series {
                    self.series(r, &labels, samples);
                }
            }
            Owned::Samples { all, left } => {
                self.report.wal_samples += all;
                samples.push(left);
            }
            Owned::Tombstones(stones) => self.tombstones(stones),
            Owned::MinValidTime(t) => self.head.raise_min_valid_ms(t),
            Owned::Histograms => self.report.skipped_histogram_records += 1,
            Owned::Exemplars(exemplars) => self.exemplars(exemplars),
            Owned::Other => {}
        }
    }

    /// Puts exemplars into the ring.
    fn exemplars(&mut self, mut exemplars: Vec<RefExemplar>) {
        let min_valid_ms = self.head.min_valid_ms();
        self.report.wal_exemplars += exemplars.len() as u64;
        for e in exemplars.iter_mut().filter(|e| e.t >= min_valid_ms) {
            self.highest_ref = self.highest_ref.max(e.series);
            e.series = self.other_names.get(&e.series).copied().unwrap_or(e.series);
            self.head.replay_exemplar(e);
        }
    }

    /// Applies deletions to the series that the log named before.
    fn tombstones(&mut self, mut stones: Vec<Stone>) {
        let min_valid_ms = self.head.min_valid_ms();
        self.highest_ref = stones.iter().map(|s| s.series).fold(self.highest_ref, u64::max);
        stones.retain(|s| s.max_ms >= min_valid_ms);
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

    /// Makes a series that the log names, or notes that it has one of these labels already.
    fn series(&mut self, r: u64, labels: &Labels, samples: &mut Vec<Vec<RefSample>>) {
        self.highest_ref = self.highest_ref.max(r);
        let head = self.head;
        let hash = labels.hash64();
        let known = {
            let shard = head.index.shard(hash);
            let symbols = head.symbols.read();
            shard.find(hash, |s| {
                head.page_of(s)
                    .is_some_and(|p| p.lock().get(s).is_some_and(|s| s.labels.equals(labels, &symbols)))
            })
        };
        let series = if let Some(known) = known {
            // What the log said about the series so far comes before what this name has.
            self.apply(samples);
            if known != r {
                self.other_names.insert(r, known);
                if let Some(chunks) = self.mapped.get(&r) {
                    // The record of the other name must stay as long as its chunks.
                    let until = chunks.last().map_or(TimestampMs::MIN, |c| c.max_ms);
                    lock(&head.wal_expiries).insert(r, until);
                }
            }
            known
        } else {
            let ids = SymbolLabels::intern(labels, &head.symbols);
            head.insert(&mut head.index.shard(hash), hash, r, ids, 0);
            r
        };
        if let Some(chunks) = self.mapped.remove(&r) {
            self.attach(series, chunks);
        }
    }

    /// Gives a series the full chunks found under one of its names.
    fn attach(&self, series: u64, mut chunks: Vec<MappedChunk>) {
        let (Some(first), Some(last)) = (chunks.first().copied(), chunks.last().copied()) else { return };
        let Some(page) = self.head.page_of(series) else { return };
        let mut page = page.lock();
        let Some(s) = page.get_mut(series) else { return };
        if let Some(full) = s.take_open() {
            // Its samples are in the chunks, or before them.
            if full.max_ms < first.min_ms {
                self.head.keep_full(series, s, Some(full));
            }
        }
        let counters = &self.head.counters;
        counters.chunks.add(chunks.len() as u64);
        counters.chunks_created.add(chunks.len() as u64);
        s.mapped.retain(|m| m.max_ms < first.min_ms);
        s.mapped.append(&mut chunks);
        s.mapped.shrink_to_fit();
        self.head.widen(first.min_ms, last.max_ms);
    }

    /// Applies the samples gathered, partition by partition.
    fn apply(&mut self, samples: &mut Vec<Vec<RefSample>>) {
        if samples.is_empty() {
            return;
        }
        let min_valid_ms = self.head.min_valid_ms();
        if !self.other_names.is_empty() {
            let mut expiries = lock(&self.head.wal_expiries);
            for s in samples.iter_mut().flatten().filter(|s| s.t >= min_valid_ms) {
                if let Some(name) = self.other_names.get(&s.series) {
                    // The record of the other name must stay as long as samples use it.
                    let until = expiries.entry(s.series).or_insert(s.t);
                    *until = s.t.max(*until);
                    s.series = *name;
                }
            }
        }
        let highest = samples.iter().flatten().map(|s| s.series).max().unwrap_or_default();
        self.highest_ref = self.highest_ref.max(highest);
        let (head, unknown, all) = (self.head, &self.unknown, &*samples);
        self.context.spawn.for_each(PARTITIONS as usize, &|partition| {
            apply_partition(head, partition as u64, all, min_valid_ms, unknown);
        });
        samples.clear();
    }
}

fn apply_partition(
    head: &Head,
    partition: u64,
    samples: &[Vec<RefSample>],
    min_valid_ms: TimestampMs,
    unknown: &AtomicU64,
) {
    let (mut min_ms, mut max_ms) = (TimestampMs::MAX, TimestampMs::MIN);
    let mut missing = 0;
    for record in samples {
        let mut rest = &record[..];
        while let Some(first) = rest.first() {
            let number = page_number(first.series);
            let n = rest.iter().take_while(|s| page_number(s.series) == number).count();
            let (run, tail) = rest.split_at(n);
            rest = tail;
            if number % PARTITIONS != partition {
                continue;
            }
            let Some(page) = head.pages.get(number) else {
                missing += run.iter().filter(|s| s.t >= min_valid_ms).count();
                continue;
            };
            let mut page = page.lock();
            for sample in run.iter().filter(|s| s.t >= min_valid_ms) {
                let Some(s) = page.get_mut(sample.series) else {
                    missing += 1;
                    continue;
                };
                match s.push(sample.t, sample.v, head.options.range_ms) {
                    Pushed::Refused => continue,
                    Pushed::Appended => {}
                    Pushed::NewChunk(full) => head.keep_full(sample.series, s, full),
                }
                min_ms = min_ms.min(sample.t);
                max_ms = max_ms.max(sample.t);
            }
        }
    }
    unknown.fetch_add(missing as u64, Ordering::Relaxed);
    if min_ms <= max_ms {
        head.widen(min_ms, max_ms);
    }
}

/// For each reference that has full chunks, the time up to which they have its samples: of a long
/// log most samples are left out by this table, which is small and walked in order, and never
/// touch a series.
#[derive(Default)]
struct Covered {
    first_ref: u64,
    ends_ms: Vec<TimestampMs>,
}

/// The table may have so many places, and so many more per series that is in it.
const COVERED_PLACES_MAX: u64 = 1 << 20;
const COVERED_PLACES_PER_SERIES: u64 = 16;

impl Covered {
    /// Empty where the references lie too far apart: the samples are then refused by the series.
    fn new(mapped: &IntMap<u64, Vec<MappedChunk>>) -> Self {
        let (Some(first_ref), Some(last)) = (mapped.keys().min().copied(), mapped.keys().max()) else {
            return Self::default();
        };
        let places = last - first_ref;
        if places > COVERED_PLACES_MAX.max(mapped.len() as u64 * COVERED_PLACES_PER_SERIES) {
            return Self::default();
        }
        let mut ends_ms = vec![TimestampMs::MIN; places as usize + 1];
        for (series, chunks) in mapped {
            ends_ms[(series - first_ref) as usize] = chunks.last().map_or(TimestampMs::MIN, |c| c.max_ms);
        }
        Self { first_ref, ends_ms }
    }

    /// Leaves out the samples that chunks have, and those before `min_valid_ms`.
    fn strip(&self, mut record: Owned, min_valid_ms: TimestampMs) -> Owned {
        if let Owned::Samples { left, .. } = &mut record {
            left.retain(|s| {
                let place = s.series.wrapping_sub(self.first_ref) as usize;
                s.t >= min_valid_ms && self.ends_ms.get(place).is_none_or(|end| s.t > *end)
            });
        }
        record
    }
}

/// A record that no longer needs the bytes it was read from.
enum Owned {
    Series(Vec<(u64, Labels)>),
    /// How many there were, and those that are to be applied.
    Samples {
        all: u64,
        left: Vec<RefSample>,
    },
    Tombstones(Vec<Stone>),
    MinValidTime(TimestampMs),
    Histograms,
    Exemplars(Vec<RefExemplar>),
    Other,
}

fn decode(bits: u8, data: &[u8]) -> Result<Owned, String> {
    let mut raw = Vec::new();
    let raw = if bits == 0 {
        data
    } else {
        decompress(bits, data, &mut raw)?;
        &raw
    };
    Ok(match record::decode(raw)? {
        Record::Series(s) => Owned::Series(s),
        Record::Samples(s) => Owned::Samples { all: s.samples.len() as u64, left: s.samples },
        Record::Tombstones(t) => Owned::Tombstones(t),
        Record::MinValidTime(t) => Owned::MinValidTime(t),
        Record::Histograms(_) => Owned::Histograms,
        Record::Exemplars(e) => Owned::Exemplars(e),
        // Markers belong into the other log.
        Record::Metadata(_) | Record::Markers(_) | Record::Other => Owned::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::series::ChunkPlace;

    #[test]
    fn samples_that_chunks_have_are_left_out() {
        let chunk = |min_ms, max_ms| MappedChunk { place: ChunkPlace { file: 1, offset: 8 }, min_ms, max_ms };
        let sample = |series, t| RefSample { series, t, v: 0.0 };
        let left = |chunks: &[(u64, MappedChunk)], samples: &[RefSample]| {
            let mut mapped: IntMap<u64, Vec<MappedChunk>> = IntMap::default();
            for (series, c) in chunks {
                mapped.entry(*series).or_default().push(*c);
            }
            let record = Owned::Samples { all: 0, left: samples.to_vec() };
            match Covered::new(&mapped).strip(record, 10) {
                Owned::Samples { left, .. } => left.iter().map(|s| (s.series, s.t)).collect::<Vec<_>>(),
                _ => Vec::new(),
            }
        };
        let samples =
            [sample(4, 9), sample(4, 10), sample(5, 20), sample(5, 21), sample(6, 15), sample(7, 30)];
        let chunks = [(5, chunk(0, 15)), (5, chunk(16, 20)), (7, chunk(0, 40))];
        assert_eq!(left(&chunks, &samples), [(4, 10), (5, 21), (6, 15)]);
        // Too far apart for a table: the series see to it.
        let far = [(5, chunk(0, 20)), (u64::MAX, chunk(0, 20))];
        assert_eq!(left(&far, &samples).len(), 5);
        assert_eq!(left(&[], &samples).len(), 5);
    }
}
