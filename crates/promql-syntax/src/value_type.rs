//! The types that expressions evaluate to.

use std::fmt;

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// No value.
    None,
    /// One sample for each of several series: an instant vector.
    Vector,
    /// One number without labels.
    Scalar,
    /// Several samples for each of several series: a range vector.
    Matrix,
    /// A string.
    String,
}

impl ValueType {
    /// The name in API answers: "vector", "scalar", "matrix", "string", "none".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Vector => "vector",
            Self::Scalar => "scalar",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// The name in the documentation and in error messages: "instant vector", "range vector".
    #[must_use]
    pub const fn documented(self) -> &'static str {
        match self {
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
