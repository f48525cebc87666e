//! A sample that came late, as it waits in memory.

use std::sync::Arc;

use model::{Columns, TimestampMs};

use crate::head::isolation::CommitSeq;
use crate::histogram::OwnedHistogram;

/// What a sample says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OooValue {
    Float(f64),
    Histogram(OwnedHistogram),
}

/// A late sample: 40 bytes, and a histogram shared with whoever logs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OooSample {
    pub(crate) t: TimestampMs,
    /// Start timestamp, 0 for unknown.
    pub(crate) st: TimestampMs,
    /// The commit that brought it; 0 for one from the log.
    pub(crate) seq: CommitSeq,
    pub(crate) value: OooValue,
}

const _: () = assert!(size_of::<OooSample>() <= 40);

impl OooSample {
    /// Appends the sample to `columns`.
    pub(super) fn push_to(&self, columns: &mut Columns) {
        match &self.value {
            OooValue::Float(v) => columns.push_started(self.t, self.st, *v),
            OooValue::Histogram(OwnedHistogram::Integer(h)) => {
                columns.push_histogram(self.t, self.st, Arc::new(h.to_float()));
            }
            OooValue::Histogram(OwnedHistogram::Float(h)) => {
                columns.push_histogram(self.t, self.st, h.clone());
            }
        }
    }
}
