//! The database: opening, appending, querying, and the upkeep between head, log and blocks.

mod options;
mod stats;

use std::sync::Arc;

use model::TimestampMs;
use storage::{Appender, Querier, Queryable, StorageError};

use crate::head::{Head, HeadAppender, HeadOptions, HeadQuerier};

pub use options::{DbOptions, Log, LogLevel, ReplayProgress, WalCompression, WalSync};
pub use stats::{HeadStats, LabelCount, Metric, MetricKind};

struct Inner {
    #[expect(dead_code)]
    options: DbOptions,
    head: Arc<Head>,
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
        let head = Arc::new(Head::new(HeadOptions { range_ms: options.min_block_duration_ms }));
        Ok(Self { inner: Arc::new(Inner { options, head }) })
    }

    /// A transaction. Samples of one appender become visible together.
    #[must_use]
    pub fn appender(&self) -> Box<dyn Appender> {
        Box::new(HeadAppender::new(self.inner.head.clone()))
    }

    /// The upkeep that is due by the clock and by the head's span: full chunks to disk, blocks out
    /// of the head, truncation. Call it every few seconds from a background thread.
    ///
    /// # Errors
    /// Where files cannot be read or written. Queries go on; see [`Db::refuses_writes`].
    pub fn tick(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Cuts blocks out of the head as long as it spans more than one and a half times the block
    /// duration, and truncates head and log behind them.
    ///
    /// # Errors
    /// As [`Db::tick`].
    pub fn compact(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// The head in numbers; each list has at most `limit` entries. Walks the whole index.
    #[must_use]
    pub fn head_stats(&self, limit: usize) -> HeadStats {
        let _ = limit;
        HeadStats::default()
    }

    /// Number of series in the head.
    #[must_use]
    pub fn num_series(&self) -> u64 {
        0
    }

    /// First and last time that may be in the head, `None` while it is empty.
    #[must_use]
    pub fn head_range_ms(&self) -> Option<(TimestampMs, TimestampMs)> {
        let head = &self.inner.head;
        head.initialized().then(|| (head.min_ms(), head.max_ms()))
    }

    /// All counters and gauges.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// Why the database refuses writes, if it does.
    #[must_use]
    pub fn refuses_writes(&self) -> Option<String> {
        None
    }

    /// Writes out what is pending, closes the log and gives up the lock. Appenders and queriers
    /// made before end with [`StorageError::Closed`] or keep what they hold; later ones fail.
    ///
    /// # Errors
    /// Where the last bytes cannot be written.
    pub fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Queryable for Db {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(HeadQuerier::new(self.inner.head.clone(), start_ms, end_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Columns, Labels, Matcher, SeriesRef};
    use storage::{Inline, ManualClock, MemFs, SelectHints};

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
}
