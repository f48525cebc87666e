//! One queue: what was read from the log and waits, in shards, to be sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use model::TimestampMs;
use storage::Clock;
use tsdb::tail::{Tail, TailCounts, TailItem};

use super::entry::{BodyWriter, Counts, Entry, Kind, RequestBody, describe};
use super::names::NamePool;
use super::nhcb::ClassicConverter;
use super::position::{PositionFile, Remembered};
use super::series::SeriesMap;
use super::tally::Tally;
use super::{Poll, PollReport, SendBatch, SenderOptions};
use crate::error::{EngineError, ErrorCode};
use crate::store::Store;

/// Records that one call reads.
const READ_ITEMS_MAX: usize = 512;
/// How often the position is written while it moves.
const POSITION_EVERY_NS: u64 = 1_000_000_000;
/// After the log could not be read.
const RETRY_NS: u64 = 5_000_000_000;

/// What was read and is not sent, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Older than the age limit.
    pub too_old: Counts,
    /// Dropped by relabelling.
    pub by_relabelling: Counts,
    /// Of a series that the log does not name.
    pub unknown_series: Counts,
    /// Histograms with custom buckets, which remote write 1.0 cannot carry.
    pub custom_buckets: u64,
    /// Histograms with custom buckets that could not be made classic ones.
    pub conversion_errors: u64,
}

/// One of the streams in which a queue sends. All samples of a series are in the same.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) pending: VecDeque<Entry>,
    /// Since when the first has been waiting, at the most.
    pub(super) since_ns: u64,
    /// How many have gone into requests before the first, around 2^32.
    pub(super) drained: u32,
}

pub(super) struct Queue {
    pub(super) options: SenderOptions,
    db: Store,
    clock: Arc<dyn Clock>,
    file: PositionFile,
    tail: Option<Tail>,
    retry_at_ns: u64,
    pub(super) series: SeriesMap,
    /// Of queues that convert histograms.
    pub(super) converter: Option<ClassicConverter>,
    pub(super) tally: Tally,
    pub(super) shards: Vec<Shard>,
    in_flight: HashMap<u64, Vec<Entry>>,
    next_batch: u64,
    writer: BodyWriter,
    pub(super) pending: Counts,
    pub(super) read: Counts,
    pub(super) dropped: Dropped,
    pub(super) highest_ms: TimestampMs,
    /// Of readers before the current one.
    counted: TailCounts,
    written: tsdb::tail::TailPosition,
    written_ns: u64,
    /// The log has been read to its end.
    at_end: bool,
    /// How often it was not read on because a shard was full.
    full: u64,
    pub(super) trouble: Vec<String>,
}

impl Queue {
    /// Goes on where the queue of that key stopped, or begins with what comes from now on.
    pub(super) fn open(
        options: SenderOptions,
        (db, names): (Store, NamePool),
        clock: Arc<dyn Clock>,
        file: PositionFile,
    ) -> Result<Self, EngineError> {
        let io = |e: std::io::Error| EngineError::new(ErrorCode::Io, format!("remote write position: {e}"));
        let mut trouble = Vec::new();
        let from = match file.read().map_err(io)? {
            Remembered::Nothing => None,
            Remembered::Position(p) => Some(p),
            Remembered::Damaged(why) => {
                trouble.push(format!(
                    "the remembered position is damaged, so all of the log is sent again: {why}"
                ));
                Some(tsdb::tail::TailPosition::default())
            }
        };
        let tail = db.tail(from)?;
        let start = tail.position();
        file.write(start).map_err(io)?;
        let mut shards = Vec::new();
        shards.resize_with(1, Shard::default);
        Ok(Self {
            series: SeriesMap::new(options.naming(), names),
            converter: options.convert_nhcb_to_classic.then(ClassicConverter::default),
            options,
            db,
            written_ns: clock.monotonic_ns(),
            clock,
            file,
            tail: Some(tail),
            retry_at_ns: 0,
            tally: Tally::new(start),
            shards,
            in_flight: HashMap::new(),
            next_batch: 1,
            writer: BodyWriter::default(),
            pending: Counts::default(),
            read: Counts::default(),
            dropped: Dropped::default(),
            highest_ms: TimestampMs::MIN,
            counted: TailCounts::default(),
            written: start,
            at_end: false,
            full: 0,
            trouble,
        })
    }

