//! Random series: floats and native histograms, gaps, stale markers, special values.

use std::sync::Arc;

use model::histogram::{CounterResetHint, Span};
use model::{Columns, FloatHistogram, Labels, STALE_NAN_BITS};
use storage::VecStore;

use super::Choices;

/// Time between samples, milliseconds.
pub(super) const INTERVAL_MS: i64 = 15_000;

/// Samples of a series at most.
const SAMPLES_MAX: usize = 60;

/// A store with a few series of the names that [`super::expression`] asks for.
pub(super) fn world(c: &mut Choices<'_>) -> VecStore {
    let mut store = VecStore::new();
    for name in ["a_total", "b", "h"] {
        for i in 0..1 + c.below(4) {
            let instance = ["x", "y", "z", "w"][i];
            let labels = Labels::from_pairs([
                ("__name__", name),
                ("instance", instance),
                ("le", ["0.5", "1", "2", "+Inf"][i]),
                ("job", c.pick(&["p", "q"])),
            ]);
            store.extend(labels, &series(c, name));
        }
    }
    store
}

fn series(c: &mut Choices<'_>, name: &str) -> Columns {
    let mut out = Columns::default();
    let from = c.below(20) as i64;
    let mut value = 0.0;
    for i in 0..c.below(SAMPLES_MAX) as i64 {
        let t = (from + i) * INTERVAL_MS + c.pick(&[0, 0, 0, 1, 700]);
        if c.chance(1) {
            continue;
        }
        if name == "h" && !c.chance(2) {
            out.h.push((out.t.len() as u32, Arc::new(histogram(c))));
            out.push(t, 0.0);
            continue;
        }
        value = match c.below(12) {
            0 => f64::from_bits(STALE_NAN_BITS),
            1 => c.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, -1e308, 5e-324, 1e16]),
            2 => 0.0,
            n if value.is_finite() => value + n as f64 / 3.0,
            n => n as f64,
        };
        out.push(t, value);
    }
    out
}

fn histogram(c: &mut Choices<'_>) -> FloatHistogram {
    let buckets: Vec<f64> = (0..1 + c.below(4)).map(|_| c.below(9) as f64).collect();
    let zero_count = c.below(3) as f64;
    let mut out = FloatHistogram {
        counter_reset_hint: c.pick(&[
            CounterResetHint::Unknown,
            CounterResetHint::NotReset,
            CounterResetHint::Reset,
            CounterResetHint::Gauge,
        ]),
        schema: c.pick(&[0, 1, 3, -2]),
        count: buckets.iter().sum::<f64>() + zero_count,
        sum: c.pick(&[1.0, 2.5, -3.0, f64::NAN, f64::INFINITY]),
        zero_threshold: c.pick(&[0.001, 0.0, 0.5]),
        zero_count,
        positive_spans: vec![Span { offset: c.below(5) as i32 - 2, length: buckets.len() as u32 }],
        positive_buckets: buckets,
        ..FloatHistogram::default()
    };
    if c.chance(3) {
        let bounds: Vec<f64> = (1..out.positive_buckets.len()).map(|i| i as f64 / 2.0).collect();
        out.schema = -53;
        out.custom_values = bounds;
        out.positive_spans = vec![Span { offset: 0, length: out.positive_buckets.len() as u32 }];
        out.count -= out.zero_count;
        (out.zero_threshold, out.zero_count) = (0.0, 0.0);
    } else if c.chance(2) {
        out.negative_spans = out.positive_spans.clone();
        out.negative_buckets = out.positive_buckets.clone();
        out.count += out.negative_buckets.iter().sum::<f64>();
    }
    out
}
