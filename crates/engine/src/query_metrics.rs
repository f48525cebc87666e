//! How long queries take, and what they cost, as metrics under Prometheus' names.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// Quantiles are over the last ten minutes, at most so many observations.
const WINDOW_NS: u64 = 600_000_000_000;
const KEPT: usize = 4096;

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
const DURATION_BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// Parts of a query's time, in the order of their names.
pub(crate) const SLICES: [&str; 4] = ["inner_eval", "prepare_time", "queue_time", "result_sort"];

/// One part of all queries' time.
#[derive(Debug, Default)]
struct Slice {
    sum: f64,
    count: u64,
    buckets: [u64; DURATION_BOUNDS.len()],
    /// When and how long, seconds.
    recent: VecDeque<(u64, f64)>,
}

impl Slice {
    fn observe(&mut self, now_ns: u64, seconds: f64) {
        self.sum += seconds;
        self.count += 1;
        for (n, bound) in self.buckets.iter_mut().zip(DURATION_BOUNDS) {
            *n += u64::from(seconds <= bound);
        }
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((now_ns, seconds));
    }

    fn quantiles(&self, now_ns: u64) -> [f64; QUANTILES.len()] {
        let fresh = self.recent.iter().filter(|(t, _)| now_ns.saturating_sub(*t) <= WINDOW_NS);
        let mut seconds: Vec<f64> = fresh.map(|(_, s)| *s).collect();
        seconds.sort_by(f64::total_cmp);
        QUANTILES.map(|q| {
            let rank = (q * seconds.len() as f64).ceil() as usize;
            seconds.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
        })
    }
}

/// A histogram of whole numbers whose bounds rise by factors of four.
#[derive(Debug)]
struct Powers {
    first: f64,
    buckets: [u64; 12],
    sum: f64,
    count: u64,
}

impl Powers {
    fn new(first: f64) -> Self {
        Self { first, buckets: [0; 12], sum: 0.0, count: 0 }
    }

    fn observe(&mut self, n: u64) {
        let n = n as f64;
        let mut bound = self.first;
        for b in &mut self.buckets {
            *b += u64::from(n <= bound);
            bound *= 4.0;
        }
        self.sum += n;
        self.count += 1;
    }

    fn write(&self, name: &str, help: &str, out: &mut String) {
        header(out, name, help, "histogram");
        let mut bound = self.first;
        for n in self.buckets {
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {n}");
            bound *= 4.0;
        }
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(out, "{name}_sum {}\n{name}_count {}", self.sum, self.count);
    }
}

/// What is counted with the feature `query-cost`.
#[derive(Debug)]
struct Costs {
    rejected: [(&'static str, u64); 3],
    series: Powers,
    samples: Powers,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            rejected: [("max_duration", 0), ("max_samples_read", 0), ("max_series", 0)],
            series: Powers::new(1.0),
            samples: Powers::new(100.0),
        }
    }
}

/// Times and costs of all queries.
#[derive(Debug, Default)]
pub(crate) struct QueryMetrics {
    slices: Mutex<[Slice; SLICES.len()]>,
    costs: Mutex<Costs>,
}

impl QueryMetrics {
    /// Notes what a query took, nanoseconds for each of [`SLICES`]; none for a part not reached.
    pub(crate) fn observe(&self, now_ns: u64, slices: [Option<u64>; SLICES.len()]) {
        let mut all = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        for (slice, ns) in all.iter_mut().zip(slices) {
            if let Some(ns) = ns {
                slice.observe(now_ns, ns as f64 / 1e9);
            }
        }
    }

    /// Notes what a query cost, and which limit refused it.
    pub(crate) fn observe_cost(&self, series: u64, samples: u64, refused: Option<&str>) {
        let mut c = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        c.series.observe(series);
        c.samples.observe(samples);
        for (_, n) in c.rejected.iter_mut().filter(|(why, _)| Some(*why) == refused) {
            *n += 1;
        }
    }

