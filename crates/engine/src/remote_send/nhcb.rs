//! Histograms with custom buckets on their way to receivers that know classic ones alone (`convert_nhcb_to_classic`).
//!
//! Each becomes the samples of `_bucket`, `_count` and `_sum`, named after the series as it is sent. Which buckets a
//! series has is remembered, so that those are marked stale that a change of the bounds, of the kind of sample, or the
//! end of the series leaves behind (Prometheus `convertAndEnqueueNHCB`).

use model::float::append_open_metrics;
use model::labels::LabelsBuilder;
use model::{Labels, METRIC_NAME, TimestampMs, stale_nan};
use tsdb::int_map::IntMap;
use tsdb::tail::OwnedHistogram;

/// One sample of a classic series: labels, value, start timestamp.
pub(super) type Classic = (Labels, f64, TimestampMs);

/// The classic series of one histogram.
struct Layout {
    bounds: Box<[f64]>,
    /// Labels of a bucket for each bound, that of +Inf, then count and sum.
    names: Vec<Labels>,
}

impl Layout {
    /// `None` where the series has no name to be named after.
    fn new(labels: &Labels, bounds: &[f64], builder: &mut LabelsBuilder) -> Option<Self> {
        let base = labels.metric_name();
        if base.is_empty() {
            return None;
        }
        let mut name = |suffix: &str, bound: Option<f64>| {
            builder.reset(labels);
            builder.set(METRIC_NAME, &format!("{base}{suffix}"));
            if let Some(bound) = bound {
                let mut le = Vec::new();
                append_open_metrics(bound, &mut le);
                builder.set("le", &String::from_utf8_lossy(&le));
            }
            builder.build()
        };
        let all = bounds.iter().copied().chain([f64::INFINITY]);
        let mut names: Vec<Labels> = all.map(|bound| name("_bucket", Some(bound))).collect();
        names.extend([name("_count", None), name("_sum", None)]);
        Some(Self { bounds: bounds.into(), names })
    }
}

/// The series whose histograms are converted.
#[derive(Default)]
pub(super) struct ClassicConverter {
    active: IntMap<u64, Layout>,
    builder: LabelsBuilder,
}

impl ClassicConverter {
    /// Whether classic series of this one are alive.
    pub(super) fn knows(&self, series: u64) -> bool {
        self.active.contains_key(&series)
    }

    pub(super) fn retain(&mut self, knows: impl Fn(u64) -> bool) {
        self.active.retain(|series, _| knows(*series));
    }

    /// The samples of a histogram with custom buckets, which `labels` name; also of a stale one.
    ///
    /// # Errors
    /// Why it cannot be converted.
    pub(super) fn convert(
        &mut self,
        series: u64,
        labels: &Labels,
        h: &OwnedHistogram,
        st: TimestampMs,
    ) -> Result<Vec<Classic>, String> {
        let (bounds, counts) = match h {
            OwnedHistogram::Integer(h) => (&h.custom_values, h.classic_counts()),
            OwnedHistogram::Float(h) => (&h.custom_values, h.classic_counts()),
        };
        let counts = counts.map_err(|e| e.to_string())?;
        let mut out = Vec::with_capacity(counts.buckets.len() + 2);
        let same = self.active.get(&series).is_some_and(|l| *l.bounds == **bounds);
        if !same {
            let new = Layout::new(labels, bounds, &mut self.builder)
                .ok_or_else(|| "metric name label '__name__' is missing".to_owned())?;
            if let Some(old) = self.active.insert(series, new) {
                retired(&old, bounds, &mut out);
            }
        }
        let values = counts.buckets.iter().chain([&counts.count, &counts.sum]);
        if let Some(layout) = self.active.get(&series) {
            // What is retired comes last.
            out.splice(0..0, layout.names.iter().zip(values).map(|(name, v)| (name.clone(), *v, st)));
        }
        if model::is_stale_nan(counts.sum) {
            self.active.remove(&series);
        }
        Ok(out)
    }

    /// Stale markers for all classic series of this one, which end here.
    pub(super) fn end(&mut self, series: u64, st: TimestampMs) -> Vec<Classic> {
        let Some(layout) = self.active.remove(&series) else { return Vec::new() };
        layout.names.into_iter().map(|name| (name, stale_nan(), st)).collect()
    }

    /// The bucket into which an exemplar's value falls; `None` where the series is not converted.
    pub(super) fn bucket_of(&self, series: u64, v: f64) -> Option<&Labels> {
        let layout = self.active.get(&series)?;
        let at = layout.bounds.iter().position(|bound| v <= *bound).unwrap_or(layout.bounds.len());
        layout.names.get(at)
    }
}

