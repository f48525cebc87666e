//! What a status page asks.

use model::TimestampMs;
use promql::Cancel;
use tsdb::LabelCount;

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// The head in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadSummary {
    /// Series.
    pub num_series: u64,
    /// Chunks, open and full.
    pub num_chunks: u64,
    /// Distinct pairs of label name and value.
    pub num_label_pairs: u64,
    /// First time in the head.
    pub min_time_ms: TimestampMs,
    /// Last time in the head.
    pub max_time_ms: TimestampMs,
}

/// A block on disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockInfo {
    /// Its directory's name.
    pub ulid: String,
    /// First time.
    pub min_time_ms: TimestampMs,
    /// Time before which all samples are.
    pub max_time_ms: TimestampMs,
    /// Samples.
    pub num_samples: u64,
    /// Series.
    pub num_series: u64,
    /// Chunks.
    pub num_chunks: u64,
    /// The file meta.json.
    pub meta_json: String,
}

impl Engine {
    /// The head in a few numbers; walks its indexes.
    pub fn head_summary(&self, done: impl FnOnce(Result<HeadSummary, EngineError>) + Send + 'static) {
        let work = |inner: &Inner, _: &Cancel| {
            let s = inner.db.head_stats(0);
            Ok(HeadSummary {
                num_series: s.num_series,
                num_chunks: s.num_chunks,
                num_label_pairs: s.num_label_pairs,
                min_time_ms: s.min_time_ms,
                max_time_ms: s.max_time_ms,
            })
        };
        self.run_query(0, Cancel::new(), work, done);
    }

    /// Series in the head, cheaply.
    #[must_use]
    pub fn num_series(&self) -> u64 {
        self.inner.db.num_series()
    }

    /// The blocks on disk, oldest first.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockInfo> {
        let infos = self.inner.db.blocks().into_iter().map(|m| BlockInfo {
            meta_json: String::from_utf8_lossy(&m.to_json()).into_owned(),
            ulid: m.ulid.to_string(),
            min_time_ms: m.min_ms,
            max_time_ms: m.max_ms,
            num_samples: m.stats.num_samples,
            num_series: m.stats.num_series,
            num_chunks: m.stats.num_chunks,
        });
        infos.collect()
    }

    /// `data` of GET /api/v1/status/tsdb, with the `limit` largest of each kind.
    pub fn status_tsdb_json(
        &self,
        limit: usize,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.run_query(
            0,
            Cancel::new(),
            move |inner, _| {
                let s = inner.db.head_stats(limit);
                let mut out = format!(
                    r#"{{"headStats":{{"numSeries":{},"numLabelPairs":{},"chunkCount":{},"minTime":{},"maxTime":{}}}"#,
                    s.num_series, s.num_label_pairs, s.num_chunks, s.min_time_ms, s.max_time_ms
                )
                .into_bytes();
                for (name, list) in [
                    ("seriesCountByMetricName", &s.series_count_by_metric_name),
                    ("labelValueCountByLabelName", &s.label_value_count_by_label_name),
                    ("memoryInBytesByLabelName", &s.memory_in_bytes_by_label_name),
                    ("seriesCountByLabelValuePair", &s.series_count_by_label_value_pair),
                ] {
                    write_counts(name, list, &mut out);
                }
                out.push(b'}');
                Ok(Body::new(out, ""))
            },
            done,
        );
    }
}

fn write_counts(name: &str, list: &[LabelCount], out: &mut Vec<u8>) {
    out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
    for (i, c) in list.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        promql::json::write_string(&c.name, out);
        out.extend_from_slice(format!(",\"value\":{}}}", c.value).as_bytes());
    }
    out.push(b']');
}
