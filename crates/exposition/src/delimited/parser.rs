//! The entries of a body, in Prometheus' order.

use std::borrow::Cow;

use model::MetricType;
use model::float::append_open_metrics;
use model::histogram::CounterResetHint;
use protobuf::Reader;
use protobuf::explain::explain;

use super::exemplar::for_each_label;
use super::family::Family;
use super::messages::{FAMILY, LABEL_PAIR, METRIC};
use super::metric::Metric;
use crate::classic::ClassicHistogram;
use crate::entry::{Entry, Exemplar, ParseError, Sample};
use crate::labels::{EachLabel, Given};
use crate::native::NativeValue;
use crate::parser::ParserOptions;
use crate::source::Source;

/// Ends the metric's name in a key; no name has it, being UTF-8.
const NAME_END: u8 = 0xff;

/// What of a metric a sample is; ends its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The metric itself.
    Whole = 0,
    Count = 1,
    Sum = 2,
    /// A bucket; its bound follows.
    Bucket = 3,
    /// A quantile, which follows.
    Quantile = 4,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next family's help.
    Family,
    Unit,
    Type,
    /// The first sample of the metric at hand.
    First,
    /// The next metric.
    Metric,
    Count,
    Sum,
    /// A bucket or quantile, by its number.
    Item(usize),
    /// The classic histogram as a native one.
    Converted,
}

/// Reads a delimited protobuf body entry by entry, as Prometheus 3.16 does: help, unit and type of a family, then
/// the series of its metrics.
///
/// A series' key ([`Source::series`]) holds the bytes of its labels as they came, so it costs one copy of them for each
/// metric and a few bytes for each bucket.
#[derive(Clone, Debug)]
pub struct ProtobufParser<'a> {
    /// What follows the current family.
    rest: &'a [u8],
    options: ParserOptions,
    step: Step,
    family: Family<'a>,
    kind: MetricType,
    /// What follows the current metric in its family.
    metrics: Reader<'a>,
    metric: Metric<'a>,
    /// Name, labels as encoded, part.
    key: Vec<u8>,
    /// Where labels begin in the key, and where they end.
    labels: (usize, usize),
    part: Part,
    /// Bound or quantile of a part that has one.
    bound: f64,
    native: NativeValue,
    /// Whether the histogram at hand is to be converted.
    converts: bool,
    classic: ClassicHistogram,
    /// Those of a native histogram.
    exemplars: Vec<Exemplar<'a>>,
    /// Where the exemplars of the current sample are.
    of_sample: Found,
}

/// Which exemplars the current sample has.
#[derive(Clone, Copy, Debug)]
enum Found {
    None,
    Counter,
    Bucket(usize),
    Native,
}

impl<'a> ProtobufParser<'a> {
    /// A parser of `body`.
    #[must_use]
    pub fn new(body: &'a [u8], options: ParserOptions) -> Self {
        Self {
            rest: body,
            options,
            step: Step::Family,
            family: Family::default(),
            kind: MetricType::default(),
            metrics: Reader::new(&[], 0),
            metric: Metric::default(),
            key: Vec::new(),
            labels: (0, 0),
            part: Part::Whole,
            bound: 0.0,
            native: NativeValue::default(),
            converts: false,
            classic: ClassicHistogram::default(),
            exemplars: Vec::new(),
            of_sample: Found::None,
        }
    }

    /// Moves on to the next family that has metrics, and to its first; whether there is one.
    fn next_family(&mut self) -> Result<bool, String> {
        while !self.rest.is_empty() {
            let message = self.take_message()?;
            self.family =
                Family::decode(Reader::new(message, 0)).map_err(|e| explain(&FAMILY, message, e))?;
            self.metrics = Reader::new(message, 0);
            self.key.clear();
            self.key.extend_from_slice(self.family.name);
            self.key.push(NAME_END);
            if self.options.type_and_unit_labels {
                self.key.extend_from_slice(&self.family.kind.to_le_bytes());
                self.key.extend_from_slice(self.family.unit);
                self.key.push(NAME_END);
            }
            self.labels.0 = self.key.len();
            if self.next_metric()? {
                self.kind = self.family.check()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A length and as many bytes.
    fn take_message(&mut self) -> Result<&'a [u8], String> {
        let mut r = Reader::new(self.rest, 0);
        let length = r.varint().ok().filter(|_| r.offset() <= 5);
        let length = length.ok_or("clientpb: invalid varint encountered")?;
        // At most five bytes of a varint.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (message, rest) = r.rest().split_at_checked(length).ok_or_else(|| {
            let (want, have) = (length.saturating_add(r.offset()), self.rest.len());
            format!(
                "clientpb: insufficient length of buffer, expected at least {want} bytes, got {have} bytes"
            )
        })?;
        self.rest = rest;
        Ok(message)
    }

