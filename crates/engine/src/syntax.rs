//! Services over the text of queries; they need no data. Those that a client may ask for run on the
//! query pool: a long text takes long.

use model::Matcher;
use promql::Cancel;

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};

impl Engine {
    /// The query as format_query prints it; fails with [`crate::ErrorCode::QueryParse`].
    pub fn format_query(
        &self,
        query: String,
        done: impl FnOnce(Result<String, EngineError>) + Send + 'static,
    ) {
        let bytes = query.len();
        let work = move |inner: &Inner, _: &Cancel| Ok(promql_syntax::pretty(&inner.parse(&query)?));
        self.run_query(bytes, Cancel::new(), work, done);
    }

    /// The query's tree as the `data` of parse_query; fails with [`crate::ErrorCode::QueryParse`].
    pub fn parse_query_json(
        &self,
        query: String,
        done: impl FnOnce(Result<Vec<u8>, EngineError>) + Send + 'static,
    ) {
        let bytes = query.len();
        let work = move |inner: &Inner, _: &Cancel| Ok(promql_syntax::tree_json(&inner.parse(&query)?));
        self.run_query(bytes, Cancel::new(), work, done);
    }

    /// Checks the selectors of match[]: each must be one, and match some label that is not empty.
    /// Fails with [`crate::ErrorCode::QueryParse`], in Prometheus' words.
    pub fn check_selectors(
        &self,
        selectors: Vec<String>,
        done: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let bytes = selectors.iter().map(String::len).sum();
        let work = move |inner: &Inner, _: &Cancel| {
            let sets = inner.parse_selectors(&selectors)?;
            if sets.iter().any(|s| s.iter().all(Matcher::matches_empty)) {
                let message = "match[] must contain at least one non-empty matcher";
                return Err(EngineError::new(ErrorCode::QueryParse, message));
            }
            Ok(())
        };
        self.run_query(bytes, Cancel::new(), work, done);
    }

    /// Checks a series selector on this thread.
    ///
    /// # Errors
    /// [`crate::ErrorCode::QueryParse`]
    pub fn check_selector(&self, selector: &str) -> Result<(), EngineError> {
        self.inner.parse_selectors(&[selector.to_owned()]).map(drop)
    }
}
