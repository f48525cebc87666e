//! The notation of series.

use model::histogram::{CounterResetHint, Span};
use model::{FloatHistogram, is_stale_nan};
use promql_syntax::ParseOptions;
use promql_syntax::series_notation::{SeriesItem, parse_series};

fn parsed(series: &str) -> (String, Vec<SeriesItem>) {
    let d = parse_series(series, &ParseOptions::all()).unwrap_or_else(|e| panic!("{series}: {e}"));
    (d.labels.to_string(), d.items)
}

fn float(first: f64, step: Option<f64>, times: u64) -> SeriesItem {
    SeriesItem::Float { first, step, times }
}

#[test]
fn labels() {
    for (series, labels) in [
        ("up 1", r#"{__name__="up"}"#),
        ("up{} 1", r#"{__name__="up"}"#),
        ("{} 1", "{}"),
        (r#"up{b="2", a='1',} 1"#, r#"{__name__="up", a="1", b="2"}"#),
        (r#"{"x y", "a.b"="c"}"#, r#"{__name__="x y", "a.b"="c"}"#),
        (r#"ö{ä="x"} 1"#, r#"{__name__="ö", "ä"="x"}"#),
        ("sum 1", r#"{__name__="sum"}"#),
        ("a:b 1", r#"{__name__="a:b"}"#),
    ] {
        assert_eq!(parsed(series).0, labels, "{series}");
    }
}

#[test]
fn floats() {
    for (items, want) in [
        ("", vec![]),
        ("  ", vec![]),
        ("5 -3.5 +2", vec![float(5.0, None, 0), float(-3.5, None, 0), float(2.0, None, 0)]),
        ("1e3 .5 0x3", vec![float(1000.0, None, 0), float(0.5, None, 0), float(0.0, None, 3)]),
        ("1+2x3", vec![float(1.0, Some(2.0), 3)]),
        ("-1-2x3", vec![float(-1.0, Some(-2.0), 3)]),
        ("Inf -inf 1+Infx0", vec![]),
        ("_ _x3", vec![SeriesItem::Omitted { times: 1 }, SeriesItem::Omitted { times: 3 }]),
        ("_x0", vec![SeriesItem::Omitted { times: 0 }]),
    ] {
        if items.contains("Infx") {
            assert!(parse_series(&format!("up {items}"), &ParseOptions::all()).is_err());
            continue;
        }
        assert_eq!(parsed(&format!("up {items}")).1, want, "{items}");
    }
    match parsed("up stale NaN").1[..] {
        [SeriesItem::Float { first: a, step: None, times: 0 }, SeriesItem::Float { first: b, .. }] => {
            assert!(is_stale_nan(a));
            assert!(b.is_nan() && !is_stale_nan(b));
        }
        ref other => panic!("{other:?}"),
    }
    assert_eq!(parsed("up 1x4").1[0].len(), 5);
    assert_eq!(parsed("up _x4").1[0].len(), 4);
    assert!(parsed("up _x0").1[0].is_empty());
}

#[test]
fn histograms() {
    let (_, items) = parsed(
        "up {{schema:-53 sum:-Inf count:4 custom_values:[5 10] buckets:[1 0 3] n_buckets:[2 ] n_offset:-3 z_bucket:1 z_bucket_w:0.5 offset:2}}x3",
    );
    let histogram = FloatHistogram {
        counter_reset_hint: CounterResetHint::Unknown,
        schema: -53,
        zero_threshold: 0.5,
        zero_count: 1.0,
        count: 4.0,
        sum: f64::NEG_INFINITY,
        positive_spans: vec![Span { offset: 2, length: 3 }],
        negative_spans: vec![Span { offset: -3, length: 1 }],
        positive_buckets: vec![1.0, 0.0, 3.0],
        negative_buckets: vec![2.0],
        custom_values: vec![5.0, 10.0],
    };
    let first = Box::new(histogram);
    assert_eq!(items, [SeriesItem::Histogram { first, step: None, times: 3, hint_given: false }]);

    let (_, items) = parsed("up {{}} {{Sum:1}}-{{sum:2 counter_reset_hint:gauge }}x2");
    match &items[..] {
        [
            SeriesItem::Histogram { first, .. },
            SeriesItem::Histogram { step: Some(step), times: 2, hint_given, .. },
        ] => {
            assert_eq!(**first, FloatHistogram::default());
            assert!(step.subtract && *hint_given);
            assert_eq!(step.histogram.counter_reset_hint, CounterResetHint::Gauge);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors() {
    for (series, want) in [
        ("up $", "1:4: parse error: unexpected character in series sequence: '$'"),
        (
            "up foo",
            "1:4: parse error: unexpected identifier \"foo\" in series values, expected number or \"stale\"",
        ),
        ("up 1x", "1:6: parse error: unexpected end of input in series values"),
        ("up 1+2", "1:7: parse error: unexpected end of input in series values"),
        (
            "up 1x1.5",
            "1:6: parse error: invalid repetition in series values: strconv.ParseUint: parsing \"1.5\": invalid syntax",
        ),
        ("up 1 x3", "1:6: parse error: unexpected \"x\""),
        ("up 5m", "1:4: parse error: bad number syntax: \"5\""),
        ("up{a} 1", "1:5: parse error: unexpected \"}\" in label set, expected \"=\""),
        ("up{a=b} 1", "1:6: parse error: unexpected identifier \"b\" in label set, expected string"),
        ("up{a=\"b\" 1", "1:10: parse error: unexpected character inside braces: '1'"),
        ("up {a=\"b\"} 1", "1:4: parse error: unexpected character in series sequence: '{'"),
        ("5 6", "1:1: parse error: unexpected number \"5\" in series values"),
        ("up {{sum}}", "1:6: parse error: missing `:` for histogram descriptor"),
        ("up {{sum:1 sum:2}}", "1:1: parse error: duplicate key \"sum\" in histogram"),
        ("up {{nope:1}}", "1:6: parse error: bad histogram descriptor found: \"nope\""),
        ("up {{sum:1", "1:11: parse error: histogram description incomplete unexpected: '\u{fffd}'"),
        ("up {{buckets:[1;]}}", "1:16: parse error: invalid character in buckets description: ';'"),
    ] {
        match parse_series(series, &ParseOptions::default()) {
            Ok(d) => panic!("{series} parses as {d:?}"),
            Err(e) => assert_eq!(e.to_string(), want, "{series}"),
        }
    }
}
