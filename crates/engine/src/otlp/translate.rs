//! The walk through a request: each data point becomes samples of one or more series.
//!
//! Reference: Prometheus `storage/remote/otlptranslator/prometheusremotewrite`: what is taken for what, and in which
//! order, is as there. A fault in a data point passes over the rest of its metric; the request is stored whole or not
//! at all.

use std::cell::OnceCell;
use std::cmp::Ordering;

use model::float::to_string_f;
use model::{Histogram, LabelsBuilder, METRIC_NAME, Metadata, MetricType, SeriesRef, stale_nan};
use storage::Exemplar;
use wire::WireError;
use wire::otlp::{
    ExponentialPoint, HistogramPoint, Metric, MetricData, NumberPoint, PointHead, Request, ResourceMetrics,
    ScopeMetrics, SummaryPoint, Temporality,
};

use super::context::{Context, lossy};
use super::cumulative::Cumulative;
use super::fault::{Fault, Faults};
use super::metric_name::NameKind;
use super::sink::{Named, Sink, Times};
use super::target_info::{Seen, Span};
use super::warnings::{Category, Warnings};
use super::{exemplars, native, unit};
use crate::remote_write::exemplars_in_order;
use crate::series_cache::KeyHash;

/// Buffers that are used again by later requests.
#[derive(Default)]
pub(super) struct Buffers {
    pub key: Vec<u8>,
    native: Histogram,
    exemplars: Vec<Exemplar>,
    labels: LabelsBuilder,
}

/// Data points in the form in which they are decoded, used again, too.
#[derive(Default)]
pub(super) struct Decoded {
    histogram: HistogramPoint,
    exponential: ExponentialPoint,
    summary: SummaryPoint,
}

/// What becomes of deltas.
pub(super) enum Deltas<'c> {
    /// They are refused.
    Refused,
    /// They are stored as they are.
    Native,
    /// They are added up.
    Cumulative(&'c mut Cumulative),
}

/// Translates one request.
pub(super) struct Translator<'a, 't> {
    pub sink: Sink<'a>,
    pub context: Context<'t>,
    pub buffers: &'a mut Buffers,
    pub deltas: Deltas<'a>,
    pub lookback_ms: i64,
    pub warnings: Warnings,
    pub faults: Faults,
    pub seen: Seen,
    /// Hash of resource and scope, whatever the order of their attributes; only where deltas are added up.
    pub delta_scope: KeyHash,
}

/// A metric whose data points are being translated. What costs something is made when it is asked for.
struct Family<'m> {
    metric: &'m Metric<'m>,
    is_delta: bool,
    /// Chained hash of settings, resource, scope and metric.
    hash: KeyHash,
    name: OnceCell<Result<String, String>>,
    metadata: OnceCell<Metadata>,
}

impl Family<'_> {
    fn name(&self, context: &Context<'_>) -> Result<&str, Fault> {
        let build = || {
            let kind = match self.metric.data {
                MetricData::Gauge => NameKind::Gauge,
                MetricData::Sum { is_monotonic: true, .. } => NameKind::Counter,
                _ => NameKind::Other,
            };
            let (name, unit) = (lossy(self.metric.name), lossy(self.metric.unit));
            context.translation.metrics.build(&name, &unit, kind)
        };
        match self.name.get_or_init(build) {
            Ok(name) => Ok(name),
            Err(text) => Err(Fault::Other(text.clone())),
        }
    }

    fn metadata(&self) -> &Metadata {
        self.metadata.get_or_init(|| Metadata {
            kind: self.kind(),
            unit: unit::build(&lossy(self.metric.unit), false),
            help: lossy(self.metric.description),
        })
    }

    /// Of deltas no type of Prometheus is true.
    fn kind(&self) -> MetricType {
        match self.metric.data {
            _ if self.is_delta => MetricType::Unknown,
            MetricData::None => MetricType::Unknown,
            MetricData::Gauge | MetricData::Sum { is_monotonic: false, .. } => MetricType::Gauge,
            MetricData::Sum { .. } => MetricType::Counter,
            MetricData::Histogram(_) | MetricData::Exponential(_) => MetricType::Histogram,
            MetricData::Summary => MetricType::Summary,
        }
    }

    fn has_metadata(&self) -> bool {
        let is_untyped = self.is_delta || self.metric.data == MetricData::None;
        !is_untyped || !self.metric.description.is_empty() || !self.metadata().unit.is_empty()
    }
}

