//! Rules and what they do to label sets, with Prometheus' messages for those it refuses.

use super::*;
use crate::Labels;

fn parts(action: RelabelAction, sources: &[&str]) -> RelabelParts {
    RelabelParts {
        source_labels: (!sources.is_empty()).then(|| sources.iter().map(|s| (*s).to_owned()).collect()),
        action,
        ..RelabelParts::default()
    }
}

fn rule(
    action: RelabelAction,
    sources: &[&str],
    regex: &str,
    target: &str,
    replacement: &str,
) -> RelabelConfig {
    let parts = RelabelParts {
        regex: (regex != DEFAULT_REGEX).then(|| regex.to_owned()),
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        modulus: if action == RelabelAction::HashMod { 1000 } else { 0 },
        ..parts(action, sources)
    };
    RelabelConfig::new(parts, NameValidation::Utf8).unwrap()
}

fn run(rules: &[RelabelConfig]) -> Option<String> {
    let base = [("a", "foo"), ("b", "bar"), ("c", "Straße ᾳΣ"), ("__meta_x_y", "1"), ("__meta_z", "2")];
    let mut b = Labels::from_pairs(base).to_builder();
    process(rules, &mut b).then(|| {
        b.retain(|n, v| !base.contains(&(n, v)));
        b.build().to_string()
    })
}

