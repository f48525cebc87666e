//! Random bodies: nothing panics, the fast path agrees with the lexers, guesses change nothing.

use proptest::prelude::*;

use crate::entry::{Entry, ParseError};
use crate::{Format, Parser, ParserOptions};

/// Everything there is to know of a body.
fn read(mut parser: Parser<'_>, guess: impl Fn(usize) -> Vec<u8>) -> (Vec<String>, Option<ParseError>) {
    let mut out = Vec::new();
    loop {
        match parser.next_entry_expecting(&guess(out.len())) {
            Ok(None) => return (out, None),
            Err(e) => return (out, Some(e)),
            Ok(Some(entry)) => {
                let mut text = format!("{entry:?}");
                if let Entry::Sample(_) = entry {
                    parser.for_each_label(|n, v| text.push_str(&format!(" {n:?}={v:?}")));
                    let exemplar = parser.exemplar();
                    text.push_str(&format!(" {exemplar:?}"));
                    if let Some(e) = exemplar {
                        e.for_each_label(|n, v| text.push_str(&format!(" {n:?}={v:?}")));
                    }
                    text.push_str(&format!(" {:?}", parser.start_timestamp_ms()));
                    let _ = parser.labels(&mut model::LabelsBuilder::new());
                }
                out.push(text);
            }
        }
    }
}

fn check(body: &[u8]) {
    for format in [Format::Text, Format::OpenMetrics1] {
        for skip_created_series in [false, true] {
            let options = ParserOptions {
                type_and_unit_labels: skip_created_series,
                skip_created_series,
                ..ParserOptions::default()
            };
            let parser = || Parser::new(body, format, options).unwrap();
            let fast = read(parser(), |_| Vec::new());
            let slow = read(parser().without_fast_path(), |_| Vec::new());
            assert_eq!(fast, slow, "{format:?} {:?}", String::from_utf8_lossy(body));
            let mut series = Vec::new();
            let mut p = parser();
            while let Ok(Some(entry)) = p.next_entry() {
                series.push(if let Entry::Sample(s) = entry { s.series.to_vec() } else { b"foo".to_vec() });
            }
            for shift in [0, 1] {
                let guessed = read(parser(), |i| series.get(i + shift).cloned().unwrap_or_default());
                assert_eq!(guessed, fast, "guesses {format:?} {:?}", String::from_utf8_lossy(body));
            }
        }
    }
}

#[test]
fn odd_bodies_are_read_alike_on_both_paths() {
    for body in [
        "",
        "foo",
        "foo 1",
        "foo{a=\"b\"} 1 5",
        "foo{a=\"b\"} 1 \n",
        "foo{a=\"b\\",
        "foo{a=\"b\\\n\"} 1\n",
        "foo{a=\"x\ny\"} 1\n",
        "foo{} 1\nfoo{,} 1\n",
        "foo {a=\"b\"} 1\nfoo 1\n",
        "foo 1 1 # {a=\"b\"} 1\n# EOF\n",
        "foo 1 1.5\n# EOF",
        "foo 1 .\n# EOF",
        "foo 1 999999999999999999\nfoo 1 9999999999999999999\n",
        "# TYPE a counter\na_total{x=\"1\"} 5 # {id=\"2\"} 1\na_created{x=\"1\"} 1.5\n# EOF\n",
        "{\"foo\",} 1\n{\"foo\", a=\"b\"} 1\n",
        "foo{a=\"b\"\0} 1\n\0foo 1\n",
        "#\n# \n# H\n# HELP\n# HELP a\n# HELP a \n# TYPE a\tgauge\n",
    ] {
        check(body.as_bytes());
    }
}

#[test]
fn errors_name_the_line() {
    let mut parser =
        Parser::new(b"a 1\n\n# TYPE a gauge\nb{ 2\n", Format::Text, ParserOptions::default()).unwrap();
    let error = loop {
        if let Err(e) = parser.next_entry() {
            break e;
        }
    };
    let want = "line 4: expected label name, got \"2\" (\"INVALID\") while parsing: \"b{ 2\"";
    assert_eq!(error.to_string(), want);
}

#[test]
fn labels_that_cannot_be_stored_are_errors() {
    let mut labels = model::LabelsBuilder::new();
    for (body, want) in [
        (&b"a{x=\"1\",y=\"\",le=\"2\"} 1"[..], Ok(r#"{__name__="a", le="2", x="1"}"#)),
        (b"a{x=\"1\",x=\"2\"} 1", Err("label name \"x\" is not unique: invalid sample")),
        (b"{\"a\xff\",x=\"1\"} 1", Err(r#"invalid metric name or label names: {__name__="a\xff", x="1"}"#)),
    ] {
        let mut parser = Parser::new(body, Format::Text, ParserOptions::default()).unwrap();
        assert!(matches!(parser.next_entry(), Ok(Some(Entry::Sample(_)))));
        let got = parser.labels(&mut labels).map(|()| labels.build().to_string());
        assert_eq!(got.map_err(|e| e.to_string()), want.map(str::to_owned).map_err(str::to_owned));
    }
}

/// Pieces that meet in bodies, whole and broken.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "foo{a=\"b\"} 1\n",
        "foo 2.5 123\n",
        "foo_bucket{le=\"+Inf\"} 3 # {id=\"x\"} 0.5 12\n",
        "# TYPE foo histogram\n",
        "# TYPE foo counter\n",
        "# HELP foo a \\n b\n",
        "# UNIT foo_s s\n",
        "foo_created 12.5\n",
        "{\"a.b\",\"c.d\"=\"e\"} NaN\n",
        "# EOF\n",
        "\n",
    ]);
    let part = prop::sample::select(vec![
        "foo", "{", "}", "\"", "\\", "=", ",", " ", "\t", "\n", "#", "# ", "1", "a", "\0", "é", "HELP ",
        "TYPE ", ".", "-",
    ]);
    prop_oneof![
        3 => whole.prop_map(|s| s.as_bytes().to_vec()),
        2 => part.prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_and_both_paths_agree(pieces in prop::collection::vec(piece(), 0..8)) {
        check(&pieces.concat());
    }
}
