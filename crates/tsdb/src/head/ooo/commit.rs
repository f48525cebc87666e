//! Late samples of a commit into their series and into their log.

use std::collections::HashSet;
use std::sync::Arc;

use model::TimestampMs;
use storage::StorageError;

use super::encode::{encode, span};
use super::sample::{OooSample, OooValue};
use super::series::{OooChunk, OooSeries, recent};
use crate::head::isolation::CommitSeq;
use crate::head::page::Page;
use crate::head::series::{ChunkRules, Series};
use crate::head::{Head, lock};
use crate::head_chunks::NewChunk;
use crate::wal::record::{Marker, RefHistogram, RefSample};
use crate::wal::{CommitRecords, RecordBuffers};

/// A late sample whose series it holds one pending count of.
pub(crate) struct Late {
    pub(crate) page: Arc<Page>,
    pub(crate) series: u64,
    pub(crate) sample: OooSample,
}

/// What became of the late samples of a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LateCounts {
    pub(crate) floats: u64,
    pub(crate) histograms: u64,
}

/// Records that can follow each other in the log as they are: markers first, then what is in the
/// chunks begun after them.
#[derive(Default)]
struct Group {
    markers: Vec<Marker>,
    samples: Vec<RefSample>,
    starts: Vec<TimestampMs>,
    histograms: Vec<RefHistogram>,
}

impl Group {
    fn records(&self) -> CommitRecords<'_> {
        CommitRecords {
            markers: &self.markers,
            samples: &self.samples,
            starts: &self.starts,
            histograms: &self.histograms,
            ..CommitRecords::default()
        }
    }
}

/// What a commit writes to the log of late samples.
#[derive(Default)]
struct Groups {
    done: Vec<Group>,
    open: Group,
    /// Series with samples in the open group.
    seen: HashSet<u64>,
}

impl Groups {
    fn markers(&mut self, series: u64, chunks: &[OooChunk]) {
        if self.seen.contains(&series) {
            self.done.push(std::mem::take(&mut self.open));
            self.seen.clear();
        }
        self.open.markers.extend(chunks.iter().map(|c| Marker { series, chunk: c.place.pack() }));
    }

    fn sample(&mut self, series: u64, s: &OooSample) {
        self.seen.insert(series);
        match &s.value {
            OooValue::Float(v) => {
                let open = &mut self.open;
                if s.st != 0 || !open.starts.is_empty() {
                    open.starts.resize(open.samples.len(), 0);
                    open.starts.push(s.st);
                }
                open.samples.push(RefSample { series, t: s.t, v: *v });
            }
            OooValue::Histogram(h) => {
                self.open.histograms.push(RefHistogram { series, t: s.t, st: s.st, h: h.clone() });
            }
        }
    }

    fn records(&self) -> Vec<CommitRecords<'_>> {
        self.done.iter().chain([&self.open]).map(Group::records).collect()
    }
}

impl Head {
    /// Puts late samples of commit `seq` into their series, where views that do not see that commit
    /// leave them out, and logs them: the main log has only those that were in order when they came,
    /// so that its replay never takes late ones for the end of their series. Of several at one time in memory the first stays.
    ///
    /// # Errors
    /// Where the log cannot be written: the samples are gone, and the database takes no more.
    pub(in crate::head) fn insert_late(
        &self,
        late: &[Late],
        (seq, low): (CommitSeq, CommitSeq),
        rules: &ChunkRules,
        buffers: &mut RecordBuffers,
    ) -> Result<LateCounts, StorageError> {
        let mut groups = Groups::default();
        let mut counts = LateCounts::default();
        let mut order = lock(&self.ooo.order);
        let mut times = (TimestampMs::MAX, TimestampMs::MIN);
        for l in late {
            let mut page = l.page.lock();
            let Some(s) = page.get_mut(l.series) else { continue };
            s.pending -= 1;
            let ooo = s.extra_mut().ooo.get_or_insert_default();
            let mapped = ooo.mapped.len();
            let sample = OooSample { seq, ..l.sample.clone() };
            if !self.insert_into(l.series, ooo, sample, low, rules) {
                continue;
            }
            if ooo.mapped.len() > mapped {
                groups.markers(l.series, &ooo.mapped[mapped..]);
            }
            groups.sample(l.series, &l.sample);
            times = (times.0.min(l.sample.t), times.1.max(l.sample.t));
            match l.sample.value {
                OooValue::Float(_) => counts.floats += 1,
                OooValue::Histogram(_) => counts.histograms += 1,
            }
        }
        *order = (order.0.min(times.0), order.1.max(times.1));
        self.ooo.widen(times);
        let Some(wbl) = self.ooo.wbl() else { return Ok(counts) };
        let mut order = Some(order);
        if let Err(e) = wbl.log_commit(&groups.records(), buffers, || drop(order.take())) {
            for l in late {
                let mut page = l.page.lock();
                if let Some(ooo) = page.get_mut(l.series).and_then(Series::ooo_mut) {
                    ooo.discard(seq);
                }
            }
            if let Some(wal) = self.wal() {
                wal.fail(&e.to_string());
            }
            return Err(e);
        }
        Ok(counts)
    }

    /// Inserts a sample, cutting the open chunk first if that is full; `false` where the samples in
    /// memory have one at its time.
    pub(super) fn insert_into(
        &self,
        series: u64,
        ooo: &mut OooSeries,
        sample: OooSample,
        low: CommitSeq,
        rules: &ChunkRules,
    ) -> bool {
        if ooo.has(sample.t) {
            return false;
        }
        if ooo.is_full() {
            self.map_late(series, ooo, low, rules);
        }
        if ooo.open().is_empty() {
            self.counters.chunks.add(1);
            self.counters.chunks_created.add(1);
        }
        ooo.insert(sample)
    }

    /// Puts the samples that a series has in memory into chunks of the head-chunks files.
    pub(super) fn map_late(&self, series: u64, ooo: &mut OooSeries, low: CommitSeq, rules: &ChunkRules) {
        let samples = ooo.take_open();
        let mut first = true;
        encode(&samples, rules, |c| {
            let (min_ms, max_ms) = span(&c);
            let place = self.chunks.put(&NewChunk {
                series,
                min_ms,
                max_ms,
                encoding: c.encoding(),
                out_of_order: true,
                data: c.bytes(),
            });
            let recent = recent(&samples, (min_ms, max_ms), low);
            ooo.mapped.push(OooChunk { place, min_ms, max_ms, recent });
            if !std::mem::take(&mut first) {
                self.counters.chunks.add(1);
                self.counters.chunks_created.add(1);
            }
        });
        if let (Some(why), Some(wal)) = (self.chunks.failed(), self.wal()) {
            wal.fail(&why);
        }
    }
}
