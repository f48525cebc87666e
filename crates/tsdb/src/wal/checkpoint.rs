//! Checkpoints: what is still needed of the oldest segments, rewritten into one directory, so
//! that the segments can go.

use std::path::PathBuf;

use model::TimestampMs;
use storage::{FileAppend, StorageError};

use super::compress::{Compressor, decompress};
use super::fragment::{Fragmenter, Records};
use super::record::{self, Record};
use super::segment::{checkpoint_path, checkpoints, segment_path, segments};
use super::writer::WalOptions;
use crate::int_map::IntMap;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Metadata entries per record.
const METADATA_BATCH: usize = 1000;

/// Writes the checkpoint that stands for all segments up to `last`, from the checkpoint before it
/// and the segments behind that one. Series that `keep` does not want, and samples and deletions
/// before `mint_ms`, are left out; of metadata only the latest of each series stays. Records with
/// native histograms or exemplars stay as they are.
///
/// # Errors
/// Where files cannot be read or written, or are damaged: nothing has changed then.
pub(crate) fn write_checkpoint(
    options: &WalOptions,
    last: u32,
    mint_ms: TimestampMs,
    keep: &dyn Fn(u64) -> bool,
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

    let target = checkpoint_path(dir, last);
    let temporary = dir.join(format!("checkpoint.{last:08}.tmp"));
    let fail = |e| StorageError::io(format!("write {}", temporary.display()), e);
    if fs.exists(&temporary) {
        fs.remove_dir_all(&temporary).map_err(fail)?;
    }
    fs.create_dir_all(&temporary).map_err(fail)?;
    let written = rewrite(options, &files, &temporary, mint_ms, keep);
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
    to: &std::path::Path,
    mint_ms: TimestampMs,
    keep: &dyn Fn(u64) -> bool,
) -> Result<(), StorageError> {
    let mut out = Output::new(options, to)?;
    let mut latest: IntMap<u64, Vec<u8>> = IntMap::default();
    let mut min_valid_ms = mint_ms;
    let mut bodies = Output::new_buffer();
    let mut raw = Vec::new();
    let mut wrote_min_valid = false;
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
                record::put_min_valid_time(&mut bodies, min_valid_ms);
                out.put(&bodies)?;
                bodies.clear();
                wrote_min_valid = true;
            }
            filter(&record, &raw, mint_ms, keep, &mut latest, &mut bodies);
            if !bodies.is_empty() {
                out.put(&bodies)?;
                bodies.clear();
            }
        }
    }
    if !wrote_min_valid {
        record::put_min_valid_time(&mut bodies, min_valid_ms);
        out.put(&bodies)?;
        bodies.clear();
    }
    let mut latest: Vec<_> = latest.into_iter().collect();
    latest.sort_unstable();
    for batch in latest.chunks(METADATA_BATCH) {
        bodies.push(record::kind::METADATA);
        batch.iter().for_each(|(_, entry)| bodies.extend_from_slice(entry));
        out.put(&bodies)?;
        bodies.clear();
    }
    out.finish()
}

/// Writes what is left of a record to the empty `out`.
fn filter(
    record: &Record<'_>,
    raw: &[u8],
    mint_ms: TimestampMs,
    keep: &dyn Fn(u64) -> bool,
    latest: &mut IntMap<u64, Vec<u8>>,
    out: &mut Vec<u8>,
) {
    match record {
        Record::Series(series) => {
            series
                .iter()
                .filter(|(r, _)| keep(*r))
                .for_each(|(r, labels)| record::put_series(out, *r, labels));
        }
        Record::Samples(samples) => {
            let left: Vec<_> = samples.iter().filter(|s| s.t >= mint_ms).copied().collect();
            if !left.is_empty() {
                record::put_samples(out, &left);
            }
        }
        Record::Tombstones(stones) => {
            let left: Vec<_> =
                stones.iter().filter(|s| keep(s.series) && s.max_ms >= mint_ms).copied().collect();
            if !left.is_empty() {
                record::put_tombstones(out, &left);
            }
        }
        Record::Metadata(entries) => {
            for m in entries.iter().filter(|m| keep(m.series)) {
                latest.insert(m.series, m.bytes.to_vec());
            }
        }
        Record::Histograms | Record::Exemplars => out.extend_from_slice(raw),
        Record::MinValidTime(_) | Record::Other => {}
    }
}

/// The segments of a checkpoint under construction.
struct Output<'a> {
    options: &'a WalOptions,
    dir: PathBuf,
    number: u32,
    file: Box<dyn FileAppend>,
    fragments: Fragmenter,
    buffer: Vec<u8>,
    compressor: Compressor,
    compressed: Vec<u8>,
}

impl<'a> Output<'a> {
    fn new(options: &'a WalOptions, dir: &std::path::Path) -> Result<Self, StorageError> {
        Ok(Self {
            options,
            dir: dir.to_owned(),
            number: 0,
            file: create(options, dir, 0)?,
            fragments: Fragmenter::new(options.segment_bytes),
            buffer: Vec::new(),
            compressor: Compressor::default(),
            compressed: Vec::new(),
        })
    }

    fn new_buffer() -> Vec<u8> {
        Vec::with_capacity(4096)
    }

    fn io(&self, e: std::io::Error) -> StorageError {
        StorageError::io(format!("write {}", segment_path(&self.dir, self.number).display()), e)
    }

    fn put(&mut self, record: &[u8]) -> Result<(), StorageError> {
        let bits = self.compressor.compress(self.options.compression, record, &mut self.compressed);
        if self.fragments.overflows(self.compressed.len()) {
            self.end_segment()?;
            self.number += 1;
            self.file = create(self.options, &self.dir, self.number)?;
            self.fragments = Fragmenter::new(self.options.segment_bytes);
        }
        self.fragments.put(bits, &self.compressed, &mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), StorageError> {
        self.file.append(&self.buffer).map_err(|e| self.io(e))?;
        self.buffer.clear();
        Ok(())
    }

    fn end_segment(&mut self) -> Result<(), StorageError> {
        self.fragments.pad(&mut self.buffer);
        self.write_out()?;
        self.file.sync().map_err(|e| self.io(e))
    }

    fn finish(mut self) -> Result<(), StorageError> {
        self.end_segment()
    }
}

fn create(
    options: &WalOptions,
    dir: &std::path::Path,
    number: u32,
) -> Result<Box<dyn FileAppend>, StorageError> {
    let path = segment_path(dir, number);
    options.fs.create(&path).map_err(|e| StorageError::io(format!("create {}", path.display()), e))
}
