//! Queries: parsed, run under limits on the query pool, answered as JSON or as columns.

use std::sync::{Arc, Mutex, PoisonError};

use model::TimestampMs;
use model::float::go_quoted;
use promql::json::Pieces;
use promql::{Cancel, Deadline, Estimate, PerStep, QueryError, QueryOptions, QueryResult, QueryStats, Value};
use promql_syntax::{Expr, ParseOptions};
use storage::{Queryable, Spawn, StorageError};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::options::Features;
use crate::query_log::{Logged, QueryOrigin};
use crate::stop::Stop;

/// Warnings or infos that go out with an answer.
const ANNOTATIONS_MAX: usize = 10;

/// What a series and a point take in an answer, the point itself included; roughly.
const SERIES_JSON_BYTES: u64 = 200;
const POINT_JSON_BYTES: u64 = 48;

/// What every query may set for itself.
#[derive(Clone, Debug, Default)]
pub struct QueryLimits {
    /// Shorter than the engine's timeout; 0 for that.
    pub timeout_ms: i64,
    /// 0 for the engine's.
    pub lookback_delta_ms: i64,
    /// Most series in the answer; 0 for all.
    pub limit: usize,
    /// The parameter `stats`: adds them to the answer where not empty; `all` adds those of each step,
    /// with the feature `promql-per-step-stats`.
    pub stats: String,
    /// The client's Accept-Encoding.
    pub accept_encoding: String,
    /// `max_series`, below that of the settings; this and the next two with the feature `query-cost`.
    pub series_max: u64,
    /// `max_samples_read`, likewise.
    pub samples_read_max: u64,
    /// `max_query_duration`, likewise.
    pub duration_max_ms: i64,
    /// Adds to a JSON answer what the query would have been estimated to cost; the number stands for the
    /// distance of samples where none can be seen.
    pub compare_cost_ms: Option<i64>,
    /// Who asked, for the query log.
    pub origin: Option<QueryOrigin>,
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

impl QueryTimes {
    /// First and last moment, and the step; 0 for that of an instant query.
    pub(crate) fn span(self) -> (TimestampMs, TimestampMs, i64) {
        match self {
            Self::Instant(t) => (t, t, 0),
            Self::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms),
        }
    }
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
        let stop = self.inner.stop_of(&limits, cancel, asked_ns);
        self.run_query_until(
            query.len(),
            stop,
            move |inner, cancel| inner.answer_json(&inner.db, &query, times, &limits, cancel, asked_ns),
            done,
        );
    }

    /// Answers with the whole envelope of `query_cost` or `query_range_cost`: what the query would cost.
    /// `scrape_interval_ms` stands for the distance of samples where none can be seen.
    pub fn query_cost_json(
        &self,
        query: String,
        times: QueryTimes,
        limits: QueryLimits,
        scrape_interval_ms: i64,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        let asked_ns = self.inner.clock.monotonic_ns();
        let stop = self.inner.stop_of(&limits, cancel, asked_ns);
        self.run_query_until(
            query.len(),
            stop,
            move |inner, cancel| {
                let _active = inner.active_queries.enter(&query, inner.clock.as_ref());
                let expr = inner.parse(&query)?;
                let (options, _) = inner.query_options(&limits, asked_ns);
                let estimate = inner.estimate(&expr, times, scrape_interval_ms, &options, cancel).map_err(
                    |e| match e.code {
                        ErrorCode::QueryTimeout => EngineError::new(
                            e.code,
                            "cost estimation exceeded the query duration limit: context deadline exceeded",
                        ),
                        _ => e,
                    },
                )?;
                let mut json = format!(
                    r#"{{"status":"success","data":{{"estimate":{{"seriesTouched":{},"samplesRead":{}}}}}"#,
                    estimate.series, estimate.samples
                )
                .into_bytes();
                let mut warnings = estimate.warnings;
                warnings.extend(stats_warning(&limits.stats));
                write_remarks(&warnings, &[], &mut json);
                json.push(b'}');
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
        let stop = self.inner.stop_of(&limits, cancel, asked_ns);
        self.run_query_until(
            query.len(),
            stop,
            move |inner, cancel| inner.answer_values(&inner.db, &query, times, &limits, cancel, asked_ns),
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

    /// Answers a query over `store` with the whole envelope of the HTTP API.
    pub(crate) fn answer_json(
        &self,
        store: &dyn Queryable,
        query: &str,
        at: QueryTimes,
        limits: &QueryLimits,
        cancel: &Cancel,
        asked_ns: u64,
    ) -> Result<Body, EngineError> {
        let estimated = limits.compare_cost_ms.map(|interval_ms| {
            let (options, _) = self.query_options(limits, asked_ns);
            let expr = self.parse(query)?;
            self.estimate(&expr, at, interval_ms, &options, cancel)
        });
        let Ran { result, truncated, began } = self.run(store, query, at, limits, cancel, asked_ns)?;
        let times = Times { asked: asked_ns, began, now: self.clock.monotonic_ns() };
        let asked = Asked { query, times: at, limits };
        let go_on = || if cancel.is_canceled() { Err(QueryError::Canceled) } else { Ok(()) };
        self.check_answer(&result.value)?;
        let spawn = self.query.spawn().as_ref();
        let json = envelope(spawn, &asked, &result, truncated, estimated, &times, &go_on)?;
        drop(result);
        Ok(Body::new_while(json, &limits.accept_encoding, &go_on)?)
    }

    /// Answers a query over `store` with the value itself.
    pub(crate) fn answer_values(
        &self,
        store: &dyn Queryable,
        query: &str,
        times: QueryTimes,
        limits: &QueryLimits,
        cancel: &Cancel,
        asked_ns: u64,
    ) -> Result<Answer, EngineError> {
        let result = self.run(store, query, times, limits, cancel, asked_ns)?.result;
        Ok(Answer {
            warnings: result.annotations.warnings(query, ANNOTATIONS_MAX),
            infos: result.annotations.infos(query, ANNOTATIONS_MAX),
            value: result.value,
        })
    }

    /// Runs a query over `store`.
    fn run(
        &self,
        store: &dyn Queryable,
        query: &str,
        times: QueryTimes,
        limits: &QueryLimits,
        cancel: &Cancel,
        asked_ns: u64,
    ) -> Result<Ran, EngineError> {
        let began_ns = self.clock.monotonic_ns();
        let _active = self.active_queries.enter(query, self.clock.as_ref());
        let expr = self.parse(query)?;
        let (options, report) = self.query_options(limits, asked_ns);
        let (spawn, clock) = (self.query.spawn().as_ref(), self.clock.as_ref());
        let result = match times {
            QueryTimes::Instant(t_ms) => promql::instant(store, spawn, clock, &expr, t_ms, &options, cancel),
            QueryTimes::Range { start_ms, end_ms, step_ms } => {
                promql::range(store, spawn, clock, &expr, start_ms, end_ms, step_ms, &options, cancel)
            }
        };
        // A store that stopped unasked has to be asked again: see `remote_read`.
        if let Err(e @ (QueryError::Invalid(_) | QueryError::Storage(StorageError::Stopped))) = result {
            return Err(e.into());
        }
        let stats = std::mem::take(&mut *report.lock().unwrap_or_else(PoisonError::into_inner));
        let times_ns = Times { asked: asked_ns, began: began_ns, now: self.clock.monotonic_ns() };
        self.note_query(&Asked { query, times, limits }, &stats, &times_ns, result.as_ref().err());
        let mut result = result?;
        let truncated = limits.limit > 0 && truncate(&mut result.value, limits.limit);
        Ok(Ran { result, truncated, began: began_ns })
    }

    /// Whether an answer fits into the query's memory as JSON.
    fn check_answer(&self, value: &Value) -> Result<(), QueryError> {
        let (series, points) = match value {
            Value::Scalar(..) | Value::String(..) => (0, 0),
            Value::Vector(v) => (v.len(), v.len()),
            Value::Matrix(m) => (m.len(), m.iter().map(|s| s.t.len() + 8 * s.h.len()).sum()),
        };
        let bytes = series as u64 * SERIES_JSON_BYTES + points as u64 * POINT_JSON_BYTES;
        match self.options.query_memory_bytes_max {
            max if max > 0 && bytes > max => Err(QueryError::TooMuchMemory(max)),
            _ => Ok(()),
        }
    }

    fn estimate(
        &self,
        expr: &Expr,
        times: QueryTimes,
        scrape_interval_ms: i64,
        options: &QueryOptions,
        cancel: &Cancel,
    ) -> Result<Estimate, EngineError> {
        Ok(promql::estimate(&self.db, expr, times.span(), scrape_interval_ms, options, cancel)?)
    }

    /// When a query asked at `asked_ns` must have ended.
    fn deadline(&self, limits: &QueryLimits, asked_ns: u64) -> Deadline {
        Deadline::new(self.clock.clone(), self.deadline_ns(limits, asked_ns))
    }

    /// The same moment on the clock's monotonic scale.
    pub(crate) fn deadline_ns(&self, limits: &QueryLimits, asked_ns: u64) -> u64 {
        let o = &self.options;
        let ceiling_ms =
            match self.query_settings.read().unwrap_or_else(PoisonError::into_inner).duration_max_ms {
                ms @ 1.. if o.features.query_cost => ms,
                _ => o.query_timeout_ms,
            };
        let lower_ms = |ms: i64, own: i64| if own > 0 { ms.min(own) } else { ms };
        let timeout_ms = lower_ms(lower_ms(ceiling_ms, limits.timeout_ms), limits.duration_max_ms);
        deadline_ns(asked_ns, timeout_ms)
    }

    fn stop_of(&self, limits: &QueryLimits, cancel: Cancel, asked_ns: u64) -> Stop {
        Stop::at(cancel, self.deadline(limits, asked_ns))
    }

    /// What the engine's settings and the query's own make together, and where costs are noted.
    pub(crate) fn query_options(
        &self,
        limits: &QueryLimits,
        asked_ns: u64,
    ) -> (QueryOptions, Arc<Mutex<QueryStats>>) {
        let o = &self.options;
        let with_cost = o.features.query_cost;
        let settings = self.query_settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let lower = |max: u64, own: u64| match (max, own) {
            _ if !with_cost => 0,
            (0, n) | (n, 0) => n,
            (max, own) => max.min(own),
        };
        let report = Arc::default();
        let options = QueryOptions {
            lookback_ms: match limits.lookback_delta_ms {
                1.. => limits.lookback_delta_ms,
                _ => o.lookback_delta_ms,
            },
            max_samples: o.query_samples_max,
            memory_bytes_max: o.query_memory_bytes_max,
            max_series: lower(settings.series_max, limits.series_max),
            max_samples_read: lower(settings.samples_read_max, limits.samples_read_max),
            query_cost: with_cost,
            per_step_stats: limits.stats == "all" && o.features.per_step_stats,
            report: Some(Arc::clone(&report)),
            default_subquery_step_ms: o.default_subquery_step_ms,
            delayed_name_removal: o.features.delayed_name_removal,
            use_start_timestamps: o.features.use_start_timestamps,
            type_and_unit_labels: o.features.type_and_unit_labels,
            deadline: Some(self.deadline(limits, asked_ns)),
        };
        (options, report)
    }

    /// Counts and logs a query that ran.
    fn note_query(&self, asked: &Asked<'_>, stats: &QueryStats, times: &Times, error: Option<&QueryError>) {
        self.metrics.query(stats);
        let sorts = error.is_none() && matches!(asked.times, QueryTimes::Range { .. });
        self.query_metrics.observe(
            times.now,
            [
                Some(stats.eval_ns),
                Some(stats.prepare_ns),
                Some(times.began.saturating_sub(times.asked)),
                sorts.then_some(stats.result_ns),
            ],
        );
        if self.options.features.query_cost {
            let refused = match error {
                Some(QueryError::TooManySeries) => Some("max_series"),
                Some(QueryError::TooManySamplesRead) => Some("max_samples_read"),
                Some(QueryError::Timeout) if self.has_own_duration(asked.limits) => Some("max_duration"),
                _ => None,
            };
            self.query_metrics.observe_cost(stats.series, stats.samples_read, refused);
        }
        if self.query_log.is_on() {
            let error = error.map(ToString::to_string);
            let logged = Logged {
                query: asked.query,
                times: asked.times,
                error: error.as_deref(),
                stats: &stats_json(stats, times),
                origin: asked.limits.origin.as_ref(),
            };
            self.query_log.write(&logged, self.clock.as_ref());
        }
    }

    /// Whether a query is bounded in time by more than the timeout of all.
    fn has_own_duration(&self, limits: &QueryLimits) -> bool {
        let settings = self.query_settings.read().unwrap_or_else(PoisonError::into_inner);
        settings.duration_max_ms > 0 || limits.duration_max_ms > 0
    }
}

/// A query that ran.
struct Ran {
    result: QueryResult,
    /// Whether series were left out for `limit`.
    truncated: bool,
    /// When it began, nanoseconds.
    began: u64,
}

/// A query as it was asked.
struct Asked<'a> {
    query: &'a str,
    times: QueryTimes,
    limits: &'a QueryLimits,
}

/// When a query was asked, when it began to run, and now; nanoseconds.
struct Times {
    asked: u64,
    began: u64,
    now: u64,
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
            QueryError::Execution(_) | QueryError::TooManySamples | QueryError::TooMuchMemory(_) => {
                ErrorCode::QueryExecution
            }
            QueryError::TooManySeries | QueryError::TooManySamplesRead => ErrorCode::QueryCostLimit,
            _ => ErrorCode::Internal,
        };
        Self::new(code, e.to_string())
    }
}

