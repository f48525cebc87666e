//! XOR chunks: Gorilla's encoding of floats with millisecond timestamps, bit for bit as
//! Prometheus writes it (`tsdb/chunkenc/xor.go`). The bits are drawn in `FORMAT.md`.

mod decode;
mod encode;
mod run;

pub use decode::decode;
pub use encode::XorEncoder;

/// Bytes before the first sample: their number, big-endian.
const HEADER_LEN: usize = 2;