/// A series of a data point that has several: which one.
#[derive(Clone, Copy)]
enum Part {
    Sum,
    Count,
    Bucket(f64),
    Quantile(f64),
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Sum => "_sum",
            Self::Count => "_count",
            Self::Bucket(_) => "_bucket",
            Self::Quantile(_) => "",
        }
    }

    fn label(self) -> Option<(&'static str, f64)> {
        match self {
            Self::Sum | Self::Count => None,
            Self::Bucket(bound) => Some(("le", bound)),
            Self::Quantile(quantile) => Some(("quantile", quantile)),
        }
    }

    /// What tells it from the others of its data point.
    fn key(self) -> [u8; 9] {
        let (tag, bits) = match self {
            Self::Sum => (1, 0),
            Self::Count => (2, 0),
            Self::Bucket(bound) => (3, bound.to_bits()),
            Self::Quantile(quantile) => (4, quantile.to_bits()),
        };
        let mut key = [tag; 9];
        key[1..].copy_from_slice(&bits.to_le_bytes());
        key
    }
}

/// A data point that becomes several series, which share their labels.
struct Parts<'p> {
    head: &'p PointHead<'p>,
    /// The hash of all but the part.
    base: KeyHash,
    /// Whether the shared labels are in the buffer, and then whether their series may be cached.
    built: Option<bool>,
}

fn times(head: &PointHead<'_>) -> Times {
    Times { t: head.time_ms(), st: head.start_ms() }
}

impl Translator<'_, '_> {
    /// Translates a body. Faults that do not end the request are in `faults` afterwards.
    ///
    /// # Errors
    /// A fault that ends the request.
    pub(super) fn run(&mut self, body: &[u8], decoded: &mut Decoded) -> Result<(), Fault> {
        let settings = self.sink.cache.hash(self.context.translation.fingerprint.as_bytes());
        let mut request = Request::new(body);
        while let Some(mut resource) = request.next_resource()? {
            match self.context.enter_resource(&resource) {
                Ok(()) => self.resource(&mut resource, settings, decoded)?,
                Err(fault) => self.faults.push(fault)?,
            }
        }
        Ok(())
    }

    /// Hashes what comes next in a key's chain.
    fn chain(&mut self, before: KeyHash, parts: &[&[u8]]) -> KeyHash {
        let key = &mut self.buffers.key;
        key.clear();
        key.extend_from_slice(&before.to_bytes());
        for part in parts {
            key.extend_from_slice(&part.len().to_le_bytes());
            key.extend_from_slice(part);
        }
        self.sink.cache.hash(key)
    }

    fn resource(
        &mut self,
        resource: &mut ResourceMetrics<'_>,
        settings: KeyHash,
        decoded: &mut Decoded,
    ) -> Result<(), Fault> {
        let hash = self.chain(settings, &[resource.attributes.as_bytes()]);
        let mut span = Span::EMPTY;
        while let Some(mut scope) = resource.next_scope()? {
            match self.context.enter_scope(&scope) {
                Ok(()) => {
                    if let Deltas::Cumulative(_) = self.deltas {
                        self.delta_scope = self.stream_scope(resource, &scope)?;
                    }
                    self.scope(&mut scope, hash, &mut span, decoded)?;
                }
                Err(fault) => self.faults.push(fault)?,
            }
        }
        match self.target_info(span) {
            Ok(()) => Ok(()),
            Err(fault) => self.faults.push(fault),
        }
    }

    /// What a stream of deltas is known by, as far as resource and scope go.
    fn stream_scope(
        &mut self,
        resource: &ResourceMetrics<'_>,
        scope: &ScopeMetrics<'_>,
    ) -> Result<KeyHash, Fault> {
        let mut fields = resource.attributes.fields()?;
        fields.sort_unstable();
        let resource = self.chain(KeyHash::default(), &fields);
        let mut fields = scope.attributes.fields()?;
        fields.sort_unstable();
        fields.extend([scope.name, scope.version]);
        Ok(self.chain(resource, &fields))
    }

    fn scope(
        &mut self,
        scope: &mut ScopeMetrics<'_>,
        before: KeyHash,
        span: &mut Span,
        decoded: &mut Decoded,
    ) -> Result<(), Fault> {
        let parts = [scope.name, scope.version, scope.schema_url, scope.attributes.as_bytes()];
        let hash = self.chain(before, &parts);
        while let Some(metric) = scope.next_metric()? {
            self.metric(&metric, hash, span, decoded)?;
        }
        Ok(())
    }

