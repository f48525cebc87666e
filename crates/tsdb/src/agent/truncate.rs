//! Forgetting: series that get no samples any more, and the older part of the log.

use std::sync::Arc;

use model::{Labels, Metadata, TimestampMs};
use storage::StorageError;

use super::series::Forgotten;
use super::{AgentDb, AgentOptions, Inner, checkpoint, lock};
use crate::db::LogLevel;
use crate::int_map::IntMap;
use crate::wal::reader::remove_covered;
use crate::wal::segment::segments;
use crate::wal::{CheckpointRules, write_checkpoint};

/// A reference that no series here has any more, though the log may have samples of it.
#[derive(Debug)]
pub(super) struct Deleted {
    /// The last segment that may have some: until that is in a checkpoint, its record stays.
    pub(super) last_segment: u32,
    /// As long as a checkpoint has samples up to this, too.
    pub(super) until_ms: TimestampMs,
    /// With checkpoints from memory: what is written of it.
    pub(super) labels: Option<Labels>,
    pub(super) metadata: Option<Arc<Metadata>>,
}

impl Deleted {
    /// Whether its record is needed beside a checkpoint up to segment `last` that has samples from `mint_ms` on.
    fn is_needed(&self, last: u32, mint_ms: TimestampMs) -> bool {
        self.last_segment > last || self.until_ms >= mint_ms
    }
}

impl Default for Deleted {
    fn default() -> Self {
        Self { last_segment: 0, until_ms: TimestampMs::MIN, labels: None, metadata: None }
    }
}

/// What upkeep keeps from one time to the next.
#[derive(Default)]
pub(super) struct Upkeep {
    /// When the log was truncated last, or opened.
    last_ns: u64,
    pub(super) deleted: IntMap<u64, Deleted>,
    /// Everything in segments below a number was written before a time.
    written: Vec<(u32, TimestampMs)>,
}

impl Upkeep {
    /// The log has been opened, and has references of series that have another one here.
    pub(super) fn new(now_ns: u64, deleted: IntMap<u64, Deleted>) -> Self {
        Self { last_ns: now_ns, deleted, written: Vec::new() }
    }

    /// The last segment in which everything was written before `t`.
    fn written_before(&self, t: TimestampMs) -> Option<u32> {
        self.written.iter().filter(|(_, at)| *at <= t).filter_map(|(n, _)| n.checked_sub(1)).max()
    }
}

/// Before which time series without samples are forgotten: the shortest time of the log behind what all readers have
/// sent, and no later than the shortest time before now; but not earlier than the longest time before now, whether
/// anything was sent or not.
fn truncation_time(options: &AgentOptions, lowest_sent_ms: TimestampMs, now_ms: TimestampMs) -> TimestampMs {
    let sent = lowest_sent_ms.saturating_sub(options.min_wal_ms).max(0);
    let oldest = now_ms.saturating_sub(options.max_wal_ms);
    let youngest = now_ms.saturating_sub(options.min_wal_ms).max(0);
    sent.max(oldest).min(youngest)
}

impl AgentDb {
    /// Truncates the log where that is due. Call it every few seconds from a background thread; appends do not wait for it.
    ///
    /// # Errors
    /// Where files cannot be read or written: it is tried again when it is due the next time.
    pub fn tick(&self) -> Result<(), StorageError> {
        let inner = &self.inner;
        let clock = &inner.options.clock;
        let mut upkeep = lock(&inner.upkeep);
        let due_ns =
            u64::try_from(inner.options.truncate_frequency_ms).unwrap_or(0).saturating_mul(1_000_000);
        if clock.monotonic_ns().saturating_sub(upkeep.last_ns) < due_ns {
            return Ok(());
        }
        let mint_ms = truncation_time(&inner.options, inner.holds.lowest_sent_ms(), clock.now_ms());
        let done = inner.truncate(&mut upkeep, mint_ms);
        upkeep.last_ns = clock.monotonic_ns();
        if let Err(e) = &done {
            inner.options.log(LogLevel::Warn, &format!("failed to truncate WAL: {e}"));
        }
        done
    }
}

