//! GET /federate: each series' newest sample, as text 0.0.4.

use exposition::{EscapingScheme, MetricType, TextWriter};
use model::{Columns, Labels, METRIC_NAME, TimestampMs, is_stale_nan};
use promql::Cancel;
use storage::{Queryable, SelectHints};

use crate::body::Body;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::labels_api::Tidy;
use crate::stop::Stop;

/// What to federate.
#[derive(Clone, Debug, Default)]
pub struct FederateQuery {
    /// Selectors; a series that satisfies any counts.
    pub matches: Vec<String>,
    /// Samples newer than this are not looked at.
    pub time_ms: TimestampMs,
    /// Added to every series that has no label of that name.
    pub external_labels: Labels,
    /// The client's Accept-Encoding.
    pub accept_encoding: String,
}

struct Sample {
    labels: Labels,
    t_ms: TimestampMs,
    v: f64,
}

impl Engine {
    /// The newest sample within the lookback of each series that matches, with its time.
    pub fn federate(
        &self,
        query: FederateQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Body, EngineError>) + Send + 'static,
    ) {
        let asked_ns = self.inner.clock.monotonic_ns();
        self.run_query(
            query.matches.iter().map(String::len).sum(),
            cancel,
            move |inner, cancel| {
                let stop = Stop::new(inner, cancel, asked_ns);
                let sets = inner.parse_selectors(&query.matches)?;
                let start_ms = query.time_ms.saturating_sub(inner.options.lookback_delta_ms);
                let querier = inner.db.querier(start_ms, query.time_ms)?;
                let hints = SelectHints { start_ms, end_ms: query.time_ms, ..SelectHints::default() };
                let mut samples = Vec::new();
                let mut columns = Columns::default();
                let mut tidy = Tidy::default();
                for matchers in &sets {
                    stop.check()?;
                    let set = stop.select(querier.as_ref(), &hints, matchers)?;
                    for i in 0..set.len() {
                        if i % 1024 == 0 {
                            stop.check()?;
                        }
                        columns.clear();
                        set.read(i, &mut columns)?;
                        samples.extend(newest(&columns).map(|(t_ms, v)| Sample {
                            labels: set.labels(i),
                            t_ms,
                            v,
                        }));
                    }
                    tidy.when_due(&mut samples, sort);
                }
                sort(&mut samples);
                Ok(Body::new(write_text(&samples, &query.external_labels), &query.accept_encoding))
            },
            done,
        );
    }
}

/// By name, then by the other labels, each series once.
fn sort(samples: &mut Vec<Sample>) {
    samples.sort_by(|a, b| (a.labels.metric_name(), &a.labels).cmp(&(b.labels.metric_name(), &b.labels)));
    samples.dedup_by(|a, b| a.labels == b.labels);
}

fn newest(c: &Columns) -> Option<(TimestampMs, f64)> {
    let last = c.t.len().checked_sub(1)?;
    let histogram = c.h.last().is_some_and(|(i, _)| *i as usize == last);
    // Native histograms are federated as protobuf only.
    (!histogram && !is_stale_nan(c.v[last])).then(|| (c.t[last], c.v[last]))
}

fn write_text(samples: &[Sample], external: &Labels) -> Vec<u8> {
    let mut out = Vec::with_capacity(samples.len() * 100);
    // An empty instance keeps the scraper from putting its own there.
    let instance = external.get("instance").is_none().then_some(("instance", ""));
    let mut added: Vec<(&str, &str)> = external.iter().chain(instance).collect();
    added.sort_unstable();
    let mut text = TextWriter::new(&mut out, EscapingScheme::Underscores);
    let mut family = "";
    for s in samples {
        let name = s.labels.metric_name();
        if name.is_empty() {
            continue;
        }
        if name != family {
            family = name;
            text.family(name, None, MetricType::Unknown);
        }
        let own = s.labels.iter().filter(|(n, _)| *n != METRIC_NAME);
        let added = added.iter().copied().filter(|(n, _)| s.labels.get(n).is_none());
        text.sample(name, own.chain(added), None, s.v, Some(s.t_ms));
    }
    out
}