    fn metric(
        &mut self,
        metric: &Metric<'_>,
        before: KeyHash,
        span: &mut Span,
        decoded: &mut Decoded,
    ) -> Result<(), Fault> {
        let name = || String::from_utf8_lossy(metric.name);
        let temporality = metric.data.temporality();
        let (is_delta, adds_up) = match (temporality, &self.deltas) {
            (Some(Temporality::Delta), Deltas::Native) => (true, false),
            (Some(Temporality::Delta), Deltas::Cumulative(_)) => (false, true),
            _ => (false, false),
        };
        if metric.data == MetricData::None {
            let text = format!(
                "could not get aggregation temporality for {} as it has unsupported metric type Empty",
                name()
            );
            return self.faults.push(Fault::Other(text));
        }
        let is_sound = temporality.is_none_or(|t| t == Temporality::Cumulative || is_delta || adds_up);
        if !is_sound {
            let mut points = metric.points;
            while let Some(time_ns) = points.next_time()? {
                span.add(time_ns);
            }
            let text = format!(
                "invalid temporality and type combination for metric {}",
                model::float::go_quoted(metric.name)
            );
            return self.faults.push(Fault::Other(text));
        }
        let kind = match metric.data {
            MetricData::None => 0,
            MetricData::Gauge => 1,
            MetricData::Sum { is_monotonic, .. } => 2 + u8::from(is_monotonic),
            MetricData::Histogram(_) => 4,
            MetricData::Exponential(_) => 5,
            MetricData::Summary => 6,
        } | u8::from(is_delta) << 4;
        let hash = self.chain(before, &[metric.name, metric.unit, &[kind]]);
        let family = Family { metric, is_delta, hash, name: OnceCell::new(), metadata: OnceCell::new() };
        if metric.points.is_empty() && !adds_up {
            match family.name(&self.context) {
                Ok(_) => self
                    .warnings
                    .push(Category::EmptyDataPoints, || format!("empty data points. {} is dropped", name())),
                Err(fault) => self.faults.push(fault)?,
            }
            return Ok(());
        }
        let stream = match adds_up {
            true => Some(self.chain(self.delta_scope, &[metric.name, metric.unit, &[kind]])),
            false => None,
        };
        self.points(&family, stream, span, decoded)
    }

    /// Translates the points of a metric; behind a fault only their times are of interest, and what deltas add up to.
    fn points(
        &mut self,
        family: &Family<'_>,
        stream: Option<KeyHash>,
        span: &mut Span,
        decoded: &mut Decoded,
    ) -> Result<(), Fault> {
        let Decoded { histogram, exponential, summary } = decoded;
        let with_nhcb = self.context.translation.settings.convert_histograms_to_nhcb;
        let mut points = family.metric.points;
        let mut failed = false;
        while let Some(message) = points.next_point()? {
            let result = match family.metric.data {
                MetricData::None | MetricData::Gauge | MetricData::Sum { .. } => {
                    let mut p = NumberPoint::decode(message)?;
                    if !self.add_up(stream, &mut p.head, |c, key, head| c.number(key, head, &mut p.value))? {
                        continue;
                    }
                    span.add(p.head.time_ns);
                    if failed { Ok(()) } else { self.number(family, &p) }
                }
                MetricData::Histogram(_) => {
                    let mut head = histogram.decode(message)?;
                    if !self.add_up(stream, &mut head, |c, key, head| c.histogram(key, head, histogram))? {
                        continue;
                    }
                    span.add(head.time_ns);
                    match (failed, with_nhcb) {
                        (true, _) => Ok(()),
                        (_, true) => self.custom(family, &head, histogram),
                        _ => self.classic(family, &head, histogram),
                    }
                }
                MetricData::Exponential(_) => {
                    let mut head = exponential.decode(message)?;
                    if !self
                        .add_up(stream, &mut head, |c, key, head| c.exponential(key, head, exponential))?
                    {
                        continue;
                    }
                    span.add(head.time_ns);
                    if failed { Ok(()) } else { self.exponential(family, &head, exponential) }
                }
                MetricData::Summary => {
                    let head = summary.decode(message)?;
                    span.add(head.time_ns);
                    if failed { Ok(()) } else { self.summary(family, &head, summary) }
                }
            };
            if let Err(fault) = result {
                self.faults.push(fault)?;
                failed = true;
            }
        }
        Ok(())
    }

