//! Services over the text of queries; they need no data. Those that a client may ask for run on the
//! query pool: a long text takes long. The functions need no engine either, and cost time and memory
//! in proportion to the text.

use model::Matcher;
use promql::Cancel;
use promql_syntax::{Expr, complete, edit};

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::options::Features;
use crate::query::parse_options;

/// The query's tree, in the language with these features on.
///
/// # Errors
/// [`crate::ErrorCode::QueryParse`] in Prometheus' words.
pub fn parse(query: &str, features: Features) -> Result<Expr, EngineError> {
    promql_syntax::parse(query, &parse_options(features))
        .map_err(|e| EngineError::new(ErrorCode::QueryParse, e.to_string()))
}

/// The query as format_query prints it.
///
/// # Errors
/// [`crate::ErrorCode::QueryParse`]
pub fn format(query: &str, features: Features) -> Result<String, EngineError> {
    Ok(promql_syntax::pretty(&parse(query, features)?))
}

/// The query's tree as the `data` of parse_query.
///
/// # Errors
/// [`crate::ErrorCode::QueryParse`]
pub fn tree_json(query: &str, features: Features) -> Result<Vec<u8>, EngineError> {
    Ok(promql_syntax::tree_json(&parse(query, features)?))
}

/// The query, formatted, with a matcher set in every selector: instead of those for the label `name`
/// or beside the others. `op` is `=`, `!=`, `=~` or `!~`.
///
/// # Errors
/// [`crate::ErrorCode::QueryParse`], also where the query would be none any more;
/// [`crate::ErrorCode::InvalidArgument`] for another operator or a wrong regular expression.
pub fn set_label_matcher(
    query: &str,
    name: &str,
    op: &str,
    value: &str,
    features: Features,
) -> Result<String, EngineError> {
    let mut expr = parse(query, features)?;
    let op =
        edit::match_op(op).ok_or_else(|| EngineError::invalid(format!("invalid label match type: {op}")))?;
    let matcher = Matcher::new(op, name, value).map_err(|e| EngineError::invalid(e.to_string()))?;
    edit::set_label_matcher(&mut expr, &matcher);
    edited(&expr, features)
}

/// The query, formatted, without any matcher for the label `name`.
///
/// # Errors
/// [`crate::ErrorCode::QueryParse`], also where a selector would be left without matchers.
pub fn delete_label_matchers(query: &str, name: &str, features: Features) -> Result<String, EngineError> {
    let mut expr = parse(query, features)?;
    edit::delete_label_matchers(&mut expr, name);
    edited(&expr, features)
}

/// The expression as text, if that is a query.
fn edited(expr: &Expr, features: Features) -> Result<String, EngineError> {
    let text = promql_syntax::pretty(expr);
    match parse(&text, features) {
        Ok(_) => Ok(text),
        Err(e) => {
            let message = format!("the edited query is invalid: {}", e.message);
            Err(EngineError::new(ErrorCode::QueryParse, message))
        }
    }
}

/// What can stand at the cursor of an unfinished query: the JSON of
/// [`promql_syntax::complete::complete_json`], whose positions count UTF-16 code units where `utf16`
/// says so, else bytes.
#[must_use]
pub fn complete_json(text: &str, cursor: usize, utf16: bool, features: Features) -> String {
    complete::complete_json(text, cursor, utf16, &parse_options(features))
}

impl Engine {
    /// The query as format_query prints it; fails with [`crate::ErrorCode::QueryParse`].
    pub fn format_query(
        &self,
        query: String,
        done: impl FnOnce(Result<String, EngineError>) + Send + 'static,
    ) {
        let bytes = query.len();
        let work = move |inner: &Inner, _: &Cancel| format(&query, inner.options.features);
        self.run_query(bytes, Cancel::new(), work, done);
    }

    /// The query's tree as the `data` of parse_query; fails with [`crate::ErrorCode::QueryParse`].
    pub fn parse_query_json(
        &self,
        query: String,
        done: impl FnOnce(Result<Vec<u8>, EngineError>) + Send + 'static,
    ) {
        let bytes = query.len();
        let work = move |inner: &Inner, _: &Cancel| tree_json(&query, inner.options.features);
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
