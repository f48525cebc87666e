//! Reading both logs as they grow, for whoever sends samples on; see DESIGN.md. Knows nothing of where they go.

mod hold;
mod log;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, TimestampMs};
use storage::{Fs, StorageError};

pub(crate) use hold::{LogHolds, last_free, retire_late};
pub use log::LogPosition;

use super::record::{self, Record, RefMetadata};
pub use super::record::{RefExemplar, RefHistogram, RefSample};
use super::segment::{checkpoint_path, checkpoints};
pub use crate::histogram::OwnedHistogram;
use hold::{LogHold, drop_kept};
use log::{LogTail, Step, segment_sizes, segment_sizes_of};

/// So many records of one log are read before it is the other's turn.
const TURN_RECORDS: u32 = 256;

/// After so many records of no use there is a pause.
const SKIPPED_MAX: u32 = 4096;

/// A place in both logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailPosition {
    /// In the log of what came in order.
    pub wal: LogPosition,
    /// In the log of late samples.
    pub wbl: LogPosition,
}

impl TailPosition {
    /// Whether whoever has come here has come to `other`, too, in both logs.
    #[must_use]
    pub fn covers(&self, other: Self) -> bool {
        other.wal <= self.wal && other.wbl <= self.wbl
    }
}

/// What was read.
#[derive(Debug, PartialEq)]
pub enum TailItem {
    /// Which references stand for which labels, from a segment of that number. The same may come again.
    Series(u32, Vec<(u64, Labels)>),
    /// What is known of the metrics of series: reference and description.
    Metadata(Vec<(u64, model::Metadata)>),
    /// Floats, and start timestamps where any is known: 0 for none, as many as samples.
    Samples(Vec<RefSample>, Vec<TimestampMs>),
    /// Native histograms.
    Histograms(Vec<RefHistogram>),
    /// Exemplars.
    Exemplars(Vec<RefExemplar>),
    /// The checkpoint of that number has these series. What is behind it follows.
    Kept(u32, Vec<u64>),
    /// Series that came from segments below this number, and were not among the kept, come no more.
    Forget(u32),
    /// Nothing yet, after much reading: a moment to see whether to go on.
    Pause,
    /// Something that somebody should know of: the log was damaged, or parts were gone before they were read.
    Trouble(String),
    /// There is no more at present.
    End,
}

impl TailItem {
    /// Whether it moves the place: it has samples, histograms or exemplars.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        matches!(self, Self::Samples(..) | Self::Histograms(_) | Self::Exemplars(_))
    }
}

/// What a checkpoint is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// For its series.
    Series,
    /// To know which series can be forgotten.
    Forget,
}

struct Checkpoint {
    number: u32,
    log: LogTail,
    purpose: Purpose,
}

/// A late record that waits for its series to be read.
struct Parked {
    item: TailItem,
    end: LogPosition,
    /// The other log has been read to its end since.
    due: bool,
}

/// Where the logs are.
#[derive(Clone, Debug)]
pub(crate) struct LogDirs {
    /// The log of what came in order.
    pub(crate) wal: PathBuf,
    /// The log of late samples.
    pub(crate) wbl: PathBuf,
    /// Segments of the log of late samples that blocks have and readers have not.
    pub(crate) kept: PathBuf,
}

/// What has been read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailCounts {
    records: [u64; record::KINDS],
    /// Records that could not be decoded.
    pub undecodable: u64,
}

impl TailCounts {
    /// How many records of each kind were read, where any were, by Prometheus' names of the kinds.
    pub fn records(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = self.records.iter().enumerate();
        all.filter(|(_, n)| **n > 0).map(|(kind, n)| (record::kind_name(kind as u8), *n))
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        sum.records.iter_mut().zip(&other.records).for_each(|(n, more)| *n += more);
        sum.undecodable += other.undecodable;
        sum
    }

    fn note(&mut self, record: &[u8]) {
        let kind = record.first().map_or(0, |kind| usize::from(*kind));
        self.records[if kind < record::KINDS { kind } else { 0 }] += 1;
    }
}

/// A reader of both logs from some place on. Before it come all series that the log still knows.
pub struct Tail {
    fs: Arc<dyn Fs>,
    wal_dir: PathBuf,
    kept_dir: PathBuf,
    kept_bytes_max: u64,
    wal: LogTail,
    wbl: LogTail,
    /// Records before this are read for series and metadata alone.
    start: TailPosition,
    position: TailPosition,
    /// The last record was of the log of late samples.
    is_late: bool,
    checkpoint: Option<Checkpoint>,
    /// The newest checkpoint that has been looked at.
    seen_checkpoint: Option<u32>,
    segment: u32,
    parked: Option<Parked>,
    turn: u32,
    trouble: Option<String>,
    hold: LogHold,
    counts: TailCounts,
}

