//! What is wrong with a query, in Prometheus' words, and where.

use std::fmt;

use crate::span::Span;

/// One thing that is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The part of the query concerned.
    pub span: Span,
    /// `line:column` of its start.
    pub position: String,
    /// What is wrong, in Prometheus' words, without the position.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: parse error: {}", self.position, self.message)
    }
}

impl std::error::Error for ParseError {}

/// All that is wrong with a query, in the order found; never empty. Printed it shows the first,
/// as in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(pub(crate) Vec<ParseError>);

impl ParseErrors {
    /// The errors in the order found. Parsing ends at the first error of syntax; errors of
    /// meaning found before it come first, and those of type only show where nothing else is wrong.
    #[must_use]
    pub fn as_slice(&self) -> &[ParseError] {
        &self.0
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(e) => e.fmt(f),
            None => f.write_str("error contains no error message"),
        }
    }
}

impl std::error::Error for ParseErrors {}
