//! What queries print as, and that what is printed means the same.

use promql_syntax::{Expr, ParseOptions, parse, pretty, tree_json};

fn parsed(query: &str) -> Expr {
    parse(query, &ParseOptions::all()).unwrap_or_else(|e| panic!("{query}: {e}"))
}

#[track_caller]
fn check(query: &str, printed: &str) {
    assert_eq!(parsed(query).to_string(), printed);
    assert_eq!(parsed(printed).to_string(), printed, "printed again");
}

#[test]
fn literals() {
    check("1", "1");
    check("-0", "-0");
    check("0x1F", "31");
    check("017", "15");
    check("1_000.5", "1000.5");
    check("1e21", "1000000000000000000000");
    check(".5e-3", "0.0005");
    check("inf", "+Inf");
    check("-iNf", "-Inf");
    check("nAn", "NaN");
    check("5m", "5m");
    check("1h30m", "1h30m");
    check("-90m", "-1h30m");
    check("14d", "2w");
    check("'it\\'s'", "\"it's\"");
    check(r#""tab\there \x41 \u00e9 \101""#, r#""tab\there A é A""#);
    check("`raw \\n`", r#""raw \\n""#);
    check(r#""\xff""#, r#""\xff""#);
}

#[test]
fn selectors() {
    check("up", "up");
    check("a:b:c", "a:b:c");
    check(r#"up{ job = "x" , a!='y', }"#, r#"up{a!="y",job="x"}"#);
    check(r#"{__name__=~"a.*"}"#, r#"{__name__=~"a.*"}"#);
    check(r#"{"up", "x-y"="z"}"#, r#"{"x-y"="z",__name__="up"}"#);
    check(r#"{"up", "x.y"="z"}"#, r#"{__name__="up",x.y="z"}"#);
    check(r#"{"a.b.c"}"#, r#"{__name__="a.b.c"}"#);
    check("up{}", "up");
    check("ö{ä.b=\"c\"}", "ö{ä.b=\"c\"}");
    check("up offset 5m", "up offset 5m");
    check("up offset -90s", "up offset -1m30s");
    check("up offset 1.5", "up offset 1s500ms");
    check("up offset 0s", "up");
    check("up @ 1609746000.1234", "up @ 1609746000.123");
    check("up @ -5m", "up @ -300.000");
    check("up @ start() offset 1m", "up @ start() offset 1m");
    check("up offset 1m @ end()", "up @ end() offset 1m");
    check("up anchored", "up anchored");
    check("up smoothed @ 5", "up @ 5.000 smoothed");
    check("up[5m]", "up[5m]");
    check("up[300]", "up[5m]");
    check("up[5m] smoothed offset 1m @ 3", "up[5m] smoothed @ 3.000 offset 1m");
    check("up[5m:]", "up[5m:]");
    check("up[5m:1m] @ start() offset -1m", "up[5m:1m] @ start() offset -1m");
    check("(up + 1)[1h:5m]", "(up + 1)[1h:5m]");
}

#[test]
fn names_are_quoted_where_the_plain_syntax_needs_it() {
    let plain = |query: &str| parse(query, &ParseOptions::default()).unwrap().to_string();
    assert_eq!(plain(r#"{"up", "x.y"="z"}"#), r#"{"x.y"="z",__name__="up"}"#);
    assert_eq!(plain(r#"sum by ("x.y", a) (b)"#), r#"sum by ("x.y", a) (b)"#);
}

#[test]
fn keywords_as_names() {
    for name in ["sum", "by", "offset", "and", "fill", "step", "start", "anchored", "without", "topk"] {
        check(name, name);
        check(&format!("{name} + {name}"), &format!("{name} + {name}"));
        check(&format!("{name}{{a=\"b\"}}"), &format!("{name}{{a=\"b\"}}"));
    }
    check("sum by (by, sum, on, offset, start) (x)", "sum by (by, sum, on, offset, start) (x)");
    check(r#"up{sum="1",by="2",on="3"}"#, r#"up{by="2",on="3",sum="1"}"#);
    check("SUM BY (a) (x)", "sum by (a) (x)");
    check("a AND b", "a and b");
    check("fill_left + fill(1) fill_right", "fill_left + fill (1) fill_right");
}

#[test]
fn duration_expressions() {
    check("up[5m*2]", "up[5m * 2]");
    check("up[(5m)]", "up[(5m)]");
    check("up[--5m]", "up[5m]");
    check("up[-5m + 10m]", "up[-5m + 10m]");
    check("up[2^3^2]", "up[2 ^ 3 ^ 2]");
    check("up[STEP()]", "up[step()]");
    check("up[max_of(step(), 1m):range()/10]", "up[max_of(step(), 1m):range() / 10]");
    check("up offset step()", "up offset step()");
    check("up offset -(5m*2)", "up offset -(5m * 2)");
    check("up offset (5m) * 2", "up offset (5m) * 2");
    check("up offset min_of(1m, 2m) + 3", "up offset min_of(1m, 2m) + 3");
    assert!(matches!(parsed("up offset min_of(1m, 2m) + 3"), Expr::Binary(_)));
    assert!(matches!(parsed("up offset -2^2"), Expr::Binary(_)));
    assert!(matches!(parsed("up offset (2)^2"), Expr::Vector(_)));
}

#[test]
fn aggregations_and_calls() {
    check("sum(up)", "sum(up)");
    check("sum by () (up)", "sum(up)");
    check("sum without () (up)", "sum without () (up)");
    check("sum(up) by (a,b,)", "sum by (a, b) (up)");
    check(r#"sum by ("a b", c) (up)"#, r#"sum by ("a b", c) (up)"#);
    check("topk by (a) (5, up)", "topk by (a) (5, up)");
    check(r#"count_values("v", up)"#, r#"count_values("v", up)"#);
    check("limit_ratio(0.5, up)", "limit_ratio(0.5, up)");
    check("rate(up[5m])", "rate(up[5m])");
    check("time()", "time()");
    check("step() + range() - max_of(1, end())", "step() + range() - max_of(1, end())");
    check(r#"info(up, {a="b"})"#, r#"info(up, {a="b"})"#);
    check(r#"info(up, {a=""})"#, r#"info(up, {a=""})"#);
    check("round(up)", "round(up)");
    check(r#"label_join(up, "a", "b")"#, r#"label_join(up, "a", "b")"#);
}

#[test]
fn operators() {
    check("a+b*c^d", "a + b * c ^ d");
    check("(a+b)*c", "(a + b) * c");
    check("-a^2", "-a ^ 2");
    check("- 1", "-1");
    check("+a", "+a");
    check("1 - -1", "1 - -1");
    check("a == bool b", "a == bool b");
    check("1 > bool 2", "1 > bool 2");
    check("a </ 5 >/ 3", "a </ 5 >/ 3");
    check("a atan2 b", "a atan2 b");
    check("a and on(x) b", "a and on (x) b");
    check("a unless ignoring(x) b", "a unless ignoring (x) b");
    check("a or b", "a or b");
    check("a / on(x,y) group_left(z) b", "a / on (x, y) group_left (z) b");
    check("a / ignoring(x) group_right b", "a / ignoring (x) group_right () b");
    check("a + on() b", "a + on () b");
    check("a + ignoring() b", "a + b");
    check("a + fill(0) b", "a + fill (0) b");
    check("a + fill_left(1e6) fill_right(-5m) b", "a + fill_left (1e+06) fill_right (-300) b");
    check("a + fill_right(1) fill_left(1) b", "a + fill (1) b");
    check("a # comment\n+ b # comment", "a + b");
}

#[test]
fn precedence() {
    let top = |query: &str| match parsed(query) {
        Expr::Binary(b) => (b.lhs.to_string(), b.op.to_string(), b.rhs.to_string()),
        other => panic!("{query} is no binary operation but {other}"),
    };
    let s = |a: &str, op: &str, b: &str| (a.to_owned(), op.to_owned(), b.to_owned());
    assert_eq!(top("a or b and c"), s("a", "or", "b and c"));
    assert_eq!(top("a and b unless c"), s("a and b", "unless", "c"));
    assert_eq!(top("a == b + c"), s("a", "==", "b + c"));
    assert_eq!(top("a - b - c"), s("a - b", "-", "c"));
    assert_eq!(top("a % b atan2 c"), s("a % b", "atan2", "c"));
    assert_eq!(top("a ^ b ^ c"), s("a", "^", "b ^ c"));
    assert_eq!(top("-a * b"), s("-a", "*", "b"));
    assert_eq!(top("a * -b ^ c"), s("a", "*", "-b ^ c"));
    assert_eq!(top("a ^ -b * c"), s("a ^ -b", "*", "c"));
}

#[test]
fn spans_point_into_the_query() {
    let query = " sum by (a) ( rate(up{a=\"b\"}[5m] offset 1m) ) / -(c)";
    let expr = parsed(query);
    let mut found = Vec::new();
    expr.walk(&mut |e| found.push(&query[e.span().start..e.span().end]));
    assert_eq!(
        found,
        [
            "sum by (a) ( rate(up{a=\"b\"}[5m] offset 1m) ) / -(c)",
            "sum by (a) ( rate(up{a=\"b\"}[5m] offset 1m) )",
            "rate(up{a=\"b\"}[5m] offset 1m)",
            "up{a=\"b\"}[5m] offset 1m",
            "-(c)",
            "(c)",
            "c",
        ]
    );
}

#[test]
fn long_queries_are_split() {
    let short = "sum by (job) (rate(requests_total{code=~\"5..\"}[5m]))";
    assert_eq!(pretty(&parsed(short)), short);
    let long = format!("topk by (x) (5, {short}) / on(job) group_left(a) -({short} > bool {short})");
    assert_eq!(
        pretty(&parsed(&long)),
        r#"  topk by (x) (5, sum by (job) (rate(requests_total{code=~"5.."}[5m])))
/ on (job) group_left (a)
  -(
      sum by (job) (rate(requests_total{code=~"5.."}[5m]))
    > bool
      sum by (job) (rate(requests_total{code=~"5.."}[5m]))
  )"#
    );
    let selector = format!("a_rather_long_metric_name_total{{label_one=\"{}\"}}", "x".repeat(60));
    assert_eq!(
        pretty(&parsed(&format!("label_replace(quantile(0.9, {selector}), \"a\", \"b\", \"c\", \"d\")"))),
        format!(
            "label_replace(\n  quantile(\n    0.9,\n    {selector}\n  ),\n  \"a\",\n  \"b\",\n  \"c\",\n  \"d\"\n)"
        )
    );
    assert_eq!(
        pretty(&parsed(&format!("max_over_time(({selector})[1h:5m] offset 1m)"))),
        format!("max_over_time(\n  (\n    {selector}\n  )[1h:5m] offset 1m\n)")
    );
}

#[test]
fn trees_as_json() {
    let json = |query: &str| String::from_utf8(tree_json(&parsed(query))).unwrap();
    assert_eq!(json("5m"), r#"{"type":"numberLiteral","val":"300"}"#);
    assert_eq!(json(r#""a<b\xff\n""#), r#"{"type":"stringLiteral","val":"a\u003cb\ufffd\n"}"#);
    assert_eq!(
        json(r#"up{a!~"b"}[5m] @ 1.5 offset step()"#),
        concat!(
            r#"{"anchored":false,"matchers":[{"name":"a","type":"!~","value":"b"},"#,
            r#"{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"#,
            r#""offsetExpr":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"#,
            r#""range":300000,"rangeExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":1500,"#,
            r#""type":"matrixSelector"}"#
        )
    );
    assert_eq!(
        json("-1 > bool time()"),
        concat!(
            r#"{"bool":true,"lhs":{"type":"numberLiteral","val":"-1"},"matching":null,"op":"\u003e","#,
            r#""rhs":{"args":[],"func":{"argTypes":[],"name":"time","returnType":"scalar","variadic":0},"#,
            r#""type":"call"},"type":"binaryExpr"}"#
        )
    );
    let matching = concat!(
        r#""matching":{"card":"many-to-one","fillValues":{"lhs":null,"rhs":0.5},"#,
        r#""include":["z"],"labels":["x"],"on":true}"#
    );
    assert!(json("a / on(x) group_left(z) fill_right(0.5) b").contains(matching));
}