    /// Adds a delta to its stream, whose state takes its place; whether the point is to be stored.
    fn add_up<'p>(
        &mut self,
        stream: Option<KeyHash>,
        head: &mut PointHead<'p>,
        add: impl FnOnce(&mut Cumulative, KeyHash, &mut PointHead<'p>) -> bool,
    ) -> Result<bool, WireError> {
        let Some(stream) = stream else { return Ok(true) };
        let key = {
            let mut fields = head.attributes.fields()?;
            fields.sort_unstable();
            self.chain(stream, &fields)
        };
        match &mut self.deltas {
            Deltas::Cumulative(cumulative) => Ok(add(cumulative, key, head)),
            _ => Ok(true),
        }
    }

    #[inline]
    fn key(&mut self, family: &Family<'_>, head: &PointHead<'_>) -> KeyHash {
        let key = &mut self.buffers.key;
        key.clear();
        key.extend_from_slice(&family.hash.to_bytes());
        key.extend_from_slice(head.attributes.as_bytes());
        self.sink.cache.hash(key)
    }

    #[inline]
    fn number(&mut self, family: &Family<'_>, p: &NumberPoint<'_>) -> Result<(), Fault> {
        let is_stale = p.head.is_stale();
        let v = if is_stale { stale_nan() } else { p.value.value() };
        if !p.head.exemplars.is_empty() && matches!(family.metric.data, MetricData::Sum { .. }) {
            exemplars::translate(p.head.exemplars.clone(), &mut self.buffers.exemplars)?;
            self.buffers.exemplars.sort_by(exemplars_in_order);
        } else {
            self.buffers.exemplars.clear();
        }
        let key = self.key(family, &p.head);
        let Self { sink, context, buffers, warnings, .. } = self;
        let labels = || named(context, buffers, warnings, family, &p.head);
        let series = sink.float(key, times(&p.head), v, labels)?;
        self.finish(family, series, is_stale)
    }

    /// What follows a sample of a series that has all of its data point's exemplars.
    #[inline]
    fn finish(&mut self, family: &Family<'_>, series: SeriesRef, is_stale: bool) -> Result<(), Fault> {
        if !is_stale && !self.buffers.exemplars.is_empty() {
            self.sink.exemplars(series, &self.buffers.exemplars)?;
        }
        self.note_metadata(family, series, is_stale)
    }

    #[inline]
    fn note_metadata(&mut self, family: &Family<'_>, series: SeriesRef, is_stale: bool) -> Result<(), Fault> {
        if !family.has_metadata() {
            self.sink.without_metadata += 1;
        } else if self.sink.keep_metadata && !is_stale {
            self.sink.metadata(series, family.metadata())?;
        }
        Ok(())
    }

    fn exponential(
        &mut self,
        family: &Family<'_>,
        head: &PointHead<'_>,
        p: &ExponentialPoint,
    ) -> Result<(), Fault> {
        if p.count == 0 && p.sum.is_some_and(|sum| sum != 0.0) && !head.is_stale() {
            let sum = p.sum.unwrap_or_default();
            self.warnings.push(Category::ZeroCountNonZeroSum, || {
                format!("exponential histogram data point has zero count, but non-zero sum: {sum:.6}")
            });
        }
        native::exponential(p, head.is_stale(), family.is_delta, &mut self.buffers.native)
            .map_err(Fault::Other)?;
        self.native(family, head)
    }

    fn custom(&mut self, family: &Family<'_>, head: &PointHead<'_>, p: &HistogramPoint) -> Result<(), Fault> {
        if p.count == 0 && p.sum.is_some_and(|sum| sum != 0.0) && !head.is_stale() {
            let sum = p.sum.unwrap_or_default();
            self.warnings.push(Category::ZeroCountNonZeroSum, || {
                format!("histogram data point has zero count, but non-zero sum: {sum:.6}")
            });
        }
        native::custom(p, head.is_stale(), family.is_delta, &mut self.buffers.native);
        self.native(family, head)
    }

    /// Adds the native histogram in the buffer.
    fn native(&mut self, family: &Family<'_>, head: &PointHead<'_>) -> Result<(), Fault> {
        exemplars::translate(head.exemplars.clone(), &mut self.buffers.exemplars)?;
        self.buffers.exemplars.sort_by(exemplars_in_order);
        let key = self.key(family, head);
        let histogram = std::mem::take(&mut self.buffers.native);
        let Self { sink, context, buffers, warnings, .. } = self;
        let labels = || named(context, buffers, warnings, family, head);
        let result = sink.histogram(key, times(head), &histogram, labels);
        self.buffers.native = histogram;
        self.finish(family, result?, head.is_stale())
    }

