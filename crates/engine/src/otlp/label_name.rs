//! Names of labels: from OTLP's `http.method` to Prometheus' `http_method`.
//!
//! Reference: github.com/prometheus/otlptranslator v1.0.0, `label_namer.go` and `strconv.go`.

use std::borrow::Cow;

use model::float::go_quoted;

/// How names are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelNamer {
    /// Whether names are left as they are.
    pub utf8: bool,
    /// Whether `key` comes before names that begin with one underscore.
    pub guard_underscore: bool,
    /// Whether underscores in a row stay as many.
    pub keep_underscores: bool,
}

impl LabelNamer {
    /// The name of the label for an attribute.
    ///
    /// # Errors
    /// Where nothing, or nothing but underscores, is left of it.
    pub(super) fn build(self, key: &str) -> Result<Cow<'_, str>, String> {
        if key.is_empty() {
            return Err("label name is empty".to_owned());
        }
        let is_blank = |name: &str| name.bytes().all(|b| b == b'_');
        if self.utf8 {
            return match is_blank(key) {
                true => Err(format!("label name {} contains only underscores", go_quoted(key.as_bytes()))),
                false => Ok(Cow::Borrowed(key)),
            };
        }
        let mut name = self.sanitized(key);
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert_str(0, "key_");
        } else if self.guard_underscore && name.starts_with('_') && !name.starts_with("__") {
            name.insert_str(0, "key");
        }
        if is_blank(&name) {
            return Err(format!(
                "normalization for label name {} resulted in invalid name {}",
                go_quoted(key.as_bytes()),
                go_quoted(name.as_bytes())
            ));
        }
        Ok(Cow::Owned(name))
    }

    fn sanitized(self, key: &str) -> String {
        // Reserved names begin and end with two underscores, which stay.
        let reserved = match self.keep_underscores || key.len() < 4 {
            true => None,
            false => key.strip_prefix("__").and_then(|rest| rest.strip_suffix("__")),
        };
        let edge = if reserved.is_some() { "__" } else { "" };
        let mut out = String::with_capacity(key.len() + 4);
        out.push_str(edge);
        let mut after_underscore = false;
        for c in reserved.unwrap_or(key).chars() {
            if c.is_ascii_alphanumeric() {
                out.push(c);
                after_underscore = false;
            } else if self.keep_underscores || !after_underscore {
                out.push('_');
                after_underscore = true;
            }
        }
        out.push_str(edge);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let namer = LabelNamer { utf8: false, guard_underscore: true, keep_underscores: true };
        let collapsing = LabelNamer { keep_underscores: false, ..namer };
        for (key, kept, collapsed) in [
            ("http.method", "http_method", "http_method"),
            ("a..b", "a__b", "a_b"),
            ("1a", "key_1a", "key_1a"),
            ("_a", "key_a", "key_a"),
            (".a", "key_a", "key_a"),
            ("__a", "__a", "key_a"),
            ("__a..b__", "__a__b__", "__a_b__"),
            ("é", "_", "_"),
            ("a:b", "a_b", "a_b"),
        ] {
            if key == "é" {
                assert!(namer.build(key).is_ok_and(|n| n == "key_") && collapsing.build(key).is_ok());
                continue;
            }
            assert_eq!(
                (namer.build(key).unwrap(), collapsing.build(key).unwrap()),
                (kept.into(), collapsed.into())
            );
        }
        let unguarded = LabelNamer { guard_underscore: false, ..namer };
        assert_eq!(unguarded.build("_a").unwrap(), "_a");
        assert_eq!(
            unguarded.build("é").unwrap_err(),
            "normalization for label name \"é\" resulted in invalid name \"_\""
        );
        assert_eq!(namer.build("").unwrap_err(), "label name is empty");
        let utf8 = LabelNamer { utf8: true, ..namer };
        assert_eq!(utf8.build("a.b é").unwrap(), "a.b é");
        assert_eq!(utf8.build("__").unwrap_err(), "label name \"__\" contains only underscores");
    }
}
