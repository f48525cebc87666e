//! Questions about series and labels, answered as JSON envelopes of the HTTP API.

use std::collections::{BTreeSet, HashSet};

use model::regex::Regex;
use model::{Labels, Matcher, TimestampMs};
use promql::Cancel;
use storage::{LabelHints, Querier, Queryable, SelectHints};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::query::{RESULTS_TRUNCATED, write_remarks};
use crate::remote_read::RemoteEndpoint;
use crate::stop::Stop;

/// A question about series or labels in a span of time.
#[derive(Clone, Debug, Default)]
pub struct SeriesQuery {
    /// Selectors such as `up{job="a"}`; a series that satisfies any counts.
    pub matches: Vec<String>,
    /// First time of interest.
    pub start_ms: TimestampMs,
    /// Last time of interest.
    pub end_ms: TimestampMs,
    /// Most answers; 0 for all.
    pub limit: usize,
    /// The client's Accept-Encoding.
    pub accept_encoding: String,
    /// Servers that cannot be asked for labels, which is remarked where they would have been.
    pub remotes: Vec<RemoteEndpoint>,
}

/// What Prometheus' client of remote read says to a question for labels.
const NOT_IMPLEMENTED: &str = "not implemented";

impl Engine {
    /// GET /api/v1/series: the label sets of the series that match.
    pub fn series_json(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.run_series(query, cancel, done, |inner, query, stop| {
            inner.answer_series(&inner.db, query, stop)
        });
    }

    /// GET /api/v1/labels: names of labels.
    pub fn label_names_json(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.ask(query, cancel, done, |q, sets, query, stop| {
            strings(sets, query.limit, stop, |hints, matchers| Ok(q.label_names(hints, matchers)?))
        });
    }

    /// GET /api/v1/label/NAME/values: values of one label.
    pub fn label_values_json(
        &self,
        name: String,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.ask(query, cancel, done, move |q, sets, query, stop| {
            strings(sets, query.limit, stop, |hints, matchers| Ok(q.label_values(&name, hints, matchers)?))
        });
    }

    /// Runs `answer`, which writes the members of the array `data` and says whether any were left
    /// out, on the query pool.
    fn ask(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
        answer: impl FnOnce(
            &dyn Querier,
            &[Vec<Matcher>],
            &SeriesQuery,
            &Stop,
        ) -> Result<(Vec<u8>, bool), EngineError>
        + Send
        + 'static,
    ) {
        self.run_series(query, cancel, done, |inner, query, stop| {
            let sets = inner.parse_selectors(&query.matches)?;
            let querier = inner.db.querier(query.start_ms, query.end_ms)?;
            let (members, truncated) = answer(querier.as_ref(), &sets, query, stop)?;
            let (span, local_start_ms) = ((query.start_ms, query.end_ms), inner.local_start_ms());
            let asks_others = query.remotes.iter().any(|e| e.span(span, local_start_ms).is_some());
            let warnings = if asks_others { vec![NOT_IMPLEMENTED.to_owned()] } else { Vec::new() };
            Ok(envelope(&members, truncated, warnings, query))
        });
    }

    /// Runs `answer` on the query pool, for as long as a query may take.
    fn run_series(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
        answer: impl FnOnce(&Inner, &SeriesQuery, &Stop) -> Result<Body, EngineError> + Send + 'static,
    ) {
        let asked_ns = self.inner.clock.monotonic_ns();
        self.run_query(
            query.matches.iter().map(String::len).sum(),
            cancel,
            move |inner, cancel| answer(inner, &query, &Stop::new(inner, cancel, asked_ns)),
            done,
        );
    }
}

