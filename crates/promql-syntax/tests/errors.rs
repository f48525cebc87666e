//! What is said of queries that are wrong, and where.

use promql_syntax::{ParseOptions, parse, parse_metric_selector};

/// The first error, as users see it.
fn first_error(query: &str, options: &ParseOptions) -> String {
    match parse(query, options) {
        Ok(expr) => panic!("{query} parses as {expr}"),
        Err(e) => e.to_string(),
    }
}

#[track_caller]
fn check(query: &str, position: &str, message: &str) {
    let want = format!("{position}: parse error: {message}");
    assert_eq!(first_error(query, &ParseOptions::all()), want, "{query}");
}

#[test]
fn nothing_to_parse() {
    check("", "unknown position", "no expression found in input");
    check("  ", "1:1", "no expression found in input");
    check("# only a comment", "1:1", "no expression found in input");
}

#[test]
fn characters() {
    check("a$", "1:2", "unexpected character: '$'");
    check("!a", "1:1", "unexpected character after '!': 'a'");
    check("a =~ b", "1:3", "unexpected character after '=': '~'");
    check("a)", "1:3", "unexpected right parenthesis ')'");
    check("(a", "1:3", "unclosed left parenthesis");
    check("a]", "1:2", "unexpected right bracket ']'");
    check("a[5m", "1:5", "unclosed left bracket");
    check("a[", "1:3", "unexpected end of input in duration expression");
    check("a[[", "1:3", "unexpected character in duration expression: '['");
    check("a[5m[", "1:5", "unexpected left bracket '['");
    check("a[:5m]", "1:4", "unexpected colon before duration in duration expression");
    check("a[5m:1m:]", "1:8", "unexpected colon ':'");
    check("a[5m b]", "1:6", "unexpected character: 'b', expected ':'");
    check("a{", "1:3", "unexpected end of input inside braces");
    check("a{{", "1:3", "unexpected left brace '{'");
    check("a{b!c}", "1:4", "unexpected character after '!' inside braces: 'c'");
    check("a{5}", "1:3", "unexpected character inside braces: '5'");
    check("ü-\u{a0}", "1:4", "unexpected character: '\\u00a0'");
    check("5mm", "1:1", "bad number or duration syntax: \"5mm\"");
    check("1..2", "1:1", "bad number or duration syntax: \"1..\"");
    check("1e", "1:1", "bad number or duration syntax: \"1e\"");
}

