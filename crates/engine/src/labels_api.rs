//! Questions about series and labels, answered as JSON envelopes of the HTTP API.

use std::collections::BTreeSet;

use model::{Labels, Matcher, TimestampMs};
use promql::Cancel;
use storage::{LabelHints, Querier, Queryable, SelectHints};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::query::{RESULTS_TRUNCATED, write_remarks};

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
}

impl Engine {
    /// GET /api/v1/series: the label sets of the series that match.
    pub fn series_json(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.ask(query, cancel, done, |q, sets, query, cancel| {
            let series = matching_series(q, sets, query, cancel)?;
            let mut out = Vec::with_capacity(series.len() * 100);
            for (i, labels) in limited(series.iter(), query.limit).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                promql::json::write_labels(labels, &mut out);
            }
            Ok((out, exceeds(series.len(), query.limit)))
        });
    }

    /// GET /api/v1/labels: names of labels.
    pub fn label_names_json(
        &self,
        query: SeriesQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        self.ask(query, cancel, done, |q, sets, query, _| {
            strings(sets, query.limit, |hints, matchers| Ok(q.label_names(hints, matchers)?))
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
        self.ask(query, cancel, done, move |q, sets, query, _| {
            strings(sets, query.limit, |hints, matchers| Ok(q.label_values(&name, hints, matchers)?))
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
            &Cancel,
        ) -> Result<(Vec<u8>, bool), EngineError>
        + Send
        + 'static,
    ) {
        let inner = self.inner.clone();
        self.inner.query.run(
            move || {
                let sets = inner.parse_selectors(&query.matches)?;
                let querier = inner.open_db()?.querier(query.start_ms, query.end_ms)?;
                let (members, truncated) = answer(querier.as_ref(), &sets, &query, &cancel)?;
                let mut out = Vec::with_capacity(members.len() + 64);
                out.extend_from_slice(br#"{"status":"success","data":["#);
                out.extend_from_slice(&members);
                out.push(b']');
                if truncated {
                    write_remarks(&[RESULTS_TRUNCATED.to_owned()], &[], &mut out);
                }
                out.push(b'}');
                Ok(Body::new(out, &query.accept_encoding))
            },
            done,
        );
    }
}

impl Inner {
    pub(crate) fn parse_selectors(&self, selectors: &[String]) -> Result<Vec<Vec<Matcher>>, EngineError> {
        let options = crate::query::parse_options(self.options.features);
        let parse = |s: &String| {
            promql_syntax::parse_metric_selector(s, &options)
                .map_err(|e| EngineError::new(ErrorCode::QueryParse, e.to_string()))
        };
        selectors.iter().map(parse).collect()
    }
}

/// The series that satisfy any of `sets`, in order, each once.
pub(crate) fn matching_series(
    querier: &dyn Querier,
    sets: &[Vec<Matcher>],
    query: &SeriesQuery,
    cancel: &Cancel,
) -> Result<Vec<Labels>, EngineError> {
    // One more than asked for tells whether there are more.
    let limit = if query.limit == 0 { 0 } else { query.limit.saturating_add(1) };
    let hints = SelectHints {
        start_ms: query.start_ms,
        end_ms: query.end_ms,
        func: "series".to_owned(),
        series_only: true,
        limit,
        ..SelectHints::default()
    };
    let mut out = Vec::new();
    for matchers in sets {
        let set = querier.select(&hints, matchers)?;
        for i in 0..set.len() {
            if i % 1024 == 0 && cancel.is_canceled() {
                return Err(promql::QueryError::Canceled.into());
            }
            out.push(set.labels(i));
        }
    }
    if sets.len() > 1 {
        out.sort_unstable();
        out.dedup();
    }
    Ok(out)
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
    ask: impl Fn(LabelHints, &[Matcher]) -> Result<Vec<String>, EngineError>,
) -> Result<(Vec<u8>, bool), EngineError> {
    let hints = LabelHints { limit: if limit == 0 { 0 } else { limit.saturating_add(1) } };
    let all: BTreeSet<String> = match sets {
        [] => ask(hints, &[])?.into_iter().collect(),
        sets => {
            let mut all = BTreeSet::new();
            for matchers in sets {
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