impl Tail {
    /// Begins at `from`, or behind everything that is there now.
    ///
    /// # Errors
    /// Where the directories cannot be read.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        LogDirs { wal: wal_dir, wbl: wbl_dir, kept: kept_dir }: LogDirs,
        from: Option<TailPosition>,
        holds: &LogHolds,
        kept_bytes_max: u64,
    ) -> Result<Self, StorageError> {
        let wal = segment_sizes(&*fs, &wal_dir)?;
        let wbl = segment_sizes_of(&*fs, &wbl_dir, Some(&kept_dir))?;
        let start = match from {
            None => TailPosition { wal: end(&wal), wbl: end(&wbl) },
            Some(from) => TailPosition { wal: within(from.wal, &wal), wbl: within(from.wbl, &wbl) },
        };
        // First, so that what is found below stays.
        let hold = holds.hold(start);
        let newest = newest_checkpoint(&*fs, &wal_dir)?;
        let first = wal.first().map_or(0, |(n, _)| *n).max(newest.map_or(0, |n| n + 1));
        let trouble = from.filter(|f| f.wal.segment < first && f.wal < end(&wal)).map(|f| {
            let last = first - 1;
            format!(
                "WAL segments {} to {last} were removed before they were read; samples in them are not sent",
                f.wal.segment
            )
        });
        let at = LogPosition { segment: first, offset: 0 };
        let checkpoint = newest.map(|number| Checkpoint {
            number,
            log: LogTail::new(fs.clone(), checkpoint_path(&wal_dir, number), LogPosition::default()),
            purpose: Purpose::Series,
        });
        Ok(Self {
            wal: LogTail::new(fs.clone(), wal_dir.clone(), at),
            // From the segment's start: an end that is being written to need not be a record's.
            wbl: LogTail::new(fs.clone(), wbl_dir, LogPosition { offset: 0, ..start.wbl })
                .or_in(kept_dir.clone()),
            fs,
            wal_dir,
            kept_dir,
            kept_bytes_max,
            start,
            position: start,
            is_late: false,
            checkpoint,
            seen_checkpoint: newest,
            segment: first,
            parked: None,
            turn: 0,
            trouble,
            hold,
            counts: TailCounts::default(),
        })
    }

    /// Behind the last item of samples, histograms or exemplars; the place to begin from where everything up to that
    /// item is done with.
    #[must_use]
    pub fn position(&self) -> TailPosition {
        self.position
    }

    /// Whether the last item of samples, histograms or exemplars came from the log of late samples: it ends where
    /// [`Self::position`] is in that log.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// The segment that is being read.
    #[must_use]
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// What has been read.
    #[must_use]
    pub fn counts(&self) -> &TailCounts {
        &self.counts
    }

    /// This reader needs no more what is before `position`.
    pub fn release(&self, position: TailPosition) {
        if self.hold.advance(position) {
            // What stays although nobody needs it goes with the next truncation.
            let needed = self.hold.first_late_needed();
            let _ = drop_kept(&*self.fs, &self.kept_dir, needed, self.kept_bytes_max);
        }
    }

    /// Samples up to the time `t` are done with. A database without blocks forgets by it.
    pub fn sent(&self, t: TimestampMs) {
        self.hold.sent(t);
    }

    /// The next item. `knows` says whether a series has come; a late record whose series have not waits for them as long
    /// as there is something to read.
    ///
    /// # Errors
    /// Where files cannot be read; begin anew then, from what has been done with.
    pub fn next(&mut self, knows: &dyn Fn(u64) -> bool) -> Result<TailItem, StorageError> {
        for _ in 0..SKIPPED_MAX {
            if let Some(trouble) = self.trouble.take() {
                return Ok(TailItem::Trouble(trouble));
            }
            if self.checkpoint.is_some() {
                match self.next_of_checkpoint()? {
                    Some(item) => return Ok(item),
                    None => continue,
                }
            }
            let mut wal_ended = false;
            if self.turn < TURN_RECORDS {
                match self.next_of_wal()? {
                    Read::Item(item) => return Ok(item),
                    Read::Nothing => continue,
                    Read::End => wal_ended = true,
                }
            }
            if wal_ended && let Some(parked) = &mut self.parked {
                parked.due = true;
            }
            match self.next_late(knows)? {
                Read::Item(item) => return Ok(item),
                Read::Nothing => {}
                Read::End if wal_ended => {
                    self.turn = 0;
                    return Ok(TailItem::End);
                }
                Read::End => self.turn = 0,
            }
        }
        Ok(TailItem::Pause)
    }

    fn next_of_wal(&mut self) -> Result<Read, StorageError> {
        let (begin, record) = match self.wal.next()? {
            Step::Record(begin, record) => (begin, record),
            Step::End => {
                self.position.wal = self.position.wal.max(self.wal.position());
                return Ok(Read::End);
            }
            Step::Damaged(why) => return Ok(Read::Item(TailItem::Trouble(why))),
            Step::Lost(first, last) => {
                // Before the start only series are wanted, and the checkpoint has those.
                let first = first.max(self.start.wal.segment);
                self.trouble = (first <= last).then(|| {
                    format!(
                        "WAL segments {first} to {last} were removed before they were read; samples in them are not sent"
                    )
                });
                if let Some(number) = newest_checkpoint(&*self.fs, &self.wal_dir)? {
                    self.read_checkpoint(number, Purpose::Series);
                }
                return Ok(Read::Nothing);
            }
        };
        self.turn += 1;
        self.counts.note(record);
        let wanted = begin >= self.start.wal;
        let decoded = decode(record, wanted);
        self.counts.undecodable += u64::from(decoded.is_err());
        if begin.segment != self.segment {
            self.segment = begin.segment;
            let newest = newest_checkpoint(&*self.fs, &self.wal_dir)?;
            if let Some(n) = newest.filter(|n| newest > self.seen_checkpoint && *n < begin.segment) {
                self.read_checkpoint(n, Purpose::Forget);
            }
        }
        if wanted {
            self.position.wal = self.wal.position();
            self.is_late = false;
        }
        Ok(match decoded {
            Ok(Some(Decoded::Series(series))) => Read::Item(TailItem::Series(begin.segment, series)),
            Ok(Some(Decoded::Item(item))) => Read::Item(item),
            Ok(None) => Read::Nothing,
            Err(why) => {
                let text = format!("WAL segment {:08}: offset {}: {why}", begin.segment, begin.offset);
                Read::Item(TailItem::Trouble(text))
            }
        })
    }

    fn next_late(&mut self, knows: &dyn Fn(u64) -> bool) -> Result<Read, StorageError> {
        if let Some(parked) = &self.parked {
            if !parked.due && !parked.item.all_series(knows) {
                return Ok(Read::End);
            }
            if let Some(parked) = self.parked.take() {
                self.position.wbl = parked.end;
                self.is_late = true;
                return Ok(Read::Item(parked.item));
            }
        }
        let (begin, record) = match self.wbl.next()? {
            Step::Record(begin, record) => (begin, record),
            Step::End => {
                self.position.wbl = self.position.wbl.max(self.wbl.position());
                return Ok(Read::End);
            }
            Step::Damaged(why) => return Ok(Read::Item(TailItem::Trouble(why))),
            // Its first segment is rarely the first that ever was.
            Step::Lost(_, _) if self.start.wbl == LogPosition::default() => return Ok(Read::Nothing),
            Step::Lost(first, last) => {
                let text = format!(
                    "WBL segments {first} to {last} were removed before they were read; late samples in them are not sent"
                );
                return Ok(Read::Item(TailItem::Trouble(text)));
            }
        };
        if begin < self.start.wbl {
            return Ok(Read::Nothing);
        }
        let end = |wbl: &LogTail| wbl.position();
        self.counts.note(record);
        let decoded = decode(record, true);
        self.counts.undecodable += u64::from(decoded.is_err());
        match decoded {
            Ok(Some(Decoded::Item(item))) => {
                let end = end(&self.wbl);
                if item.all_series(knows) {
                    self.position.wbl = end;
                    self.is_late = true;
                    return Ok(Read::Item(item));
                }
                self.parked = Some(Parked { item, end, due: false });
                Ok(Read::End)
            }
            Ok(_) => Ok(Read::Nothing),
            Err(why) => {
                let text = format!("WBL segment {:08}: offset {}: {why}", begin.segment, begin.offset);
                Ok(Read::Item(TailItem::Trouble(text)))
            }
        }
    }

    fn read_checkpoint(&mut self, number: u32, purpose: Purpose) {
        self.seen_checkpoint = Some(number);
        let dir = checkpoint_path(&self.wal_dir, number);
        let log = LogTail::new(self.fs.clone(), dir, LogPosition::default());
        self.checkpoint = Some(Checkpoint { number, log, purpose });
    }

    /// What is next in the checkpoint that is being read, if it is of use.
    fn next_of_checkpoint(&mut self) -> Result<Option<TailItem>, StorageError> {
        let Some(c) = &mut self.checkpoint else { return Ok(None) };
        let record = match c.log.next()? {
            Step::Record(_, record) => record,
            Step::End => {
                let (number, purpose) = (c.number, c.purpose);
                self.checkpoint = None;
                let gone = !self.fs.exists(&checkpoint_path(&self.wal_dir, number));
                return match (gone, purpose) {
                    // A newer one took its place, perhaps before all of it was read.
                    (true, Purpose::Series) => {
                        if let Some(newest) = newest_checkpoint(&*self.fs, &self.wal_dir)? {
                            self.read_checkpoint(newest, Purpose::Series);
                        }
                        Ok(None)
                    }
                    (true, Purpose::Forget) | (false, Purpose::Series) => Ok(None),
                    (false, Purpose::Forget) => Ok(Some(TailItem::Forget(number))),
                };
            }
            Step::Damaged(why) => return Ok(Some(TailItem::Trouble(why))),
            Step::Lost(_, _) => return Ok(None),
        };
        self.counts.note(record);
        let decoded = decode(record, false);
        self.counts.undecodable += u64::from(decoded.is_err());
        Ok(match decoded {
            Ok(Some(Decoded::Series(series))) if c.purpose == Purpose::Series => {
                Some(TailItem::Series(c.number, series))
            }
            Ok(Some(Decoded::Series(series))) => {
                Some(TailItem::Kept(c.number, series.into_iter().map(|(r, _)| r).collect()))
            }
            Ok(Some(Decoded::Item(item))) if c.purpose == Purpose::Series => Some(item),
            Ok(_) => None,
            Err(why) => Some(TailItem::Trouble(format!("checkpoint {}: {why}", c.number))),
        })
    }
}

