//! Results.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

use crate::annotations::Annotations;

/// A float or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// When, milliseconds: the query's time.
    pub t_ms: i64,
    /// What.
    pub value: SampleValue,
}

/// One series of a matrix: floats and histograms apart, each in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The series.
    pub labels: Labels,
    /// Times of the floats, milliseconds.
    pub t: Vec<i64>,
    /// The floats.
    pub v: Vec<f64>,
    /// Histograms with their times, milliseconds.
    pub h: Vec<(i64, Arc<FloatHistogram>)>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number at a time.
    Scalar(i64, f64),
    /// A string at a time.
    String(i64, String),
    /// An instant vector, in the order that the query gave it.
    Vector(Vec<VectorSample>),
    /// Series, sorted by labels.
    Matrix(Vec<Series>),
}

/// Samples that each step of a query consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerStep {
    /// The first step, milliseconds.
    pub start_ms: i64,
    /// The distance of steps, milliseconds.
    pub step_ms: i64,
    /// Samples looked at.
    pub total: Vec<u64>,
    /// Samples not read at an earlier step.
    pub read: Vec<u64>,
}

/// What a query did; numbers of samples are Prometheus', in which native histograms count by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples looked at: a range vector counts its whole window at every step.
    pub total_samples: u64,
    /// Samples read: as the former, but what two steps look at once.
    pub samples_read: u64,
    /// The most samples that Prometheus would hold in memory at once.
    pub peak_samples: u64,
    /// The first two for each step, where that was asked for.
    pub per_step: Option<PerStep>,
    /// Series selected, summed over selectors.
    pub series: u64,
    /// Nanoseconds spent on planning and opening the store.
    pub prepare_ns: u64,
    /// Nanoseconds spent on evaluation, reading included.
    pub eval_ns: u64,
    /// Nanoseconds spent on sorting and shaping the result.
    pub result_ns: u64,
}

/// A query's value, remarks and costs.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// Costs.
    pub stats: QueryStats,
}
