//! What is known of a metric family beside its samples.

/// The type of a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Rises, or starts again at 0.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
    /// A histogram whose counts go up and down.
    GaugeHistogram,
    /// Quantiles of observations.
    Summary,
    /// Facts in labels.
    Info,
    /// A set of booleans.
    StateSet,
    /// Nothing is known: `untyped` in text, `unknown` in OpenMetrics.
    #[default]
    Unknown,
}

impl MetricType {
    /// The type of that name; none where there is no such.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        use MetricType::*;
        let all = [Counter, Gauge, Histogram, GaugeHistogram, Summary, Info, StateSet, Unknown];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// As Prometheus' API and OpenMetrics spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// What a series' metric is, as its source describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The family's type.
    pub kind: MetricType,
    /// Unit of the values, empty where the source names none.
    pub unit: String,
    /// What the metric means, empty where the source says nothing.
    pub help: String,
}
