//! XOR2 chunks: floats whose time and value share one control prefix, with optional start
//! timestamps, bit for bit as Prometheus writes them (`tsdb/chunkenc/xor2.go`). The bits are drawn
//! in `FORMAT.md`.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::Xor2Encoder;

/// Bytes before the first sample: their number, big-endian, and the header of start timestamps.
const HEADER_LEN: usize = 3;
