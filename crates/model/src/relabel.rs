//! Relabelling: rules that rewrite a label set or drop what carries it. Knows nothing of where the
//! rules are written; whoever reads them gives the parts.

use md5::{Digest, Md5};

use crate::float::go_quoted;
use crate::labels::{LabelsBuilder, is_legacy_label_name};
use crate::regex::{CaptureRegex, RegexError};
use crate::unicode::is_print;

/// The separator of a rule that gives none.
pub const DEFAULT_SEPARATOR: &str = ";";
/// The expression of a rule that gives none.
pub const DEFAULT_REGEX: &str = "(.*)";
/// The replacement of a rule that gives none.
pub const DEFAULT_REPLACEMENT: &str = "$1";

/// Which names are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NameValidation {
    /// Any non-empty UTF-8.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    Legacy,
}

impl NameValidation {
    /// Whether `name` is allowed for a label.
    #[must_use]
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether `name` is allowed for a metric.
    #[must_use]
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => crate::labels::is_legacy_metric_name(name),
        }
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RelabelAction {
    /// Sets the target label to the expanded replacement where the expression matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops where the joined sources differ from the target label.
    KeepEqual,
    /// Drops where the joined sources equal the target label.
    DropEqual,
    /// Sets the target label to a hash of the sources modulo the modulus.
    HashMod,
    /// Copies labels whose names match to the expanded replacement.
    LabelMap,
    /// Deletes labels whose names match.
    LabelDrop,
    /// Deletes labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the sources in lower case.
    Lowercase,
    /// Sets the target label to the sources in upper case.
    Uppercase,
}

impl RelabelAction {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// As written in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// Reads an action in any case.
    ///
    /// # Errors
    /// A word that is no action.
    pub fn parse(text: &str) -> Result<Self, RelabelError> {
        let found = Self::ALL.into_iter().find(|a| text.eq_ignore_ascii_case(a.as_str()));
        found.ok_or_else(|| {
            RelabelError::Config(format!("unknown relabel action {}", go_quoted(text.as_bytes())))
        })
    }

    /// Whether the action needs a plain target label and takes no replacement.
    fn copies_or_compares(self) -> bool {
        matches!(self, Self::Lowercase | Self::Uppercase | Self::KeepEqual | Self::DropEqual)
    }
}

/// Why a rule was refused, in Prometheus' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelabelError {
    /// The expression is wrong.
    #[error(transparent)]
    Regex(#[from] RegexError),
    /// The fields do not fit the action.
    #[error("{0}")]
    Config(String),
}

/// The parts of a rule, as a configuration gives them; `Default` has Prometheus' defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelabelParts {
    /// Labels whose values are joined; an empty list and none are different to `labeldrop` and
    /// `labelkeep`.
    pub source_labels: Option<Vec<String>>,
    /// What joins the values.
    pub separator: String,
    /// The expression; `None` is the default `(.*)`, which `keepequal` and `dropequal` require.
    pub regex: Option<String>,
    /// For `hashmod`.
    pub modulus: u64,
    /// The label to set; a template for `replace`.
    pub target_label: String,
    /// The template of the new value, or of the new name for `labelmap`.
    pub replacement: String,
    /// What to do.
    pub action: RelabelAction,
}