impl Inner {
    fn truncate(&self, upkeep: &mut Upkeep, mint_ms: TimestampMs) -> Result<(), StorageError> {
        let Some(wal) = self.wal.get() else { return Ok(()) };
        let options = wal.options();
        let (fs, dir) = (&*options.fs, &options.dir);
        let started_ns = self.options.clock.monotonic_ns();
        let all = segments(fs, dir)?;
        let (Some((first, _)), Some((current, _))) = (all.first().copied(), all.last().copied()) else {
            return Ok(());
        };
        let from_memory = self.options.checkpoint_from_memory;
        for Forgotten { series, labels, metadata } in self.series.forget(mint_ms, from_memory) {
            let labels = from_memory.then_some(labels);
            let deleted = Deleted { last_segment: current, labels, metadata, ..Deleted::default() };
            upkeep.deleted.insert(series, deleted);
        }
        // So that little is appended does not mean that it stays for ever.
        let next = wal.next_segment()?;
        let now_ms = self.options.clock.now_ms();
        upkeep.written.push((next, now_ms));
        // The lower two thirds of what was complete before, but not what readers need, unless that is too old.
        let Some(complete) = current.checked_sub(1).filter(|last| *last > first) else { return Ok(()) };
        let wanted = first + (complete - first) * 2 / 3;
        let too_old = upkeep.written_before(now_ms.saturating_sub(self.options.max_wal_ms));
        let read = self.holds.first_needed().map_or(Some(wanted), |needed| needed.checked_sub(1));
        let Some(last) = read.max(too_old).map(|free| free.min(wanted)).filter(|last| *last > first) else {
            return Ok(());
        };
        self.counters.checkpoints.add(1);
        let written = if from_memory {
            checkpoint::write(&self.series, options, last, self.options.checkpoint_batch, &upkeep.deleted)
        } else {
            let keep = |series: u64| {
                self.series.knows(series)
                    || upkeep.deleted.get(&series).is_some_and(|d| d.is_needed(last, mint_ms))
            };
            // Prometheus' agents of old take a record of the least time for damage.
            let rules = CheckpointRules { mint_ms, deleted_ms: mint_ms, keep: &keep, says_min_valid: false };
            write_checkpoint(options, last, &rules)
        };
        if let Err(e) = written {
            self.counters.checkpoints_failed.add(1);
            if matches!(e, StorageError::Corrupt(_)) {
                self.counters.corruptions.add(1);
            }
            return Err(e);
        }
        // A checkpoint from memory has no samples.
        let oldest_ms = if from_memory { TimestampMs::MAX } else { mint_ms };
        upkeep.deleted.retain(|_, deleted| deleted.is_needed(last, oldest_ms));
        upkeep.written.retain(|(n, _)| *n > last + 1);
        self.counters.checkpoint_deletions.add(1);
        if let Err(e) = remove_covered(fs, dir, last) {
            // What is left over is no harm: the checkpoint stands for it.
            self.counters.checkpoint_deletions_failed.add(1);
            self.options.log(LogLevel::Error, &format!("truncating segments failed: {e}"));
        }
        self.counters.truncations.add(1);
        let now_ns = self.options.clock.monotonic_ns();
        self.counters.truncate_ns.add(now_ns.saturating_sub(started_ns));
        let text = format!("WAL checkpoint complete: first={first} last={last}");
        self.options.log(LogLevel::Info, &text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::{Inline, ManualClock, MemFs};

    use super::*;

    #[test]
    fn times_are_prometheus() {
        let (fs, clock) = (Arc::new(MemFs::new()), Arc::new(ManualClock::new(0)));
        let options = AgentOptions {
            min_wal_ms: 10,
            max_wal_ms: 100,
            ..AgentOptions::new("d", fs, clock, Arc::new(Inline))
        };
        for (sent, now, want, why) in [
            (0, 1000, 900, "nothing was sent: the longest time"),
            (990, 1000, 980, "the shortest time behind what was sent"),
            (950, 1000, 940, "likewise"),
            (2000, 1000, 990, "what was sent is in the future: the shortest time before now"),
            (500, 1000, 900, "what was sent is old: the longest time"),
            (0, 50, 0, "never before the epoch"),
            (0, 5, 0, "never before the epoch"),
        ] {
            assert_eq!(truncation_time(&options, sent, now), want, "{why}");
        }
        let odd = AgentOptions { max_wal_ms: 5, truncate_frequency_ms: 7, ..options }.adjusted();
        assert_eq!((odd.min_wal_ms, odd.max_wal_ms, odd.truncate_frequency_ms), (10, 10, 7));
    }
}
