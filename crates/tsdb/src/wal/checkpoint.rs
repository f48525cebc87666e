//! Checkpoints: what is still needed of the oldest segments, rewritten into one directory, so
//! that the segments can go.

use std::path::PathBuf;

use model::{Metadata, TimestampMs};
use storage::StorageError;

use super::commit::CommitRecords;
use super::compress::decompress;
use super::fragment::Records;
use super::output::Output;
use super::record::{self, Record, RefMetadata, Samples};
use super::segment::{checkpoint_path, checkpoints, segment_path, segments};
use super::writer::WalOptions;
use crate::int_map::IntMap;

/// Metadata entries per record.
const METADATA_BATCH: usize = 1000;

/// What stays in a checkpoint.
pub(crate) struct CheckpointRules<'a> {
    /// Samples, histograms and exemplars before this are left out.
    pub(crate) mint_ms: TimestampMs,
    /// Deletions of what is before this are left out.
    pub(crate) deleted_ms: TimestampMs,
    /// Series that it does not want are left out.
    pub(crate) keep: &'a dyn Fn(u64) -> bool,
    /// Whether the first record is the highest `mint_ms` that any checkpoint of this log was made with. An agent's
    /// log has none.
    pub(crate) says_min_valid: bool,
}

/// Writes the checkpoint that stands for all segments up to `last`, from the checkpoint before it
/// and the segments behind that one; of metadata only the latest of each series stays.
///
/// # Errors
/// Where files cannot be read or written, or are damaged: nothing has changed then.
pub(crate) fn write_checkpoint(
    options: &WalOptions,
    last: u32,
    rules: &CheckpointRules<'_>,
) -> Result<(), StorageError> {
    let (fs, dir) = (&*options.fs, &options.dir);
    let before = checkpoints(fs, dir)?.last().copied();
    let mut files = Vec::new();
    if let Some(n) = before {
        let dir = checkpoint_path(dir, n);
        files.extend(segments(fs, &dir)?.into_iter().map(|(s, _)| segment_path(&dir, s)));
    }
    let first = before.map_or(0, |n| n + 1);
    let segments = segments(fs, dir)?.into_iter().map(|(n, _)| n).filter(|n| (first..=last).contains(n));
    files.extend(segments.map(|n| segment_path(dir, n)));
    make_checkpoint(options, last, |out| rewrite(options, &files, out, rules))
}

/// Makes the checkpoint that stands for all segments up to `last` of what `fill` writes.
///
/// # Errors
/// Those of `fill`, and the system's: nothing has changed then.
pub(crate) fn make_checkpoint(
    options: &WalOptions,
    last: u32,
    fill: impl FnOnce(&mut Output<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let (fs, dir) = (&*options.fs, &options.dir);
    let target = checkpoint_path(dir, last);
    let temporary = dir.join(format!("checkpoint.{last:08}.tmp"));
    let fail = |e| StorageError::io(format!("write {}", temporary.display()), e);
    if fs.exists(&temporary) {
        fs.remove_dir_all(&temporary).map_err(fail)?;
    }
    fs.create_dir_all(&temporary).map_err(fail)?;
    let written = Output::new(options, &temporary).and_then(|mut out| {
        fill(&mut out)?;
        out.finish()
    });
    if let Err(e) = written {
        // What is left is removed with the next attempt.
        let _ = fs.remove_dir_all(&temporary);
        return Err(e);
    }
    fs.sync_dir(&temporary).map_err(fail)?;
    if fs.exists(&target) {
        fs.remove_dir_all(&target).map_err(fail)?;
    }
    fs.rename(&temporary, &target).map_err(fail)?;
    fs.sync_dir(dir).map_err(fail)
}

fn rewrite(
    options: &WalOptions,
    files: &[PathBuf],
    out: &mut Output<'_>,
    rules: &CheckpointRules<'_>,
) -> Result<(), StorageError> {
    let mut rest = Remainder {
        mint_ms: rules.mint_ms,
        deleted_ms: rules.deleted_ms,
        keep: rules.keep,
        start_timestamps: options.start_timestamps,
        latest: IntMap::default(),
        buf: Vec::new(),
    };
    let mut min_valid_ms = rules.mint_ms;
    let mut raw = Vec::new();
    let mut wrote_min_valid = !rules.says_min_valid;
    for file in files {
        let data =
            options.fs.map(file).map_err(|e| StorageError::io(format!("map {}", file.display()), e))?;
        let mut records = Records::new(&data);
        loop {
            let corrupt =
                |why: &str| StorageError::Corrupt(format!("create checkpoint: {}: {why}", file.display()));
            let Some(found) = records.next().map_err(|t| corrupt(&t.reason))? else { break };
            decompress(found.bits, &found.data, &mut raw).map_err(|e| corrupt(&e))?;
            let record = record::decode(&raw).map_err(corrupt)?;
            if let Record::MinValidTime(t) = record {
                min_valid_ms = min_valid_ms.max(t);
                continue;
            }
            if !wrote_min_valid {
                // An earlier checkpoint has it as its first record, so nothing higher comes.
                put_min_valid_time(out, min_valid_ms)?;
                wrote_min_valid = true;
            }
            rest.of(record, &mut |record| out.put(record))?;
        }
    }
    if !wrote_min_valid {
        put_min_valid_time(out, min_valid_ms)?;
    }
    let mut latest: Vec<RefMetadata> =
        rest.latest.into_iter().map(|(series, metadata)| RefMetadata { series, metadata }).collect();
    latest.sort_unstable_by_key(|m| m.series);
    for batch in latest.chunks(METADATA_BATCH) {
        let mut record = Vec::new();
        record::put_metadata(&mut record, batch);
        out.put(&record)?;
    }
    Ok(())
}

fn put_min_valid_time(out: &mut Output<'_>, t: TimestampMs) -> Result<(), StorageError> {
    let mut record = Vec::new();
    record::put_min_valid_time(&mut record, t);
    out.put(&record)
}

/// What is left of records.
struct Remainder<'a> {
    mint_ms: TimestampMs,
    deleted_ms: TimestampMs,
    keep: &'a dyn Fn(u64) -> bool,
    start_timestamps: bool,
    /// Of each series that stays, by reference.
    latest: IntMap<u64, Metadata>,
    buf: Vec<u8>,
}

