//! Prometheus' chunk encodings: bit streams, encoders, decoders into columns. No files, no locks.
//!
//! A chunk is a run of one series' samples in order of time. What is here turns bytes into
//! [`model::Columns`] and back; where the bytes lie, how they are checksummed and which series
//! they belong to is for others to know. The bytes are drawn in `FORMAT.md`.

mod bit_writer;
mod bits;
pub mod encoding;
pub mod error;
pub mod histogram;
mod prefetch;
mod start_time;
mod varbit;
pub mod xor;
pub mod xor2;
mod xor_value;

pub use encoding::{Encoding, decode, num_samples};
pub use error::ChunkError;
pub use histogram::{FloatHistogramEncoder, HistogramEncoder};
pub use xor::XorEncoder;
pub use xor2::Xor2Encoder;
