//! OTLP metrics: `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`, in protobuf or in JSON.
//!
//! Protobuf is walked without building the request: a resource, a scope, a metric, a data point at a time, all of it
//! borrowed from the body. JSON is turned into protobuf first ([`json`]), so there is one reader of messages. What the
//! data mean, and what becomes of them, is not known here.

mod attributes;
mod exemplar;
pub mod json;
mod messages;
mod points;
mod request;

pub use attributes::{Attributes, Value};
pub use exemplar::{Exemplar, Exemplars};
pub use messages::{damage, explain};
pub use points::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, Number, NumberPoint, PointHead, SummaryPoint,
};
pub use request::{Metric, MetricData, Points, Request, ResourceMetrics, ScopeMetrics, Temporality};

/// What a request may hold, compressed as well as decompressed: as much as Prometheus takes.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// Buckets of a data point, and quantiles of a summary.
pub const BUCKETS_MAX: usize = 1 << 16;