    /// Appends the families as text 0.0.4; those of costs where `with_costs`.
    pub(crate) fn write(&self, now_ns: u64, with_costs: bool, out: &mut String) {
        let slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "prometheus_engine_query_duration_seconds";
        header(out, name, "Query timings", "summary");
        for (slice, s) in SLICES.iter().zip(slices.iter()) {
            for (q, v) in QUANTILES.iter().zip(s.quantiles(now_ns)) {
                let _ = writeln!(out, "{name}{{slice=\"{slice}\",quantile=\"{q}\"}} {v}");
            }
            let _ = writeln!(out, "{name}_sum{{slice=\"{slice}\"}} {}", s.sum);
            let _ = writeln!(out, "{name}_count{{slice=\"{slice}\"}} {}", s.count);
        }
        let name = "prometheus_engine_query_duration_histogram_seconds";
        header(out, name, "The duration of various parts of PromQL query execution.", "histogram");
        for (slice, s) in SLICES.iter().zip(slices.iter()) {
            for (bound, n) in DURATION_BOUNDS.iter().zip(s.buckets) {
                let _ = writeln!(out, "{name}_bucket{{slice=\"{slice}\",le=\"{bound}\"}} {n}");
            }
            let _ = writeln!(out, "{name}_bucket{{slice=\"{slice}\",le=\"+Inf\"}} {}", s.count);
            let _ = writeln!(out, "{name}_sum{{slice=\"{slice}\"}} {}", s.sum);
            let _ = writeln!(out, "{name}_count{{slice=\"{slice}\"}} {}", s.count);
        }
        if !with_costs {
            return;
        }
        let c = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "prometheus_engine_query_rejected_total";
        if c.rejected.iter().any(|(_, n)| *n > 0) {
            let help = "The total number of queries rejected by cost guardrails, by reason.";
            header(out, name, help, "counter");
        }
        for (reason, n) in c.rejected.iter().filter(|(_, n)| *n > 0) {
            let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {n}");
        }
        c.series.write(
            "prometheus_engine_query_series_touched",
            "The number of series touched by a query (per-selector sum, an upper bound on distinct series).",
            out,
        );
        c.samples.write(
            "prometheus_engine_query_samples_read",
            "The number of samples read by a query.",
            out,
        );
    }
}

/// Writing to a String cannot fail.
fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}");
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_forget_and_sums_do_not() {
        let m = QueryMetrics::default();
        m.observe(0, [Some(20_000_000_000), None, None, None]);
        for ms in 1..=100u64 {
            m.observe(WINDOW_NS + 1, [Some(ms * 1_000_000), None, None, None]);
        }
        let mut out = String::new();
        m.write(WINDOW_NS + 1, false, &mut out);
        let name = "prometheus_engine_query_duration_seconds";
        for line in [
            format!("{name}{{slice=\"inner_eval\",quantile=\"0.5\"}} 0.05"),
            format!("{name}{{slice=\"inner_eval\",quantile=\"0.99\"}} 0.099"),
            format!("{name}_count{{slice=\"inner_eval\"}} 101"),
            format!("{name}{{slice=\"queue_time\",quantile=\"0.9\"}} NaN"),
            "prometheus_engine_query_duration_histogram_seconds_bucket{slice=\"inner_eval\",le=\"0.01\"} 10"
                .into(),
        ] {
            assert!(out.lines().any(|l| l == line), "{line}\n{out}");
        }
        assert!(!out.contains("series_touched"));
        m.observe_cost(17, 99, Some("max_series"));
        out.clear();
        m.write(0, true, &mut out);
        for line in [
            "prometheus_engine_query_series_touched_bucket{le=\"16\"} 0",
            "prometheus_engine_query_series_touched_bucket{le=\"64\"} 1",
            "prometheus_engine_query_samples_read_bucket{le=\"100\"} 1",
            "prometheus_engine_query_rejected_total{reason=\"max_series\"} 1",
        ] {
            assert!(out.lines().any(|l| l == line), "{line}\n{out}");
        }
    }
}
