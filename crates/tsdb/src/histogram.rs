//! Native histograms as the log and the head pass them on: shared, of either kind of counts.

use std::sync::Arc;

use model::histogram::{CounterResetHint, NativeHistogram};
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

impl OwnedHistogram {
    /// Where the series of `like` began: an empty histogram of its layout, so that no new chunk is begun, which is a
    /// reset by what it means.
    pub(crate) fn start_of(like: HistogramValue<'_>) -> Self {
        fn empty<C: Default, B>(h: &NativeHistogram<C, B>) -> NativeHistogram<C, B> {
            NativeHistogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                zero_count: C::default(),
                count: C::default(),
                sum: 0.0,
                positive_spans: Vec::new(),
                negative_spans: Vec::new(),
                positive_buckets: Vec::new(),
                negative_buckets: Vec::new(),
            }
        }
        match like {
            HistogramValue::Integer(h) => Self::Integer(Arc::new(empty(h))),
            HistogramValue::Float(h) => Self::Float(Arc::new(empty(h))),
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
