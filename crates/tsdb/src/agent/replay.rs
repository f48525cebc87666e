//! Reading an agent's log when it is opened: which series there are, and when each had its last sample.
//!
//! Records are decoded on all threads, a batch at a time. Of samples only their times are kept, and as the last one
//! counts, it does not matter in which order they come.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use model::TimestampMs;
use model::symbols::{Interner, SymbolLabels, Symbols};
use storage::StorageError;

use super::page::page_number;
use super::truncate::Deleted;
use super::{Inner, lock};
use crate::db::{LogLevel, ReplayProgress};
use crate::int_map::IntMap;
use crate::wal::decompress;
use crate::wal::fragment::{Records, Torn, Unchecked};
use crate::wal::reader::{log_files, map_segment, repair};
use crate::wal::record::{self, Record, RefMetadata, Samples, kind};
use crate::wal::segment::segment_path;

/// Records are decoded and applied in batches of so many bytes, compressed.
const BATCH_BYTES: usize = 4 << 20;

/// Times of samples are applied in so many partitions, by page, whatever the number of threads.
const PARTITIONS: u64 = 8;

/// What opening found and repaired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentReplayReport {
    /// Series.
    pub series: u64,
    /// Samples and histograms that the log had.
    pub samples: u64,
    /// Those of them whose series the log does not name.
    pub unknown_series_samples: u64,
    /// Where and why the log was cut off, if it was damaged.
    pub wal_repaired: Option<String>,
}

/// A record, as far as it is of use.
enum Decoded {
    /// Reference, hash of the labels, and the labels, whose symbols are counted.
    Series(Vec<(u64, u64, SymbolLabels)>),
    /// Reference and time of each sample.
    Times(Vec<(u64, TimestampMs)>),
    Metadata(Vec<RefMetadata>),
    Other,
}

struct Replay<'a> {
    inner: &'a Inner,
    interners: Mutex<Vec<Interner<'a>>>,
    /// References under which the log knows series that have another one here.
    names: IntMap<u64, u64>,
    deleted: IntMap<u64, Deleted>,
    report: AgentReplayReport,
    highest_ref: u64,
}

impl Inner {
    /// Fills the empty table of series; returns also the references that the log has for others.
    ///
    /// # Errors
    /// Where files cannot be read, a segment is missing, or a checkpoint is damaged.
    pub(super) fn replay(&self) -> Result<(AgentReplayReport, IntMap<u64, Deleted>), StorageError> {
        let mut replay = Replay {
            inner: self,
            interners: Mutex::default(),
            names: IntMap::default(),
            deleted: IntMap::default(),
            report: AgentReplayReport::default(),
            highest_ref: 0,
        };
        replay.log()?;
        let Replay { deleted, mut report, highest_ref, .. } = replay;
        if report.unknown_series_samples > 0 {
            let n = report.unknown_series_samples;
            let text = format!("found sample referencing non-existing series: skipped_series={n}");
            self.options.log(LogLevel::Warn, &text);
        }
        // A reference that the log uses is never given to a new series: it would get those samples at the next start.
        self.series.raise_last_ref(highest_ref);
        report.series = self.series.count.get();
        Ok((report, deleted))
    }
}

impl<'a> Replay<'a> {
    fn log(&mut self) -> Result<(), StorageError> {
        let (options, dir) = (&self.inner.options, self.inner.wal_dir());
        options.log(LogLevel::Info, &format!("replaying WAL, this may take a while: {}", dir.display()));
        let files = log_files(&*options.fs, &dir)?;
        let last_segment = files.segments.last().map_or(0, |last| last.saturating_add(1));
        let first_segment = files.checkpoint.as_ref().map(|(n, _)| *n).or(files.segments.first().copied());
        let first_segment = first_segment.unwrap_or_default();
        let progress = |current_segment| {
            if let Some(f) = &options.on_replay {
                f(ReplayProgress { first_segment, last_segment, current_segment });
            }
        };
        if let Some((n, paths)) = &files.checkpoint {
            for path in paths {
                if let Some(Torn { offset, reason }) = self.file(path, *n)? {
                    let path = path.display();
                    let why =
                        format!("backfill checkpoint: corruption in segment {path} at {offset}: {reason}");
                    return Err(StorageError::Corrupt(why));
                }
            }
            options.log(LogLevel::Info, "WAL checkpoint loaded");
            progress(*n);
        }
        for n in &files.segments {
            let path = segment_path(&dir, *n);
            if let Some(torn) = self.file(&path, *n)? {
                let why =
                    format!("corruption in segment {} at {}: {}", path.display(), torn.offset, torn.reason);
                self.inner.counters.corruptions.add(1);
                let text = format!("encountered WAL read error, attempting repair: {why}");
                options.log(LogLevel::Warn, &text);
                repair(&*options.fs, &dir, *n, &torn)?;
                options.log(LogLevel::Info, "successfully repaired WAL");
                self.report.wal_repaired = Some(why);
                return Ok(());
            }
            options
                .log(LogLevel::Info, &format!("WAL segment loaded: segment={n} maxSegment={last_segment}"));
            progress(*n);
        }
        progress(last_segment);
        Ok(())
    }