/// The JSON envelope around the members of an array.
fn envelope(members: &[u8], truncated: bool, mut warnings: Vec<String>, query: &SeriesQuery) -> Body {
    let mut out = Vec::with_capacity(members.len() + 64);
    out.extend_from_slice(br#"{"status":"success","data":["#);
    out.extend_from_slice(members);
    out.push(b']');
    if truncated {
        warnings.push(RESULTS_TRUNCATED.to_owned());
    }
    write_remarks(&warnings, &[], &mut out);
    out.push(b'}');
    Body::new(out, &query.accept_encoding)
}

impl Inner {
    /// Answers a question for series over `store`.
    pub(crate) fn answer_series(
        &self,
        store: &dyn Queryable,
        query: &SeriesQuery,
        stop: &Stop,
    ) -> Result<Body, EngineError> {
        let sets = self.parse_selectors(&query.matches)?;
        let querier = store.querier(query.start_ms, query.end_ms)?;
        let (series, warnings) = matching_series(querier.as_ref(), &sets, query, stop)?;
        let mut out = Vec::with_capacity(series.len() * 100);
        for (i, labels) in limited(series.iter(), query.limit).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            promql::json::write_labels(labels, &mut out);
        }
        Ok(envelope(&out, exceeds(series.len(), query.limit), warnings, query))
    }

    /// The matchers of each selector; one given twice counts once.
    pub(crate) fn parse_selectors(&self, selectors: &[String]) -> Result<Vec<Vec<Matcher>>, EngineError> {
        let options = crate::query::parse_options(self.options.features);
        let mut seen = HashSet::new();
        let mut regex_bytes = 0;
        let mut sets = Vec::new();
        for selector in selectors.iter().filter(|s| seen.insert(s.as_str())) {
            let matchers = promql_syntax::parse_metric_selector(selector, &options)
                .map_err(|e| EngineError::new(ErrorCode::QueryParse, e.to_string()))?;
            let regexes = matchers.iter().filter_map(Matcher::regex);
            regex_bytes += regexes.map(Regex::automaton_bytes).sum::<usize>();
            if regex_bytes > promql_syntax::REGEX_BYTES_MAX {
                let message = "the selectors' regular expressions need more than 64 MiB";
                return Err(EngineError::new(ErrorCode::QueryParse, message));
            }
            sets.push(matchers);
        }
        Ok(sets)
    }
}

/// What a store is told of a question for series.
pub(crate) fn series_hints(query: &SeriesQuery) -> SelectHints {
    SelectHints {
        start_ms: query.start_ms,
        end_ms: query.end_ms,
        func: "series".to_owned(),
        series_only: true,
        // One more than asked for tells whether there are more.
        limit: if query.limit == 0 { 0 } else { query.limit.saturating_add(1) },
        ..SelectHints::default()
    }
}

/// The series that satisfy any of `sets`, in order, each once, and what the stores remarked.
fn matching_series(
    querier: &dyn Querier,
    sets: &[Vec<Matcher>],
    query: &SeriesQuery,
    stop: &Stop,
) -> Result<(Vec<Labels>, Vec<String>), EngineError> {
    let hints = series_hints(query);
    let (mut out, mut warnings) = (Vec::new(), BTreeSet::new());
    let mut tidy = Tidy::default();
    for matchers in sets {
        stop.check()?;
        let set = stop.select(querier, &hints, matchers)?;
        warnings.extend(set.warnings());
        for i in 0..set.len() {
            if i % 1024 == 0 {
                stop.check()?;
            }
            out.push(set.labels(i));
        }
        tidy.when_due(&mut out, sort);
    }
    if sets.len() > 1 {
        sort(&mut out);
    }
    Ok((out, warnings.into_iter().collect()))
}

fn sort(series: &mut Vec<Labels>) {
    series.sort_unstable();
    series.dedup();
}

/// Removes duplicates as they gather, so that a thousand selectors of the same series need no more
/// memory than a few.
#[derive(Default)]
pub(crate) struct Tidy {
    distinct: usize,
}

impl Tidy {
    /// Calls `sort`, which sorts and removes duplicates, once there are twice as many as after the
    /// last time.
    pub(crate) fn when_due<T>(&mut self, all: &mut Vec<T>, sort: impl FnOnce(&mut Vec<T>)) {
        const FREE: usize = 10_000;
        if all.len() > self.distinct * 2 + FREE {
            sort(all);
            self.distinct = all.len();
        }
    }
}

fn exceeds(count: usize, limit: usize) -> bool {
    limit > 0 && count > limit
}

fn limited<T>(items: impl Iterator<Item = T>, limit: usize) -> impl Iterator<Item = T> {
    items.take(if limit == 0 { usize::MAX } else { limit })
}

fn strings(
    sets: &[Vec<Matcher>],
    limit: usize,
    stop: &Stop,
    ask: impl Fn(LabelHints, &[Matcher]) -> Result<Vec<String>, EngineError>,
) -> Result<(Vec<u8>, bool), EngineError> {
    let hints = LabelHints { limit: if limit == 0 { 0 } else { limit.saturating_add(1) } };
    let all: BTreeSet<String> = match sets {
        [] => ask(hints, &[])?.into_iter().collect(),
        sets => {
            let mut all = BTreeSet::new();
            for matchers in sets {
                stop.check()?;
                all.extend(ask(hints, matchers)?);
            }
            all
        }
    };
    let mut out = Vec::new();
    for (i, text) in limited(all.iter(), limit).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        promql::json::write_string(text, &mut out);
    }
    Ok((out, exceeds(all.len(), limit)))
}
