//! The remote protocols' bodies: remote write 1.0 and 2.0, remote read, OTLP, and what carries them,
//! protobuf, JSON and snappy. Knows no sockets, no storage and no time.
//!
//! Requests are walked, not built: a walker borrows the body, appends float samples to columns that
//! the caller owns, and gives labels as the bytes a cache of series is keyed by. Labels, histograms
//! and exemplars are decoded only when asked for. What is accepted is what Prometheus 3.16
//! accepts. FORMAT.md draws the messages.

mod error;
pub mod fuzz;
mod histogram;
mod labels;
mod messages;
mod metadata;
pub mod otlp;
pub mod read;
pub mod read_stream;
mod samples;
mod series;
pub mod snappy;
mod symbols;
pub mod write_v1;
pub mod write_v2;

pub use error::WireError;
pub use histogram::HistogramSample;
pub use labels::{EncodedLabels, LabelsError, put_labels};
pub use messages::explain_write;
pub use protobuf::{Fault, Reader, Tag, writer};
pub use samples::SampleColumns;
pub use series::{Exemplar, Exemplars, Histograms, TimeSeries};
pub use symbols::{SymbolSpans, SymbolTable, Symbols};
