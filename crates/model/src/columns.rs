//! The columns that samples are decoded into.

use std::sync::Arc;

use crate::{FloatHistogram, TimestampMs};

/// Samples of one series in order of time, one vector per field; owned and reused by the caller.
///
/// `t` and `v` have equal lengths. `st` is empty while no sample has a start timestamp, else as
/// long as `t` with 0 for "unknown". A sample that is a histogram has an entry in `h` with its
/// index in `t`, and an unspecified `v`.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Timestamps, milliseconds, strictly rising.
    pub t: Vec<TimestampMs>,
    /// Values; the stale marker is a value like any other here.
    pub v: Vec<f64>,
    /// Start timestamps, milliseconds, or empty.
    pub st: Vec<TimestampMs>,
    /// Histograms with the index of their sample, in order of index.
    pub h: Vec<(u32, Arc<FloatHistogram>)>,
}

impl Columns {
    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.t.clear();
        self.v.clear();
        self.st.clear();
        self.h.clear();
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.t.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    /// Adds a float sample without a start timestamp.
    #[inline]
    pub fn push(&mut self, t: TimestampMs, v: f64) {
        self.t.push(t);
        self.v.push(v);
        if !self.st.is_empty() {
            self.st.push(0);
        }
    }

    /// Adds a float sample that started to count at `st` (0: unknown).
    pub fn push_started(&mut self, t: TimestampMs, st: TimestampMs, v: f64) {
        if st != 0 && self.st.is_empty() {
            self.st.resize(self.t.len(), 0);
        } else if st == 0 && self.st.is_empty() {
            return self.push(t, v);
        }
        self.t.push(t);
        self.v.push(v);
        self.st.push(st);
    }

    /// Adds a histogram sample.
    pub fn push_histogram(&mut self, t: TimestampMs, st: TimestampMs, h: Arc<FloatHistogram>) {
        let i = u32::try_from(self.t.len()).expect("columns hold fewer than 2^32 samples");
        self.push_started(t, st, 0.0);
        self.h.push((i, h));
    }
}
