//! Parsers and writers of the exposition formats.
//!
//! A [`Parser`] borrows a body and yields its entries: text 0.0.4 and 1.0.0, OpenMetrics 0.0.1 and
//! 1.0; a [`ProtobufParser`] does so for delimited protobuf, and a [`ClassicConverter`] turns the classic
//! histograms of a text format into native ones. A scrape reads all three through [`Source`]. What they
//! accept, what they make of it and why they refuse is what Prometheus 3.16 does, oddities included.
//! [`families`] reads text as Go's client libraries do. OpenMetrics 2.0 is named in [`Format`] and has no parser yet. Nothing here knows of targets, storage or time.
//!
//! Samples come as the bytes of their series text, which is what a scrape cache is keyed by; labels
//! are taken apart only when asked for. Lines as exporters usually write them go through `fast`;
//! everything else through `lex_text` or `lex_open_metrics`, which follow Prometheus' lexers state
//! by state. FORMAT.md draws the formats.

mod classic;
mod converter;
mod cursor;
mod delimited;
mod entry;
mod escape;
pub mod families;
mod fast;
mod labels;
mod lex_open_metrics;
mod lex_text;
mod mime;
mod native;
mod negotiate;
mod open_metrics;
mod parser;
mod series;
mod source;
mod start_timestamp;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use converter::ClassicConverter;
pub use delimited::ProtobufParser;
pub use entry::{Entry, Exemplar, LabelError, ParseError, Sample};
pub use escape::{EscapingScheme, escape_name};
pub use labels::EachLabel;
pub use model::MetricType;
pub use native::NativeValue;
pub use negotiate::{Format, Negotiated, UnsupportedFormat, negotiate, negotiate_text};
pub use parser::{Parser, ParserOptions};
pub use source::Source;
pub use write::TextWriter;
