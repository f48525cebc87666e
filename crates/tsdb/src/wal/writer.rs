//! Writing the log: commits that come together are written together, by one of them.
//!
//! A commit compresses its record on its own thread, queues it, and then either writes everything
//! queued or waits for the one who does. Records reach the file in the order of the queue, and new
//! series are queued before anybody else can know their references, so a series record always
//! stands before the samples that need it. After a failed write or sync nothing is written any
//! more: what a later success would mean cannot be known.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Labels;
use storage::{FileAppend, Fs, Signal, Spawn, StorageError};

use super::commit::{CommitRecords, RecordBuffers};
use super::compress::Compressor;
use super::fragment::Fragmenter;
use super::record;
use super::segment::{checkpoints, segment_path, segments};
use crate::counter::Counter;
use crate::db::{WalCompression, WalSync};

/// A series record is closed at this size, and the next begun.
const SERIES_RECORD_BYTES: usize = 1 << 20;

/// How a log is written.
#[derive(Clone)]
pub(crate) struct WalOptions {
    pub(crate) dir: PathBuf,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) segment_bytes: u64,
    pub(crate) compression: WalCompression,
    pub(crate) sync: WalSync,
    /// Whether samples and histograms are logged with their start timestamps, in records of the
    /// second kind.
    pub(crate) start_timestamps: bool,
}

/// A record on its way to the file.
pub(super) struct Queued {
    bits: u8,
    data: Vec<u8>,
    /// Compressed already; otherwise the one who writes does it.
    ready: bool,
}

impl Queued {
    pub(super) fn compressed(record: &[u8], how: WalCompression, compressor: &mut Compressor) -> Self {
        let mut data = Vec::new();
        let bits = compressor.compress(how, record, &mut data);
        Self { bits, data, ready: true }
    }

    pub(super) fn saved_bytes(&self, record_bytes: usize) -> u64 {
        (record_bytes - self.data.len()) as u64
    }
}

/// The segment being written; `None` in [`State`] while someone writes.
struct Segment {
    file: Box<dyn FileAppend>,
    number: u32,
    fragments: Fragmenter,
    out: Vec<u8>,
    compressor: Compressor,
    compressed: Vec<u8>,
}

#[derive(Default)]
struct State {
    /// The series record under construction.
    series: Vec<u8>,
    queue: Vec<Queued>,
    /// Commits queued and commits written, counted from the start.
    queued: u64,
    written: u64,
    segment: Option<Box<Segment>>,
    failed: Option<Arc<str>>,
    closed: bool,
}

impl State {
    fn close_series_record(&mut self) {
        if !self.series.is_empty() {
            let data = std::mem::take(&mut self.series);
            self.queue.push(Queued { bits: 0, data, ready: false });
        }
    }

    fn refusal(&self) -> Option<StorageError> {
        if let Some(why) = &self.failed {
            return Some(StorageError::ReadOnly(why.to_string()));
        }
        self.closed.then_some(StorageError::Closed)
    }
}

/// What happened, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct WalCounters {
    pub(crate) segment: Counter,
    pub(crate) page_flushes: Counter,
    pub(crate) writes_failed: Counter,
    pub(crate) bytes: Counter,
    pub(crate) records: Counter,
    pub(crate) record_bytes_saved: Counter,
}

