//! Properties of any input: nothing panics, and what parses prints as what parses to the same
//! tree.

use promql_syntax::ast::{DurationExpr, DurationKind, DurationValue, VectorSelector};
use promql_syntax::series_notation::{parse_series, parse_start_offsets};
use promql_syntax::{Expr, ParseOptions, Span, parse, parse_metric_selector, pretty, tree_json};
use proptest::prelude::*;

/// Pieces that queries are made of, and some that they are not.
const PIECES: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "<",
    "</",
    ">/",
    "=",
    "=~",
    "!~",
    "@",
    ":",
    " ",
    "\n",
    "#",
    "_",
    "x",
    ".",
    "\\",
    "a",
    "a:b",
    "ä",
    "5m",
    "1",
    "0x1f",
    "1e5",
    "1_0",
    "\"a\"",
    "'\\xff'",
    "`b`",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "sum",
    "topk",
    "rate",
    "abs",
    "step()",
    "range()",
    "max_of(",
    "start()",
    "end()",
    "anchored",
    "smoothed",
    "fill(1)",
    "fill_left(2)",
    "and",
    "or",
    "atan2",
    "inf",
    "nan",
    "info",
    "[5m]",
    "[5m:1m]",
    "{a=\"b\"}",
    "stale",
    "{{",
    "}}",
    "sum:",
    "buckets:[",
    "+1x2",
    "@st",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|v| v.concat())
}

/// No infinities: Prometheus prints `Inf ^ a` as `+Inf ^ a`, which is `+(Inf ^ a)`.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u32..1000).prop_map(|n| n.to_string()),
        (0.0..1e6f64).prop_map(|v| v.to_string()),
        (1u32..500).prop_map(|n| format!("{n}m{n}s")),
    ]
}

fn duration() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (1u32..500).prop_map(|n| format!("{n}m")),
        (1u32..500).prop_map(|n| n.to_string()),
        Just("step()".to_owned()),
        Just("range()".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&["+", "*", "/", "^"][..]), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max_of({a}, {b})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

fn modifiers() -> impl Strategy<Value = String> {
    let offset = prop_oneof![
        Just(String::new()),
        (1u32..500).prop_map(|n| format!(" offset -{n}s")),
        // In parentheses the operator behind would be part of the offset.
        duration().prop_map(|d| format!(" offset max_of(1, {d})")),
    ];
    let at = prop_oneof![
        Just(String::new()),
        Just(" @ start()".to_owned()),
        (-10_000i32..10_000).prop_map(|ms| format!(" @ {}", f64::from(ms) / 1000.0)),
    ];
    (offset, at).prop_map(|(offset, at)| offset + &at)
}

fn selector() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["up", "a:b", "sum", "offset", "ö.x", "by"][..]);
    let label = prop::sample::select(&["a", "\"a b\"", "on", "job", "ä"][..]);
    let op = prop::sample::select(&["=", "!=", "=~", "!~"][..]);
    let matcher = (label, op, "[a-z\\\\\"\u{e9}]{0,4}")
        .prop_map(|(l, op, v)| format!("{l}{op}\"{}\"", v.replace('\\', "\\\\\\\\").replace('"', "\\\"")));
    (name, prop::collection::vec(matcher, 0..3), prop::bool::ANY).prop_map(|(name, matchers, braces)| {
        let matchers = matchers.join(",");
        if braces { format!("{{__name__=~\"x.+\",{matchers}}}") } else { format!("{name}{{{matchers}}}") }
    })
}

fn labels() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["a", "job", "\"x-y\"", "by"][..]), 0..3)
        .prop_map(|l| l.join(","))
}

