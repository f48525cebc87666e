//! Warnings and infos that go with a result, in Prometheus' words, each with the place in the
//! query that it is about.

use std::collections::BTreeMap;

use model::float::{go_quoted, to_string_g};

use crate::functions::native::Notes;
use crate::plan::Place;

/// How serious a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The result may not be what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// What a remark adds up over its occurrences.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Detail {
    None,
    /// `(n occurrences)`
    Occurrences(u64),
    /// Where buckets had to be made monotonic.
    Monotonicity {
        min_ms: i64,
        max_ms: i64,
        min_bucket: f64,
        max_bucket: f64,
        max_diff: f64,
        count: u64,
    },
}

/// One remark, ready to be added.
#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    severity: Severity,
    text: String,
    place: Option<Place>,
    detail: Detail,
}

/// Where a remark is shown, and what it adds up.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Option<Place>,
    detail: Detail,
}

/// The remarks of a query, each text once with the place that was evaluated last (first, where
/// occurrences are added up), in order of severity and text. Who adds them first does not matter.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    entries: BTreeMap<(Severity, String), Entry>,
}

impl Annotations {
    pub(crate) fn add(&mut self, a: Annotation) {
        let new = Entry { place: a.place, detail: a.detail };
        let order = |p: Option<Place>| p.map(|p| p.order);
        let merge = |old: &mut Entry| {
            // Prometheus keeps the later of equal remarks, except of those that it adds up.
            let first = old.detail != Detail::None;
            let other =
                if first { order(new.place) < order(old.place) } else { order(new.place) > order(old.place) };
            let place = if other { new.place } else { old.place };
            *old = Entry { place, detail: old.detail.merge(new.detail) };
        };
        self.entries.entry((a.severity, a.text)).and_modify(merge).or_insert(new);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The warnings as the HTTP API shows them, at most `limit` (0: all) and a line that counts
    /// the rest. `query` is the text that was parsed, for positions.
    #[must_use]
    pub fn warnings(&self, query: &str, limit: usize) -> Vec<String> {
        self.list(Severity::Warning, "warning", query, limit)
    }

    /// The infos, as [`Self::warnings`].
    #[must_use]
    pub fn infos(&self, query: &str, limit: usize) -> Vec<String> {
        self.list(Severity::Info, "info", query, limit)
    }

    fn list(&self, severity: Severity, word: &str, query: &str, limit: usize) -> Vec<String> {
        let all = self.entries.iter().filter(|((s, _), _)| *s == severity);
        let mut out: Vec<String> = all.map(|((_, text), entry)| show(text, entry, query)).collect();
        if limit > 0 && out.len() > limit {
            let more = out.len() - limit;
            out.truncate(limit);
            out.push(format!("{more} more {word} annotations omitted"));
        }
        out
    }
}

fn show(text: &str, entry: &Entry, query: &str) -> String {
    let mut out = text.to_owned();
    match &entry.detail {
        Detail::None | Detail::Occurrences(..=1) => {}
        Detail::Occurrences(n) => out.push_str(&format!(" ({n} occurrences)")),
        Detail::Monotonicity { min_ms, max_ms, min_bucket, max_bucket, max_diff, count } => {
            out.push_str(&format!(
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                to_string_g(*min_bucket),
                to_string_g(*max_bucket),
                two_digits(*max_diff),
                count,
                crate::functions::time::rfc3339(*min_ms),
                crate::functions::time::rfc3339(*max_ms),
            ));
        }
    }
    if let Some(place) = entry.place {
        out.push_str(&format!(" ({})", place.span.position_in(query)));
    }
    out
}

/// Go's `%.2g`.
fn two_digits(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return to_string_g(v);
    }
    let scientific = format!("{v:.1e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..2).contains(&exponent) {
        return model::float::to_string_f(scientific.parse().unwrap_or(v));
    }
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

impl Detail {
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Occurrences(a), Self::Occurrences(b)) => Self::Occurrences(a + b),
            (
                Self::Monotonicity { min_ms, max_ms, min_bucket, max_bucket, max_diff, count },
                Self::Monotonicity {
                    min_ms: min_ms2,
                    max_ms: max_ms2,
                    min_bucket: min_bucket2,
                    max_bucket: max_bucket2,
                    max_diff: max_diff2,
                    count: count2,
                },
            ) => Self::Monotonicity {
                min_ms: min_ms.min(min_ms2),
                max_ms: max_ms.max(max_ms2),
                min_bucket: min_bucket.min(min_bucket2),
                max_bucket: max_bucket.max(max_bucket2),
                max_diff: max_diff.max(max_diff2),
                count: count + count2,
            },
            (a, _) => a,
        }
    }
}