    /// Decodes the family's next metric; whether there is one.
    fn next_metric(&mut self) -> Result<bool, String> {
        let next = Family::next_metric(&mut self.metrics);
        let Some(message) = next.map_err(|e| explain(&FAMILY, self.metrics.rest(), e))? else {
            return Ok(false);
        };
        self.key.truncate(self.labels.0);
        self.metric.decode(message, &mut self.key).map_err(|e| explain(&METRIC, message.rest(), e))?;
        self.labels.1 = self.key.len();
        Ok(true)
    }

    /// The next entry; an error is Prometheus' message.
    fn next(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, String> {
        loop {
            match self.step {
                Step::Family => {
                    if !self.next_family()? {
                        return Ok(None);
                    }
                    self.step = Step::Unit;
                    // Checked with the family.
                    let text = String::from_utf8_lossy(self.family.help);
                    return Ok(Some(Entry::Help { metric: self.family.name, text }));
                }
                Step::Unit => {
                    self.step = Step::Type;
                    if !self.family.unit.is_empty() {
                        return Ok(Some(Entry::Unit { metric: self.family.name, unit: self.family.unit }));
                    }
                }
                Step::Type => {
                    self.step = Step::First;
                    return Ok(Some(Entry::Type { metric: self.family.name, kind: self.kind }));
                }
                Step::Metric => {
                    self.step = if self.next_metric()? { Step::First } else { Step::Family };
                }
                Step::First => match self.kind {
                    MetricType::Summary => self.step = Step::Count,
                    MetricType::Histogram | MetricType::GaugeHistogram => {
                        if self.begin_histogram()? {
                            return self.histogram_entry(expected).map(Some);
                        }
                    }
                    _ => {
                        self.step = Step::Metric;
                        return self.simple_sample(expected).map(Some);
                    }
                },
                Step::Count => {
                    self.step = Step::Sum;
                    let value = match self.kind {
                        MetricType::Summary => self.metric.summary_count as f64,
                        _ => self.metric.histogram.count(),
                    };
                    return self.sample(Part::Count, value, expected).map(Some);
                }
                Step::Sum => {
                    self.step = Step::Item(0);
                    let value = match self.kind {
                        MetricType::Summary => self.metric.summary_sum,
                        _ => self.metric.histogram.sum,
                    };
                    return self.sample(Part::Sum, value, expected).map(Some);
                }
                Step::Item(i) if self.kind == MetricType::Summary => {
                    let Some((quantile, value)) = self.metric.quantiles.get(i).copied() else {
                        self.step = Step::Metric;
                        continue;
                    };
                    self.step = Step::Item(i + 1);
                    self.bound = quantile;
                    return self.sample(Part::Quantile, value, expected).map(Some);
                }
                Step::Item(i) => return self.bucket(i, expected).map(Some),
                Step::Converted => {
                    self.step = Step::Metric;
                    self.convert()?;
                    return self.histogram_entry(expected).map(Some);
                }
            }
        }
    }

    /// Chooses what a histogram yields; whether that begins with a native one.
    fn begin_histogram(&mut self) -> Result<bool, String> {
        let h = &self.metric.histogram;
        let (keep, convert) = (self.options.keep_classic_histograms, self.options.convert_classic_histograms);
        let is_native = !self.options.ignore_native_histograms && h.is_native();
        self.converts = convert && !is_native;
        if !is_native {
            self.step = if convert && !keep { Step::Converted } else { Step::Count };
            return Ok(false);
        }
        self.step = if keep && !h.buckets.is_empty() { Step::Count } else { Step::Metric };
        h.check_spans()
            .map_err(|e| format!("histogram {}: {e}", model::float::go_quoted(self.family.name)))?;
        self.take_native();
        Ok(true)
    }

    /// Puts the native histogram where [`Source::histogram`] finds it.
    fn take_native(&mut self) {
        let (h, out) = (&mut self.metric.histogram, &mut self.native);
        out.clear();
        out.is_float = h.is_float();
        if out.is_float {
            let f = &mut out.float;
            (f.count, f.sum, f.schema) = (h.count_float, h.sum, h.schema);
            (f.zero_threshold, f.zero_count) = (h.zero_threshold, h.zero_count_float);
            std::mem::swap(&mut f.positive_spans, &mut h.positive_spans);
            std::mem::swap(&mut f.negative_spans, &mut h.negative_spans);
            std::mem::swap(&mut f.positive_buckets, &mut h.positive_counts);
            std::mem::swap(&mut f.negative_buckets, &mut h.negative_counts);
            f.compact(0);
        } else {
            let n = &mut out.int;
            (n.count, n.sum, n.schema) = (h.count, h.sum, h.schema);
            (n.zero_threshold, n.zero_count) = (h.zero_threshold, h.zero_count);
            std::mem::swap(&mut n.positive_spans, &mut h.positive_spans);
            std::mem::swap(&mut n.negative_spans, &mut h.negative_spans);
            std::mem::swap(&mut n.positive_buckets, &mut h.positive_deltas);
            std::mem::swap(&mut n.negative_buckets, &mut h.negative_deltas);
            n.compact(0);
        }
        self.finish_native();
    }

    /// Puts the classic histogram there, converted.
    fn convert(&mut self) -> Result<(), String> {
        let h = &self.metric.histogram;
        self.classic.clear();
        self.classic.set_count(h.count());
        self.classic.set_sum(h.sum);
        h.buckets.iter().for_each(|b| self.classic.set_bucket(b.bound, b.count));
        self.classic.convert(&mut self.native)?;
        self.finish_native();
        Ok(())
    }

    /// Hint and exemplars. Those of a native histogram need a timestamp.
    fn finish_native(&mut self) {
        if self.kind == MetricType::GaugeHistogram {
            self.native.set_hint(CounterResetHint::Gauge);
        }
        let h = &self.metric.histogram;
        self.exemplars.clear();
        if h.exemplars.is_empty() {
            self.exemplars.extend(h.buckets.iter().filter_map(|b| b.exemplar));
        } else {
            self.exemplars.extend_from_slice(&h.exemplars);
        }
        self.exemplars.retain(|e| e.timestamp_ms.is_some());
    }

    fn histogram_entry(&mut self, expected: &[u8]) -> Result<Entry<'_>, String> {
        self.begin_sample(Part::Whole, expected)?;
        self.of_sample = Found::Native;
        Ok(Entry::Histogram { series: &self.key, timestamp_ms: self.timestamp_ms() })
    }