enum Read {
    Item(TailItem),
    /// Nothing that is of use.
    Nothing,
    End,
}

enum Decoded {
    Series(Vec<(u64, Labels)>),
    Item(TailItem),
}

/// Decodes a record: series and metadata, and what else there is where that is `wanted`.
fn decode(record: &[u8], wanted: bool) -> Result<Option<Decoded>, &'static str> {
    let described = [record::kind::SERIES, record::kind::METADATA];
    if !wanted && record.first().is_none_or(|kind| !described.contains(kind)) {
        return Ok(None);
    }
    Ok(Some(match record::decode(record)? {
        Record::Series(series) => Decoded::Series(series),
        Record::Metadata(entries) => {
            let pair = |m: RefMetadata| (m.series, m.metadata);
            Decoded::Item(TailItem::Metadata(entries.into_iter().map(pair).collect()))
        }
        Record::Samples(all) => Decoded::Item(TailItem::Samples(all.samples, all.starts)),
        Record::Histograms(all) => Decoded::Item(TailItem::Histograms(all)),
        Record::Exemplars(all) => Decoded::Item(TailItem::Exemplars(all)),
        Record::Tombstones(_) | Record::MinValidTime(_) | Record::Markers(_) | Record::Other => {
            return Ok(None);
        }
    }))
}