impl Remainder<'_> {
    /// Hands over the records in which what is left of `record` is written; none where nothing is.
    fn of(
        &mut self,
        record: Record,
        put: &mut dyn FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mint_ms = self.mint_ms;
        let mut left = CommitRecords::default();
        let (samples, histograms, exemplars);
        match record {
            Record::Series(series) => {
                self.buf.clear();
                for (r, labels) in series.iter().filter(|(r, _)| (self.keep)(*r)) {
                    record::put_series(&mut self.buf, *r, labels);
                }
                return if self.buf.is_empty() { Ok(()) } else { put(&self.buf) };
            }
            Record::Tombstones(mut stones) => {
                stones.retain(|s| (self.keep)(s.series) && s.max_ms >= self.deleted_ms);
                self.buf.clear();
                record::put_tombstones(&mut self.buf, &stones);
                return if stones.is_empty() { Ok(()) } else { put(&self.buf) };
            }
            Record::Metadata(entries) => {
                let entries = entries.into_iter().filter(|m| (self.keep)(m.series));
                self.latest.extend(entries.map(|m| (m.series, m.metadata)));
                return Ok(());
            }
            Record::Samples(all) => {
                samples = not_before(all, mint_ms);
                (left.samples, left.starts) = (&samples.samples, &samples.starts);
            }
            Record::Histograms(mut all) => {
                all.retain(|h| h.t >= mint_ms);
                histograms = all;
                left.histograms = &histograms;
            }
            Record::Exemplars(mut all) => {
                all.retain(|e| e.t >= mint_ms);
                exemplars = all;
                left.exemplars = &exemplars;
            }
            Record::MinValidTime(_) | Record::Markers(_) | Record::Other => return Ok(()),
        }
        let mut done = Ok(());
        left.each(self.start_timestamps, &mut self.buf, |record| {
            if done.is_ok() {
                done = put(record);
            }
        });
        done
    }
}