    fn simple_sample(&mut self, expected: &[u8]) -> Result<Entry<'_>, String> {
        let m = &self.metric;
        let (value, found) = match self.kind {
            MetricType::Counter => (m.counter, Found::Counter),
            MetricType::Gauge => (m.gauge, Found::None),
            _ => (m.untyped, Found::None),
        };
        self.begin_sample(Part::Whole, expected)?;
        self.of_sample = found;
        Ok(self.sample_entry(value))
    }

    fn sample(&mut self, part: Part, value: f64, expected: &[u8]) -> Result<Entry<'_>, String> {
        self.begin_sample(part, expected)?;
        Ok(self.sample_entry(value))
    }

    fn bucket(&mut self, i: usize, expected: &[u8]) -> Result<Entry<'_>, String> {
        let h = &self.metric.histogram;
        let (bound, count, found) = match h.buckets.get(i) {
            Some(b) => (b.bound, b.count, Found::Bucket(i)),
            None => (f64::INFINITY, h.count(), Found::None),
        };
        self.step = match (bound == f64::INFINITY, self.converts) {
            (false, _) => Step::Item(i + 1),
            (true, true) => Step::Converted,
            (true, false) => Step::Metric,
        };
        self.bound = bound;
        self.begin_sample(Part::Bucket, expected)?;
        self.of_sample = found;
        Ok(self.sample_entry(count))
    }

    fn timestamp_ms(&self) -> Option<i64> {
        Some(self.metric.timestamp_ms).filter(|t_ms| *t_ms != 0)
    }

    fn sample_entry(&self, value: f64) -> Entry<'_> {
        Entry::Sample(Sample { series: &self.key, value, timestamp_ms: self.timestamp_ms() })
    }

    /// Makes the key of a sample. One that was expected is known to have good labels.
    fn begin_sample(&mut self, part: Part, expected: &[u8]) -> Result<(), String> {
        self.part = part;
        self.of_sample = Found::None;
        self.key.truncate(self.labels.1);
        self.key.push(part as u8);
        if matches!(part, Part::Bucket | Part::Quantile) {
            self.key.extend_from_slice(&self.bound.to_le_bytes());
        }
        if self.key == expected { Ok(()) } else { self.check_labels() }
    }

    #[cold]
    fn check_labels(&self) -> Result<(), String> {
        let mut r = Reader::new(self.encoded_labels(), 0);
        while let Ok(Some(_)) = r.tag() {
            let Ok(message) = r.message() else { return Ok(()) };
            check_label(message)
                .map_err(|e| e.unwrap_or_else(|e| explain(&LABEL_PAIR, message.rest(), e)))?;
        }
        Ok(())
    }

    fn encoded_labels(&self) -> &[u8] {
        self.key.get(self.labels.0..self.labels.1).unwrap_or_default()
    }

    /// What the part adds to the family's name.
    fn suffix(&self) -> &'static str {
        match self.part {
            Part::Whole | Part::Quantile => "",
            Part::Count => "_count",
            Part::Sum => "_sum",
            Part::Bucket => "_bucket",
        }
    }
}

