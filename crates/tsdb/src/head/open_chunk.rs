//! The chunk a series is writing.

use chunk::XorEncoder;
use model::TimestampMs;

/// A chunk under construction; it always has a sample.
pub(crate) struct OpenChunk {
    encoder: XorEncoder,
    min_ms: TimestampMs,
}

impl OpenChunk {
    /// A chunk of one sample.
    pub(crate) fn new(t: TimestampMs, v: f64) -> Self {
        let mut encoder = XorEncoder::new();
        encoder.append(t, v);
        Self { encoder, min_ms: t }
    }

    /// Adds a sample, which must lie behind [`Self::max_ms`].
    #[inline]
    pub(crate) fn append(&mut self, t: TimestampMs, v: f64) {
        self.encoder.append(t, v);
    }

    /// Time of the first sample.
    pub(crate) fn min_ms(&self) -> TimestampMs {
        self.min_ms
    }

    /// Time of the last sample.
    pub(crate) fn max_ms(&self) -> TimestampMs {
        self.encoder.last_t()
    }

    /// Value of the last sample.
    pub(crate) fn last_value(&self) -> f64 {
        self.encoder.last_v()
    }

    pub(crate) fn num_samples(&self) -> usize {
        usize::from(self.encoder.num_samples())
    }

    /// The chunk's bytes, valid as they stand.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.encoder.bytes()
    }
}