#[test]
fn strings() {
    check("\"a", "1:1", "unterminated quoted string");
    check("'a\nb'", "1:1", "unterminated quoted string");
    check("`a", "1:1", "unterminated raw string");
    check(r#""\q""#, "1:1", "unknown escape sequence U+0071 'q'");
    check(r#""\'""#, "1:1", "unknown escape sequence U+0027 '''");
    check(r#""\x4z""#, "1:1", "illegal character U+007A 'z' in escape sequence");
    check(r#""\400""#, "1:1", "escape sequence is an invalid Unicode code point");
    check(r#""\ud800""#, "1:1", "escape sequence is an invalid Unicode code point");
    check("\"\\", "1:1", "escape sequence not terminated");
    check("\"\u{fffd}\"", "1:1", "invalid UTF-8 rune");
}

#[test]
fn unexpected_tokens() {
    check("a b", "1:3", "unexpected identifier \"b\"");
    check("a b:c", "1:3", "unexpected metric identifier \"b:c\"");
    check("a 5", "1:3", "unexpected number \"5\"");
    check("a 5m", "1:3", "unexpected duration \"5m\"");
    check("a \"text that is long\"", "1:3", "unexpected string \"\\\"text that\"...");
    check("a = b", "1:3", "unexpected \"=\"");
    check("* a", "1:1", "unexpected <op:*>");
    check("a + ", "1:5", "unexpected end of input");
    check("a + on", "1:7", "unexpected end of input in grouping opts, expected \"(\"");
    check("bool", "1:1", "unexpected <bool>");
    check("a\n + 1\n  sum", "3:3", "unexpected <aggr:sum>");
    check("a(b", "1:4", "unclosed left parenthesis");
    check("sum(a b)", "1:7", "unexpected identifier \"b\" in aggregation");
    check("sum by (x) 5", "1:12", "unexpected number \"5\" in aggregation");
    check("sum by x (a)", "1:8", "unexpected identifier \"x\" in grouping opts, expected \"(\"");
    check("sum by (5) (a)", "1:9", "unexpected number \"5\" in grouping opts, expected label");
    check("sum by (without) (a)", "1:9", "unexpected <without> in grouping opts, expected label");
    check(
        "sum by (a b) (c)",
        "1:11",
        "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
    );
    check("sum by (\"\") (a)", "1:9", "invalid label name for grouping: \"\"");
    check("sum by ('\\xff') (a)", "1:9", "invalid label name for grouping: \"\\xff\"");
    check("sum by (a:b) (c)", "1:9", "invalid label name for grouping: \"a:b\"");
    check("a * on(x) group_left * b", "1:22", "unexpected <op:*> in grouping opts, expected \"(\"");
    check("a + group_left() b", "1:5", "unexpected <group_left>");
    check("a + fill(b) c", "1:10", "unexpected identifier \"b\"");
}

#[test]
fn matchers() {
    check("{=\"b\"}", "1:2", "unexpected \"=\" in label matching, expected identifier or \"}\"");
    check("{a}", "1:3", "unexpected \"}\" in label matching, expected label matching operator");
    check("{a=b}", "1:4", "unexpected identifier \"b\" in label matching, expected string");
    check("{a=\"b\" c}", "1:8", "unexpected identifier \"c\" in label matching, expected \",\" or \"}\"");
    check("{a=\"b\",,}", "1:8", "unexpected \",\" in label matching, expected identifier or \"}\"");
    check("{}", "1:1", "vector selector must contain at least one non-empty matcher");
    check("{a=~\".*\",b=\"\"}", "1:1", "vector selector must contain at least one non-empty matcher");
    check("a{__name__=\"b\"}", "1:1", "metric name must not be set twice: \"a\" or \"b\"");
}

#[test]
fn modifiers() {
    check(
        "a offset",
        "1:9",
        "unexpected end of input in offset, expected number, duration, step(), or range()",
    );
    check("a offset 1m offset 2m", "1:1", "offset may not be set multiple times");
    check("a offset 1e10", "1:10", "duration out of range");
    check("a offset 5h5h", "1:10", "not a valid duration string: \"5h5h\"");
    check("a offset 5hs", "1:10", "unknown unit \"hs\" in duration \"5hs\"");
    let offset = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
    check("sum(a) offset 1m", "1:1", offset);
    check("a @ b", "1:5", "unexpected identifier \"b\" in @, expected timestamp");
    check("a @ start", "1:10", "unexpected end of input in @, expected timestamp");
    check("a @ Inf", "1:1", "timestamp out of bounds for @ modifier: +Inf");
    check("a @ 1 @ 2", "1:1", "@ <timestamp> may not be set multiple times");
    let at =
        "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
    check("(a) @ 1", "1:1", at);
    check("a[0]", "1:3", "duration must be greater than 0");
    check("a[5m/0]", "1:5", "division by zero");
    check("a[5m%0]", "1:5", "modulo by zero");
    check(
        "a[]",
        "1:3",
        "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
    );
    check("a[5m 5m]", "1:6", "unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\"");
    check(
        "a[5m:*]",
        "1:6",
        "unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or \"]\"",
    );
    check("a[5m:5m 5]", "1:9", "unexpected number \"5\" in subquery selector, expected \"]\"");
    check("sum(a)[5m]", "1:7", "ranges only allowed for vector selectors");
    check("a offset 1m [5m]", "1:13", "no offset modifiers allowed before range");
    check("a @ 1 [5m]", "1:7", "no @ modifiers allowed before range");
    check("a anchored smoothed", "1:1", "anchored and smoothed modifiers cannot be used together");
    check("a[5m:] anchored", "1:1", "anchored modifier is not supported for subqueries");
    check("1 smoothed", "1:1", "smoothed modifier not implemented");
}

#[test]
fn types() {
    check("rate(a)", "1:6", "expected type range vector in call to function \"rate\", got instant vector");
    check("abs(1)", "1:5", "expected type instant vector in call to function \"abs\", got scalar");
    check("sum(a[5m])", "1:5", "expected type instant vector in aggregation expression, got range vector");
    check("topk(\"x\", a)", "1:6", "expected type scalar in aggregation parameter, got string");
    check("count_values(5, a)", "1:14", "expected type string in aggregation parameter, got scalar");
    check("a[5m][1h]", "1:6", "ranges only allowed for vector selectors");
    check("a[5m][1h:]", "1:1", "subquery is only allowed on instant vector, got matrix instead");
}

#[test]
fn types_of_operands() {
    check("1[1h:]", "1:1", "subquery is only allowed on instant vector, got scalar instead");
    check(
        "-\"a\"",
        "1:1",
        "unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
    );
    check("a[5m] + 1", "1:1", "binary expression must contain only scalar and instant vector types");
    check("1 + \"a\"", "1:5", "binary expression must contain only scalar and instant vector types");
    check("1 == 1", "1:3", "comparisons between scalars must use BOOL modifier");
    check("a + bool b", "1:3", "bool modifier can only be used on comparison operators");
    check("a and 1", "1:1", "set operator \"and\" not allowed in binary scalar expression");
    check("a + on(x) 1", "1:1", "vector matching only allowed between instant vectors");
    check("a + fill(1) 1", "1:1", "filling in missing series only allowed between instant vectors");
    check("a or fill(1) b", "1:1", "filling in missing series not allowed for set operators");
    check("a and on(x) group_left b", "1:1", "no grouping allowed for \"and\" operation");
    check("a * on(x) group_left(x) b", "1:3", "label \"x\" must not occur in ON and GROUP clause at once");
}

#[test]
fn calls() {
    check("nope(a)", "1:1", "unknown function with name \"nope\"");
    check("RATE(a[5m])", "1:1", "unknown function with name \"RATE\"");
    check("abs()", "1:1", "expected 1 argument(s) in call to \"abs\", got 0");
    check("label_join(a)", "1:1", "expected at least 3 argument(s) in call to \"label_join\", got 1");
    check("round(a, 1, 2)", "1:1", "expected at most 2 argument(s) in call to \"round\", got 3");
    check("abs(a,)", "1:6", "trailing commas not allowed in function call args");
    check("sum()", "1:1", "no arguments for aggregate expression provided");
    check(
        "sum(a, b)",
        "1:1",
        "wrong number of arguments for aggregate expression provided, expected 1, got 2",
    );
    check("topk(a)", "1:1", "wrong number of arguments for aggregate expression provided, expected 2, got 1");
    check("info(a, b)", "1:9", "expected label selectors only, got vector selector instead");
    check("info(a, sum(b))", "1:9", "expected label selectors only");
}

#[test]
fn parts_to_be_switched_on() {
    for (query, want) in [
        ("mad_over_time(a[5m])", "1:1: parse error: function \"mad_over_time\" is not enabled"),
        (
            "limitk(1, a)",
            "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("a + fill(1) b", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
        ("ö", "1:1: parse error: unexpected character: 'ö'"),
        ("a.b", "1:2: parse error: unexpected character: '.'"),
    ] {
        assert_eq!(first_error(query, &ParseOptions::default()), want);
        assert!(parse(query, &ParseOptions::all()).is_ok(), "{query}");
    }
    assert!(parse("sum by (a:b) (c)", &ParseOptions::default()).is_ok());
}

#[test]
fn all_that_is_wrong_in_order() {
    let errors = parse("abs(1) + bool -\"a\"", &ParseOptions::default()).unwrap_err();
    let messages: Vec<_> =
        errors.as_slice().iter().map(|e| (e.position.as_str(), e.message.as_str())).collect();
    assert_eq!(
        messages,
        [
            ("1:5", "expected type instant vector in call to function \"abs\", got scalar"),
            (
                "1:15",
                "unary expression only allowed on expressions of type scalar or instant vector, got \"string\""
            ),
            ("1:8", "bool modifier can only be used on comparison operators"),
            ("1:15", "binary expression must contain only scalar and instant vector types"),
        ]
    );
}

#[test]
fn metric_selectors() {
    let check = |selector: &str, want: &str| {
        let got = match parse_metric_selector(selector, &ParseOptions::default()) {
            Ok(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(e) => e.to_string(),
        };
        assert_eq!(got, want);
    };
    check("up{job=\"a\"}", "job=\"a\" __name__=\"up\"");
    check("{}", "");
    check("{a=~\"x\", b!=\"\"}", "a=~\"x\" b!=\"\"");
    check("", "unknown position: parse error: unexpected end of input");
    check("up offset 5m", "1:4: parse error: unexpected <offset>");
    check("sum(up)", "1:4: parse error: unexpected \"(\"");
    check("1", "1:1: parse error: unexpected number \"1\"");
}
