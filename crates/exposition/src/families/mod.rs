//! Text 0.0.4 as whole metric families, the way Go's client libraries read it: all series of a histogram or summary are
//! one metric. Who pushes or checks text wants families; a scrape wants samples one by one, as [`crate::Parser`] yields
//! them. What is refused, and in which words, is what `expfmt.TextParser` of prometheus/common does.

mod reader;
#[cfg(test)]
mod tests;
mod text;

pub use text::parse_families;

/// What a family's `TYPE` line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Quantiles.
    Summary,
    /// Nothing was said.
    Untyped,
    /// Classic buckets.
    Histogram,
    /// Classic buckets whose counts fall, too.
    GaugeHistogram,
}

impl FamilyKind {
    fn has_buckets(self) -> bool {
        matches!(self, Self::Histogram | Self::GaugeHistogram)
    }
}

/// A family with its metrics, in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub struct TextFamily {
    /// The name, without the suffixes of histograms and summaries.
    pub name: String,
    /// Empty where nothing was said.
    pub help: String,
    /// The type.
    pub kind: FamilyKind,
    /// At least one.
    pub metrics: Vec<TextMetric>,
}

/// A metric of a family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextMetric {
    /// Names and values as they came, distinct names; without `le` and `quantile` of histograms and summaries.
    pub labels: Vec<(String, String)>,
    /// Of the last line that had one.
    pub timestamp_ms: Option<i64>,
    /// What it is.
    pub value: TextValue,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq)]
pub enum TextValue {
    /// Of a counter, a gauge, or something untyped.
    Plain(f64),
    /// Of a summary: quantiles with their values, sum and count; 0 where there is no such line.
    Summary {
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
        /// `_sum`
        sum: f64,
        /// `_count`, without what is behind the point.
        count: u64,
    },
    /// Of a histogram: cumulative buckets, sum and count; 0 where there is no such line.
    Histogram {
        /// Upper bound and how many are not above it.
        buckets: Vec<(f64, f64)>,
        /// `_sum`
        sum: f64,
        /// `_count`
        count: f64,
    },
}

impl Default for TextValue {
    fn default() -> Self {
        Self::Plain(0.0)
    }
}

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text format parsing error in line {line}: {message}")]
pub struct FamilyError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}
