//! Prometheus' chunk encodings: bit streams, encoders, decoders into columns. No files, no locks.

/// How a chunk's bytes are encoded; the byte that stands before its data in every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Gorilla's XOR for floats.
    Xor = 1,
    /// Integer native histograms.
    Histogram = 2,
    /// Float native histograms.
    FloatHistogram = 3,
}
