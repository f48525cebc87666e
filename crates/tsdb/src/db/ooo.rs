//! Late samples into blocks: of the out-of-order part of the head one block per block range,
//! together with the head's own blocks or soon after.

use std::path::Path;

use model::TimestampMs;
use storage::StorageError;

use super::Inner;
use super::compact::Upkeep;
use super::options::{DbOptions, DbSettings, LogLevel};
use super::tail::kept_dir;
use crate::block::{Block, BlockMeta, BlockWriter, ChunkData, HINT_FROM_OUT_OF_ORDER};
use crate::head::{Head, OooCompaction};
use crate::wal::segment::directory_bytes;
use crate::wal::{Wal, WalOptions};

/// The name of the log of late samples in the data directory.
pub(super) const WBL_DIR: &str = "wbl";

fn open_wbl(options: &DbOptions) -> Result<Wal, StorageError> {
    Wal::open(WalOptions {
        dir: options.dir.join(WBL_DIR),
        fs: options.fs.clone(),
        spawn: options.spawn.clone(),
        segment_bytes: options.wal_segment_bytes,
        compression: options.wal_compression,
        sync: options.wal_sync,
        start_timestamps: options.start_timestamps,
    })
}

/// Has the head take late samples as `settings` say, and log them from the first on. A log that is
/// there from before is gone on with in any case.
///
/// # Errors
/// Where the log cannot be opened: the head goes on as before.
pub(super) fn apply_window(
    head: &Head,
    options: &DbOptions,
    settings: &DbSettings,
) -> Result<(), StorageError> {
    let wanted =
        settings.out_of_order_window_ms > 0 || directory_bytes(&*options.fs, &options.dir.join(WBL_DIR)) > 0;
    if wanted && head.ooo.wbl().is_none() {
        head.set_wbl(open_wbl(options)?);
    }
    head.set_ooo_window(settings.out_of_order_window_ms);
    Ok(())
}

impl Inner {
    /// Writes all late samples of the head into blocks, and forgets them in the head as soon as no
    /// query needs them there (Prometheus `compactOOOHead`). A crash at any point leaves samples in
    /// the log, in blocks, or in both.
    pub(super) fn compact_ooo(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let Some(job) = self.head.begin_ooo_compaction()? else { return Ok(()) };
        self.options.log(LogLevel::Info, "out-of-order compaction started");
        let mut written = Vec::new();
        let done = job.ranges.iter().try_for_each(|start_ms| {
            written.extend(self.write_ooo(&self.options.dir, &job, *start_ms)?);
            Ok(())
        });
        if let Err(e) = done.and_then(|()| self.add_blocks(&written)) {
            // The samples are in the log and in the head; the next attempt starts from there.
            let ulids: Vec<_> = written.iter().map(|m| m.ulid).collect();
            let log = |level, text: &str| self.options.log(level, text);
            super::blocks::delete(&*self.options.fs, &self.options.dir, &ulids, &log)?;
            return Err(e);
        }
        let names: Vec<_> = written.iter().map(|m| m.ulid.to_string()).collect();
        let text = format!("out-of-order compaction completed ulids=[{}]", names.join(" "));
        self.options.log(LogLevel::Info, &text);
        upkeep.late_waiting = Some(self.head.announce_ooo_truncation(&job));
        self.collect_late_waiting(upkeep)
    }

    /// Opens blocks for queries, all or none.
    pub(super) fn add_blocks(&self, written: &[BlockMeta]) -> Result<(), StorageError> {
        let open = |m: &BlockMeta| Block::open(&*self.options.fs, &self.options.dir.join(m.ulid.to_string()));
        let blocks: Vec<_> = written.iter().map(open).collect::<Result<_, _>>()?;
        blocks.into_iter().for_each(|b| self.blocks.add(b));
        self.counters.reloads.add(1);
        Ok(())
    }

    /// Writes all late samples of the head into blocks in the directory `dir`; the head keeps them.
    pub(super) fn snapshot_ooo(&self, dir: &Path) -> Result<(), StorageError> {
        let Some(job) = self.head.begin_ooo_compaction()? else { return Ok(()) };
        for start_ms in &job.ranges {
            self.write_ooo(dir, &job, *start_ms)?;
        }
        Ok(())
    }

