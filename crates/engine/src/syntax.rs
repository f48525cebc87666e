//! Services over the text of queries; they need no data.

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// The query as format_query prints it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::QueryParse`]
    pub fn format_query(&self, query: &str) -> Result<String, EngineError> {
        Ok(promql_syntax::pretty(&self.inner.parse(query)?))
    }

    /// The query's tree as the `data` of parse_query.
    ///
    /// # Errors
    /// [`crate::ErrorCode::QueryParse`]
    pub fn parse_query_json(&self, query: &str) -> Result<Vec<u8>, EngineError> {
        Ok(promql_syntax::tree_json(&self.inner.parse(query)?))
    }

    /// Checks a series selector.
    ///
    /// # Errors
    /// [`crate::ErrorCode::QueryParse`]
    pub fn check_selector(&self, selector: &str) -> Result<(), EngineError> {
        self.inner.parse_selectors(&[selector.to_owned()]).map(drop)
    }
}
