//! Native histograms with custom buckets, made from the classic histograms of a block as
//! `load_with_nhcb` asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::float::parse_go_float;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
use model::{Columns, FloatHistogram, Histogram, Labels, METRIC_NAME};

const BUCKET_LABEL: &str = "le";

/// A classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Upper bounds and cumulative counts, in order of bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// Which part of which classic histogram a series is.
fn part(labels: &Labels) -> Option<(Part, Labels)> {
    let name = labels.metric_name();
    let (part, name) = if let Some(name) = name.strip_suffix("_bucket") {
        let le = parse_go_float(labels.get(BUCKET_LABEL)?.as_bytes())?;
        (Part::Bucket(Some(le).filter(|le| !le.is_nan())?), name)
    } else if let Some(name) = name.strip_suffix("_count") {
        (Part::Count, name)
    } else {
        (Part::Sum, name.strip_suffix("_sum")?)
    };
    let mut base = labels.to_builder();
    base.set(METRIC_NAME, name).set(BUCKET_LABEL, "");
    Some((part, base.build()))
}

/// The histograms that the classic ones among `series` stand for.
///
/// # Errors
/// Counts that do not add up.
pub(super) fn convert(series: &[(Labels, Columns)]) -> Result<Vec<(Labels, Columns)>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, columns) in series {
        let Some((part, base)) = part(labels) else { continue };
        let classics = found.entry(base).or_default();
        let is_histogram = |i: usize| columns.h.iter().any(|(at, _)| *at as usize == i);
        for (i, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
            if is_histogram(i) {
                continue;
            }
            let classic = classics.entry(*t).or_default();
            match part {
                Part::Bucket(le) => {
                    let at = classic.buckets.partition_point(|(bound, _)| *bound < le);
                    if classic.buckets.get(at).is_none_or(|(bound, _)| *bound != le) {
                        classic.buckets.insert(at, (le, *v));
                    }
                }
                Part::Count => classic.count = Some(*v),
                Part::Sum => classic.sum = *v,
            }
        }
    }
    let convert = |(labels, classics): (Labels, BTreeMap<i64, Classic>)| {
        let mut columns = Columns::default();
        for (t, classic) in classics {
            columns.push_histogram(t, 0, Arc::new(classic.native()?));
        }
        Ok((labels, columns))
    };
    found.into_iter().map(convert).collect()
}

impl Classic {
    fn native(mut self) -> Result<FloatHistogram, String> {
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, n)| n)).ok_or("a histogram has neither count nor buckets")?;
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        if !self.buckets.is_sorted_by(|a, b| a.1 <= b.1) {
            return Err("bucket counts are not cumulative".to_owned());
        }
        if self.buckets.last().is_none_or(|(_, n)| *n != count) {
            return Err("the count is not that of the last bucket".to_owned());
        }
        let is_whole = |n: f64| n.round() as i64 as f64 == n;
        let spans = vec![Span { offset: 0, length: self.buckets.len() as u32 }];
        let custom_values = self.buckets[..self.buckets.len() - 1].iter().map(|(bound, _)| *bound).collect();
        let counts = self.buckets.iter().scan(0.0, |before, (_, n)| Some(n - std::mem::replace(before, *n)));
        if is_whole(count) && self.buckets.iter().all(|(_, n)| is_whole(*n)) {
            let deltas = counts.scan(0, |before, n| Some(n as i64 - std::mem::replace(before, n as i64)));
            let mut h = Histogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count: count as u64,
                sum: self.sum,
                positive_spans: spans,
                positive_buckets: deltas.collect(),
                custom_values,
                ..Histogram::default()
            };
            h.compact(2);
            h.validate().map_err(|e| e.to_string())?;
            return Ok(h.to_float());
        }
        let mut h = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: spans,
            positive_buckets: counts.collect(),
            custom_values,
            ..FloatHistogram::default()
        };
        h.compact(0);
        h.validate().map_err(|e| e.to_string())?;
        Ok(h)
    }
}
