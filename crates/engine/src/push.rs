//! `push metrics`: a text of metrics as one request of remote write. Series, their order and their labels are those that
//! promtool makes of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use exposition::families::{FamilyKind, TextFamily, TextMetric, TextValue, parse_families};
use model::float::to_string_g;
use model::{METRIC_NAME, MetricType, TimestampMs};
use wire::snappy::Compressor;
use wire::{write_v1, write_v2};

use crate::error::{EngineError, ErrorCode};
use crate::remote_send::Protocol;

/// A label that the text has under this name would be taken for that of whoever scrapes.
const JOB: &str = "job";
const EXPORTED_JOB: &str = "exported_job";

type LabelMap<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// The body of a request with the metrics of `text`, which is of format 0.0.4. `labels` are added to all series that have
/// none of these names; samples without a time get `now_ms`.
///
/// # Errors
/// What is wrong with the text, and in which line.
pub fn push_body(
    text: &[u8],
    labels: &[(String, String)],
    protocol: Protocol,
    now_ms: TimestampMs,
) -> Result<Vec<u8>, EngineError> {
    let families = parse_families(text).map_err(|e| EngineError::invalid(e.to_string()))?;
    let mut writer = Writer { protocol, raw: Vec::new(), v2: write_v2::RequestWriter::default() };
    for family in &families {
        for metric in &family.metrics {
            put_metric(&mut writer, family, metric, labels, now_ms);
        }
    }
    let raw = writer.finish(&families);
    let mut body = Vec::new();
    let compressed = Compressor::default().compress(&raw, &mut body);
    compressed.map_err(|e| EngineError::new(ErrorCode::InvalidArgument, e.to_string()))?;
    Ok(body)
}

/// promtool says nothing of types beyond these.
fn type_of(kind: FamilyKind) -> MetricType {
    match kind {
        FamilyKind::Counter => MetricType::Counter,
        FamilyKind::Gauge => MetricType::Gauge,
        FamilyKind::Summary => MetricType::Summary,
        FamilyKind::Histogram => MetricType::Histogram,
        FamilyKind::GaugeHistogram | FamilyKind::Untyped => MetricType::Unknown,
    }
}

struct Writer {
    protocol: Protocol,
    raw: Vec<u8>,
    v2: write_v2::RequestWriter,
}

impl Writer {
    fn put(&mut self, family: &TextFamily, labels: &LabelMap<'_>, t: TimestampMs, v: f64) {
        let labels = labels.iter().map(|(n, v)| (&**n, &**v));
        match self.protocol {
            Protocol::V1 => write_v1::put_series(&mut self.raw, labels, |w| w.sample(t, v)),
            Protocol::V2 => {
                let metadata = write_v2::Metadata {
                    kind: type_of(family.kind),
                    help: Cow::Borrowed(&family.help),
                    unit: Cow::Borrowed(""),
                };
                self.v2.put_series(labels, &metadata, |w| w.sample(t, v, 0));
            }
        }
    }

    fn finish(mut self, families: &[TextFamily]) -> Vec<u8> {
        match self.protocol {
            Protocol::V1 => {
                for TextFamily { name, help, kind, .. } in families {
                    let kind = type_of(*kind);
                    let metadata = write_v1::Metadata { kind, family: name, help, unit: "" };
                    write_v1::put_metadata(&mut self.raw, &metadata);
                }
            }
            Protocol::V2 => self.v2.finish(&mut self.raw),
        }
        self.raw
    }
}

/// Writes the series of a metric.
fn put_metric(
    out: &mut Writer,
    family: &TextFamily,
    metric: &TextMetric,
    labels: &[(String, String)],
    now_ms: TimestampMs,
) {
    let name = &family.name;
    let mut all = LabelMap::new();
    all.insert(METRIC_NAME.into(), name.into());
    all.extend(labels.iter().map(|(n, v)| (n.into(), v.into())));
    for (n, v) in &metric.labels {
        all.insert(if n == JOB { EXPORTED_JOB.into() } else { n.into() }, v.into());
    }
    let t = metric.timestamp_ms.filter(|t| *t != 0).unwrap_or(now_ms);
    let named = |all: &LabelMap<'_>, suffix: &str| {
        let mut all: LabelMap<'static> =
            all.iter().map(|(n, v)| (n.clone().into_owned().into(), v.clone().into_owned().into())).collect();
        all.insert(METRIC_NAME.into(), format!("{name}{suffix}").into());
        all
    };
    match &metric.value {
        TextValue::Plain(v) => out.put(family, &all, t, *v),
        TextValue::Summary { quantiles, sum, count } => {
            let mut of_quantile = all.clone();
            for (q, v) in quantiles {
                of_quantile.insert("quantile".into(), to_string_g(*q).into());
                out.put(family, &of_quantile, t, *v);
            }
            out.put(family, &named(&all, "_sum"), t, *sum);
            out.put(family, &named(&all, "_count"), t, *count as f64);
        }
        // promtool sends 0 for counts that are no integers; here they stay.
        TextValue::Histogram { buckets, sum, count } => {
            let mut of_bucket = named(&all, "_bucket");
            let all_of_it = buckets.iter().all(|(le, _)| *le != f64::INFINITY);
            let last = all_of_it.then_some((f64::INFINITY, *count));
            for (le, n) in buckets.iter().copied().chain(last) {
                of_bucket.insert("le".into(), to_string_g(le).into());
                out.put(family, &of_bucket, t, n);
            }
            out.put(family, &named(&all, "_sum"), t, *sum);
            out.put(family, &named(&all, "_count"), t, *count);
        }
    }
}
