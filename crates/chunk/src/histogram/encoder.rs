//! Writing chunks of either kind of histogram.

use model::histogram::{CounterResetHint, NativeHistogram, Span};
use model::{TimestampMs, is_stale_nan};

use super::append::{Appended, Filled, NotAppendable, Verdict, is_gauge, is_whole};
use super::field::Field;
use super::header::{self, CounterReset, HEADER_LEN};
use super::insert::{Gaps, spread};
use super::kind::Kind;
use super::layout::Layout;
use super::reader::Reader;
use super::state::{DECODED_BYTES_MAX, Numbers, State};
use crate::bit_writer::BitWriter;
use crate::start_time::StartTimes;
use crate::{ChunkError, Encoding};

/// Most samples of a chunk with start timestamps: 14 bits.
const ST_SAMPLES_MAX: u16 = 0x3fff;

/// A chunk under construction.
#[derive(Clone, Debug)]
pub(super) struct Encoder<K: Kind> {
    pub(super) out: BitWriter,
    pub(super) state: State<K>,
    pub(super) reset: CounterReset,
    pub(super) num_samples: u16,
}

type Hist<K> = NativeHistogram<<K as Kind>::Count, <K as Kind>::Bucket>;

impl<K: Kind> Encoder<K> {
    pub(super) fn new(starts: bool) -> Self {
        let start = starts.then(StartTimes::default);
        Self {
            out: BitWriter::new(Vec::new(), HEADER_LEN),
            state: State::new(start),
            reset: CounterReset::Unknown,
            num_samples: 0,
        }
    }

    pub(super) fn resume(data: &[u8], starts: bool) -> Result<Self, ChunkError> {
        let mut reader = Reader::<K>::new(data, starts)?;
        while reader.next()? {}
        let end = reader.bits.position();
        Ok(Self {
            out: BitWriter::resume(data, end),
            state: reader.state,
            reset: reader.reset,
            num_samples: reader.num_samples as u16,
        })
    }

    pub(super) fn encoding(&self) -> Encoding {
        K::ENCODINGS[usize::from(self.state.start.is_some())]
    }

    /// See [`super::HistogramEncoder::append`].
    pub(super) fn append(
        &mut self,
        previous: Option<&Self>,
        t: TimestampMs,
        st: TimestampMs,
        h: &Hist<K>,
    ) -> Appended<Self> {
        self.check(h);
        if self.num_samples == 0 {
            self.begin(previous, t, st, h);
            return Appended::InPlace;
        }
        match self.judge(h) {
            Verdict::Fits(positive, negative) => self.fit(t, st, h, positive, negative),
            Verdict::Cut(found) => {
                let mut next = Self::new(self.state.start.is_some());
                next.reset = if found == CounterReset::Gauge { found } else { K::cut(found) };
                next.put_first(t, st, h);
                Appended::NewChunk(next)
            }
        }
    }

    /// See [`super::HistogramEncoder::append_only`].
    pub(super) fn append_only(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        h: &Hist<K>,
    ) -> Result<(), NotAppendable> {
        self.check(h);
        if self.num_samples == 0 {
            self.begin(None, t, st, h);
            return Ok(());
        }
        match self.judge(h) {
            Verdict::Cut(CounterReset::Reset) => Err(NotAppendable::CounterReset),
            Verdict::Cut(_) => Err(NotAppendable::SchemaChange),
            Verdict::Fits(p, n) if p.in_chunk || n.in_chunk => Err(NotAppendable::LayoutChange),
            Verdict::Fits(p, n) if is_gauge(h) && (p.in_histogram || n.in_histogram) => {
                Err(NotAppendable::LayoutChange)
            }
            Verdict::Fits(positive, negative) => {
                self.fit(t, st, h, positive, negative);
                Ok(())
            }
        }
    }

    fn check(&self, h: &Hist<K>) {
        assert!(is_whole(h), "a histogram has as many buckets as its spans say");
        let max = if self.state.start.is_some() { ST_SAMPLES_MAX } else { u16::MAX };
        assert!(self.num_samples < max, "a chunk holds no more samples than its header can say");
    }

