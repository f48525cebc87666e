//! Labels, matchers, samples, native histograms, durations, value formatting: the words
//! that every other crate speaks. No I/O, no locks, no clock.

pub mod calendar;
pub mod columns;
pub mod duration;
pub mod float;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod maths;
pub mod metadata;
pub mod regex;
pub mod relabel;
pub mod sample;
pub mod symbols;
pub mod unicode;

pub use columns::Columns;
pub use histogram::{FloatHistogram, Histogram};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN_BITS, SeriesRef, TimestampMs, is_stale_nan, stale_nan};

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";