impl TailItem {
    fn all_series(&self, knows: &dyn Fn(u64) -> bool) -> bool {
        match self {
            Self::Samples(all, _) => all.iter().all(|s| knows(s.series)),
            Self::Histograms(all) => all.iter().all(|h| knows(h.series)),
            Self::Exemplars(all) => all.iter().all(|e| knows(e.series)),
            _ => true,
        }
    }
}

/// Behind the last byte of a log.
fn end(segments: &[(u32, u64)]) -> LogPosition {
    segments.last().map_or_else(LogPosition::default, |(segment, offset)| LogPosition {
        segment: *segment,
        offset: *offset,
    })
}

/// Where to begin: at `from`, unless the log never came as far, so that all of it is new.
fn within(from: LogPosition, segments: &[(u32, u64)]) -> LogPosition {
    if segments.last().is_some_and(|(last, _)| *last >= from.segment)
        || segments.is_empty() && from.segment == 0
    {
        return from;
    }
    LogPosition { segment: segments.first().map_or(0, |(n, _)| *n), offset: 0 }
}

fn newest_checkpoint(fs: &dyn Fs, wal_dir: &Path) -> Result<Option<u32>, StorageError> {
    if !fs.exists(wal_dir) {
        return Ok(None);
    }
    Ok(checkpoints(fs, wal_dir)?.last().copied())
}
