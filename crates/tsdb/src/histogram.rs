//! Native histograms as the log and the head pass them on: shared, of either kind of counts.

use std::sync::Arc;

use model::{FloatHistogram, Histogram};
use storage::HistogramValue;

/// A histogram that a clone shares.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedHistogram {
    /// With integer counts.
    Integer(Arc<Histogram>),
    /// With float counts.
    Float(Arc<FloatHistogram>),
}

impl OwnedHistogram {
    /// Borrows it as appenders and encoders take it.
    pub(crate) fn value(&self) -> HistogramValue<'_> {
        match self {
            Self::Integer(h) => HistogramValue::Integer(h),
            Self::Float(h) => HistogramValue::Float(h),
        }
    }
}

impl From<HistogramValue<'_>> for OwnedHistogram {
    fn from(h: HistogramValue<'_>) -> Self {
        match h {
            HistogramValue::Integer(h) => Self::Integer(Arc::new(h.clone())),
            HistogramValue::Float(h) => Self::Float(Arc::new(h.clone())),
        }
    }
}
