//! One queue: what was read from the log and waits, in shards, to be sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use model::TimestampMs;
use storage::Clock;
use tsdb::tail::{Tail, TailCounts, TailItem};

use super::entry::{BodyWriter, Counts, Entry, Kind, Protocol, RequestBody, describe};
use super::names::NamePool;
use super::nhcb::ClassicConverter;
use super::position::{PositionFile, Remembered};
use super::progress::{Generation, Mark, Progress, RecordEnd, UnderWay, tidy};
use super::resume::Resume;
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

/// A request that was handed out.
struct InFlight {
    shard: u32,
    entries: Vec<Entry>,
    /// It was under way when the queue was left, by that name.
    repeats: Option<u32>,
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
    in_flight: HashMap<u64, InFlight>,
    /// How far shards came when there were others of them.
    generations: Vec<Generation>,
    /// What went before has not been settled yet.
    pub(super) resume: Option<Resume>,
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
    /// More is done with, or under way, than was written down.
    has_news: bool,
    /// The journal cannot be written, and that was told.
    is_silent: bool,
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
        mut file: PositionFile,
    ) -> Result<Self, EngineError> {
        let io = |e: std::io::Error| EngineError::new(ErrorCode::Io, format!("remote write position: {e}"));
        let mut trouble = Vec::new();
        let remembered = match file.read().map_err(io)? {
            Remembered::Nothing => None,
            Remembered::Progress(progress) => Some(progress),
            Remembered::Damaged(why) => {
                trouble.push(format!(
                    "the remembered position is damaged, so all of the log is sent again: {why}"
                ));
                Some(Progress::default())
            }
        };
        let tail = db.tail(remembered.as_ref().map(|p| p.done))?;
        let start = tail.position();
        // Of a log that never came so far it was another one that it speaks of.
        let progress = match remembered {
            Some(p) if p.done == start && db.tail(None)?.position().covers(p.reach()) => p,
            _ => Progress::at(start),
        };
        file.write(&progress).map_err(io)?;
        let resume = Resume::new(progress, options.protocol == Protocol::V1);
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
            generations: Vec::new(),
            resume,
            next_batch: 1,
            writer: BodyWriter::default(),
            pending: Counts::default(),
            read: Counts::default(),
            dropped: Dropped::default(),
            highest_ms: TimestampMs::MIN,
            counted: TailCounts::default(),
            written: start,
            has_news: false,
            is_silent: false,
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
        self.settle();
        let mut batches = Vec::new();
        for shard in &ask.free {
            if let Some(batch) = self.next_batch(*shard, ask.flush)? {
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
        let Some(request) = self.in_flight.remove(&batch) else { return Ok(RequestBody::default()) };
        let InFlight { shard, entries, repeats } = request;
        let from_ms = self.oldest_ms();
        let body = self.writer.write(self.options.protocol, &entries, from_ms, &mut self.dropped.too_old);
        let entries = self.without_old(entries, from_ms);
        self.in_flight.insert(batch, InFlight { shard, entries, repeats });
        body.map_err(unwritable)
    }

    /// What is in a request, for people.
    pub(super) fn describe(&self, batch: u64) -> String {
        self.in_flight.get(&batch).map_or_else(String::new, |r| describe(&r.entries))
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
        let Some(InFlight { entries, repeats, .. }) = self.in_flight.remove(&batch) else { return };
        if let (Some(tail), Some(t)) = (&self.tail, entries.iter().map(|e| e.t).max()) {
            tail.sent(t);
        }
        self.done_with(&entries);
        if let (Some(resume), Some(request)) = (&mut self.resume, repeats) {
            resume.finish(request);
        }
        self.has_news = true;
    }

    /// Goes over to what is new, once all that was under way before is done with.
    fn settle(&mut self) {
        if let Some(resume) = self.resume.take_if(|r| r.is_over()) {
            self.generations = resume.into_progress().generations;
        }
    }

    /// What is done with by now, and what is under way.
    fn progress(&mut self) -> Progress {
        let done = self.tally.done();
        if let Some(resume) = &self.resume {
            return Progress { done, ..resume.progress().clone() };
        }
        tidy(&mut self.generations, done);
        let (generation, under_way) = self.generation();
        let mut generations = self.generations.clone();
        generations.push(generation);
        Progress { done, generations, under_way }
    }

    /// How far each shard has come, and what it has under way.
    fn generation(&self) -> (Generation, Vec<UnderWay>) {
        let end = self.tally.end();
        let first = |s: &Shard| s.pending.front().map_or(end, |e| self.tally.mark(e.place));
        let mut marks: Vec<Mark> = self.shards.iter().map(first).collect();
        let mut under_way = Vec::with_capacity(self.in_flight.len());
        for InFlight { shard, entries, .. } in self.in_flight.values() {
            if let (Some(mark), Some(first)) = (marks.get_mut(*shard as usize), entries.first()) {
                under_way.push(UnderWay { shard: *shard, until: *mark });
                *mark = self.tally.mark(first.place);
            }
        }
        (Generation { marks }, under_way)
    }

    fn done_with(&mut self, entries: &[Entry]) {
        for e in entries {
            *self.pending.of(e.kind()) -= 1;
            self.tally.finish(e.place);
            for x in e.attached() {
                self.pending.exemplars -= 1;
                self.tally.finish(x.place);
            }
        }
    }

    /// Spreads what waits over another number of shards, in the order in which it was read; nothing is under way.
    fn reshard(&mut self, shards: usize) {
        if self.resume.is_none() {
            let (generation, _) = self.generation();
            self.generations.push(generation);
            tidy(&mut self.generations, self.tally.done());
        }
        let before = std::mem::take(&mut self.shards);
        self.shards.resize_with(shards, Shard::default);
        let waiting_since = before.iter().filter(|s| !s.pending.is_empty()).map(|s| s.since_ns);
        let since_ns = waiting_since.min().unwrap_or_default();
        let mut waiting: Vec<Entry> = before.into_iter().flat_map(|s| s.pending).collect();
        waiting.sort_by_key(|e| e.place);
        for entry in waiting {
            let to = &mut self.shards[(entry.series % shards as u64) as usize];
            to.since_ns = since_ns;
            if let Some(known) = self.series.get_mut(entry.series).filter(|_| entry.kind() != Kind::Exemplar)
            {
                known.last = to.pending.len() as u32;
            }
            to.pending.push_back(entry);
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
            // What went before is no more than what its queue had read.
            let goes_on = self.resume.as_ref().is_some_and(Resume::is_reading);
            if !goes_on && self.shards.iter().any(|s| s.pending.len() >= self.options.capacity) {
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
            let (end, is_late) = (tail.position(), tail.is_late());
            self.at_end = matches!(item, TailItem::End);
            let own = RecordEnd { at: if is_late { end.wbl } else { end.wal }, is_late };
            if let Some(resume) = &mut self.resume {
                resume.begin(own);
            }
            let (before, is_record) = (self.pending.total(), item.has_samples());
            self.take(item, oldest_ms, now_ns);
            if is_record {
                self.tally.add((self.pending.total() - before) as u32, own, end);
            } else if self.at_end {
                self.tally.reach(end);
            }
            if let Some(resume) = &mut self.resume {
                resume.has_read(end, self.at_end);
            }
            if self.at_end {
                return false;
            }
        }
        true
    }

    /// After the log could not be read: from what has been done with. What is under way is sent twice.
    fn begin_anew(&mut self, now_ns: u64) -> bool {
        if now_ns < self.retry_at_ns {
            return false;
        }
        let progress = self.progress();
        match self.db.tail(Some(progress.done)) {
            Ok(tail) => {
                self.tail = Some(tail);
                self.tally = Tally::new(progress.done);
                self.in_flight.clear();
                self.generations.clear();
                self.resume = Resume::new(progress, self.options.protocol == Protocol::V1);
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
    fn next_batch(&mut self, shard: u32, flush: bool) -> Result<Option<SendBatch>, EngineError> {
        let now_ns = self.clock.monotonic_ns();
        let (most, deadline_ns) = (
            self.options.samples_per_send_max.max(1),
            self.options.batch_send_deadline_ms.saturating_mul(1_000_000),
        );
        while self.resume.is_none() {
            let Some(s) = self.shards.get_mut(shard as usize) else { return Ok(None) };
            let is_due = flush || now_ns.saturating_sub(s.since_ns) >= deadline_ns;
            if s.pending.is_empty() || s.pending.len() < most && !is_due {
                return Ok(None);
            }
            let n = first_batch(&s.pending, most);
            let entries: Vec<Entry> = s.pending.drain(..n).collect();
            s.drained = s.drained.wrapping_add(n as u32);
            s.since_ns = now_ns;
            let batch = self.hand_out(shard, entries, None)?;
            if batch.is_some() {
                return Ok(batch);
            }
        }
        self.next_repeated(shard)
    }

    /// The next of the requests that were under way before.
    fn next_repeated(&mut self, shard: u32) -> Result<Option<SendBatch>, EngineError> {
        while let Some(resume) = self.resume.as_mut().filter(|r| !r.is_reading()) {
            let Some((request, entries)) = resume.next() else { break };
            let batch = self.hand_out(shard, entries, Some(request));
            if matches!(batch, Ok(Some(_))) {
                return batch;
            }
            if let Some(resume) = &mut self.resume {
                resume.finish(request);
            }
            batch?;
        }
        Ok(None)
    }

    /// A request of what is not too old by now, if there is any.
    fn hand_out(
        &mut self,
        shard: u32,
        entries: Vec<Entry>,
        repeats: Option<u32>,
    ) -> Result<Option<SendBatch>, EngineError> {
        let from_ms = self.oldest_ms();
        let written = self.writer.write(self.options.protocol, &entries, from_ms, &mut self.dropped.too_old);
        self.has_news = true;
        let body = match written {
            Ok(body) => body,
            Err(e) => {
                self.done_with(&entries);
                return Err(unwritable(e));
            }
        };
        let entries = self.without_old(entries, from_ms);
        if entries.is_empty() {
            return Ok(None);
        }
        let id = self.next_batch;
        self.next_batch += 1;
        self.in_flight.insert(id, InFlight { shard, entries, repeats });
        Ok(Some(SendBatch { id, shard, is_repeated: repeats.is_some(), body }))
    }

    /// Notes in the journal what has changed, writes it down now and then, and lets go of the log before it.
    fn remember(&mut self, at_once: bool) {
        let (now_ns, done) = (self.clock.monotonic_ns(), self.tally.done());
        let waited = now_ns.saturating_sub(self.written_ns) >= POSITION_EVERY_NS;
        let moved = done != self.written;
        let is_due = (moved || self.file.is_long()) && waited || (moved || self.has_news) && at_once;
        if !is_due && !self.has_news {
            return;
        }
        let progress = self.progress();
        let result = if is_due {
            self.written_ns = now_ns;
            self.file.write(&progress)
        } else {
            self.file.note(&progress)
        };
        match result {
            Ok(()) => {
                (self.has_news, self.is_silent) = (false, false);
                if is_due {
                    self.written = done;
                    if let Some(tail) = &self.tail {
                        tail.release(done);
                    }
                }
            }
            Err(e) => {
                if is_due || !self.is_silent {
                    self.trouble.push(format!("cannot remember the position in the WAL: {e}"));
                }
                self.is_silent = true;
            }
        }
    }
}

/// How many of those that wait go into a request of `most` entries: those of one sample of the log together.
fn first_batch(pending: &VecDeque<Entry>, most: usize) -> usize {
    let mut room = most;
    let fits = |e: &&Entry| {
        let size = 1 + e.attached().len();
        // One that is too large alone goes alone.
        let fits = size <= room || room == most;
        room = room.saturating_sub(size);
        fits
    };
    let n = pending.iter().take_while(fits).count();
    let goes_on = |at: usize| {
        let (last, next) = (at.checked_sub(1).and_then(|last| pending.get(last)), pending.get(at));
        matches!((last, next), (Some(last), Some(next)) if last.place == next.place)
    };
    let shorter = (1..=n).rev().find(|n| !goes_on(*n));
    shorter.unwrap_or_else(|| (n..pending.len()).find(|n| !goes_on(*n)).unwrap_or(pending.len()))
}

fn unwritable(e: wire::WireError) -> EngineError {
    EngineError::new(ErrorCode::Internal, format!("remote write request: {e}"))
}
