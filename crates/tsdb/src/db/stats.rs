//! What can be said about the head and the database without a query.

use model::TimestampMs;

/// A name and how many or how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCount {
    /// A metric name, label name or `name=value` pair.
    pub name: String,
    /// Series, values or bytes.
    pub value: u64,
}

/// The head at a moment: what `/api/v1/status/tsdb` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series.
    pub num_series: u64,
    /// Distinct pairs of label name and value.
    pub num_label_pairs: u64,
    /// Chunks, open and full.
    pub num_chunks: u64,
    /// First time that may be in the head; `i64::MAX` while it is empty.
    pub min_time_ms: TimestampMs,
    /// Time of the newest sample; `i64::MIN` while the head is empty.
    pub max_time_ms: TimestampMs,
    /// The metric names with the most series.
    pub series_count_by_metric_name: Vec<LabelCount>,
    /// The label names with the most values.
    pub label_value_count_by_label_name: Vec<LabelCount>,
    /// The label names that take the most bytes with their values, counted once per series.
    pub memory_in_bytes_by_label_name: Vec<LabelCount>,
    /// The `name=value` pairs with the most series.
    pub series_count_by_label_value_pair: Vec<LabelCount>,
}

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// One number about the database, under the name that Prometheus gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// `prometheus_tsdb_…`
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// How it counts.
    pub kind: MetricKind,
    /// Label names and values, often none.
    pub labels: &'static [(&'static str, &'static str)],
    /// The number now.
    pub value: f64,
}
