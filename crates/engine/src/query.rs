//! Queries: parsed, run under limits on the query pool, answered as JSON or as columns.

use model::TimestampMs;
use promql::{Cancel, QueryError, QueryOptions, QueryResult, Value};
use promql_syntax::{Expr, ParseOptions};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::options::Features;

/// Warnings or infos that go out with an answer.
const ANNOTATIONS_MAX: usize = 10;

/// What every query may set for itself.
#[derive(Clone, Debug, Default)]
pub struct QueryLimits {
    /// Shorter than the engine's timeout; 0 for that.
    pub timeout_ms: i64,
    /// 0 for the engine's.
    pub lookback_delta_ms: i64,
    /// Most series in the answer; 0 for all.
    pub limit: usize,
    /// Adds `stats` to the answer.
    pub stats: bool,
    /// The client's Accept-Encoding.
    pub accept_encoding: String,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryTimes {
    /// At one moment.
    Instant(TimestampMs),
    /// At `start_ms`, `start_ms + step_ms` … up to `end_ms`.
    Range {
        /// The first moment.
        start_ms: TimestampMs,
        /// No moment is after this.
        end_ms: TimestampMs,
        /// More than 0.
        step_ms: i64,
    },
}

impl Engine {
    /// Answers a query with the whole envelope of the HTTP API.
    pub fn query_json(
        &self,
        query: String,
        times: QueryTimes,
        limits: QueryLimits,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        let asked_ns = self.inner.clock.monotonic_ns();
        self.run_query(
            query.len(),
            cancel,
            move |inner, cancel| {
                let (result, truncated) = inner.run(&query, times, &limits, cancel, asked_ns)?;
                let queued = QueuedNs { asked_ns, now_ns: inner.clock.monotonic_ns() };
                let json = envelope(&query, &result, truncated, limits.stats.then_some(queued));
                Ok(Body::new(json, &limits.accept_encoding))
            },
            done,
        );
    }

    /// Answers a query with the value itself, for an embedder.
    pub fn query(
        &self,
        query: String,
        times: QueryTimes,
        limits: QueryLimits,
        cancel: Cancel,
        done: impl FnOnce(Result<Answer, EngineError>) + Send + 'static,
    ) {
        let asked_ns = self.inner.clock.monotonic_ns();
        self.run_query(
            query.len(),
            cancel,
            move |inner, cancel| {
                let (result, _) = inner.run(&query, times, &limits, cancel, asked_ns)?;
                Ok(Answer {
                    warnings: result.annotations.warnings(&query, ANNOTATIONS_MAX),
                    infos: result.annotations.infos(&query, ANNOTATIONS_MAX),
                    value: result.value,
                })
            },
            done,
        );
    }
}

/// A query's value with its remarks.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Warnings, in Prometheus' words.
    pub warnings: Vec<String>,
    /// Infos, in Prometheus' words.
    pub infos: Vec<String>,
}

/// The parser's switches for these features.
#[must_use]
pub fn parse_options(features: Features) -> ParseOptions {
    ParseOptions {
        experimental_functions: features.experimental_functions,
        binop_fill_modifiers: features.fill_modifiers,
        unquoted_utf8_names: features.unquoted_utf8_names,
    }
}

impl Inner {
    pub(crate) fn parse(&self, query: &str) -> Result<Expr, EngineError> {
        crate::syntax::parse(query, self.options.features)
    }

    /// Runs a query; the flag says whether series were left out for `limits.limit`.
    fn run(
        &self,
        query: &str,
        times: QueryTimes,
        limits: &QueryLimits,
        cancel: &Cancel,
        asked_ns: u64,
    ) -> Result<(QueryResult, bool), EngineError> {
        let db = &self.db;
        let expr = self.parse(query)?;
        let o = &self.options;
        let timeout_ms = match limits.timeout_ms {
            1.. => limits.timeout_ms.min(o.query_timeout_ms),
            _ => o.query_timeout_ms,
        };
        let options = QueryOptions {
            lookback_ms: if limits.lookback_delta_ms > 0 {
                limits.lookback_delta_ms
            } else {
                o.lookback_delta_ms
            },
            max_samples: o.query_samples_max,
            default_subquery_step_ms: o.default_subquery_step_ms,
            delayed_name_removal: o.features.delayed_name_removal,
            use_start_timestamps: o.features.use_start_timestamps,
            type_and_unit_labels: o.features.type_and_unit_labels,
            deadline_ns: Some(deadline_ns(asked_ns, timeout_ms)),
        };
        let spawn = self.query.spawn().as_ref();
        let clock = self.clock.as_ref();
        let mut result = match times {
            QueryTimes::Instant(t_ms) => promql::instant(db, spawn, clock, &expr, t_ms, &options, cancel)?,
            QueryTimes::Range { start_ms, end_ms, step_ms } => {
                promql::range(db, spawn, clock, &expr, start_ms, end_ms, step_ms, &options, cancel)?
            }
        };
        self.metrics.query(&result.stats);
        let truncated = limits.limit > 0 && truncate(&mut result.value, limits.limit);
        Ok((result, truncated))
    }
}

