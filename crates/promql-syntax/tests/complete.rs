//! What can stand at the cursor (`|` in the cases) of unfinished queries.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use promql_syntax::ParseOptions;
use promql_syntax::complete::{Context, ContextKind, complete, complete_json};
use proptest::prelude::*;
use serde_json::Value;

fn at_cursor(marked: &str) -> (String, usize) {
    let cursor = marked.rfind('|').unwrap();
    (format!("{}{}", &marked[..cursor], &marked[cursor + 1..]), cursor)
}

/// A context in a few words: the kind, the text that it replaces in brackets, its details.
fn told(text: &str, context: &Context) -> String {
    let replaced = &text[context.span.start..context.span.end];
    let details = match &context.kind {
        ContextKind::MetricName { quote: None } => "metric".to_owned(),
        ContextKind::MetricName { quote: Some(q) } => format!("metric {q}"),
        ContextKind::LabelName { place, quote, series } => {
            let quote = quote.map(|q| format!(" {q}")).unwrap_or_default();
            format!("label {place:?}{quote} of {}", series.selectors.join(" "))
        }
        ContextKind::LabelValue { label, quote, series } => {
            let quote = quote.map(|q| format!(" {q}")).unwrap_or_default();
            format!("value{quote} of {label} of {}", series.selectors.join(" "))
        }
        ContextKind::Function(_) => "function".to_owned(),
        ContextKind::Aggregation(_) => "aggregation".to_owned(),
        ContextKind::BinaryOperator(_) => "operator".to_owned(),
        ContextKind::MatchOperator(_) => "match".to_owned(),
        ContextKind::Keyword(words) => words.join(" "),
        ContextKind::DurationUnit(_) => "unit".to_owned(),
        ContextKind::Duration => "duration".to_owned(),
        ContextKind::Number => "number".to_owned(),
        _ => "?".to_owned(),
    };
    format!("[{replaced}] {}", details.trim_end())
}

fn check(marked: &str, expected: &[&str]) {
    let (text, cursor) = at_cursor(marked);
    let contexts = complete(&text, cursor, &ParseOptions::all());
    let found: Vec<String> = contexts.iter().map(|c| told(&text, c)).collect();
    assert_eq!(found, expected, "{marked}");
}

const OPERAND: [&str; 3] = ["[] metric", "[] function", "[] aggregation"];
const MODIFIERS: &str = "[] offset @ anchored smoothed";

fn operand_and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&OPERAND[..], more].concat()
}

#[test]
fn operands() {
    check("|", &OPERAND);
    check(" |", &OPERAND);
    check("ra|", &["[ra] metric", "[ra] function", "[ra] aggregation"]);
    check("ra|te", &["[rate] metric", "[rate] function", "[rate] aggregation"]);
    check("sum|", &["[sum] metric", "[sum] function", "[sum] aggregation"]);
    check("a:b|", &["[a:b] metric", "[a:b] function", "[a:b] aggregation"]);
    check("sum(|", &OPERAND);
    check("sum(|)", &OPERAND);
    check("(up + |", &operand_and(&["[] on ignoring fill fill_left fill_right"]));
    check("-|", &OPERAND);
    check("rate(|)", &OPERAND);
    check("rate(up[5m]), |", &OPERAND);
    check("topk(|", &operand_and(&["[] number"]));
    check("topk(5, |", &OPERAND);
    check("count_values(|", &OPERAND);
    check("histogram_quantile(|", &operand_and(&["[] number"]));
    check("histogram_quantile(0.9, |", &OPERAND);
    check("5|", &["[5] number", "[] unit"]);
    check("5m3|", &["[5m3] number", "[] unit"]);
    check("up > 1e|", &["[1e] number"]);
    check(") |", &OPERAND);
}

