//! Whether a histogram goes into a chunk, and how.

use model::histogram::{BucketValue, CounterResetHint, NativeHistogram, Span};
use model::is_stale_nan;

use super::encoder::Encoder;
use super::field::Field;
use super::header::CounterReset;
use super::insert::{Gaps, compare_counters, compare_gauges, spread};
use super::kind::Kind;

/// What became of a histogram.
#[derive(Debug)]
pub enum Appended<E> {
    /// It is the last sample of the chunk.
    InPlace,
    /// It is the last sample of the chunk, whose earlier ones were written anew with more buckets.
    Recoded,
    /// It does not fit the chunk and is the first sample of this one.
    NewChunk(E),
}

/// Why a histogram does not go into a chunk as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAppendable {
    /// A counter histogram after a reset.
    #[error("histogram counter reset")]
    CounterReset,
    /// Another schema, zero threshold or set of bounds; a gauge among counters or the other way
    /// round; a sample after a stale marker.
    #[error("histogram schema change")]
    SchemaChange,
    /// Buckets that the chunk has not.
    #[error("histogram layout change")]
    LayoutChange,
}

/// How a histogram relates to a chunk.
pub(super) enum Verdict {
    /// It fits, with the gaps of positive and negative buckets filled.
    Fits(Gaps, Gaps),
    /// It does not, and so much is known of a counter reset.
    Cut(CounterReset),
}

type Hist<K> = NativeHistogram<<K as Kind>::Count, <K as Kind>::Bucket>;

impl<K: Kind> Encoder<K> {
    /// How `h`, no gauge, relates to the chunk (Prometheus `appendable`).
    pub(super) fn judge_counter(&self, h: &Hist<K>) -> Verdict {
        if self.num_samples > 0 && self.reset == CounterReset::Gauge {
            return Verdict::Cut(CounterReset::NotReset);
        }
        if h.counter_reset_hint == CounterResetHint::Reset {
            return Verdict::Cut(CounterReset::Reset);
        }
        if is_stale_nan(h.sum) {
            return Verdict::Fits(Gaps::default(), Gaps::default());
        }
        let state = &self.state;
        if is_stale_nan(state.sum.get()) {
            return Verdict::Cut(CounterReset::Unknown);
        }
        if h.count < state.count.get() {
            return Verdict::Cut(CounterReset::Reset);
        }
        let layout = &state.layout;
        if h.schema != layout.schema || h.zero_threshold != layout.zero_threshold {
            return Verdict::Cut(CounterReset::Unknown);
        }
        if !layout.bounds_match(h) || h.zero_count < state.zero_count.get() {
            return Verdict::Cut(CounterReset::Reset);
        }
        let positive = state.positive.iter().map(|field| field.get());
        let negative = state.negative.iter().map(|field| field.get());
        let positive =
            compare_counters(&layout.positive_spans, positive, &h.positive_spans, &h.positive_buckets);
        let negative =
            || compare_counters(&layout.negative_spans, negative, &h.negative_spans, &h.negative_buckets);
        match positive.and_then(|p| Some((p, negative()?))) {
            Some((positive, negative)) => Verdict::Fits(positive, negative),
            None => Verdict::Cut(CounterReset::Reset),
        }
    }

    /// How `h`, a gauge, relates to the chunk (Prometheus `appendableGauge`).
    pub(super) fn judge_gauge(&self, h: &Hist<K>) -> Verdict {
        let cut = Verdict::Cut(CounterReset::Gauge);
        if self.num_samples > 0 && self.reset != CounterReset::Gauge {
            return cut;
        }
        if is_stale_nan(h.sum) {
            return Verdict::Fits(Gaps::default(), Gaps::default());
        }
        let layout = &self.state.layout;
        if is_stale_nan(self.state.sum.get())
            || h.schema != layout.schema
            || h.zero_threshold != layout.zero_threshold
            || !layout.bounds_match(h)
        {
            return cut;
        }
        Verdict::Fits(
            compare_gauges(&layout.positive_spans, &h.positive_spans),
            compare_gauges(&layout.negative_spans, &h.negative_spans),
        )
    }
}

/// A histogram's buckets once it has all those of the chunk.
pub(super) struct Filled<K: Kind> {
    pub(super) positive_spans: Vec<Span>,
    pub(super) negative_spans: Vec<Span>,
    pub(super) positive: Vec<K::Bucket>,
    pub(super) negative: Vec<K::Bucket>,
}

impl<K: Kind> Filled<K> {
    /// The buckets of `h`, whose relation to the chunk is `positive` and `negative`. For gauges
    /// spans are merged on both signs if on any, as Prometheus does.
    pub(super) fn new(h: &Hist<K>, positive: Gaps, negative: Gaps) -> Self {
        let both = is_gauge(h) && (positive.in_histogram || negative.in_histogram);
        let fill = |gaps: Gaps, spans: &[Span], buckets: &[K::Bucket]| {
            let known = !gaps.union.is_empty();
            let spans_new =
                if known && (gaps.in_histogram || both) { gaps.union } else { merged_if(spans, both) };
            let buckets = spread(spans, buckets.iter().copied(), &spans_new);
            (spans_new, buckets)
        };
        let (positive_spans, positive) = fill(positive, &h.positive_spans, &h.positive_buckets);
        let (negative_spans, negative) = fill(negative, &h.negative_spans, &h.negative_buckets);
        Self { positive_spans, negative_spans, positive, negative }
    }
}

/// Spans as they are, or joined where they touch.
fn merged_if(spans: &[Span], merge: bool) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    let mut gap = 0;
    for span in spans {
        if !merge {
            out.push(*span);
            continue;
        }
        gap += span.offset;
        match out.last_mut() {
            _ if span.length == 0 => continue,
            Some(last) if gap == 0 => last.length += span.length,
            _ => out.push(Span { offset: gap, length: span.length }),
        }
        gap = 0;
    }
    out
}

pub(super) fn is_gauge<C, B>(h: &NativeHistogram<C, B>) -> bool {
    h.counter_reset_hint == CounterResetHint::Gauge
}

/// Whether the buckets of a histogram are as many as its spans say.
pub(super) fn is_whole<C, B: BucketValue<Count = C>>(h: &NativeHistogram<C, B>) -> bool {
    let whole = |spans: &[Span], n| super::layout::count_buckets(spans) == n;
    whole(&h.positive_spans, h.positive_buckets.len()) && whole(&h.negative_spans, h.negative_buckets.len())
}
