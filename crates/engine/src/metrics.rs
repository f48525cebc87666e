//! The core's own metrics, under the names that Prometheus gives the same things.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use promql::QueryStats;

use crate::engine::Engine;
use crate::scrape::ScrapeReport;

/// Counters of the engine.
#[derive(Debug, Default)]
pub(crate) struct EngineMetrics {
    scrape_out_of_order: AtomicU64,
    scrape_duplicates: AtomicU64,
    scrape_out_of_bounds: AtomicU64,
    scrape_sample_limit: AtomicU64,
    scrape_body_size_limit: AtomicU64,
    remote_write_invalid_labels: AtomicU64,
    remote_write_without_metadata: AtomicU64,
    queries: AtomicU64,
    query_samples: AtomicU64,
    query_eval_ns: AtomicU64,
}

impl EngineMetrics {
    pub(crate) fn scrape(&self, r: &ScrapeReport) {
        let add = |c: &AtomicU64, n: u64| {
            if n > 0 {
                c.fetch_add(n, Ordering::Relaxed);
            }
        };
        add(&self.scrape_out_of_order, r.out_of_order);
        add(&self.scrape_duplicates, r.duplicates);
        add(&self.scrape_out_of_bounds, r.out_of_bounds);
        add(&self.scrape_sample_limit, u64::from(r.error.as_deref() == Some("sample limit exceeded")));
        add(&self.scrape_body_size_limit, u64::from(r.body_bytes < 0));
    }

    /// Counts samples of remote write whose labels name no series.
    pub(crate) fn remote_write_invalid_labels(&self, samples: u64) {
        self.remote_write_invalid_labels.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts samples of remote write 2.0 that came without metadata.
    pub(crate) fn remote_write_without_metadata(&self, samples: u64) {
        self.remote_write_without_metadata.fetch_add(samples, Ordering::Relaxed);
    }

    pub(crate) fn query(&self, s: &QueryStats) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.query_samples.fetch_add(s.total_samples, Ordering::Relaxed);
        self.query_eval_ns.fetch_add(s.prepare_ns + s.eval_ns + s.result_ns, Ordering::Relaxed);
    }
}

impl Engine {
    /// The core's metrics as text 0.0.4.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let m = &self.inner.metrics;
        let mut out = String::with_capacity(8192);
        let load = |c: &AtomicU64| c.load(Ordering::Relaxed) as f64;
        for (name, help, value) in [
            (
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
                load(&m.scrape_out_of_order),
            ),
            (
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
                load(&m.scrape_duplicates),
            ),
            (
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
                load(&m.scrape_out_of_bounds),
            ),
            (
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
                load(&m.scrape_sample_limit),
            ),
            (
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit.",
                load(&m.scrape_body_size_limit),
            ),
            (
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to invalid labels.",
                load(&m.remote_write_invalid_labels),
            ),
            (
                "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples (and histogram samples) which were ingested without corresponding metadata.",
                load(&m.remote_write_without_metadata),
            ),
            (
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries.",
                load(&m.query_samples),
            ),
        ] {
            family(&mut out, name, help, "counter", value);
        }
        let gauges = [
            (
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
                self.inner.query.jobs() as f64,
            ),
            (
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
                self.inner.options.query_concurrency_max as f64,
            ),
            (
                "narthex_storage_read_only",
                "Whether the database refuses writes since a write or sync failed.",
                f64::from(u8::from(self.inner.db.refuses_writes().is_some())),
            ),
            ("narthex_ingest_jobs", "Ingest calls that wait or run.", self.inner.ingest.jobs() as f64),
        ];
        for (name, help, value) in gauges {
            family(&mut out, name, help, "gauge", value);
        }
        let name = "prometheus_engine_query_duration_seconds";
        let seconds = load(&m.query_eval_ns) / 1e9;
        header(&mut out, name, "Query timings", "summary");
        let _ = writeln!(out, "{name}_sum{{slice=\"inner_eval\"}} {seconds}");
        let _ = writeln!(out, "{name}_count{{slice=\"inner_eval\"}} {}", load(&m.queries));
        let mut last = "";
        for m in self.inner.db.metrics() {
            let kind = match m.kind {
                tsdb::MetricKind::Counter => "counter",
                tsdb::MetricKind::Gauge => "gauge",
            };
            if m.name != last {
                header(&mut out, m.name, m.help, kind);
                last = m.name;
            }
            let labels: Vec<String> = m.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{}{labels} {}", m.name, m.value);
        }
        out
    }
}

/// Writing to a String cannot fail.
fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}");
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn family(out: &mut String, name: &str, help: &str, kind: &str, value: f64) {
    header(out, name, help, kind);
    let _ = writeln!(out, "{name} {value}");
}