    fn classic(
        &mut self,
        family: &Family<'_>,
        head: &PointHead<'_>,
        p: &HistogramPoint,
    ) -> Result<(), Fault> {
        let mut parts = Parts { head, base: self.key(family, head), built: None };
        if let Some(sum) = p.sum {
            self.part(family, &mut parts, Part::Sum, sum)?;
        }
        self.part(family, &mut parts, Part::Count, p.count as f64)?;
        let mut exemplars = std::mem::take(&mut self.buffers.exemplars);
        exemplars::translate(head.exemplars.clone(), &mut exemplars)?;
        let mut rest = exemplars.as_mut_slice();
        let mut below = 0u64;
        for (bound, count) in p.bounds.iter().zip(&p.counts) {
            below = below.wrapping_add(*count);
            if *bound == f64::INFINITY {
                self.warnings.push(Category::PlusInfBound, || {
                    "histogram data point has an explicit +Inf bound, le=\"+Inf\" is taken from count"
                        .to_owned()
                });
                continue;
            }
            // An exemplar that is no number is not above any bound.
            let here =
                rest.iter().take_while(|e| e.value.partial_cmp(bound) != Some(Ordering::Greater)).count();
            let (own, others) = rest.split_at_mut(here);
            rest = others;
            self.bucket(family, &mut parts, *bound, below, own)?;
        }
        self.bucket(family, &mut parts, f64::INFINITY, p.count, rest)?;
        self.buffers.exemplars = exemplars;
        Ok(())
    }

    fn bucket(
        &mut self,
        family: &Family<'_>,
        parts: &mut Parts<'_>,
        bound: f64,
        count: u64,
        exemplars: &mut [Exemplar],
    ) -> Result<(), Fault> {
        let series = self.part(family, parts, Part::Bucket(bound), count as f64)?;
        if !exemplars.is_empty() && !parts.head.is_stale() {
            exemplars.sort_by(exemplars_in_order);
            self.sink.exemplars(series, exemplars)?;
        }
        Ok(())
    }

    fn summary(&mut self, family: &Family<'_>, head: &PointHead<'_>, p: &SummaryPoint) -> Result<(), Fault> {
        let mut parts = Parts { head, base: self.key(family, head), built: None };
        self.part(family, &mut parts, Part::Sum, p.sum)?;
        self.part(family, &mut parts, Part::Count, p.count as f64)?;
        for (quantile, value) in &p.quantiles {
            self.part(family, &mut parts, Part::Quantile(*quantile), *value)?;
        }
        Ok(())
    }

    fn part(
        &mut self,
        family: &Family<'_>,
        parts: &mut Parts<'_>,
        part: Part,
        v: f64,
    ) -> Result<SeriesRef, Fault> {
        let is_stale = parts.head.is_stale();
        let v = if is_stale { stale_nan() } else { v };
        let mut key = [0; 25];
        key[..16].copy_from_slice(&parts.base.to_bytes());
        key[16..].copy_from_slice(&part.key());
        let key = self.sink.cache.hash(&key);
        let Self { sink, context, buffers, warnings, .. } = self;
        let Parts { head, built, .. } = parts;
        let labels = || {
            let may_cache = match *built {
                Some(may_cache) => may_cache,
                None => {
                    let shared = &mut buffers.labels;
                    !context.point_labels(&head.attributes, family.metadata(), warnings, shared)?
                }
            };
            *built = Some(may_cache);
            let mut labels = buffers.labels.clone();
            labels.set(METRIC_NAME, &format!("{}{}", family.name(context)?, part.suffix()));
            if let Some((name, value)) = part.label() {
                labels.set(name, &to_string_f(value));
            }
            Ok((context.build(&labels)?, may_cache))
        };
        let series = sink.float(key, times(head), v, labels)?;
        self.note_metadata(family, series, is_stale)?;
        Ok(series)
    }
}

/// The labels of a data point that is one series.
fn named(
    context: &mut Context<'_>,
    buffers: &mut Buffers,
    warnings: &mut Warnings,
    family: &Family<'_>,
    head: &PointHead<'_>,
) -> Result<Named, Fault> {
    let name = family.name(context)?.to_owned();
    let labels = &mut buffers.labels;
    let collided = context.point_labels(&head.attributes, family.metadata(), warnings, labels)?;
    labels.set(METRIC_NAME, &name);
    Ok((context.build(labels)?, !collided))
}
