//! The database's numbers under the names that Prometheus gives them.

use super::Inner;
use super::stats::{Metric, MetricKind};
use crate::counter::Counter;
use crate::wal::Wal;
use crate::wal::segment::directory_bytes;

/// What happened to blocks.
#[derive(Debug, Default)]
pub(super) struct DbCounters {
    pub(super) compactions: Counter,
    pub(super) compactions_triggered: Counter,
    pub(super) compactions_failed: Counter,
    pub(super) vertical_compactions: Counter,
    pub(super) reloads: Counter,
    pub(super) reloads_failed: Counter,
    pub(super) time_retentions: Counter,
    pub(super) size_retentions: Counter,
    pub(super) tombstone_cleanups: Counter,
    pub(super) tombstone_cleanup_ns: Counter,
    pub(super) stale_compactions: Counter,
    pub(super) stale_compactions_failed: Counter,
    pub(super) stale_compactions_done: Counter,
    pub(super) stale_compaction_ns: Counter,
}

type Labels = &'static [(&'static str, &'static str)];

pub(crate) const FLOAT: Labels = &[("type", "float")];
pub(crate) const HISTOGRAM: Labels = &[("type", "histogram")];
const SAMPLES: Labels = &[("type", "samples")];

/// The list under construction.
#[derive(Default)]
pub(crate) struct List(pub(crate) Vec<Metric>);

impl List {
    pub(crate) fn push(
        &mut self,
        kind: MetricKind,
        name: &'static str,
        labels: Labels,
        value: f64,
        help: &'static str,
    ) {
        self.0.push(Metric { name, help, kind, labels, value });
    }

    pub(crate) fn counter(&mut self, name: &'static str, value: u64, help: &'static str) {
        self.push(MetricKind::Counter, name, &[], value as f64, help);
    }

    pub(crate) fn gauge(&mut self, name: &'static str, value: f64, help: &'static str) {
        self.push(MetricKind::Gauge, name, &[], value, help);
    }

    /// A summary without quantiles.
    pub(crate) fn duration(
        &mut self,
        sum: &'static str,
        count: &'static str,
        ns: u64,
        n: u64,
        help: &'static str,
    ) {
        self.push(MetricKind::Counter, sum, &[], ns as f64 / 1e9, help);
        self.push(MetricKind::Counter, count, &[], n as f64, help);
    }

    /// The log as it is written.
    pub(crate) fn log(&mut self, wal: &Wal, truncations: u64) {
        let w = &wal.counters;
        self.gauge(
            "prometheus_tsdb_wal_segment_current",
            w.segment.get() as f64,
            "Write log segment index that TSDB is currently writing to.",
        );
        self.counter(
            "prometheus_tsdb_wal_page_flushes_total",
            w.page_flushes.get(),
            "Total number of page flushes.",
        );
        self.counter(
            "prometheus_tsdb_wal_truncations_total",
            truncations,
            "Total number of write log truncations attempted.",
        );
        self.counter(
            "prometheus_tsdb_wal_writes_failed_total",
            w.writes_failed.get(),
            "Total number of write log writes that failed.",
        );
        self.counter(
            "prometheus_tsdb_wal_record_parts_bytes_written_total",
            w.bytes.get(),
            "Total number of record part bytes written, including CRC and compression headers.",
        );
        self.counter("prometheus_tsdb_wal_record_bytes_saved_total", w.record_bytes_saved.get(), "Total number of bytes saved by the optional record compression. Use this metric to learn about the effectiveness compression.");
        let bytes = directory_bytes(&*wal.options().fs, &wal.options().dir);
        self.gauge(
            "prometheus_tsdb_wal_storage_size_bytes",
            bytes as f64,
            "Size of the write log directory.",
        );
    }
}