/// Whether a histogram has custom buckets.
pub(super) fn is_custom(h: &OwnedHistogram) -> bool {
    match h {
        OwnedHistogram::Integer(h) => h.uses_custom_buckets(),
        OwnedHistogram::Float(h) => h.uses_custom_buckets(),
    }
}

/// Whether it marks the end of its series.
pub(super) fn is_stale(h: &OwnedHistogram) -> bool {
    let sum = match h {
        OwnedHistogram::Integer(h) => h.sum,
        OwnedHistogram::Float(h) => h.sum,
    };
    model::is_stale_nan(sum)
}

/// Marks of the buckets that the new bounds do not have.
fn retired(old: &Layout, bounds: &[f64], out: &mut Vec<Classic>) {
    let gone = old.bounds.iter().zip(&old.names).filter(|(bound, _)| !bounds.contains(bound));
    out.extend(gone.map(|(_, name)| (name.clone(), stale_nan(), 0)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use model::Histogram;
    use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

    use super::*;

    fn histogram(bounds: &[f64], buckets: &[i64], sum: f64) -> OwnedHistogram {
        let mut counts = 0;
        let count = buckets.iter().map(|delta| {
            counts += delta;
            counts as u64
        });
        OwnedHistogram::Integer(Arc::new(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: count.sum(),
            sum,
            custom_values: bounds.to_vec(),
            positive_spans: vec![Span { offset: 0, length: buckets.len() as u32 }],
            positive_buckets: buckets.to_vec(),
            ..Histogram::default()
        }))
    }

    fn text(all: Vec<Classic>) -> Vec<String> {
        let one = |(labels, v, st): Classic| {
            let v = if model::is_stale_nan(v) { "stale".to_owned() } else { v.to_string() };
            let le = labels.get("le").map(|le| format!(" {le}")).unwrap_or_default();
            format!("{}{le} = {v} @ {st}", labels.metric_name())
        };
        all.into_iter().map(one).collect()
    }

    #[test]
    fn buckets_come_and_go_with_their_bounds() {
        let labels = Labels::from_pairs([("__name__", "h"), ("a", "b")]);
        let mut c = ClassicConverter::default();
        let first = c.convert(1, &labels, &histogram(&[1.0, 2.5], &[1, 1, 0], 7.5), 5).unwrap();
        assert_eq!(first[0].0.get("a"), Some("b"));
        let want =
            ["h_bucket 1.0 = 1 @ 5", "h_bucket 2.5 = 3 @ 5", "h_bucket +Inf = 5 @ 5", "h_count = 5 @ 5"];
        assert_eq!(text(first), [&want[..], &["h_sum = 7.5 @ 5"]].concat());
        assert_eq!(c.bucket_of(1, 2.0).unwrap().get("le"), Some("2.5"));
        assert_eq!(c.bucket_of(1, 3.0).unwrap().get("le"), Some("+Inf"));
        assert_eq!(c.bucket_of(2, 3.0), None);

        let changed = c.convert(1, &labels, &histogram(&[2.5], &[2, 0], 1.0), 6).unwrap();
        assert_eq!(
            text(changed),
            [
                "h_bucket 2.5 = 2 @ 6",
                "h_bucket +Inf = 4 @ 6",
                "h_count = 4 @ 6",
                "h_sum = 1 @ 6",
                "h_bucket 1.0 = stale @ 0",
            ]
        );
        let ended = ["h_bucket 2.5 = stale @ 9", "h_bucket +Inf = stale @ 9"];
        let rest = ["h_count = stale @ 9", "h_sum = stale @ 9"];
        assert_eq!(text(c.end(1, 9)), [ended, rest].concat());
        assert!(!c.knows(1) && c.end(1, 9).is_empty());
    }

    #[test]
    fn what_cannot_be_converted_says_why() {
        let mut c = ClassicConverter::default();
        let nameless = Labels::from_pairs([("a", "b")]);
        let why = c.convert(1, &nameless, &histogram(&[1.0], &[1, 0], 1.0), 0).unwrap_err();
        assert_eq!(why, "metric name label '__name__' is missing");
        let named = Labels::from_pairs([("__name__", "b")]);
        assert!(c.convert(1, &named, &histogram(&[2.0, 1.0], &[1, 0], 1.0), 0).is_err());
        assert!(!c.knows(1));
    }
}