#[test]
fn rules_do_what_prometheus_does() {
    use RelabelAction as A;
    let cases = [
        (rule(A::Replace, &["a"], "f(.*)", "d", "ch${1}-ch${1}"), Some(r#"{d="choo-choo"}"#)),
        (rule(A::Replace, &["a", "b"], "(f).*;(.*)r", "d", "b$1${2}m"), Some(r#"{d="bfbam"}"#)),
        (rule(A::Replace, &["a"], "nomatch", "d", "x"), Some("{}")),
        (rule(A::Replace, &["a"], DEFAULT_REGEX, "d", "$1"), Some(r#"{d="foo"}"#)),
        (rule(A::Replace, &[], DEFAULT_REGEX, "d", "plain"), Some(r#"{d="plain"}"#)),
        (rule(A::Replace, &["b"], "(ba).*", "${1}_x", "$1"), Some(r#"{ba_x="ba"}"#)),
        (rule(A::Replace, &["nope"], "(.*)", "$1", "x"), Some("{}")),
        (rule(A::Keep, &["a"], "f.*", "", "$1"), Some("{}")),
        (rule(A::Keep, &["a"], "o", "", "$1"), None),
        (rule(A::Drop, &["a"], ".*o.*", "", "$1"), None),
        (rule(A::Drop, &["a"], "o", "", "$1"), Some("{}")),
        (rule(A::HashMod, &["c"], DEFAULT_REGEX, "d", "$1"), Some(r#"{d="HASH"}"#)),
        (rule(A::LabelMap, &[], "__meta_(.+)_(y)", "", "$2$1"), Some(r#"{yx="1"}"#)),
        (rule(A::Lowercase, &["c"], DEFAULT_REGEX, "d", "$1"), Some(r#"{d="straße ᾳσ"}"#)),
        (rule(A::Uppercase, &["c"], DEFAULT_REGEX, "d", "$1"), Some(r#"{d="STRAßE ᾼΣ"}"#)),
        (rule(A::KeepEqual, &["a"], DEFAULT_REGEX, "a", "$1"), Some("{}")),
        (rule(A::KeepEqual, &["a"], DEFAULT_REGEX, "b", "$1"), None),
        (rule(A::DropEqual, &["a"], DEFAULT_REGEX, "a", "$1"), None),
        (rule(A::DropEqual, &["nope"], DEFAULT_REGEX, "nope2", "$1"), None),
    ];
    for (rule, want) in cases {
        let sum = hash("Straße ᾳΣ".as_bytes()) % 1000;
        let want = want.map(|w| w.replace("HASH", &sum.to_string()));
        assert_eq!(run(std::slice::from_ref(&rule)), want, "{rule:?}");
    }
}

#[test]
fn labels_are_dropped_and_kept_by_name() {
    let base = Labels::from_pairs([("a1", "x"), ("a2", "y"), ("b", "z")]);
    for (action, want) in
        [(RelabelAction::LabelDrop, r#"{b="z"}"#), (RelabelAction::LabelKeep, r#"{a1="x", a2="y"}"#)]
    {
        let mut b = base.to_builder();
        assert!(process(&[rule(action, &[], "a.", "", "$1")], &mut b));
        assert_eq!(b.build().to_string(), want);
    }
}

#[test]
fn an_empty_replacement_deletes() {
    let mut b = Labels::from_pairs([("a", "x")]).to_builder();
    assert!(process(&[rule(RelabelAction::Replace, &["a"], "x", "a", "")], &mut b));
    assert!(b.is_empty());
}

#[test]
fn hashes_as_prometheus_does() {
    // From `printf foo | md5sum`: acbd18db4cc2f85c edef654fccc4a4d8.
    assert_eq!(hash(b"foo"), 0xedef_654f_ccc4_a4d8);
}

#[test]
fn refuses_with_prometheus_messages() {
    use NameValidation::{Legacy, Utf8};
    use RelabelAction as A;
    let with = |p: RelabelParts, f: fn(&mut RelabelParts)| {
        let mut p = p;
        f(&mut p);
        p
    };
    let cases = [
        (parts(A::HashMod, &[]), Utf8, "relabel configuration for hashmod requires non-zero modulus"),
        (
            parts(A::Replace, &[]),
            Utf8,
            "relabel configuration for replace action requires 'target_label' value",
        ),
        (
            with(parts(A::Lowercase, &[]), |p| p.target_label = "${3}".into()),
            Legacy,
            r#""${3}" is invalid 'target_label' for lowercase action"#,
        ),
        (
            with(parts(A::Lowercase, &[]), |p| (p.target_label, p.replacement) = ("x".into(), "y".into())),
            Utf8,
            "'replacement' can not be set for lowercase action",
        ),
        (
            with(parts(A::Replace, &[]), |p| p.target_label = "0${3}".into()),
            Legacy,
            r#""0${3}" is invalid 'target_label' for replace action"#,
        ),
        (
            with(parts(A::Replace, &[]), |p| p.target_label = "a-b".into()),
            Legacy,
            r#""a-b" is invalid 'target_label' for replace action"#,
        ),
        (
            with(parts(A::LabelMap, &[]), |p| p.replacement = "-${1}".into()),
            Legacy,
            r#""-${1}" is invalid 'replacement' for labelmap action"#,
        ),
        (
            with(parts(A::DropEqual, &["a"]), |p| {
                (p.target_label, p.regex) = ("x".into(), Some("(.*)".into()))
            }),
            Utf8,
            "dropequal action requires only 'source_labels' and `target_label`, and no other fields",
        ),
        (
            with(parts(A::LabelDrop, &["a"]), |p| p.regex = Some("x".into())),
            Utf8,
            "labeldrop action requires only 'regex', and no other fields",
        ),
        (
            with(parts(A::Keep, &["a"]), |p| p.regex = Some("a(".into())),
            Utf8,
            "error parsing regexp: missing closing ): `^(?s:a()$`",
        ),
    ];
    for (parts, names, want) in cases {
        assert_eq!(RelabelConfig::new(parts, names).unwrap_err().to_string(), want);
    }
    assert_eq!(RelabelAction::parse("Keep"), Ok(A::Keep));
    assert_eq!(RelabelAction::parse("x").unwrap_err().to_string(), r#"unknown relabel action "x""#);
    for valid in ["a", "$1", "${1}_a", "a$b", "_1${x}9$1"] {
        assert!(is_legacy_template(valid.as_bytes()), "{valid}");
    }
    for invalid in ["", "1a", "$", "${", "${1", "${}", "a-b", "$$1"] {
        assert!(!is_legacy_template(invalid.as_bytes()), "{invalid}");
    }
}
