//! Blocks made of samples that were recorded elsewhere: series in any order, the samples of each in
//! order of time. A head without a log takes them in and is cut into one block. Knows no input
//! format, and no database: whoever has the directory open finds the block there.

use crate::db::SAMPLES_PER_CHUNK;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{Labels, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Clock, Fs, StorageError};

use crate::block::{BlockMeta, TMP_FOR_CREATION_SUFFIX, Ulid};
use crate::db::{Cutter, new_ulid};
use crate::head::{Head, HeadAppender, HeadOptions};
use crate::head_chunks::HeadChunks;

/// So many samples are committed together. What is out of order among them, or has the time of another
/// one, is left out and counted; what is behind an earlier commit is refused (as with promtool).
const COMMIT_SAMPLES: usize = 5000;

/// One block under construction. Memory: open chunks and labels, about half a kilobyte per series;
/// full chunks go to a scratch directory beside the block, which is removed at the end and which a
/// server removes where the process did not get that far.
pub struct BlockBuilder {
    /// Given up before the head that it appends to.
    appender: Option<Box<dyn Appender>>,
    head: Arc<Head>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    scratch: PathBuf,
    ulid: Ulid,
    gathered: usize,
    /// Samples that were not refused.
    accepted: u64,
}

impl BlockBuilder {
    /// Begins a block in the directory `dir` whose samples lie within `duration_ms` > 0 of each other.
    ///
    /// # Errors
    /// Where the scratch directory cannot be made.
    pub fn new(
        fs: Arc<dyn Fs>,
        clock: &dyn Clock,
        dir: &Path,
        duration_ms: i64,
    ) -> Result<Self, StorageError> {
        if duration_ms <= 0 {
            return Err(StorageError::Invalid("the block duration must be positive".to_owned()));
        }
        let scratch = dir.join(format!("{}{TMP_FOR_CREATION_SUFFIX}", new_ulid(clock)));
        let options = HeadOptions {
            // A head takes samples that are up to half its range behind the newest.
            range_ms: duration_ms.saturating_mul(2),
            samples_per_chunk: SAMPLES_PER_CHUNK as usize,
            start_timestamps: false,
            histogram_starts: false,
            metadata_records: false,
        };
        let chunks = HeadChunks::open(fs.clone(), scratch.join("chunks_head"))?;
        Ok(Self {
            appender: None,
            head: Arc::new(Head::new(options, chunks)),
            fs,
            dir: dir.to_owned(),
            scratch,
            ulid: new_ulid(clock),
            gathered: 0,
            accepted: 0,
        })
    }

    /// Adds a sample to the series `series`, or, where that is [`SeriesRef::NONE`], to the series
    /// `labels`; returns the reference to use next time.
    ///
    /// # Errors
    /// Why the sample is refused; the others are not affected.
    pub fn append(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        t: TimestampMs,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        let head = &self.head;
        let appender = self.appender.get_or_insert_with(|| Box::new(HeadAppender::new(head.clone())));
        let series = appender.append(series, labels, t, 0, v)?;
        self.gathered += 1;
        self.accepted += 1;
        Ok(series)
    }

    /// Puts what was appended into its series once enough has gathered. To be called after every
    /// [`Self::append`].
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn commit_due(&mut self) -> Result<(), StorageError> {
        if self.gathered < COMMIT_SAMPLES { Ok(()) } else { self.commit() }
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        self.gathered = 0;
        if let Some(appender) = self.appender.take() {
            appender.commit()?;
        }
        self.head.head_chunks().failed().map_or(Ok(()), |why| Err(StorageError::ReadOnly(why.to_string())))
    }

    /// Writes the block, which is complete on the disk when this returns; `None` where there is no
    /// sample. The second value is how many samples were left out: out of order, or given twice.
    ///
    /// # Errors
    /// Where the disk refuses; nothing is left behind.
    pub fn finish(mut self) -> Result<(Option<BlockMeta>, u64), StorageError> {
        self.commit()?;
        let head = &self.head;
        if !head.initialized() {
            return Ok((None, 0));
        }
        let meta = BlockMeta::from_head(self.ulid, head.min_ms(), head.max_ms().saturating_add(1));
        let cutter = Cutter { head, fs: &self.fs, cancel: &AtomicBool::new(false), segment_bytes: None };
        let block = cutter.cut(&self.dir, meta)?;
        let there = block.as_ref().map_or(0, |meta| meta.stats.num_samples);
        Ok((block, self.accepted.saturating_sub(there)))
    }
}

impl Drop for BlockBuilder {
    fn drop(&mut self) {
        self.appender = None;
        // Where this fails, the name tells the next start of a server what to remove.
        let _ = self.fs.remove_dir_all(&self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use model::Columns;
    use storage::{ManualClock, MemFs, Queryable, SelectHints};

    use super::*;
    use crate::block::Block;

    const HOUR_MS: i64 = 3_600_000;

    fn labels(job: &str) -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", job)])
    }

    #[test]
    fn series_by_series_becomes_a_block() {
        let fs = MemFs::new();
        let dir = Path::new("out");
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let mut builder = BlockBuilder::new(shared.clone(), &ManualClock::new(5), dir, 2 * HOUR_MS).unwrap();
        for job in ["b", "a"] {
            let mut series = SeriesRef::NONE;
            for i in 0..3000 {
                series = builder.append(series, &labels(job), i * 2000 + 7, i as f64).unwrap();
                builder.commit_due().unwrap();
            }
        }
        // The first is behind a commit, the second is not.
        let refused = builder.append(SeriesRef::NONE, &labels("b"), 8, 1.0);
        assert_eq!(refused, Err(AppendError::OutOfOrder));
        for t in [2 * HOUR_MS, 2 * HOUR_MS - 1] {
            builder.append(SeriesRef::NONE, &labels("c"), t, 1.0).unwrap();
        }
        let (meta, left_out) = builder.finish().unwrap();
        let meta = meta.unwrap();
        assert_eq!(left_out, 1);
        assert_eq!((meta.min_ms, meta.max_ms, meta.stats.num_samples), (7, 2 * HOUR_MS + 1, 6001));
        let entries: Vec<_> = fs.read_dir(dir).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(entries, [meta.ulid.to_string()], "nothing else is left");
        let block = Block::open(&*shared, &dir.join(meta.ulid.to_string())).unwrap();
        let querier = block.querier(0, 3 * HOUR_MS).unwrap();
        let hints = SelectHints { start_ms: 0, end_ms: 3 * HOUR_MS, ..SelectHints::default() };
        let set = querier.select(&hints, &[]).unwrap();
        let got: Vec<_> = (0..set.len()).map(|i| set.labels(i)).collect();
        assert_eq!(got, ["a", "b", "c"].map(labels));
        let mut columns = Columns::default();
        set.read(1, &mut columns).unwrap();
        assert_eq!((columns.len(), columns.t[2999], columns.v[2999]), (3000, 2999 * 2000 + 7, 2999.0));
    }

    #[test]
    fn nothing_makes_no_block_and_leaves_nothing() {
        let fs = MemFs::new();
        let dir = Path::new("out");
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let builder = BlockBuilder::new(shared.clone(), &ManualClock::new(5), dir, HOUR_MS).unwrap();
        assert!(!fs.read_dir(dir).unwrap().is_empty());
        assert_eq!(builder.finish().unwrap(), (None, 0));
        assert_eq!(fs.read_dir(dir).unwrap(), []);
        assert!(BlockBuilder::new(shared, &ManualClock::new(5), dir, 0).is_err());
    }
}
