//! Delimited protobuf: `io.prometheus.client.MetricFamily` messages, each behind its length.
//!
//! A body is walked, not built. A family is looked over once for its name, type and unit, then its metrics are decoded
//! one at a time into memory that is used again; labels stay bytes until somebody asks for them. `parser` yields the
//! series of a metric in Prometheus' order, `metric` decodes one; with the descriptions of `messages`
//! [`protobuf::explain`] finds Prometheus' words for bytes that are no protobuf. Knows nothing of the text formats.

mod exemplar;
mod family;
mod messages;
mod metric;
mod parser;

pub(crate) use exemplar::for_each_label;
pub use parser::ProtobufParser;
