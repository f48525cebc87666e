//! Go's regular expressions, as Prometheus uses them: our own parser of Go's syntax, with Go's
//! errors, in front of automata that never backtrack.
//!
//! `ast` is the tree and its limits, `parse` and `class` read it, `fast` finds what needs no
//! automaton, `compile` makes one, `capture` serves relabelling. DESIGN.md
//! says why.

mod ast;
mod capture;
mod class;
mod compile;
mod fast;
mod parse;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use regex_automata::meta;

pub use capture::{CaptureRegex, Match};
use fast::Fast;

/// Why an expression was refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct RegexError(pub String);

impl RegexError {
    fn new(reason: &str, expression: &str) -> Self {
        Self(format!("{reason}: `{expression}`"))
    }
}

/// A compiled expression that matches whole texts: what `=~` uses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Regex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    strategy: Strategy,
    prefix: String,
    suffix: String,
}

#[derive(Debug)]
enum Strategy {
    Fast(Fast),
    Automaton(meta::Regex),
}

impl Regex {
    /// Compiles `pattern` in Go's syntax (Perl flags, `.` matches newlines), anchored at both ends,
    /// as Prometheus' `labels.NewFastRegexMatcher`.
    ///
    /// # Errors
    /// An expression that Go's `regexp` would refuse, with Go's message, or whose automaton would
    /// be larger than 64 MiB.
    pub fn new_anchored(pattern: &str) -> Result<Self, RegexError> {
        let root = parse::parse(pattern, true)?.root;
        let fast = fast::analyse(&root);
        let (prefix, suffix) = fast::affixes(&root, fast.as_ref());
        let strategy = match fast {
            Some(f) => Strategy::Fast(f),
            None => Strategy::Automaton(compile::compile_anchored(&root, pattern)?),
        };
        Ok(Self(Arc::new(Inner { strategy, prefix, suffix })))
    }

    /// Whether the whole of `s` matches.
    #[must_use]
    pub fn is_match(&self, s: &str) -> bool {
        match &self.0.strategy {
            Strategy::Fast(fast) => fast.is_match(s),
            Strategy::Automaton(re) => {
                s.starts_with(self.0.prefix.as_str()) && s.ends_with(self.0.suffix.as_str()) && re.is_match(s)
            }
        }
    }

    /// All texts that match, sorted and distinct, where they are few enough to look up one by one.
    /// May contain "", which also stands for the absent label.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.0.strategy {
            Strategy::Fast(Fast::Set(set)) => Some(set),
            _ => None,
        }
    }

    /// Memory that the automaton takes, bytes; 0 where none was needed. Time to compile follows it.
    #[must_use]
    pub fn automaton_bytes(&self) -> usize {
        match &self.0.strategy {
            Strategy::Fast(_) => 0,
            Strategy::Automaton(re) => re.memory_usage(),
        }
    }

    /// What every match begins with, if anything is known.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        (!self.0.prefix.is_empty()).then_some(self.0.prefix.as_str())
    }

    /// Whether every text matches, "" too: `.*`.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        matches!(&self.0.strategy, Strategy::Fast(Fast::Globs(g)) if g.iter().any(fast::Glob::is_everything))
    }
}