/// When a question asked at `asked_ns` has taken `timeout_ms`.
pub(crate) fn deadline_ns(asked_ns: u64, timeout_ms: i64) -> u64 {
    let timeout_ns = u64::try_from(timeout_ms).unwrap_or(0).saturating_mul(1_000_000);
    asked_ns.saturating_add(timeout_ns)
}

fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(v) if v.len() > limit => v.truncate(limit),
        Value::Matrix(m) if m.len() > limit => m.truncate(limit),
        _ => return false,
    }
    true
}

impl From<QueryError> for EngineError {
    fn from(e: QueryError) -> Self {
        let code = match e {
            QueryError::Storage(e) => {
                let inner = Self::from(e);
                return Self::new(inner.code, format!("expanding series: {}", inner.message));
            }
            QueryError::Invalid(_) => ErrorCode::InvalidArgument,
            QueryError::Timeout => ErrorCode::QueryTimeout,
            QueryError::Canceled => ErrorCode::QueryCanceled,
            QueryError::Execution(_) | QueryError::TooManySamples => ErrorCode::QueryExecution,
            _ => ErrorCode::Internal,
        };
        Self::new(code, e.to_string())
    }
}

struct QueuedNs {
    asked_ns: u64,
    now_ns: u64,
}

fn envelope(query: &str, result: &QueryResult, truncated: bool, stats: Option<QueuedNs>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(br#"{"status":"success","data":"#);
    promql::json::write_data(&result.value, &mut out);
    if let Some(times) = stats {
        // `data` is an object: the statistics go before its closing brace.
        out.pop();
        out.extend_from_slice(stats_json(result, &times).as_bytes());
        out.push(b'}');
    }
    let mut warnings = result.annotations.warnings(query, ANNOTATIONS_MAX);
    if truncated {
        warnings.push(RESULTS_TRUNCATED.to_owned());
    }
    write_remarks(&warnings, &result.annotations.infos(query, ANNOTATIONS_MAX), &mut out);
    out.push(b'}');
    out
}

/// The warning of an answer that a limit cut short.
pub(crate) const RESULTS_TRUNCATED: &str = "results truncated due to limit";

/// Adds the members `warnings` and `infos` where there are any.
pub(crate) fn write_remarks(warnings: &[String], infos: &[String], out: &mut Vec<u8>) {
    for (name, list) in [("warnings", warnings), ("infos", infos)] {
        if list.is_empty() {
            continue;
        }
        out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
        for (i, text) in list.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            promql::json::write_string(text, out);
        }
        out.push(b']');
    }
}

fn stats_json(result: &QueryResult, times: &QueuedNs) -> String {
    let s = &result.stats;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let exec = s.prepare_ns + s.eval_ns + s.result_ns;
    let total = times.now_ns.saturating_sub(times.asked_ns);
    format!(
        concat!(
            r#","stats":{{"timings":{{"evalTotalTime":{},"resultSortTime":{},"queryPreparationTime":{},"#,
            r#""innerEvalTime":{},"execQueueTime":{},"execTotalTime":{}}},"#,
            r#""samples":{{"totalQueryableSamples":{},"samplesRead":{},"seriesTouched":{},"peakSamples":{}}}}}"#
        ),
        seconds(exec),
        seconds(s.result_ns),
        seconds(s.prepare_ns),
        seconds(s.eval_ns),
        seconds(total.saturating_sub(exec)),
        seconds(total),
        s.total_samples,
        s.samples_read,
        s.series,
        s.peak_samples
    )
}