#[test]
fn behind_an_operand() {
    check("up |", &["[] operator", MODIFIERS]);
    check("up o|", &["[o] operator", "[o] offset @ anchored smoothed"]);
    check("up{a=\"b\"} |", &["[] operator", MODIFIERS]);
    check("up{a=\"b\"}|", &["[] operator", MODIFIERS]);
    check("up offset 5m |", &["[] operator", "[] @ anchored smoothed"]);
    check("up @ end() |", &["[] operator", "[] offset anchored smoothed"]);
    check("up[5m] |", &[MODIFIERS]);
    check("up[5m:] |", &["[] offset @"]);
    check("rate(up[5m]) |", &["[] operator"]);
    check("(up) |", &["[] operator"]);
    check("1 |", &["[] operator"]);
    check("sum(up) |", &["[] operator", "[] by without"]);
    check("sum(up) b|", &["[b] operator", "[b] by without"]);
    check("sum by (a) (up) |", &["[] operator"]);
    check("sum(up) by (a) |", &["[] operator"]);
    check("sum |", &["[] operator", "[] by without"]);
    check("sum b|", &["[b] operator", "[b] by without"]);
    check("sum by |", &[]);
    check("up =|", &["[=] operator"]);
    check("up !|", &["[!] operator"]);
}

#[test]
fn behind_an_operator() {
    let fill = "fill fill_left fill_right";
    check("a + |", &operand_and(&[&format!("[] on ignoring {fill}")]));
    check("a == |", &operand_and(&[&format!("[] bool on ignoring {fill}")]));
    check("a == bool |", &operand_and(&[&format!("[] on ignoring {fill}")]));
    check("a and |", &operand_and(&["[] on ignoring"]));
    check("a * on (x) |", &operand_and(&[&format!("[] group_left group_right {fill}")]));
    check("a and on (x) |", &OPERAND);
    check("a * on (x) group_left (y) |", &operand_and(&[&format!("[] {fill}")]));
    check("a + fill(|", &["[] number"]);
    check("a + on |", &[]);
    let behind_greater = operand_and(&["[] bool on ignoring fill fill_left fill_right"]);
    check("a >|", &[&["[>] operator"][..], &behind_greater].concat());
    check("a + 5|", &["[5] number", "[] unit"]);
}

#[test]
fn matchers() {
    check("{|", &["[] label Matcher of"]);
    check("up{|", &["[] label Matcher of {__name__=\"up\"}"]);
    check("up{jo|", &["[jo] label Matcher of {__name__=\"up\"}"]);
    check("up{jo|b=\"x\"}", &["[job] label Matcher of {__name__=\"up\"}"]);
    check("up{a=\"b\", |}", &["[] label Matcher of {__name__=\"up\",a=\"b\"}"]);
    check("up{|, a=~\"b.*\"}", &["[] label Matcher of {__name__=\"up\",a=~\"b.*\"}"]);
    check("{a=\"\", |}", &["[] label Matcher of"]);
    check("sum{|", &["[] label Matcher of {__name__=\"sum\"}"]);
    check("{\"a b\", |", &["[] label Matcher of {__name__=\"a b\"}"]);
    check("{\"a|\"}", &["[a] metric \"", "[a] label Matcher \" of"]);
    check("up{job |", &["[] match"]);
    check("up{job=|", &["[=] match", "[] value of job of {__name__=\"up\"}"]);
    check("up{job=~|", &["[=~] match", "[] value of job of {__name__=\"up\"}"]);
    check("up{job!|", &["[!] match"]);
    check("up{job=\"|", &["[] value \" of job of {__name__=\"up\"}"]);
    check("up{job=\"|\"}", &["[] value \" of job of {__name__=\"up\"}"]);
    check("up{job='x|y'}", &["[xy] value ' of job of {__name__=\"up\"}"]);
    check("up{job=\"x|", &["[x] value \" of job of {__name__=\"up\"}"]);
    check("up{job=x|", &["[x] value of job of {__name__=\"up\"}"]);
    check("up{job=~\"a\\.|\"}", &["[a\\.] value \" of job of {__name__=\"up\"}"]);
    check("up{\"a b\"=\"|\", c=\"d\"}", &["[] value \" of a b of {__name__=\"up\",c=\"d\"}"]);
    check("{__name__=\"|\"}", &["[] value \" of __name__ of"]);
    check("up{a=\"b\"|}", &[]);
}

