//! `target_info`: the attributes of a resource as a series of its own.

use std::collections::HashSet;

use model::{LabelsBuilder, METRIC_NAME, Metadata, MetricType};

use super::context::IDENTIFYING;
use super::fault::Fault;
use super::sink::Times;
use super::translate::Translator;

const NAME: &str = "target_info";
/// Samples of `target_info` that a request may lead to.
const SAMPLES_MAX: usize = 1 << 20;
const NS_PER_MS: i64 = 1_000_000;

/// Times of the data points of a resource, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    earliest_ns: u64,
    latest_ns: u64,
}

impl Span {
    pub(super) const EMPTY: Self = Self { earliest_ns: u64::MAX, latest_ns: 0 };

    #[inline]
    pub(super) fn add(&mut self, time_ns: u64) {
        self.earliest_ns = self.earliest_ns.min(time_ns);
        self.latest_ns = self.latest_ns.max(time_ns);
    }
}

/// Hashes of label sets and times, milliseconds, of the samples in a request.
pub(super) type Seen = HashSet<(u128, i64)>;

impl Translator<'_, '_> {
    /// Adds samples for the resource, half a lookback apart, from its earliest data point to its latest.
    pub(super) fn target_info(&mut self, span: Span) -> Result<(), Fault> {
        if span.earliest_ns == u64::MAX {
            return Ok(());
        }
        let is_identifying = |key: &str| IDENTIFYING.contains(&key);
        let mut attributes = self.context.resource.attributes.clone();
        let known = IDENTIFYING.iter().filter(|name| attributes.iter().any(|(key, _)| key == *name)).count();
        if attributes.len() == known {
            return Ok(());
        }
        if !self.context.translation.settings.keep_identifying_resource_attributes {
            attributes.retain(|(key, _)| !is_identifying(key));
        }
        let mut builder = LabelsBuilder::new();
        self.context.resource_labels(attributes, &mut self.warnings, &mut builder)?;
        builder.set(METRIC_NAME, NAME);
        if builder.get("job").is_none() && builder.get("instance").is_none() {
            return Ok(());
        }
        let labels = self.context.build(&builder)?;
        let hash = labels.hash128(0);
        let key = self.sink.cache.hash(&[&b"target_info"[..], labels.as_bytes()].concat());
        let interval_ns = self.lookback_ms.saturating_mul(NS_PER_MS) / 2;
        let (mut time_ns, latest_ns) = (span.earliest_ns as i64, span.latest_ns as i64);
        loop {
            let is_last = time_ns >= latest_ns;
            let t =
                time_ns.min(latest_ns).max(if is_last { latest_ns } else { i64::MIN }).div_euclid(NS_PER_MS);
            if self.seen.insert((hash, t)) {
                if self.seen.len() > SAMPLES_MAX {
                    return Err(Fault::TooMuch(format!(
                        "data points of a resource are so far apart that target_info would get more than {SAMPLES_MAX} samples"
                    )));
                }
                let named = labels.clone();
                let series = self.sink.float(key, Times { t, st: 0 }, 1.0, || Ok((named, true)))?;
                if self.sink.keep_metadata {
                    let help = "Target metadata".to_owned();
                    self.sink
                        .metadata(series, &Metadata { kind: MetricType::Gauge, unit: String::new(), help })?;
                }
            }
            if is_last {
                return Ok(());
            }
            time_ns = time_ns.saturating_add(interval_ns.max(1));
        }
    }
}
