//! GET /api/v1/query_exemplars: the exemplars of the series that a query selects.

use model::float::{append_timestamp_seconds, format_value};
use model::{Matcher, TimestampMs};
use promql::Cancel;
use promql::json::write_labels;
use promql_syntax::Expr;
use storage::{Exemplar, ExemplarQuerier, ExemplarSeries};

use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// A question for exemplars.
#[derive(Clone, Debug, Default)]
pub struct ExemplarQuery {
    /// A query; the series of all its selectors count, whatever it does with them.
    pub query: String,
    /// First time of interest.
    pub start_ms: TimestampMs,
    /// Last time of interest.
    pub end_ms: TimestampMs,
    /// The client's Accept-Encoding.
    pub accept_encoding: String,
}

impl Engine {
    /// The answer in its envelope, series in order of labels, exemplars in order of time; `None` where
    /// the query selects nothing. Fails with [`crate::ErrorCode::QueryParse`].
    pub fn exemplars_json(
        &self,
        query: ExemplarQuery,
        cancel: Cancel,
        done: impl FnOnce(Result<Option<Body>, EngineError>) + Send + 'static,
    ) {
        let bytes = query.query.len();
        let work = move |inner: &Inner, _: &Cancel| {
            let selectors = selectors(&inner.parse(&query.query)?);
            if selectors.is_empty() {
                return Ok(None);
            }
            let found = inner.db.exemplars(query.start_ms, query.end_ms, &selectors)?;
            Ok(Some(Body::new(envelope(&found), &query.accept_encoding)))
        };
        self.run_query(bytes, cancel, work, done);
    }
}

/// The matchers of each selector.
fn selectors(expr: &Expr) -> Vec<Vec<Matcher>> {
    let mut out = Vec::new();
    expr.walk(&mut |e| match e {
        Expr::Vector(v) => out.push(v.matchers.clone()),
        Expr::Matrix(m) => out.push(m.selector.matchers.clone()),
        _ => {}
    });
    out
}

fn envelope(series: &[ExemplarSeries]) -> Vec<u8> {
    let mut out = br#"{"status":"success","data":["#.to_vec();
    for (i, s) in series.iter().enumerate() {
        out.extend_from_slice(if i > 0 { br#",{"seriesLabels":"# } else { br#"{"seriesLabels":"# });
        write_labels(&s.series, &mut out);
        out.extend_from_slice(br#","exemplars":["#);
        for (i, e) in s.exemplars.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_exemplar(e, &mut out);
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}

fn write_exemplar(e: &Exemplar, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"labels":"#);
    write_labels(&e.labels, out);
    out.extend_from_slice(br#","value":""#);
    format_value(e.value, out);
    out.extend_from_slice(br#"","timestamp":"#);
    append_timestamp_seconds(e.timestamp_ms.unwrap_or_default(), out);
    out.push(b'}');
}
