//! Questions to an engine, from TypeScript's JSON to the engine's.

use std::collections::HashMap;

use engine::exemplars_api::ExemplarQuery;
use engine::federate::FederateQuery;
use engine::labels_api::SeriesQuery;
use engine::query::{QueryLimits, QueryTimes};
use model::Labels;
use serde::Deserialize;

/// An instant query with `timeMs`, else a range query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmQuery {
    query: String,
    time_ms: Option<f64>,
    start_ms: Option<f64>,
    end_ms: Option<f64>,
    step_ms: Option<f64>,
    timeout_ms: Option<f64>,
    lookback_delta_ms: Option<f64>,
    limit: Option<f64>,
    stats: Option<String>,
    accept_encoding: Option<String>,
    max_series: Option<f64>,
    max_samples_read: Option<f64>,
    max_duration_ms: Option<f64>,
    compare_cost_ms: Option<f64>,
}

impl WasmQuery {
    pub(crate) fn parts(self) -> (String, QueryTimes, QueryLimits) {
        let ms = |v: Option<f64>| v.unwrap_or(0.0) as i64;
        let times = match self.time_ms {
            Some(t) => QueryTimes::Instant(t as i64),
            None => QueryTimes::Range {
                start_ms: ms(self.start_ms),
                end_ms: ms(self.end_ms),
                step_ms: ms(self.step_ms),
            },
        };
        let limits = QueryLimits {
            timeout_ms: ms(self.timeout_ms),
            lookback_delta_ms: ms(self.lookback_delta_ms),
            limit: self.limit.unwrap_or(0.0) as usize,
            stats: self.stats.unwrap_or_default(),
            accept_encoding: self.accept_encoding.unwrap_or_default(),
            series_max: ms(self.max_series).unsigned_abs(),
            samples_read_max: ms(self.max_samples_read).unsigned_abs(),
            duration_max_ms: ms(self.max_duration_ms),
            compare_cost_ms: self.compare_cost_ms.map(|ms| ms as i64),
            // A module has no query log.
            origin: None,
        };
        (self.query, times, limits)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmSeriesQuery {
    #[serde(rename = "match")]
    matches: Vec<String>,
    start_ms: f64,
    end_ms: f64,
    limit: Option<f64>,
    accept_encoding: Option<String>,
}

impl From<WasmSeriesQuery> for SeriesQuery {
    fn from(q: WasmSeriesQuery) -> Self {
        Self {
            matches: q.matches,
            start_ms: q.start_ms as i64,
            end_ms: q.end_ms as i64,
            limit: q.limit.unwrap_or(0.0) as usize,
            accept_encoding: q.accept_encoding.unwrap_or_default(),
            remotes: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmFederateQuery {
    #[serde(rename = "match")]
    matches: Vec<String>,
    time_ms: f64,
    external_labels: HashMap<String, String>,
    accept_encoding: Option<String>,
}

impl From<WasmFederateQuery> for FederateQuery {
    fn from(q: WasmFederateQuery) -> Self {
        Self {
            matches: q.matches,
            time_ms: q.time_ms as i64,
            external_labels: Labels::from_pairs(q.external_labels),
            accept_encoding: q.accept_encoding.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmExemplarQuery {
    query: String,
    start_ms: f64,
    end_ms: f64,
    accept_encoding: Option<String>,
}

impl From<WasmExemplarQuery> for ExemplarQuery {
    fn from(q: WasmExemplarQuery) -> Self {
        Self {
            query: q.query,
            start_ms: q.start_ms as i64,
            end_ms: q.end_ms as i64,
            accept_encoding: q.accept_encoding.unwrap_or_default(),
        }
    }
}
