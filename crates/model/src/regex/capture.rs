//! Expressions with captures and Go's replacement templates: what relabelling uses.

use regex_automata::meta;
use regex_automata::util::captures::Captures;

use crate::unicode::is_alphanumeric;

use super::ast::{Kind, Node};
use super::{RegexError, compile, parse};

/// A compiled expression with captures, anchored as Prometheus' `relabel.NewRegexp` does it.
#[derive(Clone, Debug)]
pub struct CaptureRegex {
    pattern: String,
    whole: Whole,
    automaton: meta::Regex,
    /// `names[0]` belongs to group 1.
    names: Vec<Option<String>>,
}

/// Expressions whose captures are known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    /// `(.*)`: everything is the match and group 1.
    Everything,
    /// Only the automaton knows.
    Unknown,
}

impl CaptureRegex {
    /// Compiles `^(?s:pattern)$`. Errors therefore show the wrapped expression, as in Prometheus.
    ///
    /// # Errors
    /// Those of [`super::Regex::new_anchored`].
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let wrapped = format!("^(?s:{pattern})$");
        let parsed = parse::parse(&wrapped, false)?;
        let automaton = compile::compile(&parsed.root, true, &wrapped)?;
        let whole = if pattern == "(.*)" { Whole::Everything } else { Whole::Unknown };
        let mut names = parsed.names;
        names.truncate(count_captures(&parsed.root));
        Ok(Self { pattern: pattern.to_owned(), whole, automaton, names })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether there is a match in `s`.
    #[must_use]
    pub fn is_match(&self, s: &str) -> bool {
        self.whole == Whole::Everything || self.automaton.is_match(s)
    }

    /// The match in `s` with its captures (Go `FindStringSubmatchIndex`).
    #[must_use]
    pub fn find<'a>(&'a self, s: &'a str) -> Option<Match<'a>> {
        if self.whole == Whole::Everything {
            return Some(Match { text: s, names: &self.names, captures: None });
        }
        let mut captures = self.automaton.create_captures();
        self.automaton.captures(s, &mut captures);
        captures.is_match().then_some(Match { text: s, names: &self.names, captures: Some(captures) })
    }

    /// `s` with every match replaced by the expanded `template` (Go `ReplaceAllString`).
    #[must_use]
    pub fn replace_all(&self, s: &str, template: &str) -> String {
        let mut out = String::with_capacity(s.len());
        if self.whole == Whole::Everything {
            Match { text: s, names: &self.names, captures: None }.expand(template, &mut out);
            return out;
        }
        let mut copied = 0;
        for captures in self.automaton.captures_iter(s) {
            let Some(span) = captures.get_match() else { continue };
            out.push_str(&s[copied..span.start()]);
            copied = span.end();
            Match { text: s, names: &self.names, captures: Some(captures) }.expand(template, &mut out);
        }
        out.push_str(&s[copied..]);
        out
    }
}

fn count_captures(node: &Node) -> usize {
    match &node.kind {
        Kind::Capture { sub, .. } => 1 + count_captures(sub),
        Kind::Repeat { sub, .. } => count_captures(sub),
        Kind::Concat(subs) | Kind::Alternate(subs) => subs.iter().map(count_captures).sum(),
        Kind::Empty | Kind::Literal { .. } | Kind::Class(_) | Kind::Dot { .. } | Kind::Look(_) => 0,
    }
}

/// A match and what its groups captured.
#[derive(Debug)]
pub struct Match<'a> {
    text: &'a str,
    names: &'a [Option<String>],
    /// None where the whole text is the match and group 1.
    captures: Option<Captures>,
}

impl Match<'_> {
    /// What group `index` captured, 0 being the whole match; `None` if it took no part.
    #[must_use]
    pub fn group(&self, index: usize) -> Option<&str> {
        match &self.captures {
            None => (index <= 1).then_some(self.text),
            Some(c) => c.get_group(index).map(|span| &self.text[span.range()]),
        }
    }

    fn named(&self, name: &str) -> Option<&str> {
        let same = |n: &Option<String>| n.as_deref() == Some(name);
        self.names.iter().enumerate().filter(|(_, n)| same(n)).find_map(|(i, _)| self.group(i + 1))
    }

    /// Appends `template` with `$1`, `$name`, `${1}`, `${name}` replaced by captures and `$$` by `$`
    /// (Go `Expand`). Unknown groups give nothing; a `$` that begins none of these stays.
    pub fn expand(&self, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
                continue;
            }
            let Some((name, tail)) = split_reference(after) else {
                out.push('$');
                rest = after;
                continue;
            };
            rest = tail;
            let captured = match group_number(name) {
                Some(index) => self.group(index),
                None => self.named(name),
            };
            out.push_str(captured.unwrap_or_default());
        }
        out.push_str(rest);
    }
}

/// Splits what follows a `$` into a group's name and the rest.
fn split_reference(after: &str) -> Option<(&str, &str)> {
    let braced = after.strip_prefix('{');
    let text = braced.unwrap_or(after);
    let end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
    let (name, tail) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    match braced {
        Some(_) => tail.strip_prefix('}').map(|tail| (name, tail)),
        None => Some((name, tail)),
    }
}

/// A number without leading zeros that Go would read as one.
fn group_number(name: &str) -> Option<usize> {
    if !name.bytes().all(|b| b.is_ascii_digit()) || name.len() > 1 && name.starts_with('0') {
        return None;
    }
    name.parse().ok().filter(|n| *n < 1_000_000_000)
}

/// Letters, decimal digits, underscore.
fn is_name_char(c: char) -> bool {
    c == '_' || is_alphanumeric(c)
}
