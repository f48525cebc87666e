//! The core's own metrics, under the names that Prometheus gives the same things. What a caller
//! learns from a report, such as a scrape's, is the caller's to count.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use promql::QueryStats;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::otlp::CATEGORIES;

/// Counters of the engine.
#[derive(Debug, Default)]
pub(crate) struct EngineMetrics {
    remote_write_invalid_labels: AtomicU64,
    remote_write_without_metadata: AtomicU64,
    otlp_without_metadata: AtomicU64,
    otlp_late_exemplars: AtomicU64,
    otlp_warnings: [AtomicU64; CATEGORIES.len()],
    query_samples: AtomicU64,
    query_samples_read: AtomicU64,
}

impl EngineMetrics {
    /// Counts samples of remote write whose labels name no series.
    pub(crate) fn remote_write_invalid_labels(&self, samples: u64) {
        self.remote_write_invalid_labels.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts samples of remote write 2.0 that came without metadata.
    pub(crate) fn remote_write_without_metadata(&self, samples: u64) {
        self.remote_write_without_metadata.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts what a request of OTLP had too little or too much of.
    pub(crate) fn otlp(&self, without_metadata: u64, late_exemplars: u64, warnings: [u64; CATEGORIES.len()]) {
        self.otlp_without_metadata.fetch_add(without_metadata, Ordering::Relaxed);
        self.otlp_late_exemplars.fetch_add(late_exemplars, Ordering::Relaxed);
        for (counter, n) in self.otlp_warnings.iter().zip(warnings) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn query(&self, s: &QueryStats) {
        self.query_samples.fetch_add(s.total_samples, Ordering::Relaxed);
        self.query_samples_read.fetch_add(s.samples_read, Ordering::Relaxed);
    }
}

impl Engine {
    /// [`Self::metrics_text`] from a thread of the ingest pool, where nothing takes long: it looks at files.
    pub fn metrics(&self, done: impl FnOnce(Result<String, EngineError>) + Send + 'static) {
        let engine = self.clone();
        self.run_ingest(0, move |_| Ok(engine.metrics_text()), done);
    }

    /// The core's metrics as text 0.0.4. Lists directories.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let m = &self.inner.metrics;
        let mut out = String::with_capacity(8192);
        let load = |c: &AtomicU64| c.load(Ordering::Relaxed) as f64;
        // An agent has no queries to count.
        let has_queries = !self.inner.db.is_agent();
        let counts = |name: &str| has_queries || !name.starts_with("prometheus_engine_");
        for (name, help, value) in [
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
                "prometheus_api_otlp_appended_samples_without_metadata_total",
                "The total number of samples ingested from OTLP without corresponding metadata.",
                load(&m.otlp_without_metadata),
            ),
            (
                "prometheus_api_otlp_out_of_order_exemplars_total",
                "The total number of received OTLP exemplars which were rejected because they were out of order.",
                load(&m.otlp_late_exemplars),
            ),
            (
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for range-vector).",
                load(&m.query_samples),
            ),
            (
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries (only new points per step for range-vector).",
                load(&m.query_samples_read),
            ),
            (
                "prometheus_engine_query_log_failures_total",
                "The number of query log failures.",
                self.inner.query_log.failures() as f64,
            ),
        ] {
            if counts(name) {
                family(&mut out, name, help, "counter", value);
            }
        }
        let name = "prometheus_api_otlp_translation_warnings_total";
        let help = "The total number of warnings produced while translating OTLP metrics to the Prometheus model, by category.";
        header(&mut out, name, help, "counter");
        for (category, n) in CATEGORIES.iter().zip(&m.otlp_warnings).filter(|(_, n)| load(n) > 0.0) {
            let _ = writeln!(out, "{name}{{category=\"{category}\"}} {}", load(n));
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
                "prometheus_engine_query_log_enabled",
                "State of the query log.",
                f64::from(u8::from(self.inner.query_log.is_on())),
            ),
            (
                "narthex_storage_read_only",
                "Whether the database refuses writes since a write or sync failed.",
                f64::from(u8::from(self.inner.db.refuses_writes().is_some())),
            ),
            ("narthex_ingest_jobs", "Ingest calls that wait or run.", self.inner.ingest.jobs() as f64),
        ];
        for (name, help, value) in gauges {
            if counts(name) {
                family(&mut out, name, help, "gauge", value);
            }
        }
        let now_ns = self.inner.clock.monotonic_ns();
        let with_costs = self.inner.options.features.query_cost;
        if has_queries {
            self.inner.query_metrics.write(now_ns, with_costs, &mut out);
        }
        let database = self.inner.db.metrics();
        self.write_incoming(&database, &mut out);
        let mut last = "";
        for m in database {
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

impl Engine {
    /// What comes in, as Prometheus' remote storage counts it, whether or not it is sent on.
    fn write_incoming(&self, database: &[tsdb::Metric], out: &mut String) {
        let value = |name: &str, kind: &str| {
            let is_it = |m: &&tsdb::Metric| m.name == name && m.labels.iter().all(|(_, v)| *v == kind);
            database.iter().find(is_it).map_or(0.0, |m| m.value)
        };
        let (samples, exemplars) = if self.inner.db.is_agent() {
            ("prometheus_agent_samples_appended_total", "prometheus_agent_exemplars_appended_total")
        } else {
            (
                "prometheus_tsdb_head_samples_appended_total",
                "prometheus_tsdb_exemplar_exemplars_appended_total",
            )
        };
        for (name, help, value) in [
            (
                "prometheus_remote_storage_samples_in_total",
                "Samples in to remote storage, compare to samples out for queue managers. Deprecated, check prometheus_wal_watcher_records_read_total and prometheus_remote_storage_samples_dropped_total",
                value(samples, "float"),
            ),
            (
                "prometheus_remote_storage_histograms_in_total",
                "HistogramSamples in to remote storage, compare to histograms out for queue managers. Deprecated, check prometheus_wal_watcher_records_read_total and prometheus_remote_storage_histograms_dropped_total",
                value(samples, "histogram"),
            ),
            (
                "prometheus_remote_storage_exemplars_in_total",
                "Exemplars in to remote storage, compare to exemplars out for queue managers. Deprecated, check prometheus_wal_watcher_records_read_total and prometheus_remote_storage_exemplars_dropped_total",
                value(exemplars, ""),
            ),
            (
                "prometheus_remote_storage_string_interner_zero_reference_releases_total",
                "The number of times release has been called for strings that are not interned.",
                // Names are shared by counted references, which cannot be released once too often.
                0.0,
            ),
        ] {
            family(out, name, help, "counter", value);
        }
        let name = "prometheus_remote_storage_highest_timestamp_in_seconds";
        let help = "Highest timestamp that has come into the remote storage via the Appender interface, in seconds since epoch. Initialized to 0 when no data has been received yet. Deprecated, check prometheus_remote_storage_queue_highest_timestamp_seconds which is more accurate.";
        let newest_ms = self.inner.db.newest_ms();
        family(out, name, help, "gauge", (newest_ms / 1000) as f64);
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