#[test]
fn lists_of_labels() {
    check("sum by (|", &["[] label Grouping of"]);
    check("sum by (|) (up)", &["[] label Grouping of {__name__=\"up\"}"]);
    check("sum by (a, b|) (up{x=\"y\"})", &["[b] label Grouping of {__name__=\"up\",x=\"y\"}"]);
    check("topk by (|) (5, up)", &["[] label Grouping of {__name__=\"up\"}"]);
    let both = "[] label Grouping of {__name__=\"a\"} {__name__=\"b\"}";
    check("sum(rate(a[5m]) / b) by (|", &[both]);
    check("x + sum(rate(a[5m]) / on (j) b) without (|)", &[both]);
    check("sum by (\"a|\") (up)", &["[a] label Grouping \" of {__name__=\"up\"}"]);
    check("a * on (|) b", &["[] label Matching of {__name__=\"a\"} {__name__=\"b\"}"]);
    check("a * on (|", &["[] label Matching of {__name__=\"a\"}"]);
    check("f(x, a * on (|) b, y)", &["[] label Matching of {__name__=\"a\"} {__name__=\"b\"}"]);
    check("a * on (x) group_left (|) b", &["[] label Include of {__name__=\"b\"}"]);
    check("a * on (x) group_right (|) b", &["[] label Include of {__name__=\"a\"}"]);
    check("sum by (a |)", &[]);
}

#[test]
fn arguments() {
    check("label_replace(up, \"|\")", &["[] label Argument \" of {__name__=\"up\"}"]);
    check("label_replace(up, \"a\", \"|\")", &[]);
    check("label_join(up, \"a\", \",\", \"b\", \"|", &["[] label Argument \" of {__name__=\"up\"}"]);
    check("count_values(\"|\", up)", &[]);
}

#[test]
fn durations_and_times() {
    let words = "[] step() range() min_of max_of";
    check("up[|", &["[] duration", words]);
    check("up[|]", &["[] duration", words]);
    check("up[5|]", &["[5] duration", "[] unit"]);
    check("up[5m|]", &["[5m] duration", "[m] unit"]);
    check("up[5m:|]", &["[] duration", words]);
    check("up[5m + |]", &["[] duration", words]);
    check("up[(|", &["[] duration", words]);
    check("up[st|", &["[st] duration", "[st] step() range() min_of max_of"]);
    check("up offset |", &["[] duration", words]);
    check("up offset -5|", &["[5] duration", "[] unit"]);
    check("up offset (|", &["[] duration", words]);
    check("up @ |", &["[] start() end()", "[] number"]);
    check("up @ st|", &["[st] start() end()", "[st] number"]);
    check("up @ start(|", &[]);
}

#[test]
fn comments() {
    check("up # by |", &[]);
    check("up # by \n|", &["[] operator", MODIFIERS]);
    check("#|", &[]);
}

#[test]
fn what_is_broken_is_passed_over() {
    check("up ) + ) |", &operand_and(&["[] on ignoring fill fill_left fill_right"]));
    check("sum(rate(up[5m]) by (|", &["[] label Grouping of {__name__=\"up\"}"]);
    check("$ up{a=\"b\"} + {|", &["[] label Matcher of"]);
    check("up{a=\"\\q\", |", &["[] label Matcher of {__name__=\"up\"}"]);
}

#[test]
fn options_are_kept() {
    let words = |options: &ParseOptions| complete_json("x + ", 4, false, options);
    assert!(words(&ParseOptions::all()).contains("limitk"));
    assert!(words(&ParseOptions::all()).contains("mad_over_time"));
    assert!(words(&ParseOptions::all()).contains("fill_left"));
    for word in ["limitk", "mad_over_time", "fill_left"] {
        assert!(!words(&ParseOptions::default()).contains(word), "{word}");
    }
}

