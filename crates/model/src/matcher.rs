//! Label matchers: `=`, `!=`, `=~`, `!~`, regular expressions fully anchored.

use std::fmt;

use crate::regex::{Regex, RegexError};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As written in PromQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series lacks has the value "".
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How to compare.
    pub op: MatchOp,
    /// What to compare with: a value, or a regular expression in Go's syntax.
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher; compiles the regular expression of the two regex operators.
    ///
    /// # Errors
    /// An expression that Go's `regexp` would refuse, with Go's message.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Self, RegexError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(Regex::new_anchored(&value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name, op, value, regex })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Whether a label of value `v` ("" where the series lacks it) satisfies the condition.
    #[must_use]
    pub fn matches(&self, v: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => v == self.value,
            (MatchOp::NotEqual, _) => v != self.value,
            (MatchOp::Regex, Some(re)) => re.is_match(v),
            (MatchOp::NotRegex, Some(re)) => !re.is_match(v),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Whether a series without the label satisfies the condition.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The compiled expression of a regex matcher: its literal sets and prefixes allow fast paths.
    #[must_use]
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, o: &Self) -> bool {
        self.op == o.op && self.name == o.name && self.value == o.value
    }
}

impl Eq for Matcher {}

/// As Prometheus prints it: `job=~"a.*"`, the name quoted where it is no legacy label name.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::labels::is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            crate::float::write_go_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        crate::float::write_go_quoted(f, &self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_and_prints_as_prometheus_does() {
        for (op, name, value, printed, yes, no) in [
            (MatchOp::Equal, "job", "a\"b", r#"job="a\"b""#, "a\"b", "a"),
            (MatchOp::NotEqual, "a.b", "", r#""a.b"!="""#, "x", ""),
            (MatchOp::Regex, "é", "a|b", r#""é"=~"a|b""#, "b", "ab"),
            (MatchOp::NotRegex, "_1", ".+", r#"_1!~".+""#, "", "x"),
        ] {
            let m = Matcher::new(op, name, value).unwrap();
            assert_eq!(m.to_string(), printed);
            assert!(m.matches(yes) && !m.matches(no), "{m}");
            assert_eq!(m.matches_empty(), m.matches(""));
        }
        let error = Matcher::new(MatchOp::Regex, "a", "x(").unwrap_err();
        assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `x(`");
    }
}