    /// Notes what has been done with, reads on, and gives each free shard its next request.
    pub(super) fn poll(&mut self, ask: &Poll) -> Result<PollReport, EngineError> {
        for id in &ask.finished {
            self.finish(*id);
        }
        let shards = ask.shards.max(1);
        if shards != self.shards.len() && self.in_flight.is_empty() {
            self.reshard(shards);
        }
        let more = self.read_on();
        let mut batches = Vec::new();
        for shard in &ask.free {
            if let Some(batch) = self.next_batch(*shard as usize, ask.flush)? {
                batches.push(batch);
            }
        }
        self.remember(false);
        Ok(PollReport {
            batches,
            more,
            is_idle: self.at_end && self.in_flight.is_empty() && self.pending.total() == 0,
            pending: self.pending,
            read: self.read,
            dropped: self.dropped,
            enqueue_retries: self.full,
            highest_ms: self.highest_ms,
            segment: self.tail.as_ref().map_or(0, Tail::segment),
            records: self.records(),
            series: self.series.len() as u64,
            trouble: std::mem::take(&mut self.trouble),
        })
    }

    /// A body without what has become too old meanwhile; empty where nothing is left, or nobody waits for it.
    pub(super) fn rebuild(&mut self, batch: u64) -> Result<RequestBody, EngineError> {
        let Some(entries) = self.in_flight.remove(&batch) else { return Ok(RequestBody::default()) };
        let from_ms = self.oldest_ms();
        let body = self.writer.write(self.options.protocol, &entries, from_ms, &mut self.dropped.too_old);
        let kept = self.without_old(entries, from_ms);
        self.in_flight.insert(batch, kept);
        body.map_err(unwritable)
    }

    /// What is in a request, for people.
    pub(super) fn describe(&self, batch: u64) -> String {
        self.in_flight.get(&batch).map_or_else(String::new, |entries| describe(entries))
    }

