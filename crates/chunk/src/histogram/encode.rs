//! The encoders of histogram chunks.

use model::{FloatHistogram, Histogram, TimestampMs};

use super::append::{Appended, NotAppendable};
use super::encoder::Encoder;
use super::header::CounterReset;
use super::kind::{Float, Integer};
use crate::{ChunkError, Encoding};

macro_rules! encoder {
    ($(#[$doc:meta])* $name:ident, $kind:ty, $histogram:ty) => {
        $(#[$doc])*
        ///
        /// Between appends its bytes are a valid chunk, so a reader may copy them at any time.
        #[derive(Clone, Debug)]
        pub struct $name(Encoder<$kind>);

        impl $name {
            /// An empty chunk, with room for start timestamps if `starts`.
            #[must_use]
            pub fn new(starts: bool) -> Self {
                Self(Encoder::new(starts))
            }

            /// Goes on with a chunk that was written before, here or by Prometheus.
            ///
            /// # Errors
            /// Where the bytes are no such chunk.
            pub fn resume(data: &[u8], starts: bool) -> Result<Self, ChunkError> {
                Encoder::resume(data, starts).map(Self)
            }

            /// Adds a histogram that started to count at `st` (0: unknown; lost without `starts`).
            /// If it does not fit (a counter reset, another schema, a gauge among counters) it
            /// begins a new chunk; buckets that are missing on either side are made. `previous` is
            /// the chunk before this one, for the header of one that is empty. `t` must lie after
            /// [`Self::last_t`], which is not checked.
            ///
            /// # Panics
            /// If the histogram is not valid, if times did not rise, and at the 65,536th sample, or the 16,384th with
            /// `starts`: callers cut chunks long before.
            pub fn append(
                &mut self,
                previous: Option<&Self>,
                t: TimestampMs,
                st: TimestampMs,
                h: &$histogram,
            ) -> Appended<Self> {
                match self.0.append(previous.map(|p| &p.0), t, st, h) {
                    Appended::InPlace => Appended::InPlace,
                    Appended::Recoded => Appended::Recoded,
                    Appended::NewChunk(next) => Appended::NewChunk(Self(next)),
                }
            }

            /// Adds a histogram that fits as [`Self::append`] does, and only that.
            ///
            /// # Errors
            /// Why it does not fit; the chunk is then as it was.
            ///
            /// # Panics
            /// As [`Self::append`].
            pub fn append_only(
                &mut self,
                t: TimestampMs,
                st: TimestampMs,
                h: &$histogram,
            ) -> Result<(), NotAppendable> {
                self.0.append_only(t, st, h)
            }

            /// Which encoding the bytes have.
            #[must_use]
            pub fn encoding(&self) -> Encoding {
                self.0.encoding()
            }

            /// What the header says of a counter reset.
            #[must_use]
            pub fn counter_reset(&self) -> CounterReset {
                self.0.reset
            }

            /// Number of samples.
            #[must_use]
            pub fn num_samples(&self) -> u16 {
                self.0.num_samples
            }

            /// Time of the newest sample; meaningless where there is none.
            #[must_use]
            pub fn last_t(&self) -> TimestampMs {
                self.0.state.t
            }

            /// Sum of the newest sample, which is the stale marker for a stale one; meaningless
            /// where there is none.
            #[must_use]
            pub fn last_sum(&self) -> f64 {
                self.0.state.sum.get()
            }

            /// The chunk as it stands, the last byte filled up with zeros.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                self.0.out.bytes()
            }

            /// Ends the chunk and hands out its bytes.
            #[must_use]
            pub fn into_bytes(self) -> Vec<u8> {
                self.0.out.into_bytes()
            }
        }
    };
}

encoder!(
    /// A chunk of integer histograms under construction.
    HistogramEncoder,
    Integer,
    Histogram
);
encoder!(
    /// A chunk of float histograms under construction.
    FloatHistogramEncoder,
    Float,
    FloatHistogram
);