impl Default for RelabelParts {
    fn default() -> Self {
        Self {
            source_labels: None,
            separator: DEFAULT_SEPARATOR.to_owned(),
            regex: None,
            modulus: 0,
            target_label: String::new(),
            replacement: DEFAULT_REPLACEMENT.to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

/// A validated rule.
#[derive(Clone, Debug)]
pub struct RelabelConfig {
    parts: RelabelParts,
    regex: CaptureRegex,
    names: NameValidation,
}

impl RelabelConfig {
    /// Compiles and validates a rule; `names` says which label names are allowed.
    ///
    /// # Errors
    /// What Prometheus' `relabel.Config.Validate` refuses, and expressions that Go refuses.
    pub fn new(parts: RelabelParts, names: NameValidation) -> Result<Self, RelabelError> {
        let regex = CaptureRegex::new(parts.regex.as_deref().unwrap_or(DEFAULT_REGEX))?;
        validate(&parts, names).map_err(RelabelError::Config)?;
        Ok(Self { parts, regex, names })
    }

    /// What the rule was made of.
    #[must_use]
    pub fn parts(&self) -> &RelabelParts {
        &self.parts
    }
}

fn validate(p: &RelabelParts, names: NameValidation) -> Result<(), String> {
    use RelabelAction as A;
    let action = p.action.as_str();
    if p.modulus == 0 && p.action == A::HashMod {
        return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
    }
    let needs_target = p.action.copies_or_compares() || matches!(p.action, A::Replace | A::HashMod);
    if needs_target && p.target_label.is_empty() {
        return Err(format!("relabel configuration for {action} action requires 'target_label' value"));
    }
    let valid_target = match p.action {
        A::Replace if has_variable(&p.target_label) => is_valid_template(&p.target_label, names),
        _ => !needs_target || names.is_valid_label_name(&p.target_label),
    };
    let invalid = |value: &str, field: &str| {
        format!("{} is invalid '{field}' for {action} action", go_quoted(value.as_bytes()))
    };
    // In Prometheus' order, which decides what is told of a rule with several faults.
    if !valid_target && p.action != A::HashMod {
        return Err(invalid(&p.target_label, "target_label"));
    }
    if p.action.copies_or_compares() && p.replacement != DEFAULT_REPLACEMENT {
        return Err(format!("'replacement' can not be set for {action} action"));
    }
    if p.action == A::LabelMap && !is_valid_template(&p.replacement, names) {
        return Err(invalid(&p.replacement, "replacement"));
    }
    if !valid_target {
        return Err(invalid(&p.target_label, "target_label"));
    }
    let plain = p.modulus == 0 && p.separator == DEFAULT_SEPARATOR && p.replacement == DEFAULT_REPLACEMENT;
    if matches!(p.action, A::DropEqual | A::KeepEqual) && !(plain && p.regex.is_none()) {
        return Err(format!(
            "{action} action requires only 'source_labels' and `target_label`, and no other fields"
        ));
    }
    let names_only = p.source_labels.is_none() && p.target_label.is_empty() && plain;
    if matches!(p.action, A::LabelDrop | A::LabelKeep) && !names_only {
        return Err(format!("{action} action requires only 'regex', and no other fields"));
    }
    Ok(())
}

fn has_variable(template: &str) -> bool {
    template.contains('$')
}

/// Whether a template may give a label name: in UTF-8 any may; under the legacy scheme letters,
/// digits, underscores and variables, not beginning with a digit.
fn is_valid_template(template: &str, names: NameValidation) -> bool {
    match names {
        NameValidation::Utf8 => !template.is_empty(),
        NameValidation::Legacy => is_legacy_template(template.as_bytes()),
    }
}

/// `^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$`
fn is_legacy_template(template: &[u8]) -> bool {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let mut rest = template;
    let mut first = true;
    while let Some((&b, tail)) = rest.split_first() {
        rest = match b {
            b'$' => {
                let braced = tail.strip_prefix(b"{");
                let name = braced.unwrap_or(tail);
                let len = name.iter().take_while(|b| is_word(b)).count();
                let after = match braced {
                    Some(_) => name[len..].strip_prefix(b"}"),
                    None => Some(&name[len..]),
                };
                match after {
                    Some(after) if len > 0 => after,
                    _ => return false,
                }
            }
            _ if is_word(&b) && !(first && b.is_ascii_digit()) => tail,
            _ => return false,
        };
        first = false;
    }
    !first
}

/// Applies `rules` in order; false if one of them drops what carries the labels.
#[must_use]
pub fn process(rules: &[RelabelConfig], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| apply(rule, labels))
}

fn apply(rule: &RelabelConfig, labels: &mut LabelsBuilder) -> bool {
    use RelabelAction as A;
    let p = &rule.parts;
    match p.action {
        A::Drop => return !rule.regex.is_match(&joined(p, labels)),
        A::Keep => return rule.regex.is_match(&joined(p, labels)),
        A::DropEqual => return labels.get(&p.target_label).unwrap_or("") != joined(p, labels),
        A::KeepEqual => return labels.get(&p.target_label).unwrap_or("") == joined(p, labels),
        A::Replace => replace(rule, labels),
        A::Lowercase => {
            let value: String = joined(p, labels).chars().map(simple_lower).collect();
            labels.set(&p.target_label, &value);
        }
        A::Uppercase => {
            let value: String = joined(p, labels).chars().map(simple_upper).collect();
            labels.set(&p.target_label, &value);
        }
        A::HashMod => {
            let value = hash(joined(p, labels).as_bytes()) % p.modulus.max(1);
            labels.set(&p.target_label, &value.to_string());
        }
        A::LabelMap => {
            let matching = labels.iter().filter(|(name, _)| rule.regex.is_match(name));
            let mapped: Vec<(String, String)> =
                matching.map(|(n, v)| (rule.regex.replace_all(n, &p.replacement), v.to_owned())).collect();
            for (name, value) in mapped {
                labels.set(&name, &value);
            }
        }
        A::LabelDrop => labels.retain(|name, _| !rule.regex.is_match(name)),
        A::LabelKeep => labels.retain(|name, _| rule.regex.is_match(name)),
    }
    true
}

fn joined(p: &RelabelParts, labels: &LabelsBuilder) -> String {
    let mut out = String::new();
    for (i, name) in p.source_labels.iter().flatten().enumerate() {
        if i > 0 {
            out.push_str(&p.separator);
        }
        out.push_str(labels.get(name).unwrap_or(""));
    }
    out
}

fn replace(rule: &RelabelConfig, labels: &mut LabelsBuilder) {
    let p = &rule.parts;
    let value = joined(p, labels);
    let Some(found) = rule.regex.find(&value) else {
        return;
    };
    let mut target = String::new();
    found.expand(&p.target_label, &mut target);
    if !rule.names.is_valid_label_name(&target) {
        return;
    }
    let mut replacement = String::new();
    found.expand(&p.replacement, &mut replacement);
    labels.set(&target, &replacement);
}

/// The last eight bytes of the MD5 sum, most significant first.
fn hash(text: &[u8]) -> u64 {
    let sum = Md5::digest(text);
    sum[8..].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// One character for one, as Go's `unicode.ToLower`.
fn simple_lower(c: char) -> char {
    match c {
        // Its full mapping has two characters.
        'İ' => 'i',
        // Pairs that came with later versions of Unicode are unknown to Go.
        _ => only(c.to_lowercase()).filter(|l| is_print(*l) && is_print(c)).unwrap_or(c),
    }
}

/// One character for one, as Go's `unicode.ToUpper`.
fn simple_upper(c: char) -> char {
    if let Some(u) = only(c.to_uppercase()) {
        return if is_print(u) && is_print(c) { u } else { c };
    }
    // Greek letters with a subscript iota: one character in title case, two in upper case.
    let iota = match c {
        '\u{1f80}'..='\u{1faf}' if u32::from(c) & 8 == 0 => Some(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => Some(9),
        _ => None,
    };
    iota.and_then(|distance| char::from_u32(u32::from(c) + distance)).unwrap_or(c)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests;
