//! Escapes within the formats, and the schemes by which names that are not legacy names are sent to
//! those who only know legacy names.

use std::borrow::Cow;
use std::fmt::Write;

use model::labels::is_legacy_metric_name;

/// Replaces `\"`, `\\` and `\n`; other escapes stay.
pub(crate) fn unescape_label_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replace(text, true))
}

/// [`unescape_label_bytes`] for text.
pub(crate) fn unescape_str(text: &str) -> Cow<'_, str> {
    unescape_text(text, true)
}

/// Replaces `\\` and `\n`.
pub(crate) fn unescape_help(text: &str) -> Cow<'_, str> {
    unescape_text(text, false)
}

fn unescape_text(text: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = replace(text.as_bytes(), quotes);
    Cow::Owned(String::from_utf8(bytes).expect("only ASCII was replaced by ASCII"))
}

fn replace(text: &[u8], quotes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (replaced, len) = match rest.get(at + 1) {
            Some(b'\\') => (b'\\', 2),
            Some(b'n') => (b'\n', 2),
            Some(b'"') if quotes => (b'"', 2),
            _ => (b'\\', 1),
        };
        out.push(replaced);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
    out
}

/// How names are made legacy names on export (`escaping=` in media types).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EscapingScheme {
    /// `allow-utf-8`: names stay, quoted where they must be.
    NoEscaping,
    /// `underscores`: what is not allowed becomes `_`.
    #[default]
    Underscores,
    /// `dots`: `.` becomes `_dot_`, `_` and all else `__`.
    Dots,
    /// `values`: `U__` and the code points in hexadecimal between underscores.
    Values,
}

impl EscapingScheme {
    /// As written in a media type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoEscaping => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The scheme so written, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NoEscaping, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// `name` as `scheme` exports it (Prometheus `model.EscapeName`).
#[must_use]
pub fn escape_name(name: &str, scheme: EscapingScheme) -> Cow<'_, str> {
    let keeps_legacy = scheme != EscapingScheme::Dots && is_legacy_metric_name(name);
    if name.is_empty() || scheme == EscapingScheme::NoEscaping || keeps_legacy {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    if scheme == EscapingScheme::Values {
        out.push_str("U__");
    }
    for (i, c) in name.char_indices() {
        let legal = c.is_ascii_alphabetic() || c == ':' || c == '_' || c.is_ascii_digit() && i > 0;
        match (scheme, c) {
            (EscapingScheme::Dots | EscapingScheme::Values, '_') => out.push_str("__"),
            (EscapingScheme::Dots, '.') => out.push_str("_dot_"),
            _ if legal => out.push(c),
            (EscapingScheme::Dots, _) => out.push_str("__"),
            (EscapingScheme::Values, _) => _ = write!(out, "_{:x}_", u32::from(c)),
            _ => out.push('_'),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_names_as_prometheus_does() {
        for (name, underscores, dots, values) in [
            ("", "", "", ""),
            ("abc:d_1", "abc:d_1", "abc:d__1", "abc:d_1"),
            (
                "mysystem.prod.west",
                "mysystem_prod_west",
                "mysystem_dot_prod_dot_west",
                "U__mysystem_2e_prod_2e_west",
            ),
            ("1a b_é", "_a_b__", "__a__b____", "U___31_a_20_b___e9_"),
            ("花😀", "__", "____", "U___82b1__1f600_"),
        ] {
            assert_eq!(escape_name(name, EscapingScheme::Underscores), underscores);
            assert_eq!(escape_name(name, EscapingScheme::Dots), dots);
            assert_eq!(escape_name(name, EscapingScheme::Values), values);
            assert_eq!(escape_name(name, EscapingScheme::NoEscaping), name);
        }
    }

    #[test]
    fn unescapes_what_the_formats_define() {
        assert_eq!(unescape_str(r#"a\\b\n\"\t\"#), "a\\b\n\"\\t\\");
        assert_eq!(unescape_help(r#"a\\b\n\"\t\"#), "a\\b\n\\\"\\t\\");
        assert!(matches!(unescape_str("plain"), Cow::Borrowed(_)));
    }
}
