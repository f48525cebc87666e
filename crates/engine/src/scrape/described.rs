//! What a scrape tells the database beside samples: exemplars, and the metadata of a sample's family.

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

    /// What it is.
    pub(super) fn kind(&self) -> Option<MetricType> {
        self.0.as_ref().map(|(_, metadata)| metadata.kind)
    }

    /// What it is, where a sample named `metric` belongs to it.
    pub(super) fn kind_of(&self, metric: &str) -> Option<MetricType> {
        let (_, metadata) = self.0.as_ref().filter(|(name, m)| belongs(metric, name, m.kind))?;
        Some(metadata.kind)
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

/// Exemplars on their way into the database, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    /// Stores the exemplars of a sample in the order of their times. What is wrong with one costs nothing else. Returns
    /// how many came too late where all did; otherwise some are those of the scrape before, which is no news.
    ///
    /// # Errors
    /// The database takes nothing more.
    pub(super) fn append(
        &mut self,
        app: &mut dyn Appender,
        found: &[exposition::Exemplar<'_>],
        of_histogram: bool,
        series: SeriesRef,
        t_ms: TimestampMs,
    ) -> Result<u64, AppendError> {
        self.0.clear();
        // Those of a native histogram must have a time, or they could not be told from the ones before.
        let usable = found.iter().filter(|e| e.timestamp_ms.is_some() || !of_histogram);
        self.0.extend(usable.map(|e| {
            let mut labels = Vec::new();
            e.for_each_label(|name, value| {
                labels.push((String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
            });
            Exemplar { labels: Labels::from_pairs(labels), value: e.value, timestamp_ms: e.timestamp_ms }
        }));
        self.0.sort_by(|a, b| {
            let time = |e: &Exemplar| e.timestamp_ms.unwrap_or(t_ms);
            let by_time = time(a).cmp(&time(b));
            by_time.then(a.value.total_cmp(&b.value)).then_with(|| a.labels.cmp(&b.labels))
        });
        let mut late = 0;
        for exemplar in &self.0 {
            match app.append_exemplar_at(series, &Labels::empty(), exemplar, t_ms) {
                Err(AppendError::OutOfOrderExemplar) => late += 1,
                Err(e @ AppendError::ReadOnly(_)) => return Err(e),
                _ => {}
            }
        }
        Ok(if late == self.0.len() as u64 { late } else { 0 })
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
