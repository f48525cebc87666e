//! How a target's bodies become series: labels, limits, names.

use std::sync::Arc;

use model::histogram::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
use model::relabel::{self, NameValidation, RelabelConfig};
use model::{Labels, LabelsBuilder, METRIC_NAME};

/// Put before a scraped label that a target label has displaced.
const EXPORTED_PREFIX: &str = "exported_";

/// All that decides how one target's bodies become series. A limit of 0 is none.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// The target's labels after relabelling, without those that start with `__`.
    pub labels: Labels,
    /// Scraped labels win over the target's.
    pub honor_labels: bool,
    /// Timestamps in the body count.
    pub honor_timestamps: bool,
    /// Series with timestamps of their own are marked stale too.
    pub track_timestamps_staleness: bool,
    /// `metric_relabel_configs`; targets of one job share them.
    pub metric_relabel: Arc<[RelabelConfig]>,
    /// Which names are valid.
    pub names: NameValidation,
    /// Media type for bodies whose Content-Type says nothing usable; empty for none.
    pub fallback_content_type: String,
    /// Largest body, inflated.
    pub body_size_limit: u64,
    /// Most samples after relabelling.
    pub sample_limit: u64,
    /// Most labels of a series.
    pub label_limit: u64,
    /// Longest label name, bytes.
    pub label_name_length_limit: u64,
    /// Longest label value, bytes.
    pub label_value_length_limit: u64,
    /// Most buckets of a native histogram; finer ones are reduced as far as they can be.
    pub bucket_limit: u64,
    /// The least factor from one bucket's bound to the next; 0 for any.
    pub min_bucket_factor: f64,
    /// Native histograms count.
    pub native_histograms: bool,
    /// Classic histograms count also where there is a native one.
    pub always_classic_histograms: bool,
    /// Classic histograms become native ones with custom bounds.
    pub classic_histograms_to_nhcb: bool,
    /// Adds scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes.
    pub extra_scrape_metrics: bool,
    /// For scrape_timeout_seconds.
    pub scrape_timeout_ms: u64,
}

impl TargetOptions {
    /// Turns the labels of a scraped line, in `labels`, into those of the series: the target's
    /// labels are added, then metric relabelling runs. `Ok(None)`: relabelling dropped the series.
    ///
    /// # Errors
    /// Labels that cannot name a series or break a limit, in Prometheus' words: the scrape fails.
    pub(super) fn series_labels(&self, labels: &mut LabelsBuilder) -> Result<Option<Labels>, String> {
        self.add_target_labels(labels);
        if !relabel::process(&self.metric_relabel, labels) {
            return Ok(None);
        }
        let out = labels.build();
        if out.is_empty() {
            return Ok(None);
        }
        if out.get(METRIC_NAME).is_none() {
            return Err("missing metric name (__name__ label)".to_owned());
        }
        if !self.has_valid_names(&out) {
            return Err(format!("invalid metric name or label names: {out}"));
        }
        self.check_limits(&out)?;
        Ok(Some(out))
    }

