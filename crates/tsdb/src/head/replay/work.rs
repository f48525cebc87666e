//! The records of the log as replay works on them: decoded on any thread, applied partition by
//! partition.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use model::TimestampMs;
use model::histogram::NativeHistogram;
use model::symbols::{Interner, SymbolLabels, Symbols};

use super::PARTITIONS;
use super::covered::Covered;
use crate::head::batch::Sample;
use crate::head::page::{PagesReader, page_number};
use crate::head::series::{ChunkRules, Pushed};
use crate::head::{Head, lock};
use crate::histogram::OwnedHistogram;
use crate::int_map::IntMap;
use crate::wal::decompress;
use crate::wal::record::{self, Record, RefExemplar, RefHistogram, RefMetadata, Samples, Stone, kind};

/// A series that the log names.
pub(super) struct NamedSeries {
    pub(super) series: u64,
    pub(super) hash: u64,
    /// Taken out when the series is made.
    pub(super) labels: Option<SymbolLabels>,
}

/// What decoding needs besides the bytes; its memory is used again from record to record.
pub(super) struct Decoder<'a> {
    symbols: &'a Symbols,
    free: Mutex<Free<'a>>,
}

#[derive(Default)]
struct Free<'a> {
    raw: Vec<Vec<u8>>,
    samples: Vec<Samples>,
    interners: Vec<Interner<'a>>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(symbols: &'a Symbols) -> Self {
        Self { symbols, free: Mutex::default() }
    }

    /// Takes back the memory of what has been applied.
    pub(super) fn reuse(&self, done: Vec<Work>) {
        let samples = done.into_iter().filter_map(|work| match work {
            Work::Samples(samples, _) => Some(samples),
            Work::Histograms(..) => None,
        });
        lock(&self.free).samples.extend(samples);
    }

    /// Decodes a record, without the samples that chunks have or that lie before `min_valid_ms`.
    ///
    /// # Errors
    /// What is wrong with its bytes.
    pub(super) fn decode(
        &self,
        bits: u8,
        data: &[u8],
        covered: &Covered,
        min_valid_ms: TimestampMs,
    ) -> Result<Decoded, String> {
        if bits == 0 {
            return self.record(data, covered, min_valid_ms);
        }
        let mut raw = lock(&self.free).raw.pop().unwrap_or_default();
        decompress(bits, data, &mut raw)?;
        let decoded = self.record(&raw, covered, min_valid_ms);
        lock(&self.free).raw.push(raw);
        decoded
    }

    fn record(&self, raw: &[u8], covered: &Covered, min_valid_ms: TimestampMs) -> Result<Decoded, String> {
        Ok(match raw.first() {
            Some(&kind::SERIES) => Decoded::Series(self.series(raw)?),
            Some(&(kind::SAMPLES | kind::SAMPLES_V2)) => {
                let mut s = lock(&self.free).samples.pop().unwrap_or_default();
                record::decode_samples(raw, &mut s)?;
                let all = s.samples.len() as u64;
                covered.strip(&mut s.samples, &mut s.starts, min_valid_ms);
                let runs = Runs::of(&s.samples);
                Decoded::Samples { work: Work::Samples(s, runs), all }
            }
            _ => others(record::decode(raw)?, covered, min_valid_ms),
        })
    }

    fn series(&self, raw: &[u8]) -> Result<Vec<NamedSeries>, String> {
        let interner = lock(&self.free).interners.pop();
        let mut interner = interner.unwrap_or_else(|| Interner::new(self.symbols));
        let mut all = Vec::new();
        let done = record::for_each_series(raw, |series, labels| {
            let hash = labels.hash64();
            all.push(NamedSeries { series, hash, labels: Some(interner.intern(labels)) });
        });
        lock(&self.free).interners.push(interner);
        if done.is_err() {
            let labels = all.iter().filter_map(|s| s.labels.as_ref());
            self.symbols.release(labels.flat_map(SymbolLabels::ids));
        }
        done?;
        Ok(all)
    }
}

/// A record, decoded.
pub(super) enum Decoded {
    Series(Vec<NamedSeries>),
    Samples {
        work: Work,
        /// How many there were, those left out included.
        all: u64,
    },
    Histograms {
        work: Work,
        all: u64,
        /// Left out because they contradict themselves.
        invalid: u64,
    },
    Tombstones(Vec<Stone>),
    Metadata(Vec<RefMetadata>),
    MinValidTime(TimestampMs),
    Exemplars(Vec<RefExemplar>),
    Other,
}

/// What the rarer records say, those of samples and series apart.
fn others(record: Record, covered: &Covered, min_valid_ms: TimestampMs) -> Decoded {
    match record {
        Record::Histograms(mut histograms) => {
            let all = histograms.len();
            histograms.retain(|h| is_whole(&h.h));
            let invalid = (all - histograms.len()) as u64;
            covered.strip(&mut histograms, &mut Vec::new(), min_valid_ms);
            let runs = Runs::of(&histograms);
            Decoded::Histograms { work: Work::Histograms(histograms, runs), all: all as u64, invalid }
        }
        Record::Tombstones(stones) => Decoded::Tombstones(stones),
        Record::Metadata(metadata) => Decoded::Metadata(metadata),
        Record::MinValidTime(t) => Decoded::MinValidTime(t),
        Record::Exemplars(exemplars) => Decoded::Exemplars(exemplars),
        // Markers belong into the other log.
        Record::Series(_) | Record::Samples(_) | Record::Markers(_) | Record::Other => Decoded::Other,
    }
}

/// How the samples of a record lie in the pages.
pub(super) struct Runs {
    /// Consecutive samples of one page: its number, and the index behind the last.
    pages: Vec<(u64, usize)>,
    highest_ref: u64,
}