    /// Entries but for those before `from_ms`, which are done with.
    fn without_old(&mut self, entries: Vec<Entry>, from_ms: TimestampMs) -> Vec<Entry> {
        if entries.iter().all(|e| e.t >= from_ms) {
            return entries;
        }
        let (kept, old): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.t >= from_ms);
        self.done_with(&old);
        kept
    }

    /// What has been read, by the kind of record.
    fn records(&self) -> TailCounts {
        self.tail.as_ref().map_or(self.counted, |tail| self.counted.plus(tail.counts()))
    }

    /// Remembers how far the queue has come; the rest is sent by whoever opens it next.
    pub(super) fn close(&mut self, finished: &[u64]) {
        for id in finished {
            self.finish(*id);
        }
        self.remember(true);
        self.tail = None;
    }

    fn finish(&mut self, batch: u64) {
        if let Some(entries) = self.in_flight.remove(&batch) {
            if let (Some(tail), Some(t)) = (&self.tail, entries.iter().map(|e| e.t).max()) {
                tail.sent(t);
            }
            self.done_with(&entries);
        }
    }

    fn done_with(&mut self, entries: &[Entry]) {
        for e in entries {
            *self.pending.of(e.kind()) -= 1;
            self.tally.finish(e.record);
            for x in e.attached() {
                self.pending.exemplars -= 1;
                self.tally.finish(x.record);
            }
        }
    }

    /// Spreads what waits over another number of shards; nothing is under way.
    fn reshard(&mut self, shards: usize) {
        let before = std::mem::take(&mut self.shards);
        self.shards.resize_with(shards, Shard::default);
        for shard in before {
            for entry in shard.pending {
                let to = &mut self.shards[(entry.series % shards as u64) as usize];
                to.since_ns =
                    if to.pending.is_empty() { shard.since_ns } else { to.since_ns.min(shard.since_ns) };
                if let Some(known) =
                    self.series.get_mut(entry.series).filter(|_| entry.kind() != Kind::Exemplar)
                {
                    known.last = to.pending.len() as u32;
                }
                to.pending.push_back(entry);
            }
        }
    }

    /// Before this a sample is too old to be sent.
    fn oldest_ms(&self) -> TimestampMs {
        match self.options.sample_age_limit_ms {
            0 => TimestampMs::MIN,
            limit_ms => self.clock.now_ms().saturating_sub(limit_ms),
        }
    }

    /// Reads until a shard is full, the log ends, or it is enough for one call. Whether there is more to read and room
    /// for it.
    fn read_on(&mut self) -> bool {
        let now_ns = self.clock.monotonic_ns();
        if self.tail.is_none() && !self.begin_anew(now_ns) {
            return false;
        }
        let oldest_ms = self.oldest_ms();
        for _ in 0..READ_ITEMS_MAX {
            if self.shards.iter().any(|s| s.pending.len() >= self.options.capacity) {
                self.full += 1;
                return false;
            }
            let Some(tail) = &mut self.tail else { return false };
            let item = match tail.next(&|series| self.series.knows(series)) {
                Ok(item) => item,
                Err(e) => {
                    self.trouble.push(format!("error tailing WAL: {e}"));
                    self.counted = self.records();
                    self.tail = None;
                    self.retry_at_ns = now_ns.saturating_add(RETRY_NS);
                    return false;
                }
            };
            let end = tail.position();
            self.at_end = matches!(item, TailItem::End);
            if self.at_end {
                self.tally.add(0, end);
                return false;
            }
            let (before, is_record) = (self.pending.total(), item.has_samples());
            self.take(item, oldest_ms, now_ns);
            if is_record {
                self.tally.add((self.pending.total() - before) as u32, end);
            }
        }
        true
    }

    /// After the log could not be read: from what has been done with, so that some of it is sent twice.
    fn begin_anew(&mut self, now_ns: u64) -> bool {
        if now_ns < self.retry_at_ns {
            return false;
        }
        let done = self.tally.done();
        match self.db.tail(Some(done)) {
            Ok(tail) => {
                self.tail = Some(tail);
                self.tally = Tally::new(done);
                self.in_flight.clear();
                for s in &mut self.shards {
                    s.drained = s.drained.wrapping_add(s.pending.len() as u32);
                    s.pending.clear();
                }
                self.pending = Counts::default();
                true
            }
            Err(e) => {
                self.trouble.push(format!("error tailing WAL: {e}"));
                self.retry_at_ns = now_ns.saturating_add(RETRY_NS);
                false
            }
        }
    }

    /// The next request of a shard, where it has enough or has waited long enough.
    fn next_batch(&mut self, shard: usize, flush: bool) -> Result<Option<SendBatch>, EngineError> {
        let now_ns = self.clock.monotonic_ns();
        let (most, deadline_ns) = (
            self.options.samples_per_send_max.max(1),
            self.options.batch_send_deadline_ms.saturating_mul(1_000_000),
        );
        loop {
            let Some(s) = self.shards.get_mut(shard) else { return Ok(None) };
            let is_due = flush || now_ns.saturating_sub(s.since_ns) >= deadline_ns;
            if s.pending.is_empty() || s.pending.len() < most && !is_due {
                return Ok(None);
            }
            let mut room = most;
            let fits = |e: &&Entry| {
                let size = 1 + e.attached().len();
                // One that is too large alone goes alone.
                let fits = size <= room || room == most;
                room = room.saturating_sub(size);
                fits
            };
            let n = s.pending.iter().take_while(fits).count();
            let entries: Vec<Entry> = s.pending.drain(..n).collect();
            s.drained = s.drained.wrapping_add(n as u32);
            s.since_ns = now_ns;
            let from_ms = self.oldest_ms();
            let written =
                self.writer.write(self.options.protocol, &entries, from_ms, &mut self.dropped.too_old);
            let body = written.map_err(unwritable)?;
            let kept = self.without_old(entries, from_ms);
            if kept.is_empty() {
                continue;
            }
            let id = self.next_batch;
            self.next_batch += 1;
            self.in_flight.insert(id, kept);
            return Ok(Some(SendBatch { id, shard: shard as u32, body }));
        }
    }

    /// Writes the position down, now and then, and lets go of the log before it.
    fn remember(&mut self, at_once: bool) {
        let (now_ns, done) = (self.clock.monotonic_ns(), self.tally.done());
        if done == self.written || !at_once && now_ns.saturating_sub(self.written_ns) < POSITION_EVERY_NS {
            return;
        }
        self.written_ns = now_ns;
        match self.file.write(done) {
            Ok(()) => {
                self.written = done;
                if let Some(tail) = &self.tail {
                    tail.release(done);
                }
            }
            Err(e) => self.trouble.push(format!("cannot remember the position in the WAL: {e}")),
        }
    }
}

fn unwritable(e: wire::WireError) -> EngineError {
    EngineError::new(ErrorCode::Internal, format!("remote write request: {e}"))
}
