//! The numbers of an agent's database under the names that Prometheus gives them.

use super::Inner;
use crate::db::metrics::{FLOAT, HISTOGRAM, List};
use crate::db::{Metric, MetricKind};

impl Inner {
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut m = List::default();
        let c = &self.counters;
        let active = self.series.count.get() as f64;
        m.gauge(
            "prometheus_agent_active_series",
            active,
            "Number of active series being tracked by the WAL storage",
        );
        // While the log is being truncated the number is about to change.
        let deleted = self.upkeep.try_lock().map_or_else(|_| 0, |upkeep| upkeep.deleted.len());
        m.gauge(
            "prometheus_agent_deleted_series",
            deleted as f64,
            "Number of series pending deletion from the WAL",
        );
        let help = "Total number of samples appended to the storage";
        for (labels, n) in [(FLOAT, &c.samples), (HISTOGRAM, &c.histograms)] {
            let name = "prometheus_agent_samples_appended_total";
            m.push(MetricKind::Counter, name, labels, n.get() as f64, help);
        }
        for (name, n, help) in [
            (
                "prometheus_agent_exemplars_appended_total",
                &c.exemplars,
                "Total number of exemplars appended to the storage",
            ),
            (
                "prometheus_agent_out_of_order_samples_total",
                &c.out_of_order,
                "Total number of out of order samples ingestion failed attempts.",
            ),
            ("prometheus_agent_corruptions_total", &c.corruptions, "Total number of WAL corruptions."),
            (
                "prometheus_agent_checkpoint_deletions_failed_total",
                &c.checkpoint_deletions_failed,
                "Total number of checkpoint deletions that failed.",
            ),
            (
                "prometheus_agent_checkpoint_deletions_total",
                &c.checkpoint_deletions,
                "Total number of checkpoint deletions attempted.",
            ),
            (
                "prometheus_agent_checkpoint_creations_failed_total",
                &c.checkpoints_failed,
                "Total number of checkpoint creations that failed.",
            ),
            (
                "prometheus_agent_checkpoint_creations_total",
                &c.checkpoints,
                "Total number of checkpoint creations attempted.",
            ),
        ] {
            m.counter(name, n.get(), help);
        }
        m.duration(
            "prometheus_agent_truncate_duration_seconds_sum",
            "prometheus_agent_truncate_duration_seconds_count",
            c.truncate_ns.get(),
            c.truncations.get(),
            "Duration of WAL truncation.",
        );
        m.gauge(
            "prometheus_agent_data_replay_duration_seconds",
            c.replay_ns.get() as f64 / 1e9,
            "Time taken to replay the data on disk.",
        );
        m.gauge(
            "prometheus_agent_clean_start",
            f64::from(self.clean_start as i8),
            "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean",
        );
        if let Some(wal) = self.wal.get() {
            m.log(wal, c.truncations.get());
        }
        m.0
    }
}