impl Runs {
    fn of<S: Sample>(samples: &[S]) -> Self {
        let (mut pages, mut highest_ref) = (Vec::new(), 0);
        for run in samples.chunk_by(|a, b| page_number(a.series()) == page_number(b.series())) {
            let end = pages.last().map_or(0, |(_, end)| *end) + run.len();
            pages.push((page_number(run[0].series()), end));
            highest_ref = run.iter().map(S::series).fold(highest_ref, u64::max);
        }
        Self { pages, highest_ref }
    }
}

/// Samples of one record.
pub(super) enum Work {
    Samples(Samples, Runs),
    Histograms(Vec<RefHistogram>, Runs),
}

impl Work {
    pub(super) fn highest_ref(&self) -> u64 {
        match self {
            Self::Samples(_, runs) | Self::Histograms(_, runs) => runs.highest_ref,
        }
    }

    /// Gives the samples their series' other names; returns which were used, and until when.
    pub(super) fn rename(
        &mut self,
        names: &IntMap<u64, u64>,
        min_valid_ms: TimestampMs,
    ) -> Vec<(u64, TimestampMs)> {
        let mut used = Vec::new();
        let mut name = |series: &mut u64, t: TimestampMs| {
            if let Some(name) = names.get(series).filter(|_| t >= min_valid_ms) {
                used.push((*series, t));
                *series = *name;
            }
        };
        match self {
            Self::Samples(s, runs) => {
                s.samples.iter_mut().for_each(|s| name(&mut s.series, s.t));
                if !used.is_empty() {
                    *runs = Runs::of(&s.samples);
                }
            }
            Self::Histograms(h, runs) => {
                h.iter_mut().for_each(|h| name(&mut h.series, h.t));
                if !used.is_empty() {
                    *runs = Runs::of(h);
                }
            }
        }
        used
    }
}

/// What was left out.
#[derive(Default)]
pub(super) struct Unknown {
    pub(super) samples: AtomicU64,
    pub(super) histograms: AtomicU64,
}

/// Puts the samples whose series are in the pages of one partition into them.
pub(super) fn apply_partition(
    head: &Head,
    partition: u64,
    all: &[Work],
    min_valid_ms: TimestampMs,
    rules: &ChunkRules,
    unknown: &Unknown,
) {
    let mut apply = Apply {
        head,
        pages: head.pages.read(),
        partition,
        min_valid_ms,
        rules,
        min_ms: TimestampMs::MAX,
        max_ms: TimestampMs::MIN,
    };
    let (mut samples, mut histograms) = (0, 0);
    for work in all {
        match work {
            Work::Samples(s, runs) => samples += apply.runs(runs, &s.samples, &s.starts),
            Work::Histograms(h, runs) => histograms += apply.runs(runs, h, &[]),
        }
    }
    unknown.samples.fetch_add(samples, Ordering::Relaxed);
    unknown.histograms.fetch_add(histograms, Ordering::Relaxed);
    if apply.min_ms <= apply.max_ms {
        head.widen(apply.min_ms, apply.max_ms);
    }
}

/// So many samples before its turn, the memory that a sample goes to is asked for.
const AHEAD: usize = 8;

struct Apply<'a> {
    head: &'a Head,
    pages: PagesReader<'a>,
    partition: u64,
    min_valid_ms: TimestampMs,
    rules: &'a ChunkRules,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
}

impl Apply<'_> {
    /// Applies what belongs here; returns how many samples have no series.
    fn runs<S: Sample>(&mut self, runs: &Runs, samples: &[S], starts: &[TimestampMs]) -> u64 {
        let mut missing = 0;
        let mut start = 0;
        for (number, end) in &runs.pages {
            let range = std::mem::replace(&mut start, *end)..*end;
            if number % PARTITIONS != self.partition {
                continue;
            }
            let starts = if starts.is_empty() { starts } else { &starts[range.clone()] };
            missing += self.run(*number, &samples[range], starts);
        }
        missing
    }

    fn run<S: Sample>(&mut self, number: u64, samples: &[S], starts: &[TimestampMs]) -> u64 {
        let wanted = |s: &S| s.t() >= self.min_valid_ms;
        let Some(page) = self.pages.get(number) else {
            return samples.iter().filter(|s| wanted(s)).count() as u64;
        };
        let mut missing = 0;
        let mut page = page.lock();
        samples.iter().take(AHEAD).for_each(|s| page.prefetch(s.series()));
        for (i, sample) in samples.iter().enumerate() {
            if let Some(later) = samples.get(i + AHEAD) {
                page.prefetch(later.series());
            }
            if !wanted(sample) {
                continue;
            }
            let Some(s) = page.get_mut(sample.series()) else {
                missing += 1;
                continue;
            };
            let st = starts.get(i).copied().unwrap_or(0);
            match sample.push_to(s, st, self.rules) {
                Pushed::Refused => continue,
                Pushed::Appended => {}
                Pushed::NewChunk(full) => self.head.keep_full(sample.series(), s, full),
            }
            self.min_ms = self.min_ms.min(sample.t());
            self.max_ms = self.max_ms.max(sample.t());
        }
        missing
    }
}

/// Whether a histogram has as many buckets as its spans say.
fn is_whole(h: &OwnedHistogram) -> bool {
    fn whole<C, B>(h: &NativeHistogram<C, B>) -> bool {
        let n = |spans: &[model::histogram::Span]| spans.iter().map(|s| u64::from(s.length)).sum::<u64>();
        n(&h.positive_spans) == h.positive_buckets.len() as u64
            && n(&h.negative_spans) == h.negative_buckets.len() as u64
    }
    match h {
        OwnedHistogram::Integer(h) => whole(h),
        OwnedHistogram::Float(h) => whole(h),
    }
}