fn named(text: &str, metric: &str) -> String {
    if metric.is_empty() {
        text.to_owned()
    } else {
        format!("{text} for metric name {}", go_quoted(metric.as_bytes()))
    }
}

impl Annotation {
    fn warning(text: impl AsRef<str>, span: Place) -> Self {
        let text = format!("PromQL warning: {}", text.as_ref());
        Self { severity: Severity::Warning, text, place: Some(span), detail: Detail::None }
    }

    fn info(text: impl AsRef<str>, span: Place) -> Self {
        let text = format!("PromQL info: {}", text.as_ref());
        Self { severity: Severity::Info, text, place: Some(span), detail: Detail::None }
    }

    /// What a store had to say.
    pub(crate) fn storage(text: String) -> Self {
        Self { severity: Severity::Warning, text, place: None, detail: Detail::None }
    }

    pub(crate) fn invalid_quantile(q: f64, span: Place) -> Self {
        Self::warning(format!("quantile value should be between 0 and 1, got {}", to_string_g(q)), span)
    }

    pub(crate) fn invalid_ratio(r: f64, to: f64, span: Place) -> Self {
        let (r, to) = (to_string_g(r), to_string_g(to));
        Self::warning(format!("ratio value should be between -1 and 1, got {r}, capping to {to}"), span)
    }

    pub(crate) fn invalid_integral_strategy(strategy: f64, span: Place) -> Self {
        let s = to_string_g(strategy);
        Self::warning(format!("strategy should be 0, 1, or 2 (default), using 2, got {s}"), span)
    }

    pub(crate) fn bad_bucket_label(metric: &str, le: &str, span: Place) -> Self {
        let le = go_quoted(le.as_bytes());
        let text = format!("bucket label \"le\" is missing or has a malformed value of {le}");
        Self::warning(named(&text, metric), span)
    }

    pub(crate) fn mixed_floats_histograms(metric: &str, span: Place) -> Self {
        let metric = go_quoted(metric.as_bytes());
        Self::warning(format!("encountered a mix of histograms and floats for metric name {metric}"), span)
    }

    pub(crate) fn mixed_floats_histograms_in_aggregation(span: Place) -> Self {
        Self::warning("encountered a mix of histograms and floats for aggregation", span)
    }

    pub(crate) fn mixed_classic_native(metric: &str, span: Place) -> Self {
        Self::warning(named("vector contains a mix of classic and native histograms", metric), span)
    }

    pub(crate) fn incompatible_bucket_layout(op: &str, span: Place) -> Self {
        Self::warning(format!("incompatible bucket layout encountered for binary operator {op}"), span)
    }

    /// What `notes` stand for.
    pub(crate) fn native(notes: Notes, metric: &str, span: Place) -> Vec<Self> {
        let quoted = go_quoted(metric.as_bytes());
        let collision =
            |what| Self::warning(format!("conflicting counter resets during histogram {what}"), span);
        let bounds =
            |what| Self::info(format!("mismatched custom buckets were reconciled during {what}"), span);
        let nan = |text| Self::info(named(text, metric), span);
        let mut out = Vec::new();
        let mut add = |which, a: &dyn Fn() -> Self| {
            if notes.has(which) {
                out.push(a());
            }
        };
        add(Notes::NOT_COUNTER, &|| {
            Self::warning(format!("this native histogram metric is not a counter: {quoted}"), span)
        });
        add(Notes::NOT_GAUGE, &|| {
            Self::warning(format!("this native histogram metric is not a gauge: {quoted}"), span)
        });
        add(Notes::MIXED_SCHEMAS, &|| {
            let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
            Self::warning(format!("{text} {quoted}"), span)
        });
        add(Notes::BOUNDS_IN_ADDITION, &|| bounds("addition"));
        add(Notes::BOUNDS_IN_SUBTRACTION, &|| bounds("subtraction"));
        add(Notes::BOUNDS_IN_AGGREGATION, &|| bounds("aggregation"));
        add(Notes::COLLISION_IN_ADDITION, &|| collision("addition"));
        add(Notes::COLLISION_IN_SUBTRACTION, &|| collision("subtraction"));
        add(Notes::COLLISION_IN_AGGREGATION, &|| collision("aggregation"));
        add(Notes::START_TIME_OVERLAP, &|| Self::start_time_overlap(metric, span));
        add(Notes::NAN_RESULT, &|| nan("input to histogram_quantile has NaN observations, result is NaN"));
        add(Notes::NAN_SKEW, &|| {
            nan("input to histogram_quantile has NaN observations, result is skewed higher")
        });
        add(Notes::NAN_FRACTION, &|| {
            nan("input to histogram_fraction has NaN observations, which are excluded from all fractions")
        });
        out
    }