fn envelope(
    spawn: &dyn Spawn,
    asked: &Asked<'_>,
    result: &QueryResult,
    truncated: bool,
    estimated: Option<Result<Estimate, EngineError>>,
    times: &Times,
    go_on: &(dyn Fn() -> Result<(), QueryError> + Sync),
) -> Result<Vec<Vec<u8>>, QueryError> {
    let (query, stats) = (asked.query, asked.limits.stats.as_str());
    let mut pieces = Pieces::default();
    pieces.text().extend_from_slice(br#"{"status":"success","data":"#);
    promql::json::write_data_while(spawn, &result.value, go_on, &mut pieces)?;
    let out = pieces.text();
    if !stats.is_empty() {
        // `data` is an object: the statistics go before its closing brace.
        out.pop();
        out.extend_from_slice(b",\"stats\":");
        out.extend_from_slice(stats_json(&result.stats, times).as_bytes());
        out.push(b'}');
    }
    let mut warnings = result.annotations.warnings(query, ANNOTATIONS_MAX);
    match estimated {
        None => {}
        Some(Ok(e)) => {
            out.pop();
            out.extend_from_slice(cost_json(&e, &result.stats).as_bytes());
            out.push(b'}');
            warnings.extend(e.warnings);
        }
        Some(Err(e)) => warnings.push(format!("cost estimation failed: {}", e.message)),
    }
    if truncated {
        warnings.push(RESULTS_TRUNCATED.to_owned());
    }
    warnings.extend(stats_warning(stats));
    write_remarks(&warnings, &result.annotations.infos(query, ANNOTATIONS_MAX), out);
    out.push(b'}');
    Ok(pieces.into_vec())
}

/// The warning of a parameter `stats` that is neither of its two values.
fn stats_warning(stats: &str) -> Option<String> {
    (!matches!(stats, "" | "true" | "all")).then(|| {
        format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"",
            go_quoted(stats.as_bytes())
        )
    })
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

/// A member with the numbers of each step and a comma, or nothing where they are not there.
fn per_step(name: &str, s: &QueryStats, of: impl Fn(&PerStep) -> &Vec<u64>) -> String {
    let Some(p) = s.per_step.as_ref().filter(|p| !of(p).is_empty()) else { return String::new() };
    let points: Vec<String> = of(p)
        .iter()
        .enumerate()
        .map(|(i, n)| {
            format!("[{},{n}]", p.start_ms.saturating_add(p.step_ms.saturating_mul(i as i64)) as f64 / 1000.0)
        })
        .collect();
    format!("\"{name}\":[{}],", points.join(","))
}

/// The member `cost`: what was estimated, and what it was.
fn cost_json(e: &Estimate, s: &QueryStats) -> String {
    let peak =
        if s.peak_samples > 0 { format!(",\"peakSamples\":{}", s.peak_samples) } else { String::new() };
    format!(
        concat!(
            r#","cost":{{"estimated":{{"seriesTouched":{},"samplesRead":{}}},"#,
            r#""actual":{{"seriesTouched":{},"samplesRead":{}{}}}}}"#
        ),
        e.series, e.samples, s.series, s.samples_read, peak
    )
}

/// The object `stats`.
fn stats_json(s: &QueryStats, times: &Times) -> String {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let exec = s.prepare_ns + s.eval_ns + s.result_ns;
    let queued = times.began.saturating_sub(times.asked);
    format!(
        concat!(
            r#"{{"timings":{{"evalTotalTime":{},"resultSortTime":{},"queryPreparationTime":{},"#,
            r#""innerEvalTime":{},"execQueueTime":{},"execTotalTime":{}}},"#,
            r#""samples":{{{}"totalQueryableSamples":{},{}"samplesRead":{},"seriesTouched":{},"peakSamples":{}}}}}"#
        ),
        seconds(exec),
        seconds(s.result_ns),
        seconds(s.prepare_ns),
        seconds(s.eval_ns),
        seconds(queued),
        seconds(times.now.saturating_sub(times.asked)),
        per_step("totalQueryableSamplesPerStep", s, |p| &p.total),
        s.total_samples,
        per_step("samplesReadPerStep", s, |p| &p.read),
        s.samples_read,
        s.series,
        s.peak_samples
    )
}