    /// Writes the late samples of the block range from `start_ms` on as a block in the directory
    /// `parent`.
    fn write_ooo(
        &self,
        parent: &Path,
        job: &OooCompaction,
        start_ms: TimestampMs,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let end_ms = start_ms.saturating_add(self.options.min_block_duration_ms);
        let mut writer = None;
        let mut chunks = Vec::new();
        for series in &job.series {
            chunks.clear();
            self.head.ooo_chunks_between(job, series, (start_ms, end_ms - 1), &mut chunks)?;
            if chunks.is_empty() {
                continue;
            }
            let data: Vec<_> = chunks
                .iter()
                .map(|c| ChunkData {
                    min_ms: c.min_ms,
                    max_ms: c.max_ms,
                    encoding: c.encoding,
                    data: &c.data,
                })
                .collect();
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let mut meta = BlockMeta::from_head(self.new_ulid(), start_ms, end_ms);
                    meta.compaction.hints.push(HINT_FROM_OUT_OF_ORDER.to_owned());
                    none.insert(BlockWriter::create(&self.options.fs, parent, meta)?)
                }
            };
            writer.add_series(&series.0, &data)?;
        }
        let Some(writer) = writer else { return Ok(None) };
        let written = writer.finish()?;
        self.counters.compactions.add(1);
        Ok(written)
    }

    /// Forgets what blocks have, once no query needs it any more.
    pub(super) fn collect_late_waiting(&self, upkeep: &mut Upkeep) -> Result<(), StorageError> {
        let Some(t) = upkeep.late_waiting.filter(|t| self.head.can_truncate_ooo(t)) else { return Ok(()) };
        let start_ns = self.options.clock.monotonic_ns();
        let kept = kept_dir(&self.options.dir);
        let done = self.head.truncate_ooo(&t, &kept, self.options.wal_held_bytes_max);
        let counters = &self.head.counters;
        counters.gc_runs.add(1);
        counters.gc_ns.add(self.options.clock.monotonic_ns().saturating_sub(start_ns));
        done?;
        upkeep.late_waiting = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Columns, Labels, Matcher, SeriesRef};
    use storage::{ChunkQuerier, Inline, ManualClock, MemFs, SelectHints};

    use crate::db::{Db, DbOptions};
    use crate::head::HeadQuerier;

    #[test]
    fn chunks_of_late_and_other_samples_do_not_overlap() {
        let clock = Arc::new(ManualClock::new(0));
        let mut o = DbOptions::new("data", Arc::new(MemFs::new()), clock, Arc::new(Inline));
        o.settings.out_of_order_window_ms = 10_000;
        let db = Db::open(o).unwrap();
        let mut a = db.appender();
        let late = (0..100).map(|k| k * 31 - 1000);
        for t in (0..3000).step_by(10).chain(late) {
            a.append(SeriesRef::NONE, &Labels::from_pairs([("a", "b")]), t, 0, t as f64).unwrap();
        }
        a.commit().unwrap();
        let b = || [Matcher::equal("a", "b")];
        db.delete(-500, 400, &b()).unwrap();
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
        let q = HeadQuerier::new(db.inner.head.clone(), i64::MIN, i64::MAX);
        let set = q.select_chunks(&hints, &b()).unwrap();
        let mut chunks = Vec::new();
        set.chunks(0, &mut chunks).unwrap();
        let mut got = Columns::default();
        for c in &chunks {
            chunk::decode(c.encoding, &c.data, i64::MIN, i64::MAX, &mut got).unwrap();
        }
        assert!(chunks.windows(2).all(|w| w[0].max_ms < w[1].min_ms));
        let mut want = Columns::default();
        storage::Querier::select(&q, &hints, &b()).unwrap().read(0, &mut want).unwrap();
        assert_eq!((&got.t, &got.v), (&want.t, &want.v));
        assert_eq!(got.t[..3], [-1000, -969, -938]);
        assert!(got.len() > 250 && !got.t.iter().any(|t| (-500..=400).contains(t)));
    }

    #[test]
    fn a_failed_log_takes_late_samples_back() {
        let clock = Arc::new(ManualClock::new(0));
        let mut o = DbOptions::new("data", Arc::new(MemFs::new()), clock, Arc::new(Inline));
        o.settings.out_of_order_window_ms = 10_000;
        let db = Db::open(o).unwrap();
        let appender = |times: &[i64]| {
            let mut a = db.appender();
            for t in times {
                a.append(SeriesRef::NONE, &Labels::from_pairs([("a", "b")]), *t, 0, 1.0).unwrap();
            }
            a
        };
        let times = || {
            let mut c = Columns::default();
            let q = HeadQuerier::new(db.inner.head.clone(), i64::MIN, i64::MAX);
            let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
            storage::Querier::select(&q, &hints, &[]).unwrap().read(0, &mut c).unwrap();
            c.t
        };
        appender(&[100, 50]).commit().unwrap();
        let (fails, later) = (appender(&[40, 60, 110]), appender(&[120]));
        db.inner.head.ooo.wbl().unwrap().fail("no space");
        assert!(fails.commit().is_err());
        assert_eq!(times(), [50, 100, 110], "what was in order is in its log");
        assert!(db.refuses_writes().unwrap().contains("no space"));
        assert!(later.commit().is_err());
    }
}
