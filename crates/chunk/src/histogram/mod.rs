//! Chunks of native histograms, of integer or float counts, with start timestamps or without: bit
//! for bit as Prometheus writes them (`tsdb/chunkenc/{histogram,float_histogram}{,_st}.go`). The
//! bits are drawn in `FORMAT.md`.
//!
//! All histograms of a chunk have the same buckets, written once in front. An encoder says when a
//! histogram does not fit and begins the next chunk; whether a chunk is large enough is for others
//! to judge.

mod append;
mod decode;
mod encode;
mod encoder;
mod field;
mod header;
mod insert;
mod kind;
mod layout;

mod reader;
mod state;

pub use append::{Appended, NotAppendable};
pub use decode::{IntegerSample, decode, decode_float, decode_integer};
pub use encode::{FloatHistogramEncoder, HistogramEncoder};
pub use header::{CounterReset, counter_reset};