/// The log, open for writing.
pub(crate) struct Wal {
    options: WalOptions,
    state: Arc<Mutex<State>>,
    changed: Signal,
    pub(crate) counters: WalCounters,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wal {
    /// Begins a new segment behind all that are there.
    ///
    /// # Errors
    /// Where the directory cannot be read or the file not made.
    pub(crate) fn open(options: WalOptions) -> Result<Self, StorageError> {
        let fs = &*options.fs;
        fs.create_dir_all(&options.dir)
            .map_err(|e| StorageError::io(format!("create {}", options.dir.display()), e))?;
        if let Some(parent) = options.dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            // A directory that power loss takes takes the segments along, synced or not.
            fs.sync_dir(parent).map_err(|e| StorageError::io(format!("sync {}", parent.display()), e))?;
        }
        let behind_segments = segments(fs, &options.dir)?.last().map_or(0, |(n, _)| n + 1);
        let behind_checkpoint = checkpoints(fs, &options.dir)?.last().map_or(0, |n| n + 1);
        let number = behind_segments.max(behind_checkpoint);
        let segment = Segment {
            file: create(&options, number)?,
            number,
            fragments: Fragmenter::new(options.segment_bytes),
            out: Vec::new(),
            compressor: Compressor::default(),
            compressed: Vec::new(),
        };
        let state = State { segment: Some(Box::new(segment)), ..State::default() };
        let counters = WalCounters::default();
        counters.segment.set(u64::from(number));
        Ok(Self { options, state: Arc::new(Mutex::new(state)), changed: Signal::default(), counters })
    }

    pub(crate) fn options(&self) -> &WalOptions {
        &self.options
    }