    fn judge(&self, h: &Hist<K>) -> Verdict {
        let samples = usize::from(self.num_samples) + 1;
        if self.state.size_with(h.size()) > DECODED_BYTES_MAX / samples {
            return Verdict::Cut(if is_gauge(h) { CounterReset::Gauge } else { CounterReset::Unknown });
        }
        if is_gauge(h) { self.judge_gauge(h) } else { self.judge_counter(h) }
    }

    /// Writes the first sample and what it says of a counter reset behind `previous`.
    fn begin(&mut self, previous: Option<&Self>, t: TimestampMs, st: TimestampMs, h: &Hist<K>) {
        self.reset = match (h.counter_reset_hint, previous) {
            (CounterResetHint::Gauge, _) => CounterReset::Gauge,
            (CounterResetHint::Reset, _) => CounterReset::Reset,
            (_, None) => self.reset,
            (_, Some(previous)) => K::follow(match previous.judge_counter(h) {
                Verdict::Fits(..) => CounterReset::NotReset,
                Verdict::Cut(found) => found,
            }),
        };
        self.put_first(t, st, h);
    }

    /// Writes a later sample that fits, once chunk and sample have the same buckets.
    fn fit(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        h: &Hist<K>,
        positive: Gaps,
        negative: Gaps,
    ) -> Appended<Self> {
        let recode = positive.in_chunk || negative.in_chunk;
        if !recode && !positive.in_histogram && !negative.in_histogram {
            self.put_next(t, st, h, &h.positive_buckets, &h.negative_buckets);
            return Appended::InPlace;
        }
        let filled = Filled::<K>::new(h, positive, negative);
        if recode {
            self.recode(filled.positive_spans, filled.negative_spans);
        }
        self.put_next(t, st, h, &filled.positive, &filled.negative);
        if recode { Appended::Recoded } else { Appended::InPlace }
    }

    fn put_first(&mut self, t: TimestampMs, st: TimestampMs, h: &Hist<K>) {
        let stale = is_stale_nan(h.sum);
        let layout = if stale { Layout::default() } else { Layout::of(h) };
        let zero = K::Count::default();
        let numbers = Numbers {
            t,
            st,
            count: if stale { zero } else { h.count },
            zero_count: if stale { zero } else { h.zero_count },
            sum: h.sum,
            positive: &h.positive_buckets,
            negative: &h.negative_buckets,
        };
        self.put(Some(layout), numbers);
    }

    fn put_next(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        h: &Hist<K>,
        positive: &[K::Bucket],
        negative: &[K::Bucket],
    ) {
        let (count, zero_count, sum) = (h.count, h.zero_count, h.sum);
        self.put(None, Numbers { t, st, count, zero_count, sum, positive, negative });
    }

    fn put(&mut self, layout: Option<Layout>, numbers: Numbers<'_, K>) {
        self.out.begin();
        self.state.write(&mut self.out, self.num_samples, layout, numbers);
        self.out.end();
        self.num_samples += 1;
        let start = self.state.start.map(|s| s.header);
        header::write(self.out.header_mut(), self.num_samples, self.reset, start);
    }

    /// Writes all samples anew with the buckets of these spans, which has all there are.
    fn recode(&mut self, positive_spans: Vec<Span>, negative_spans: Vec<Span>) {
        let starts = self.state.start.is_some();
        let mut next = Self::new(starts);
        next.reset = self.reset;
        let mut layout = Some(Layout { positive_spans, negative_spans, ..self.state.layout.clone() });
        let mut reader =
            Reader::<K>::new(self.out.bytes(), starts).expect("an encoder's bytes begin with a header");
        while reader.next().expect("an encoder's bytes are a valid chunk") {
            let (old, new) = (&reader.state, layout.as_ref().unwrap_or(&next.state.layout));
            let fields = |fields: &[K::BucketField], from: &[Span], to: &[Span]| {
                spread(from, fields.iter().map(|field| field.get()), to)
            };
            let positive = fields(&old.positive, &old.layout.positive_spans, &new.positive_spans);
            let negative = fields(&old.negative, &old.layout.negative_spans, &new.negative_spans);
            let numbers = Numbers {
                t: old.t,
                st: old.start.map_or(0, |s| s.st),
                count: old.count.get(),
                zero_count: old.zero_count.get(),
                sum: old.sum.get(),
                positive: &positive,
                negative: &negative,
            };
            next.put(layout.take(), numbers);
        }
        *self = next;
    }
}
