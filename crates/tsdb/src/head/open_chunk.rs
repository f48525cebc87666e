//! The chunk a series is writing, of any encoding.

use chunk::histogram::Appended;
use chunk::{ChunkError, Encoding, FloatHistogramEncoder, HistogramEncoder, Xor2Encoder, XorEncoder};
use model::{Columns, STALE_NAN_BITS, TimestampMs};
use storage::HistogramValue;

/// A chunk under construction; it always has a sample.
pub(crate) struct OpenChunk {
    encoder: Encoder,
    min_ms: TimestampMs,
}

/// Nearly all series are plain floats: theirs is the encoder that lies in the series itself.
enum Encoder {
    Xor(XorEncoder),
    Xor2(Box<Xor2Encoder>),
    Histogram(Box<HistogramEncoder>),
    FloatHistogram(Box<FloatHistogramEncoder>),
}

const _: () = assert!(size_of::<Option<OpenChunk>>() == size_of::<XorEncoder>() + 8);

impl OpenChunk {
    /// A chunk of one float, in XOR2 if that is `encoding`, else in XOR.
    pub(crate) fn new(encoding: Encoding, t: TimestampMs, st: TimestampMs, v: f64) -> Self {
        let encoder = if encoding == Encoding::Xor2 {
            let mut encoder = Box::new(Xor2Encoder::new());
            encoder.append(t, st, v);
            Encoder::Xor2(encoder)
        } else {
            let mut encoder = XorEncoder::new();
            encoder.append(t, v);
            Encoder::Xor(encoder)
        };
        Self { encoder, min_ms: t }
    }

    /// A chunk of one histogram behind `previous`, which tells whether a counter was reset. With
    /// room for start timestamps if `starts`.
    pub(crate) fn with_histogram(
        previous: Option<&Self>,
        starts: bool,
        (t, st): (TimestampMs, TimestampMs),
        h: HistogramValue<'_>,
    ) -> Self {
        let previous = previous.map(|p| &p.encoder);
        // An empty chunk takes any histogram.
        let encoder = match h {
            HistogramValue::Integer(h) => {
                let mut encoder = HistogramEncoder::new(starts);
                let previous = if let Some(Encoder::Histogram(p)) = previous { Some(&**p) } else { None };
                encoder.append(previous, t, st, h);
                Encoder::Histogram(Box::new(encoder))
            }
            HistogramValue::Float(h) => {
                let mut encoder = FloatHistogramEncoder::new(starts);
                let previous =
                    if let Some(Encoder::FloatHistogram(p)) = previous { Some(&**p) } else { None };
                encoder.append(previous, t, st, h);
                Encoder::FloatHistogram(Box::new(encoder))
            }
        };
        Self { encoder, min_ms: t }
    }

    /// Goes on with a chunk that was written before, here or by Prometheus, whose samples are said to
    /// lie in `min_ms ..= max_ms`.
    ///
    /// # Errors
    /// Where the bytes are no such chunk, or end at another time.
    pub(crate) fn resume(
        encoding: Encoding,
        data: &[u8],
        (min_ms, max_ms): (TimestampMs, TimestampMs),
    ) -> Result<Self, ChunkError> {
        let starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
        let encoder = match encoding {
            Encoding::Xor => Encoder::Xor(XorEncoder::resume(data)?),
            Encoding::Xor2 => Encoder::Xor2(Box::new(Xor2Encoder::resume(data)?)),
            Encoding::Histogram | Encoding::HistogramSt => {
                Encoder::Histogram(Box::new(HistogramEncoder::resume(data, starts)?))
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                Encoder::FloatHistogram(Box::new(FloatHistogramEncoder::resume(data, starts)?))
            }
        };
        let chunk = Self { encoder, min_ms };
        if chunk.num_samples() == 0 || chunk.max_ms() != max_ms {
            return Err(ChunkError::Truncated);
        }
        Ok(chunk)
    }

    /// Adds a float, which must lie behind [`Self::max_ms`], to a chunk of floats.
    ///
    /// # Panics
    /// In a chunk of histograms.
    #[inline]
    pub(crate) fn append(&mut self, t: TimestampMs, st: TimestampMs, v: f64) {
        match &mut self.encoder {
            Encoder::Xor(e) => e.append(t, v),
            Encoder::Xor2(e) => e.append(t, st, v),
            Encoder::Histogram(_) | Encoder::FloatHistogram(_) => {
                unreachable!("a float never goes into a chunk of histograms")
            }
        }
    }