    /// Why nothing is written any more.
    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        lock(&self.state).failed.clone()
    }

    /// From now on nothing is written.
    pub(crate) fn fail(&self, why: &str) {
        lock(&self.state).failed.get_or_insert_with(|| why.into());
        self.changed.notify_all();
    }

    /// Queues a new series. It is written with the next commit, before it.
    pub(crate) fn add_series(&self, series: u64, labels: &Labels) {
        let mut s = lock(&self.state);
        record::put_series(&mut s.series, series, labels);
        if s.series.len() >= SERIES_RECORD_BYTES {
            s.close_series_record();
        }
    }

    /// Queues a deletion. It is written with the next commit, before it and before series that are
    /// queued later.
    pub(crate) fn add_tombstone(&self, stone: record::Stone) {
        let mut data = Vec::new();
        record::put_tombstones(&mut data, &[stone]);
        let mut s = lock(&self.state);
        s.close_series_record();
        s.queue.push(Queued { bits: 0, data, ready: false });
    }

    /// Logs a commit, batch after batch; when it returns, write(2) has returned for all of it. Calls
    /// `queued` as soon as the commit's place in the log is certain, before any other commit gets one.
    ///
    /// # Errors
    /// Where the log cannot be written, now or since earlier: nothing is acknowledged.
    pub(crate) fn log_commit(
        &self,
        batches: &[CommitRecords<'_>],
        buffers: &mut RecordBuffers,
        queued: impl FnOnce(),
    ) -> Result<(), StorageError> {
        let WalOptions { start_timestamps, compression, .. } = self.options;
        let saved = buffers.fill(batches, start_timestamps, compression);
        self.counters.record_bytes_saved.add(saved);
        self.commit(&mut buffers.records, queued)
    }

    /// Logs deletions; when it returns, write(2) has returned.
    ///
    /// # Errors
    /// As [`Self::log_commit`].
    pub(crate) fn log_tombstones(&self, stones: &[record::Stone]) -> Result<(), StorageError> {
        let mut raw = Vec::new();
        record::put_tombstones(&mut raw, stones);
        let queued = Queued::compressed(&raw, self.options.compression, &mut Compressor::default());
        self.counters.record_bytes_saved.add(queued.saved_bytes(raw.len()));
        self.commit(&mut vec![queued], || {})
    }

    /// Writes out the series that are queued.
    ///
    /// # Errors
    /// As [`Self::log_commit`].
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.commit(&mut Vec::new(), || {})
    }

    /// Queues the records, which are taken out, and returns once they are written.
    fn commit(&self, records: &mut Vec<Queued>, queued: impl FnOnce()) -> Result<(), StorageError> {
        let mut s = lock(&self.state);
        if let Some(refusal) = s.refusal() {
            return Err(refusal);
        }
        s.close_series_record();
        s.queue.append(records);
        s.queued += 1;
        let mine = s.queued;
        queued();
        loop {
            if s.written >= mine {
                return Ok(());
            }
            if let Some(refusal) = s.refusal() {
                return Err(refusal);
            }
            let Some(segment) = s.segment.take() else {
                s = self.changed.wait(s);
                continue;
            };
            let queue = std::mem::take(&mut s.queue);
            let up_to = s.queued;
            drop(s);
            let written = self.lead(segment, |segment| self.write(segment, queue));
            s = lock(&self.state);
            if written.is_ok() {
                s.written = s.written.max(up_to);
            }
            drop(s);
            self.changed.notify_all();
            written?;
            s = lock(&self.state);
        }
    }

    /// Does `work` with the segment, and puts it back; a failure or panic ends all writing.
    fn lead(
        &self,
        segment: Box<Segment>,
        work: impl FnOnce(&mut Segment) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        struct PutBack<'a> {
            wal: &'a Wal,
            segment: Option<Box<Segment>>,
            failure: Option<Arc<str>>,
        }
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                let mut s = lock(&self.wal.state);
                s.segment = self.segment.take();
                if let Some(why) = self.failure.take() {
                    s.failed.get_or_insert(why);
                    self.wal.counters.writes_failed.add(1);
                }
                drop(s);
                self.wal.changed.notify_all();
            }
        }
        let mut back =
            PutBack { wal: self, segment: Some(segment), failure: Some("the log writer panicked".into()) };
        let done = back.segment.as_deref_mut().map_or(Ok(()), work);
        back.failure = done.as_ref().err().map(|e| e.to_string().into());
        done
    }

    fn write(&self, segment: &mut Segment, queue: Vec<Queued>) -> Result<(), StorageError> {
        self.counters.records.add(queue.len() as u64);
        for mut record in queue {
            if !record.ready {
                let how = self.options.compression;
                record.bits = segment.compressor.compress(how, &record.data, &mut segment.compressed);
                std::mem::swap(&mut record.data, &mut segment.compressed);
            }
            if segment.fragments.overflows(record.data.len()) {
                self.begin_segment(segment)?;
            }
            segment.fragments.put(record.bits, &record.data, &mut segment.out);
        }
        self.write_out(segment)?;
        if self.options.sync == WalSync::Commit {
            segment.file.sync().map_err(|e| self.io("sync", segment.number, e))?;
        }
        Ok(())
    }

    fn write_out(&self, segment: &mut Segment) -> Result<(), StorageError> {
        if segment.out.is_empty() {
            return Ok(());
        }
        segment.file.append(&segment.out).map_err(|e| self.io("write", segment.number, e))?;
        self.counters.bytes.add(segment.out.len() as u64);
        self.counters.page_flushes.add(1);
        segment.out.clear();
        // A single huge commit does not keep its memory for ever.
        segment.out.shrink_to(1 << 20);
        Ok(())
    }

    /// Completes the segment and begins the next. The completed one is synced at once where each
    /// commit is, because the commit may end in it, and otherwise in the background.
    fn begin_segment(&self, segment: &mut Segment) -> Result<(), StorageError> {
        let Segment { fragments, out, .. } = segment;
        fragments.pad(out);
        self.write_out(segment)?;
        let each_commit = self.options.sync == WalSync::Commit;
        if each_commit {
            segment.file.sync().map_err(|e| self.io("sync", segment.number, e))?;
        }
        let next = create(&self.options, segment.number + 1)?;
        let mut full = std::mem::replace(&mut segment.file, next);
        let number = segment.number;
        segment.number += 1;
        segment.fragments = Fragmenter::new(self.options.segment_bytes);
        self.counters.segment.set(u64::from(segment.number));
        if each_commit {
            return Ok(());
        }
        let state = self.state.clone();
        self.options.spawn.spawn(Box::new(move || {
            if let Err(e) = full.sync() {
                lock(&state)
                    .failed
                    .get_or_insert_with(|| format!("sync WAL segment {number:08}: {e}").into());
            }
        }));
        Ok(())
    }

    fn io(&self, what: &str, segment: u32, e: std::io::Error) -> StorageError {
        StorageError::io(format!("{what} {}", segment_path(&self.options.dir, segment).display()), e)
    }

    /// Begins a new segment, unless the current one is empty. Returns the current segment's
    /// number.
    ///
    /// # Errors
    /// Where the files cannot be written.
    pub(crate) fn next_segment(&self) -> Result<u32, StorageError> {
        let mut number = 0;
        self.exclusively(|segment| {
            if segment.fragments.len() > 0 {
                self.begin_segment(segment)?;
            }
            number = segment.number;
            Ok(())
        })?;
        Ok(number)
    }

    /// Does `work` as the one who writes.
    fn exclusively(
        &self,
        work: impl FnOnce(&mut Segment) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut s = lock(&self.state);
        loop {
            if let Some(refusal) = s.refusal() {
                return Err(refusal);
            }
            if let Some(segment) = s.segment.take() {
                drop(s);
                return self.lead(segment, work);
            }
            s = self.changed.wait(s);
        }
    }

    /// Number and bytes of the segment being written, `None` while somebody writes.
    pub(crate) fn end(&self) -> Option<(u32, u64)> {
        lock(&self.state).segment.as_ref().map(|s| (s.number, s.fragments.len()))
    }

    /// Writes what is queued, fills up the page, syncs, and refuses everything from then on.
    ///
    /// # Errors
    /// Where the last bytes cannot be written.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        self.flush()?;
        self.exclusively(|segment| {
            let Segment { fragments, out, .. } = segment;
            fragments.pad(out);
            self.write_out(segment)?;
            segment.file.sync().map_err(|e| self.io("sync", segment.number, e))
        })?;
        lock(&self.state).closed = true;
        Ok(())
    }
}