/// The samples from `mint_ms` on.
fn not_before(mut all: Samples, mint_ms: TimestampMs) -> Samples {
    if !all.starts.is_empty() {
        let mut samples = all.samples.iter();
        all.starts.retain(|_| samples.next().is_some_and(|s| s.t >= mint_ms));
    }
    all.samples.retain(|s| s.t >= mint_ms);
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use model::{Histogram, Labels, MetricType};
    use storage::{Fs, Inline, MemFs};

    use super::*;
    use crate::db::{WalCompression, WalSync};
    use crate::histogram::OwnedHistogram;
    use crate::wal::record::{RefExemplar, RefHistogram, RefSample, Stone};
    use crate::wal::{RecordBuffers, Wal};

    fn read(fs: &dyn Fs, dir: &std::path::Path) -> Vec<Record> {
        let data = fs.read(&segment_path(dir, 0)).unwrap();
        let mut records = Records::new(&data);
        let (mut out, mut raw) = (Vec::new(), Vec::new());
        while let Some(found) = records.next().unwrap() {
            decompress(found.bits, &found.data, &mut raw).unwrap();
            out.push(record::decode(&raw).unwrap());
        }
        out
    }

    fn rules(mint_ms: TimestampMs, keep: &dyn Fn(u64) -> bool) -> CheckpointRules<'_> {
        CheckpointRules { mint_ms, deleted_ms: mint_ms, keep, says_min_valid: true }
    }

    /// One of each kind per series and time; series 2 is gone, what is before 10 is too old.
    #[test]
    fn keeps_what_is_still_needed() {
        for start_timestamps in [false, true] {
            let fs = MemFs::new();
            let options = WalOptions {
                dir: "wal".into(),
                fs: Arc::new(fs.clone()),
                spawn: Arc::new(Inline),
                segment_bytes: 64 * 1024,
                compression: WalCompression::Snappy,
                sync: WalSync::Segment,
                start_timestamps,
            };
            let wal = Wal::open(options.clone()).unwrap();
            let labels = |n: &str| Labels::from_pairs([("n", n)]);
            wal.add_series(1, &labels("1"));
            wal.add_series(2, &labels("2"));
            let st = i64::from(start_timestamps) * 5;
            let samples = [9, 10].map(|t| RefSample { series: 1, t, v: 1.0 });
            let histogram = |t| RefHistogram {
                series: 1,
                t,
                st,
                h: OwnedHistogram::Integer(Arc::new(Histogram { count: 3, ..Histogram::default() })),
            };
            let exemplar = |t| RefExemplar { series: 1, t, v: 2.0, labels: labels("x") };
            let metadata = |series, help: &str| {
                let metadata =
                    Metadata { kind: MetricType::Gauge, help: help.to_owned(), ..Metadata::default() };
                RefMetadata { series, metadata }
            };
            let starts = [0, st];
            let commit = CommitRecords {
                metadata: &[metadata(1, "old"), metadata(2, "gone"), metadata(1, "new")],
                samples: &samples,
                starts: &starts,
                histograms: &[histogram(9), histogram(10)],
                exemplars: &[exemplar(9), exemplar(10)],
                ..CommitRecords::default()
            };
            wal.log_commit(&[commit], &mut RecordBuffers::default(), || {}).unwrap();
            let stone = |series, max_ms| Stone { series, min_ms: 0, max_ms };
            wal.log_tombstones(&[stone(1, 9), stone(1, 10), stone(2, 10)]).unwrap();
            let last = wal.next_segment().unwrap() - 1;
            write_checkpoint(&options, last, &rules(10, &|r| r == 1)).unwrap();
            let starts = if start_timestamps { vec![st] } else { Vec::new() };
            let want = [
                Record::MinValidTime(10),
                Record::Series(vec![(1, labels("1"))]),
                Record::Samples(Samples { samples: samples[1..].to_vec(), starts }),
                Record::Histograms(vec![histogram(10)]),
                Record::Exemplars(vec![exemplar(10)]),
                Record::Tombstones(vec![stone(1, 10)]),
                Record::Metadata(vec![metadata(1, "new")]),
            ];
            let first = checkpoint_path(&options.dir, last);
            assert_eq!(read(&fs, &first), want);

            // The next one starts from it; its time never falls.
            let last = wal.next_segment().unwrap();
            write_checkpoint(&options, last, &rules(4, &|_| true)).unwrap();
            assert_eq!(read(&fs, &checkpoint_path(&options.dir, last)), want);
            write_checkpoint(&options, last + 1, &rules(11, &|_| false)).unwrap();
            let left = read(&fs, &checkpoint_path(&options.dir, last + 1));
            assert_eq!(left, [Record::MinValidTime(11)]);
            let agent = CheckpointRules { says_min_valid: false, ..rules(12, &|_| false) };
            write_checkpoint(&options, last + 2, &agent).unwrap();
            assert_eq!(read(&fs, &checkpoint_path(&options.dir, last + 2)), []);
        }
    }
}