    /// The finest resolution that `min_bucket_factor` leaves (Prometheus `pickSchema`).
    pub(super) fn schema_max(&self) -> i32 {
        if self.min_bucket_factor <= 1.0 {
            return EXPONENTIAL_SCHEMA_MAX;
        }
        let (min, max) = (f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX));
        (-self.min_bucket_factor.log2().log2()).floor().clamp(min, max) as i32
    }

    fn add_target_labels(&self, labels: &mut LabelsBuilder) {
        if self.honor_labels {
            for (n, v) in self.labels.iter() {
                if labels.get(n).is_none() {
                    labels.set(n, v);
                }
            }
            return;
        }
        let mut displaced = Vec::new();
        for (n, v) in self.labels.iter() {
            if let Some(old) = labels.get(n) {
                displaced.push((n, old.to_owned()));
            }
            labels.set(n, v);
        }
        displaced.sort_by_key(|(n, _)| n.len());
        for (n, v) in displaced {
            let mut name = format!("{EXPORTED_PREFIX}{n}");
            while labels.get(&name).is_some() {
                name.insert_str(0, EXPORTED_PREFIX);
            }
            labels.set(&name, &v);
        }
    }

    fn has_valid_names(&self, labels: &Labels) -> bool {
        labels.iter().all(|(n, v)| {
            if n == METRIC_NAME {
                self.names.is_valid_metric_name(v)
            } else {
                self.names.is_valid_label_name(n)
            }
        })
    }

    fn check_limits(&self, labels: &Labels) -> Result<(), String> {
        let metric = cut(labels.metric_name());
        let count = labels.len() as u64;
        if self.label_limit > 0 && count > self.label_limit {
            let limit = self.label_limit;
            return Err(format!(
                "label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})"
            ));
        }
        let (name_limit, value_limit) = (self.label_name_length_limit, self.label_value_length_limit);
        if name_limit == 0 && value_limit == 0 {
            return Ok(());
        }
        for (n, v) in labels.iter() {
            let (nn, vn) = (n.len() as u64, v.len() as u64);
            if name_limit > 0 && nn > name_limit {
                let n = cut(n);
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {n}, length: {nn}, limit: {name_limit})"
                ));
            }
            if value_limit > 0 && vn > value_limit {
                let (n, v) = (cut(n), cut(v));
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {n}, value: {v:?}, length: {vn}, limit: {value_limit})"
                ));
            }
        }
        Ok(())
    }

    /// Labels of one of the series that every scrape writes, such as `up`.
    pub(super) fn report_labels(&self, name: &str) -> Labels {
        let base = Labels::from_pairs([(METRIC_NAME, name)]);
        let mut b = base.to_builder();
        for (n, v) in self.labels.iter() {
            b.set(&format!("{EXPORTED_PREFIX}{n}"), base.get(n).unwrap_or(""));
            b.set(n, v);
        }
        b.build()
    }
}

/// The first 50 characters, as Prometheus' messages print them.
fn cut(s: &str) -> &str {
    s.char_indices().nth(50).map_or(s, |(i, _)| &s[..i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &TargetOptions, scraped: &[(&str, &str)], expected: Result<&str, &str>) {
        let mut b = Labels::from_pairs(scraped.iter().copied()).to_builder();
        let got = options.series_labels(&mut b).map(|l| l.map_or(String::new(), |l| l.to_string()));
        assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned));
    }

    fn target(honor_labels: bool) -> TargetOptions {
        let labels = Labels::from_pairs([("instance", "h:1"), ("job", "j")]);
        TargetOptions { labels, honor_labels, ..TargetOptions::default() }
    }

    #[test]
    fn target_labels_displace_scraped_ones() {
        let line = [("__name__", "m"), ("job", "own"), ("exported_job", "taken")];
        check(
            &target(false),
            &line,
            Ok(
                r#"{__name__="m", exported_exported_job="own", exported_job="taken", instance="h:1", job="j"}"#,
            ),
        );
        check(&target(true), &line, Ok(r#"{__name__="m", exported_job="taken", instance="h:1", job="own"}"#));
    }

    #[test]
    fn bucket_factors_choose_schemas() {
        let of =
            |min_bucket_factor| TargetOptions { min_bucket_factor, ..TargetOptions::default() }.schema_max();
        let expected = [
            (65536.0, -4),
            (256.0, -3),
            (16.0, -2),
            (4.0, -1),
            (2.0, 0),
            (1.4, 1),
            (1.1, 2),
            (1.09, 3),
            (1.04, 4),
            (1.02, 5),
            (1.01, 6),
            (1.005, 7),
            (1.002, 8),
            (0.0, 8),
            (1e300, -4),
        ];
        for (factor, schema) in expected {
            assert_eq!(of(factor), schema, "{factor}");
        }
    }

    #[test]
    fn limits_name_what_broke_them() {
        let line = [("__name__", "m"), ("a", "12345")];
        let with = |f: fn(&mut TargetOptions)| {
            let mut t = target(false);
            f(&mut t);
            t
        };
        check(
            &with(|t| t.label_limit = 3),
            &line,
            Err("label_limit exceeded (metric: m, number of labels: 4, limit: 3)"),
        );
        check(
            &with(|t| t.label_value_length_limit = 4),
            &line,
            Err(
                r#"label_value_length_limit exceeded (metric: m, label name: a, value: "12345", length: 5, limit: 4)"#,
            ),
        );
        check(
            &with(|t| t.label_name_length_limit = 7),
            &line,
            Err("label_name_length_limit exceeded (metric: m, label name: __name__, length: 8, limit: 7)"),
        );
        check(&target(false), &[("a", "b")], Err("missing metric name (__name__ label)"));
    }
}