    /// Adds a histogram, which must lie behind [`Self::max_ms`], to a chunk of such histograms. If
    /// it does not fit, the chunk that it begins is returned.
    ///
    /// # Panics
    /// In a chunk of other samples.
    pub(crate) fn append_histogram(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        h: HistogramValue<'_>,
    ) -> Option<Self> {
        let encoder = match (&mut self.encoder, h) {
            (Encoder::Histogram(e), HistogramValue::Integer(h)) => match e.append(None, t, st, h) {
                Appended::InPlace | Appended::Recoded => return None,
                Appended::NewChunk(next) => Encoder::Histogram(Box::new(next)),
            },
            (Encoder::FloatHistogram(e), HistogramValue::Float(h)) => match e.append(None, t, st, h) {
                Appended::InPlace | Appended::Recoded => return None,
                Appended::NewChunk(next) => Encoder::FloatHistogram(Box::new(next)),
            },
            _ => unreachable!("a histogram only goes into a chunk of its kind"),
        };
        Some(Self { encoder, min_ms: t })
    }

    /// Asks for the memory that the next float goes to.
    #[inline]
    pub(crate) fn prefetch(&self) {
        if let Encoder::Xor(e) = &self.encoder {
            e.prefetch();
        }
    }

    /// Time of the first sample.
    pub(crate) fn min_ms(&self) -> TimestampMs {
        self.min_ms
    }

    /// Time of the last sample.
    #[inline]
    pub(crate) fn max_ms(&self) -> TimestampMs {
        match &self.encoder {
            Encoder::Xor(e) => e.last_t(),
            Encoder::Xor2(e) => e.last_t(),
            Encoder::Histogram(e) => e.last_t(),
            Encoder::FloatHistogram(e) => e.last_t(),
        }
    }

    /// Value of the last sample; `None` if that is a histogram.
    #[inline]
    pub(crate) fn last_value(&self) -> Option<f64> {
        match &self.encoder {
            Encoder::Xor(e) => Some(e.last_v()),
            Encoder::Xor2(e) => Some(e.last_v()),
            Encoder::Histogram(_) | Encoder::FloatHistogram(_) => None,
        }
    }

    /// Whether the last sample is a stale marker.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        let last = match &self.encoder {
            Encoder::Xor(e) => e.last_v(),
            Encoder::Xor2(e) => e.last_v(),
            Encoder::Histogram(e) => e.last_sum(),
            Encoder::FloatHistogram(e) => e.last_sum(),
        };
        last.to_bits() == STALE_NAN_BITS
    }

    /// Whether the last sample is this histogram, but for buckets without observations.
    pub(crate) fn ends_with(&self, h: HistogramValue<'_>) -> bool {
        let h = match (h, &self.encoder) {
            (HistogramValue::Integer(h), Encoder::Histogram(_)) => h.to_float(),
            (HistogramValue::Float(h), Encoder::FloatHistogram(_)) => h.clone(),
            _ => return false,
        };
        let mut columns = Columns::default();
        let end_ms = self.max_ms();
        if chunk::decode(self.encoding(), self.bytes(), end_ms, end_ms, &mut columns).is_err() {
            return false;
        }
        let Some((_, last)) = columns.h.pop() else { return false };
        let compact = |mut h: model::FloatHistogram| {
            h.compact(0);
            h
        };
        compact((*last).clone()).same_data(&compact(h))
    }

    #[inline]
    pub(crate) fn num_samples(&self) -> usize {
        usize::from(match &self.encoder {
            Encoder::Xor(e) => e.num_samples(),
            Encoder::Xor2(e) => e.num_samples(),
            Encoder::Histogram(e) => e.num_samples(),
            Encoder::FloatHistogram(e) => e.num_samples(),
        })
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match &self.encoder {
            Encoder::Xor(_) => Encoding::Xor,
            Encoder::Xor2(_) => Encoding::Xor2,
            Encoder::Histogram(e) => e.encoding(),
            Encoder::FloatHistogram(e) => e.encoding(),
        }
    }

    /// The chunk's bytes, valid as they stand.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.encoder {
            Encoder::Xor(e) => e.bytes(),
            Encoder::Xor2(e) => e.bytes(),
            Encoder::Histogram(e) => e.bytes(),
            Encoder::FloatHistogram(e) => e.bytes(),
        }
    }
}
