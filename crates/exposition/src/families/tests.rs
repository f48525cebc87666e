//! What becomes of texts, and why others are refused.
#![allow(clippy::unwrap_used)]

use super::*;

fn plain(labels: &[(&str, &str)], v: f64, t: Option<i64>) -> TextMetric {
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    TextMetric { labels, timestamp_ms: t, value: TextValue::Plain(v) }
}

#[test]
fn families_in_order_of_their_names() {
    let text = "\
# a remark
#
# HELP
# HELP z What \\\\ it\\nmeans \\\"here\\\".
# TYPE z counter
z{b=\"2\",a=\"q\\\"\\\\\\n\"} 1e3 17

# TYPE nothing gauge
  untyped\t -Inf
{\"dotted.name\", \"label.name\"=\"x\"} 5
{l=\"v\",\"second\"} 6
z 2
";
    let families = parse_families(text.as_bytes()).unwrap();
    let family = |name: &str, help: &str, kind, metrics| TextFamily {
        name: name.to_owned(),
        help: help.to_owned(),
        kind,
        metrics,
    };
    let counters = vec![plain(&[("b", "2"), ("a", "q\"\\\n")], 1000.0, Some(17)), plain(&[], 2.0, None)];
    assert_eq!(
        families,
        [
            family("dotted.name", "", FamilyKind::Untyped, vec![plain(&[("label.name", "x")], 5.0, None)]),
            family("second", "", FamilyKind::Untyped, vec![plain(&[("l", "v")], 6.0, None)]),
            family("untyped", "", FamilyKind::Untyped, vec![plain(&[], f64::NEG_INFINITY, None)]),
            family("z", "What \\ it\nmeans \"here\".", FamilyKind::Counter, counters),
        ]
    );
}

#[test]
fn summaries_and_histograms_are_one_metric() {
    let text = "\
# TYPE s summary
s{quantile=\"0.5\"} 4
s{quantile=\"0.9\"} 9
s_sum 10.5
s_count 3.7
s_count{a=\"b\"} 2
s_bucket 1
# TYPE h histogram
h_bucket{le=\"0.5\",a=\"x\"} 1
h_bucket{a=\"x\",le=\"+Inf\"} 2.5 99
h_count{a=\"x\"} 2.5
h_sum{a=\"x\"} -3
# TYPE g gaugehistogram
g_bucket{le=\"1\"} 7
h_created 3
";
    let families = parse_families(text.as_bytes()).unwrap();
    let names: Vec<_> = families.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["g", "h", "h_created", "s", "s_bucket"]);
    let [g, h, _, s, _] = &families[..] else { panic!() };
    assert_eq!(g.kind, FamilyKind::GaugeHistogram);
    let histogram =
        TextValue::Histogram { buckets: vec![(0.5, 1.0), (f64::INFINITY, 2.5)], sum: -3.0, count: 2.5 };
    let labels = vec![("a".to_owned(), "x".to_owned())];
    assert_eq!(h.metrics, [TextMetric { labels, timestamp_ms: Some(99), value: histogram }]);
    let quantiles = vec![(0.5, 4.0), (0.9, 9.0)];
    assert_eq!(s.metrics[0].value, TextValue::Summary { quantiles, sum: 10.5, count: 3 });
    assert_eq!(s.metrics[1].value, TextValue::Summary { quantiles: vec![], sum: 0.0, count: 2 });
}

#[test]
fn what_is_wrong_and_where() {
    for (text, want) in [
        ("a 1", "1: unexpected end of input stream"),
        ("\n\n# TYPE", "3: unexpected end of input stream"),
        ("a 1\n-b 2\n", "2: invalid metric name"),
        ("a{-=\"1\"} 1\n", "1: invalid label name for metric \"a\""),
        ("a{b 1\n", "1: expected '=' after label name, found '1'"),
        ("a{b=1} 1\n", "1: expected '\"' at start of label value, found '1'"),
        ("a{b=\"1\"x} 1\n", "1: unexpected end of label value \"1\""),
        ("a{b=\"1\",b=\"2\"} 1\n", "1: duplicate label names for metric \"a\""),
        ("a{__name__=\"1\"} 1\n", "1: label name \"__name__\" is reserved"),
        ("a{b=\"\\x\"} 1\n", "1: invalid escape sequence '\\x'"),
        ("a{b=\"1\n\"} 1\n", "1: label value \"1\" contains unescaped new-line"),
        ("a{b=\"\u{1}\n\"} 1\n", "1: label value \"\\x01\" contains unescaped new-line"),
        ("a x\n", "1: expected float as value, got \"x\""),
        ("a 0x1p3\n", "1: expected float as value, got \"0x1p3\""),
        ("a 1 \n", "1: expected integer as timestamp, got \"\""),
        ("a 1 2.5\n", "1: expected integer as timestamp, got \"2.5\""),
        ("a 1 2 3\n", "1: spurious string after timestamp: \" 3\""),
        ("# TYPE a b\n", "1: unknown metric type \"b\""),
        (
            "a 1\n# TYPE a gauge\n",
            "2: second TYPE line for metric name \"a\", or TYPE reported after samples",
        ),
        ("# HELP a b\n# HELP a b\n", "2: second HELP line for metric name \"a\""),
        ("# HELP a \\x\n", "1: invalid escape sequence '\\x'"),
        ("# HELP a-b c\n", "1: invalid metric name in comment"),
        ("{} 1\n", "1: invalid metric name"),
        ("{a=\"b\"} 1\n", "1: invalid metric name"),
        ("{\"a\",\"b\"} 1\n", "1: multiple metric names for metric \"a\""),
        ("{\"a\"?} 1\n", "1: unexpected end of metric name '?'"),
        (
            "# TYPE s summary\ns{quantile=\"x\"} 1\n",
            "2: expected float as value for 'quantile' label, got \"x\"",
        ),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} -1\n", "2: negative bucket population for histogram \"h\""),
        ("# TYPE h histogram\nh_count -1\n", "2: negative count for histogram \"h\""),
    ] {
        let got = parse_families(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(got, format!("text format parsing error in line {want}"), "{text:?}");
    }
    assert!(parse_families(b"a{b=\"\xff\"} 1\n").is_err());
    assert_eq!(parse_families(b"").unwrap(), []);
    // A backslash in a type is nothing.
    assert_eq!(parse_families(b"# TYPE a gau\\ge\na 1\n").unwrap()[0].kind, FamilyKind::Gauge);
}