    /// Replays a file of `segment`; returns where it is damaged.
    fn file(&mut self, path: &Path, segment: u32) -> Result<Option<Torn>, StorageError> {
        let data = map_segment(&*self.inner.options.fs, path)?;
        let mut records = Records::new(&data);
        loop {
            let mut batch = Vec::new();
            let end = records.next_batch(BATCH_BYTES, &mut batch);
            if let Some(torn) = self.batch(&batch, segment) {
                return Ok(Some(torn));
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// Decodes and applies records, up to the first that is damaged.
    fn batch(&mut self, batch: &[Unchecked<'_>], segment: u32) -> Option<Torn> {
        let mut torn = None;
        let mut times = Vec::new();
        for (found, decoded) in batch.iter().zip(self.decode(batch)) {
            match decoded {
                // Those behind the damage have been decoded in vain.
                Ok(Decoded::Series(all)) if torn.is_some() => {
                    let ids = all.iter().flat_map(|(_, _, ids)| ids.ids());
                    self.inner.series.symbols.release(ids);
                }
                _ if torn.is_some() => {}
                Ok(Decoded::Series(all)) => self.series(all, segment),
                Ok(Decoded::Times(all)) => times.push(all),
                Ok(Decoded::Metadata(all)) => self.metadata(all, segment),
                Ok(Decoded::Other) => {}
                Err(reason) => torn = Some(Torn { offset: found.offset, reason }),
            }
        }
        self.times(times, segment);
        torn
    }

    fn decode(&self, batch: &[Unchecked<'_>]) -> Vec<Result<Decoded, String>> {
        let decoded: Vec<Mutex<Option<Result<Decoded, String>>>> =
            batch.iter().map(|_| Mutex::new(None)).collect();
        self.inner.options.spawn.for_each(batch.len(), &|i| {
            *lock(&decoded[i]) = Some(self.decode_one(&batch[i]));
        });
        let missing = || Err("not decoded".to_owned());
        decoded.into_iter().map(|slot| lock(&slot).take().unwrap_or_else(missing)).collect()
    }

    fn decode_one(&self, found: &Unchecked<'_>) -> Result<Decoded, String> {
        let data = found.data()?;
        let mut inflated = Vec::new();
        let raw: &[u8] = match found.bits {
            0 => &data,
            bits => {
                decompress(bits, &data, &mut inflated)?;
                &inflated
            }
        };
        Ok(match raw.first() {
            Some(&kind::SERIES) => Decoded::Series(self.decode_series(raw)?),
            Some(&(kind::SAMPLES | kind::SAMPLES_V2)) => {
                let mut samples = Samples::default();
                record::decode_samples(raw, &mut samples)?;
                Decoded::Times(samples.samples.iter().map(|s| (s.series, s.t)).collect())
            }
            _ => match record::decode(raw)? {
                Record::Histograms(all) => Decoded::Times(all.iter().map(|h| (h.series, h.t)).collect()),
                Record::Metadata(all) => Decoded::Metadata(all),
                _ => Decoded::Other,
            },
        })
    }

    fn decode_series(&self, raw: &[u8]) -> Result<Vec<(u64, u64, SymbolLabels)>, &'static str> {
        let symbols: &'a Symbols = &self.inner.series.symbols;
        let mut interner = lock(&self.interners).pop().unwrap_or_else(|| Interner::new(symbols));
        let mut all = Vec::new();
        let done = record::for_each_series(raw, |series, labels| {
            all.push((series, labels.hash64(), interner.intern(labels)));
        });
        lock(&self.interners).push(interner);
        if done.is_err() {
            symbols.release(all.iter().flat_map(|(_, _, ids): &(u64, u64, SymbolLabels)| ids.ids()));
        }
        done?;
        Ok(all)
    }

    fn series(&mut self, all: Vec<(u64, u64, SymbolLabels)>, segment: u32) {
        for (series, hash, ids) in all {
            self.highest_ref = self.highest_ref.max(series);
            let labels = match self.inner.options.checkpoint_from_memory {
                true => Some(ids.resolve(&self.inner.series.symbols.read())),
                false => None,
            };
            if let Some(name) = self.inner.series.replay(series, hash, ids) {
                // Its record has to stay as long as the log has samples under this name.
                self.names.insert(series, name);
                let deleted = self.deleted.entry(series).or_default();
                deleted.last_segment = deleted.last_segment.max(segment);
                deleted.labels = labels;
            } else {
                self.names.remove(&series);
            }
        }
    }

    /// The name under which the series of a sample is known here; that the log uses another one in `segment` is noted.
    fn name_of(
        names: &IntMap<u64, u64>,
        deleted: &mut IntMap<u64, Deleted>,
        (series, t): (u64, TimestampMs),
        segment: u32,
    ) -> u64 {
        let Some(name) = names.get(&series) else { return series };
        if let Some(deleted) = deleted.get_mut(&series) {
            deleted.last_segment = deleted.last_segment.max(segment);
            deleted.until_ms = deleted.until_ms.max(t);
        }
        *name
    }

    fn metadata(&mut self, all: Vec<RefMetadata>, segment: u32) {
        let table = &self.inner.series;
        for RefMetadata { series, metadata } in all {
            self.highest_ref = self.highest_ref.max(series);
            let name = Self::name_of(&self.names, &mut self.deleted, (series, TimestampMs::MIN), segment);
            let metadata = table.metadata.share(&metadata);
            if name != series
                && self.inner.options.checkpoint_from_memory
                && let Some(deleted) = self.deleted.get_mut(&series)
            {
                deleted.metadata = Some(metadata.clone());
            }
            let Some(page) = table.page_of(name) else { continue };
            let mut page = page.lock();
            // A checkpoint from memory has series that are gone behind those that took their place.
            if series < name && page.metadata(name).is_some() {
                continue;
            }
            page.set_metadata(name, metadata);
        }
    }

    /// Moves the ends of series on.
    fn times(&mut self, mut all: Vec<Vec<(u64, TimestampMs)>>, segment: u32) {
        self.report.samples += all.iter().map(|times| times.len() as u64).sum::<u64>();
        self.highest_ref = all.iter().flatten().map(|(series, _)| *series).fold(self.highest_ref, u64::max);
        if !self.names.is_empty() {
            for sample in all.iter_mut().flatten() {
                sample.0 = Self::name_of(&self.names, &mut self.deleted, *sample, segment);
            }
        }
        let table = &self.inner.series;
        let unknown = AtomicU64::new(0);
        self.inner.options.spawn.for_each(PARTITIONS as usize, &|partition| {
            let mut missing = 0;
            let same_page =
                |a: &(u64, TimestampMs), b: &(u64, TimestampMs)| page_number(a.0) == page_number(b.0);
            for run in all.iter().flat_map(|times| times.chunk_by(same_page)) {
                let number = page_number(run[0].0);
                if number % PARTITIONS != partition as u64 {
                    continue;
                }
                let Some(page) = table.pages.get(number) else {
                    missing += run.len() as u64;
                    continue;
                };
                let mut page = page.lock();
                for (series, t) in run {
                    if page.end_ms(*series).is_none() {
                        missing += 1;
                    }
                    page.move_end(*series, *t);
                }
            }
            unknown.fetch_add(missing, Ordering::Relaxed);
        });
        self.report.unknown_series_samples += unknown.into_inner();
    }
}