    pub(crate) fn sort_in_range_query(span: Place) -> Self {
        Self::warning(
            "sort is ineffective for range queries since results are always ordered by labels",
            span,
        )
    }

    pub(crate) fn start_time_overlap(metric: &str, span: Place) -> Self {
        let metric = go_quoted(metric.as_bytes());
        let text =
            format!("sample has start time that overlaps with previous sample timestamp for metric {metric}");
        Self { detail: Detail::Occurrences(1), ..Self::warning(text, span) }
    }

    pub(crate) fn possible_non_counter(metric: &str, span: Place) -> Self {
        let metric = go_quoted(metric.as_bytes());
        Self::info(
            format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric}"
            ),
            span,
        )
    }

    pub(crate) fn possible_non_counter_label(metric: &str, type_label: &str, span: Place) -> Self {
        let (metric, got) = (go_quoted(metric.as_bytes()), go_quoted(type_label.as_bytes()));
        Self::info(
            format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {got}: {metric}"
            ),
            span,
        )
    }

    pub(crate) fn forced_monotonicity(
        metric: &str,
        span: Place,
        t_ms: i64,
        fix: &crate::functions::buckets::Monotonicity,
    ) -> Self {
        let text = named(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
            metric,
        );
        let detail = Detail::Monotonicity {
            min_ms: t_ms,
            max_ms: t_ms,
            min_bucket: fix.min_bucket,
            max_bucket: fix.max_bucket,
            max_diff: fix.max_diff,
            count: 1,
        };
        Self { detail, ..Self::info(text, span) }
    }

    pub(crate) fn incompatible_types(lhs: &str, op: &str, rhs: &str, span: Place) -> Self {
        let quoted = go_quoted(op.as_bytes());
        let text =
            format!("incompatible sample types encountered for binary operator {quoted}: {lhs} {op} {rhs}");
        Self::info(text, span)
    }

    pub(crate) fn histogram_ignored_in_aggregation(op: &str, span: Place) -> Self {
        Self::info(format!("ignored histogram in {op} aggregation"), span)
    }

    pub(crate) fn histogram_ignored_in_mixed_range(metric: &str, span: Place) -> Self {
        let metric = go_quoted(metric.as_bytes());
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {metric}"
        );
        Self::info(text, span)
    }
}

#[cfg(test)]
mod tests {
    use promql_syntax::Span;

    use super::*;

    #[test]
    fn same_remarks_become_one() {
        let mut a = Annotations::default();
        for order in [2, 1, 3] {
            let place = Place { span: Span::new(2 + order, 9), order };
            a.add(Annotation::start_time_overlap("m", place));
            a.add(Annotation::possible_non_counter("foo", place));
        }
        assert_eq!(
            a.warnings("rate(m[5m])", 0),
            [
                "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric \"m\" (3 occurrences) (1:4)"
            ]
        );
        assert_eq!(
            a.infos("rate(m[5m])", 0),
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"foo\" (1:6)"
            ]
        );
    }

    #[test]
    fn two_significant_digits_as_go_prints_them() {
        for (v, text) in [
            (0.0, "0"),
            (5.0, "5"),
            (12.34, "12"),
            (0.012345, "0.012"),
            (1234.0, "1.2e+03"),
            (99.9, "1e+02"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(two_digits(v), text);
        }
    }
}