impl Inner {
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut m = List(Vec::with_capacity(64));
        self.head_metrics(&mut m);
        self.exemplar_metrics(&mut m);
        self.wal_metrics(&mut m);
        self.wbl_metrics(&mut m);
        self.block_metrics(&mut m);
        m.0
    }

    fn exemplar_metrics(&self, m: &mut List) {
        let ring = &self.head.exemplars;
        let stats = ring.stats();
        m.counter(
            "prometheus_tsdb_exemplar_exemplars_appended_total",
            ring.appended.get(),
            "Total number of appended exemplars.",
        );
        m.gauge(
            "prometheus_tsdb_exemplar_exemplars_in_storage",
            stats.exemplars as f64,
            "Number of exemplars currently in circular storage.",
        );
        m.gauge(
            "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
            stats.series as f64,
            "Number of series with exemplars currently in circular storage.",
        );
        m.gauge(
            "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
            stats.last_ms as f64 / 1000.0,
            "The timestamp of the exemplar that has been in circular storage for the longest time.",
        );
        m.gauge(
            "prometheus_tsdb_exemplar_max_exemplars",
            stats.max as f64,
            "Total number of exemplars the exemplar storage can store, resizeable.",
        );
        m.counter(
            "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
            ring.out_of_order.get(),
            "Total number of out of order exemplar ingestion failed attempts.",
        );
    }

    fn head_metrics(&self, m: &mut List) {
        let (head, c) = (&self.head, &self.head.counters);
        let (appenders, _) = head.open_handles();
        m.gauge(
            "prometheus_tsdb_head_series",
            c.series.get() as f64,
            "Total number of series in the head block.",
        );
        m.gauge(
            "prometheus_tsdb_head_stale_series",
            head.num_stale() as f64,
            "Total number of stale series in the head block.",
        );
        m.counter(
            "prometheus_tsdb_head_series_created_total",
            c.series_created.get(),
            "Total number of series created in the head",
        );
        m.counter(
            "prometheus_tsdb_head_series_removed_total",
            c.series_removed.get(),
            "Total number of series removed in the head",
        );
        m.gauge(
            "prometheus_tsdb_head_chunks",
            c.chunks.get() as f64,
            "Total number of chunks in the head block.",
        );
        m.counter(
            "prometheus_tsdb_head_chunks_created_total",
            c.chunks_created.get(),
            "Total number of chunks created in the head",
        );
        m.counter(
            "prometheus_tsdb_head_chunks_removed_total",
            c.chunks_removed.get(),
            "Total number of chunks removed in the head",
        );
        m.gauge(
            "prometheus_tsdb_head_active_appenders",
            appenders as f64,
            "Number of currently active appender transactions",
        );
        m.counter(
            "prometheus_tsdb_head_appenders_created_total",
            c.appenders_created.get(),
            "Total number of appender transactions created.",
        );
        m.duration(
            "prometheus_tsdb_head_gc_duration_seconds_sum",
            "prometheus_tsdb_head_gc_duration_seconds_count",
            c.gc_ns.get(),
            c.gc_runs.get(),
            "Runtime of garbage collection in the head block.",
        );
        let (min_ms, max_ms) = (head.min_ms(), head.max_ms());
        let (min_ms, max_ms) = if head.initialized() { (min_ms, max_ms) } else { (0, 0) };
        m.gauge(
            "prometheus_tsdb_head_min_time",
            min_ms as f64,
            "Minimum time bound of the head block. The unit is decided by the library consumer.",
        );
        m.gauge(
            "prometheus_tsdb_head_max_time",
            max_ms as f64,
            "Maximum timestamp of the head block. The unit is decided by the library consumer.",
        );
        m.gauge(
            "prometheus_tsdb_head_min_time_seconds",
            (min_ms / 1000) as f64,
            "Minimum time bound of the head block.",
        );
        m.gauge(
            "prometheus_tsdb_head_max_time_seconds",
            (max_ms / 1000) as f64,
            "Maximum timestamp of the head block.",
        );
        let help = "Total number of appended samples.";
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_head_samples_appended_total",
            FLOAT,
            c.samples_appended.get() as f64,
            help,
        );
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_head_samples_appended_total",
            HISTOGRAM,
            c.histograms_appended.get() as f64,
            help,
        );
        let help = "Total number of appended out of order samples.";
        let name = "prometheus_tsdb_head_out_of_order_samples_appended_total";
        m.push(MetricKind::Counter, name, FLOAT, c.late_samples.get() as f64, help);
        m.push(MetricKind::Counter, name, HISTOGRAM, c.late_histograms.get() as f64, help);
        let help = "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.";
        let name = "prometheus_tsdb_too_old_samples_total";
        m.push(MetricKind::Counter, name, FLOAT, c.too_old.get() as f64, help);
        m.push(MetricKind::Counter, name, HISTOGRAM, c.too_old_histograms.get() as f64, help);
        let help = "Total number of out of order samples ingestion failed attempts due to out of order being disabled.";
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_out_of_order_samples_total",
            FLOAT,
            c.out_of_order.get() as f64,
            help,
        );
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_out_of_order_samples_total",
            HISTOGRAM,
            c.out_of_order_histograms.get() as f64,
            help,
        );
        let help = "Total number of out of bound samples ingestion failed attempts with out of order support disabled.";
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_out_of_bound_samples_total",
            FLOAT,
            c.out_of_bound.get() as f64,
            help,
        );
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_out_of_bound_samples_total",
            HISTOGRAM,
            c.out_of_bound_histograms.get() as f64,
            help,
        );
        m.counter(
            "prometheus_tsdb_head_truncations_total",
            c.truncations.get(),
            "Total number of head truncations attempted.",
        );
        m.counter(
            "prometheus_tsdb_head_truncations_failed_total",
            c.truncations_failed.get(),
            "Total number of head truncations that failed.",
        );
        m.counter(
            "prometheus_tsdb_mmap_chunk_corruptions_total",
            c.mmap_corruptions.get(),
            "Total number of memory-mapped chunk corruptions.",
        );
        m.gauge(
            "prometheus_tsdb_head_chunks_storage_size_bytes",
            head.head_chunks().size() as f64,
            "Size of the chunks_head directory.",
        );
        m.gauge(
            "prometheus_tsdb_data_replay_duration_seconds",
            c.replay_ns.get() as f64 / 1e9,
            "Time taken to replay the data on disk.",
        );
    }

    fn wal_metrics(&self, m: &mut List) {
        let c = &self.head.counters;
        m.counter(
            "prometheus_tsdb_wal_corruptions_total",
            c.wal_corruptions.get(),
            "Total number of WAL corruptions.",
        );
        m.counter(
            "prometheus_tsdb_snapshot_replay_error_total",
            c.snapshots_damaged.get(),
            "Total number snapshot replays that failed.",
        );
        m.counter(
            "prometheus_tsdb_checkpoint_creations_total",
            c.checkpoints.get(),
            "Total number of checkpoint creations attempted.",
        );
        m.counter(
            "prometheus_tsdb_checkpoint_creations_failed_total",
            c.checkpoints_failed.get(),
            "Total number of checkpoint creations that failed.",
        );
        m.duration(
            "prometheus_tsdb_wal_truncate_duration_seconds_sum",
            "prometheus_tsdb_wal_truncate_duration_seconds_count",
            c.wal_truncate_ns.get(),
            c.wal_truncations.get(),
            "Duration of WAL truncation.",
        );
        let Some(wal) = self.head.wal() else { return };
        m.log(wal, c.wal_truncations.get());
    }

    /// The log of late samples, under the names that Prometheus gives a log in `wbl/`.
    fn wbl_metrics(&self, m: &mut List) {
        let Some(wbl) = self.head.ooo.wbl() else { return };
        let w = &wbl.counters;
        let help = "Total number of unknown series references encountered during WBL replay.";
        m.push(
            MetricKind::Counter,
            "prometheus_tsdb_wbl_replay_unknown_refs_total",
            SAMPLES,
            self.report.unknown_wbl_samples as f64,
            help,
        );
        m.gauge(
            "prometheus_tsdb_out_of_order_wbl_segment_current",
            w.segment.get() as f64,
            "Write log segment index that TSDB is currently writing to.",
        );
        m.counter(
            "prometheus_tsdb_out_of_order_wbl_page_flushes_total",
            w.page_flushes.get(),
            "Total number of page flushes.",
        );
        m.counter(
            "prometheus_tsdb_out_of_order_wbl_truncations_total",
            self.head.counters.wbl_truncations.get(),
            "Total number of write log truncations attempted.",
        );
        m.counter(
            "prometheus_tsdb_out_of_order_wbl_writes_failed_total",
            w.writes_failed.get(),
            "Total number of write log writes that failed.",
        );
        m.counter(
            "prometheus_tsdb_out_of_order_wbl_record_parts_bytes_written_total",
            w.bytes.get(),
            "Total number of record part bytes written, including CRC and compression headers.",
        );
        let bytes = directory_bytes(&*self.options.fs, &wbl.options().dir);
        m.gauge(
            "prometheus_tsdb_out_of_order_wbl_storage_size_bytes",
            bytes as f64,
            "Size of the write log directory.",
        );
    }

    fn block_metrics(&self, m: &mut List) {
        let c = &self.counters;
        m.gauge(
            "prometheus_tsdb_blocks_loaded",
            self.blocks.all().len() as f64,
            "Number of currently loaded data blocks",
        );
        m.gauge(
            "prometheus_tsdb_storage_blocks_bytes",
            self.blocks.size_bytes() as f64,
            "The number of bytes that are currently used for local storage by all blocks.",
        );
        m.counter(
            "prometheus_tsdb_compactions_total",
            c.compactions.get(),
            "Total number of compactions that were executed for the partition.",
        );
        m.counter(
            "prometheus_tsdb_compactions_triggered_total",
            c.compactions_triggered.get(),
            "Total number of triggered compactions for the partition.",
        );
        m.counter(
            "prometheus_tsdb_compactions_failed_total",
            c.compactions_failed.get(),
            "Total number of compactions that failed for the partition.",
        );
        m.counter(
            "prometheus_tsdb_vertical_compactions_total",
            c.vertical_compactions.get(),
            "Total number of compactions done on overlapping blocks.",
        );
        m.counter(
            "prometheus_tsdb_reloads_total",
            c.reloads.get(),
            "Number of times the database reloaded block data from disk.",
        );
        m.counter(
            "prometheus_tsdb_reloads_failures_total",
            c.reloads_failed.get(),
            "Number of times the database failed to reloadBlocks block data from disk.",
        );
        m.counter(
            "prometheus_tsdb_time_retentions_total",
            c.time_retentions.get(),
            "The number of times that blocks were deleted because the maximum time limit was exceeded.",
        );
        m.counter(
            "prometheus_tsdb_size_retentions_total",
            c.size_retentions.get(),
            "The number of times that blocks were deleted because the maximum number of bytes was exceeded.",
        );
        m.counter(
            "prometheus_tsdb_stale_series_compactions_triggered_total",
            c.stale_compactions.get(),
            "Total number of triggered stale series compactions.",
        );
        m.counter(
            "prometheus_tsdb_stale_series_compactions_failed_total",
            c.stale_compactions_failed.get(),
            "Total number of stale series compactions that failed.",
        );
        m.duration(
            "prometheus_tsdb_stale_series_compaction_duration_seconds_sum",
            "prometheus_tsdb_stale_series_compaction_duration_seconds_count",
            c.stale_compaction_ns.get(),
            c.stale_compactions_done.get(),
            "Duration of stale series compaction runs.",
        );
        m.duration(
            "prometheus_tsdb_tombstone_cleanup_seconds_sum",
            "prometheus_tsdb_tombstone_cleanup_seconds_count",
            c.tombstone_cleanup_ns.get(),
            c.tombstone_cleanups.get(),
            "The time taken to recompact blocks to remove tombstones.",
        );
        m.gauge(
            "prometheus_tsdb_retention_limit_bytes",
            self.settings().retention_bytes as f64,
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
        );
        m.gauge(
            "prometheus_tsdb_retention_limit_seconds",
            self.settings().retention_ms as f64 / 1000.0,
            "How long to retain samples in storage.",
        );
        let head_ms = self.head.initialized().then(|| self.head.min_ms());
        let lowest_ms = self.blocks.start_ms().or(head_ms).unwrap_or(0);
        m.gauge(
            "prometheus_tsdb_lowest_timestamp",
            lowest_ms as f64,
            "Lowest timestamp value stored in the database. The unit is decided by the library consumer.",
        );
        m.gauge(
            "prometheus_tsdb_lowest_timestamp_seconds",
            (lowest_ms / 1000) as f64,
            "Lowest timestamp value stored in the database.",
        );
    }
}