/// Checks a label's name and value, where they are given.
fn check_label(mut r: Reader<'_>) -> Result<(), Result<String, protobuf::Error>> {
    let invalid =
        |what: &str, text: &[u8]| Err(Ok(format!("invalid label {what}: {}", String::from_utf8_lossy(text))));
    while let Some(tag) = r.tag().map_err(Err)? {
        match tag.raw() {
            0x0a => {
                let name = r.bytes().map_err(Err)?;
                if name.is_empty() || std::str::from_utf8(name).is_err() {
                    return invalid("name", name);
                }
            }
            0x12 => {
                let value = r.bytes().map_err(Err)?;
                if std::str::from_utf8(value).is_err() {
                    return invalid("value", value);
                }
            }
            _ => r.skip(tag, 0b110).map_err(Err)?,
        }
    }
    Ok(())
}

impl<'a> Source<'a> for ProtobufParser<'a> {
    fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, ParseError> {
        self.next(expected).map_err(|reason| ParseError { line: 0, reason })
    }

    fn series(&self) -> &[u8] {
        &self.key
    }

    fn for_each_label(&self, f: &mut EachLabel<'_>) {
        let name = [self.family.name, self.suffix().as_bytes()].concat();
        let given = Given::new(Cow::Owned(name), self.kind, self.family.unit, self.options);
        given.for_each(f);
        for_each_label(self.encoded_labels(), |name, value| {
            if !given.replaces(name) {
                f(Cow::Borrowed(name), Cow::Borrowed(value));
            }
        });
        let name: &[u8] = match self.part {
            Part::Bucket => b"le",
            Part::Quantile => b"quantile",
            _ => return,
        };
        let mut value = Vec::new();
        append_open_metrics(self.bound, &mut value);
        f(Cow::Borrowed(name), Cow::Owned(value));
    }

    fn histogram(&mut self) -> &mut NativeValue {
        &mut self.native
    }

    fn exemplars(&self) -> &[Exemplar<'a>] {
        match self.of_sample {
            Found::None => &[],
            Found::Counter => self.metric.exemplar.as_slice(),
            Found::Bucket(i) => self.metric.histogram.buckets.get(i).map_or(&[], |b| b.exemplar.as_slice()),
            Found::Native => &self.exemplars,
        }
    }

    fn start_timestamp_ms(&mut self) -> Option<i64> {
        let start_ms = match self.kind {
            MetricType::Counter => self.metric.counter_start_ms,
            MetricType::Summary => self.metric.summary_start_ms,
            MetricType::Histogram | MetricType::GaugeHistogram => self.metric.histogram.start_ms,
            _ => 0,
        };
        Some(start_ms).filter(|t_ms| *t_ms != 0)
    }
}