fn create(options: &WalOptions, number: u32) -> Result<Box<dyn FileAppend>, StorageError> {
    let path = segment_path(&options.dir, number);
    let made = options.fs.create(&path).and_then(|f| options.fs.sync_dir(&options.dir).map(|()| f));
    made.map_err(|e| StorageError::io(format!("create {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::fragment::Records;
    use crate::wal::record::{Record, RefSample};
    use storage::{Inline, MemFs};

    #[test]
    fn series_stand_before_samples_and_segments_rotate() {
        let fs = MemFs::new();
        let options = WalOptions {
            dir: "wal".into(),
            fs: Arc::new(fs.clone()),
            spawn: Arc::new(Inline),
            segment_bytes: 64 * 1024,
            compression: WalCompression::None,
            sync: WalSync::Commit,
            start_timestamps: false,
        };
        let wal = Wal::open(options.clone()).unwrap();
        let mut buffers = RecordBuffers::default();
        for i in 1..=100u64 {
            wal.add_series(i, &Labels::from_pairs([("i", i.to_string())]));
            let batch: Vec<_> = (0..150).map(|k| RefSample { series: i, t: k, v: k as f64 }).collect();
            let records = CommitRecords { samples: &batch, ..CommitRecords::default() };
            wal.log_commit(&[records], &mut buffers, || {}).unwrap();
        }
        wal.close().unwrap();
        assert!(matches!(wal.flush(), Err(StorageError::Closed)));
        let mut known = 0;
        let mut total = 0;
        let all = segments(&fs, &options.dir).unwrap();
        let next = all.len() as u32;
        assert!(all.len() > 2, "{all:?}");
        for (number, len) in all {
            assert!(len <= 64 * 1024 && len % 32_768 == 0, "{len}");
            let data = fs.read(&segment_path(&options.dir, number)).unwrap();
            let mut records = Records::new(&data);
            while let Some(r) = records.next().unwrap() {
                match record::decode(&r.data).unwrap() {
                    Record::Series(s) => {
                        assert_eq!(s[0].0, known + 1);
                        known = s[0].0;
                    }
                    Record::Samples(s) => {
                        assert!(s.samples.iter().all(|s| s.series <= known));
                        total += s.samples.len();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((known, total), (100, 15_000));
        assert_eq!(Wal::open(options).unwrap().next_segment().unwrap(), next);
    }
}
