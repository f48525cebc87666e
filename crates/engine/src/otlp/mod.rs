//! OTLP metrics: from a request's body to committed samples, in one call.
//!
//! One request is one transaction: all of it is stored, or nothing is, as Prometheus' receiver does. The body is walked
//! where it lies; a series that was seen before is found by a hash of its bytes, and its name and labels are made only
//! once. Knows no HTTP beyond the two headers that say what a body is.

mod context;
mod cumulative;
mod exemplars;
mod fault;
mod label_name;
mod metric_name;
mod native;
mod request;
mod settings;
mod sink;
mod target_info;
mod translate;
mod unit;
mod warnings;

pub(crate) use request::Receiver;
pub use request::{OtlpRefusal, OtlpReport, OtlpRequest};
pub use settings::{OtlpSettings, Promotion, TranslationStrategy};
pub(crate) use warnings::CATEGORIES;
