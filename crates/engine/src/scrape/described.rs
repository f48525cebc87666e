//! What a scrape tells the database beside samples: exemplars, and the metadata of a sample's family.

use exposition::Parser;
use model::{Labels, Metadata, MetricType, SeriesRef, TimestampMs};
use storage::{AppendError, Appender, Exemplar};

use super::metadata::MetricMetadata;

/// The family that the last line of metadata was about, as long as the samples after it belong to it.
#[derive(Debug, Default)]
pub(super) struct Family(Option<(String, Metadata)>);

impl Family {
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// What is now known of the family `name`.
    pub(super) fn set(&mut self, name: &[u8], known: &MetricMetadata) {
        let metadata = Metadata {
            kind: MetricType::parse(&known.metric_type).unwrap_or_default(),
            unit: known.unit.clone(),
            help: known.help.clone(),
        };
        self.0 = Some((String::from_utf8_lossy(name).into_owned(), metadata));
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The metadata of a sample named `metric`. One that is of another family ends this one.
    pub(super) fn of(&mut self, metric: &str) -> Option<&Metadata> {
        if !self.0.as_ref().is_some_and(|(name, m)| belongs(metric, name, m.kind)) {
            self.0 = None;
        }
        self.0.as_ref().map(|(_, metadata)| metadata)
    }
}

/// Whether a sample named `metric` is of the family `family` (Prometheus `isSeriesPartOfFamily`).
fn belongs(metric: &str, family: &str, kind: MetricType) -> bool {
    let without = |suffixes: &[&str]| suffixes.iter().find_map(|s| metric.strip_suffix(s)).unwrap_or(metric);
    // A family may be named with the suffix that all its samples have.
    let bare = |suffix: &str| family.strip_suffix(suffix).unwrap_or(family) == without(&[suffix]);
    metric.starts_with(family)
        && match kind {
            MetricType::Counter => bare("_total"),
            MetricType::Info => bare("_info"),
            MetricType::Histogram => without(&["_bucket", "_sum", "_count"]) == family,
            MetricType::GaugeHistogram => without(&["_bucket", "_gsum", "_gcount"]) == family,
            MetricType::Summary => without(&["_sum", "_count"]) == family,
            _ => metric == family,
        }
}

/// Stores the exemplar of the line that the parser stands at, where it has one. What is wrong with it costs nothing
/// else; `Ok(false)`: it came too late.
///
/// # Errors
/// The database takes nothing more.
pub(super) fn append_exemplar(
    app: &mut dyn Appender,
    parser: &Parser<'_>,
    series: SeriesRef,
    t_ms: TimestampMs,
) -> Result<bool, AppendError> {
    let Some(found) = parser.exemplar() else { return Ok(true) };
    let mut labels = Vec::new();
    found.for_each_label(|name, value| {
        labels.push((String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
    });
    let exemplar =
        Exemplar { labels: Labels::from_pairs(labels), value: found.value, timestamp_ms: found.timestamp_ms };
    match app.append_exemplar_at(series, &Labels::empty(), &exemplar, t_ms) {
        Err(AppendError::OutOfOrderExemplar) => Ok(false),
        Err(e @ AppendError::ReadOnly(_)) => Err(e),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_its_family() {
        use MetricType::{Counter, Gauge, GaugeHistogram, Histogram, Info, Summary, Unknown};
        for (metric, family, kind, wanted) in [
            ("a_total", "a", Counter, true),
            ("a_total", "a_total", Counter, true),
            ("a", "a", Counter, true),
            ("a_created", "a", Counter, false),
            ("ab_total", "a", Counter, false),
            ("a_bucket", "a", Histogram, true),
            ("a_count", "a", Histogram, true),
            ("a_gsum", "a", Histogram, false),
            ("a_gsum", "a", GaugeHistogram, true),
            ("a_sum", "a", Summary, true),
            ("a_bucket", "a", Summary, false),
            ("a_info", "a", Info, true),
            ("a", "a", Gauge, true),
            ("a_total", "a", Gauge, false),
            ("b", "a", Unknown, false),
        ] {
            assert_eq!(belongs(metric, family, kind), wanted, "{metric} {family} {kind:?}");
        }
    }

    #[test]
    fn a_foreign_sample_ends_the_family() {
        let mut family = Family::default();
        let known =
            MetricMetadata { metric_type: "gauge".to_owned(), help: "text".to_owned(), ..Default::default() };
        family.set(b"a", &known);
        assert_eq!(family.of("a").map(|m| (m.kind, m.help.as_str())), Some((MetricType::Gauge, "text")));
        assert_eq!(family.of("b"), None);
        assert_eq!(family.of("a"), None);
    }
}
