//! The records of the log as replay works on them: decoded on any thread, applied partition by
//! partition.

use std::sync::atomic::{AtomicU64, Ordering};

use model::histogram::NativeHistogram;
use model::{Labels, TimestampMs};

use super::PARTITIONS;
use super::covered::Covered;
use crate::head::Head;
use crate::head::batch::Sample;
use crate::head::page::page_number;
use crate::head::series::{ChunkRules, Pushed};
use crate::histogram::OwnedHistogram;
use crate::int_map::IntMap;
use crate::wal::decompress;
use crate::wal::record::{self, Record, RefExemplar, RefHistogram, RefMetadata, Samples, Stone};

/// A series that the log names.
pub(super) struct NamedSeries {
    pub(super) series: u64,
    pub(super) hash: u64,
    pub(super) labels: Labels,
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

/// Decodes a record, without the samples that chunks have or that lie before `min_valid_ms`.
///
/// # Errors
/// What is wrong with its bytes.
pub(super) fn decode(
    bits: u8,
    data: &[u8],
    covered: &Covered,
    min_valid_ms: TimestampMs,
) -> Result<Decoded, String> {
    let record = if bits == 0 {
        record::decode(data)?
    } else {
        let mut raw = Vec::new();
        decompress(bits, data, &mut raw)?;
        record::decode(&raw)?
    };
    Ok(match record {
        Record::Series(all) => Decoded::Series(
            all.into_iter()
                .map(|(series, labels)| NamedSeries { series, hash: labels.hash64(), labels })
                .collect(),
        ),
        Record::Samples(mut s) => {
            let all = s.samples.len() as u64;
            covered.strip(&mut s.samples, &mut s.starts, min_valid_ms);
            let runs = Runs::of(&s.samples);
            Decoded::Samples { work: Work::Samples(s, runs), all }
        }
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
        Record::Markers(_) | Record::Other => Decoded::Other,
    })
}

/// Consecutive samples of one page: its number, and the index behind the last.
pub(super) struct Runs(Vec<(u64, usize)>);

impl Runs {
    fn of<S: Sample>(samples: &[S]) -> Self {
        let mut end = 0;
        let runs = samples.chunk_by(|a, b| page_number(a.series()) == page_number(b.series()));
        Self(
            runs.map(|run| {
                end += run.len();
                (page_number(run[0].series()), end)
            })
            .collect(),
        )
    }
}

/// Samples of one record.
pub(super) enum Work {
    Samples(Samples, Runs),
    Histograms(Vec<RefHistogram>, Runs),
}

impl Work {
    pub(super) fn highest_ref(&self) -> u64 {
        // The highest page has the highest reference.
        let runs = match self {
            Self::Samples(_, runs) | Self::Histograms(_, runs) => runs,
        };
        let highest = runs.0.iter().map(|(page, _)| *page).max();
        let among = |refs: &mut dyn Iterator<Item = u64>| {
            refs.filter(|r| Some(page_number(*r)) == highest).max().unwrap_or_default()
        };
        match self {
            Self::Samples(s, _) => among(&mut s.samples.iter().map(|s| s.series)),
            Self::Histograms(h, _) => among(&mut h.iter().map(|h| h.series)),
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
    let mut apply =
        Apply { head, partition, min_valid_ms, rules, min_ms: TimestampMs::MAX, max_ms: TimestampMs::MIN };
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

struct Apply<'a> {
    head: &'a Head,
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
        for (number, end) in &runs.0 {
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
        let Some(page) = self.head.pages.get(number) else {
            return samples.iter().filter(|s| wanted(s)).count() as u64;
        };
        let mut missing = 0;
        let mut page = page.lock();
        for (i, sample) in samples.iter().enumerate().filter(|(_, s)| wanted(s)) {
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