/// Instant vectors.
fn vector() -> impl Strategy<Value = String> {
    let leaf = (selector(), modifiers()).prop_map(|(s, m)| s + &m);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op =
            prop::sample::select(&["+", "-", "*", "%", "^", "atan2", "== bool", ">", "</", "and", "or"][..]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), labels(), labels(), inner.clone()).prop_map(|(a, on, l, b)| {
                let include = if on.is_empty() { l } else { String::new() };
                format!("{a} * on ({on}) group_left ({include}) fill_left(1.5) {b}")
            }),
            (inner.clone(), number()).prop_map(|(a, n)| format!("{a} / {n}")),
            (inner.clone(), labels()).prop_map(|(a, l)| format!("sum without ({l}) ({a})")),
            (inner.clone(), labels(), number()).prop_map(|(a, l, n)| format!("topk({n}, {a}) by ({l})")),
            (inner.clone(), duration(), modifiers()).prop_map(|(a, d, m)| format!("rate(({a})[{d}:{d}]{m})")),
            (selector(), duration(), modifiers()).prop_map(|(s, d, m)| format!("rate({s}[{d}]{m})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.prop_map(|a| format!("label_replace({a}, \"a\", '\\'\\n', `b`, \"\")")),
        ]
    })
}

fn clear_duration(d: &mut DurationExpr) {
    d.span = Span::default();
    match &mut d.kind {
        DurationKind::Literal(n) => n.span = Span::default(),
        DurationKind::Step | DurationKind::Range => {}
        DurationKind::MinOf(a, b) | DurationKind::MaxOf(a, b) | DurationKind::Binary(_, a, b) => {
            clear_duration(a);
            clear_duration(b);
        }
        DurationKind::Unary(_, a) => clear_duration(a),
    }
}

fn clear_value(d: Option<&mut DurationValue>) {
    if let Some(DurationValue::Expr(e)) = d {
        clear_duration(e);
    }
}

fn clear_selector(v: &mut VectorSelector) {
    v.span = Span::default();
    clear_value(v.offset.as_mut());
    v.matchers.sort_by_key(ToString::to_string);
}

/// Forgets what printing does not keep: positions, and the order of matchers.
fn normalise(expr: &mut Expr) {
    match expr {
        Expr::Number(n) => n.span = Span::default(),
        Expr::String(s) => s.span = Span::default(),
        Expr::Vector(v) => clear_selector(v),
        Expr::Matrix(m) => {
            m.span = Span::default();
            clear_selector(&mut m.selector);
            clear_value(Some(&mut m.range));
        }
        Expr::Subquery(s) => {
            s.span = Span::default();
            clear_value(Some(&mut s.range));
            clear_value(s.step.as_mut());
            clear_value(s.offset.as_mut());
        }
        Expr::Aggregate(a) => a.span = Span::default(),
        Expr::Binary(b) => b.span = Span::default(),
        Expr::Unary(u) => u.span = Span::default(),
        Expr::Call(c) => c.span = Span::default(),
        Expr::Paren(p) => p.span = Span::default(),
    }
    expr.for_each_child_mut(normalise);
}

fn normalised(query: &str) -> Expr {
    let mut expr = parse(query, &ParseOptions::all()).unwrap_or_else(|e| panic!("{query}: {e}"));
    normalise(&mut expr);
    expr
}

/// All that may be done with some text.
fn use_all(text: &str) {
    for options in [ParseOptions::all(), ParseOptions::default()] {
        if let Ok(expr) = parse(text, &options) {
            expr.walk(&mut |e| assert!(text.get(e.span().start..e.span().end).is_some(), "{text}"));
            assert!(parse(&expr.to_string(), &ParseOptions::all()).is_ok(), "{text} prints as {expr}");
            let _ = pretty(&expr);
            let tree = serde_json::from_slice::<serde_json::Value>(&tree_json(&expr));
            assert!(tree.is_ok(), "{text}");
        }
        let _ = parse_metric_selector(text, &options);
        let _ = parse_series(text, &options);
    }
    let _ = parse_start_offsets(text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,40}") {
        use_all(&text);
    }

    #[test]
    fn any_pieces(text in soup()) {
        use_all(&text);
        use_all(&format!("up {text}"));
        use_all(&format!("up{{{text}"));
        use_all(&format!("up[{text}"));
        use_all(&format!("\"{text}"));
        use_all(&format!("up {{{{{text}"));
    }

    #[test]
    fn printed_means_the_same(query in vector()) {
        let expr = normalised(&query);
        prop_assert_eq!(&normalised(&expr.to_string()), &expr);
        prop_assert_eq!(&normalised(&pretty(&expr)), &expr);
    }
}