#[test]
fn positions_count_bytes_or_utf16() {
    let text = "{a=\"𝄞é\"} + sum(x) by (b";
    let json = |cursor, utf16| -> Value {
        serde_json::from_str(&complete_json(text, cursor, utf16, &ParseOptions::all())).unwrap()
    };
    let in_value = json(6, true);
    assert_eq!((&in_value[0]["from"], &in_value[0]["to"]), (&4.into(), &7.into()));
    let in_value = json(8, false);
    assert_eq!((&in_value[0]["from"], &in_value[0]["to"]), (&4.into(), &10.into()));
    // Within a pair of surrogates, and within a character.
    assert_eq!(json(5, true), json(4, true));
    assert_eq!(json(6, false), json(4, false));
    assert_eq!(json(usize::MAX, true)[0]["place"], "grouping");
    assert_eq!(
        json(4, true).to_string(),
        "[{\"from\":4,\"kind\":\"labelValue\",\"label\":\"a\",\"metric\":null,\"quote\":\"\\\"\",\"selectors\":[],\"to\":7}]"
    );
}

/// A text a hundred times as long takes far from 10,000 times as long, on a busy machine, too.
#[test]
fn hostile_texts_take_linear_time() {
    let units = [
        "'",
        "\"\\q",
        "`",
        "(",
        "[s",
        "[ssss",
        "{",
        "{\"a\",",
        "sum by (",
        "a[",
        ")",
        "}",
        "]",
        "1.1.",
        "é",
        "a ",
        "fill ",
        "a{b=~\".+\"}+",
        "on(",
        "{a=",
        "offset ",
        "\u{fffd}\"",
        "sum(a)by(b)+",
        "x*on(",
    ];
    for unit in units {
        let (short, long) = (unit.repeat(2_000), unit.repeat(200_000));
        let time = |text: &str| {
            let started = std::time::Instant::now();
            let found = complete_json(text, text.len(), true, &ParseOptions::all());
            assert!(found.starts_with('['), "{unit}");
            started.elapsed().as_secs_f64()
        };
        let once = (0..5).map(|_| time(&short)).fold(f64::MAX, f64::min);
        let many = time(&long);
        assert!(many < 2_500.0 * once + 0.5, "{unit}: {once} s and {many} s");
    }
}

/// Nothing panics, and spans lie around the cursor.
fn holds(text: &str, cursor: usize) {
    for options in [ParseOptions::all(), ParseOptions::default()] {
        for context in complete(text, cursor, &options) {
            let span = context.span;
            assert!(text.get(span.start..span.end).is_some(), "{text:?} {cursor}");
            let inside = cursor.min(text.len());
            let units = matches!(context.kind, ContextKind::DurationUnit(_));
            assert!(units || (span.start <= inside && inside < span.end + 4), "{text:?} {cursor} {span:?}");
        }
        let json = complete_json(text, cursor, true, &options);
        assert!(serde_json::from_str::<Value>(&json).is_ok(), "{text:?} {cursor}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,40}", cursor in 0usize..60) {
        holds(&text, cursor);
    }

    #[test]
    fn any_characters_of_the_language(text in "[a-f\"'`\\\\(){}\\[\\],=!~<>@:+#5m. \né𝄞]{0,60}") {
        (0..=text.len()).for_each(|cursor| holds(&text, cursor));
    }

    #[test]
    fn any_words(
        words in prop::collection::vec(
            prop::sample::select(&["sum", "by", "(", ")", "{", "}", "[", "]", "a", "\"b\"", "=", ",", "+", "on", "ignoring",
                "group_left", "offset", "@", "start", "5m", "5", ":", "fill", "bool", "==", "rate", "#", "\n", "'", "label_replace", "topk"][..]),
            0..24,
        ),
        space in prop::bool::ANY,
    ) {
        let text = words.join(if space { " " } else { "" });
        (0..=text.len()).for_each(|cursor| holds(&text, cursor));
    }
}
