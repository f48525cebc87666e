//! Label matchers set and deleted in every selector of a query.
#![allow(clippy::unwrap_used)]

use model::{MatchOp, Matcher};
use promql_syntax::edit::{delete_label_matchers, match_op, set_label_matcher};
use promql_syntax::{ParseOptions, parse};

fn set(query: &str, name: &str, op: &str, value: &str, expected: &str) {
    let mut expr = parse(query, &ParseOptions::all()).unwrap();
    set_label_matcher(&mut expr, &Matcher::new(match_op(op).unwrap(), name, value).unwrap());
    assert_eq!(expr.to_string(), expected, "{query}");
}

fn delete(query: &str, name: &str, expected: &str) {
    let mut expr = parse(query, &ParseOptions::all()).unwrap();
    delete_label_matchers(&mut expr, name);
    assert_eq!(expr.to_string(), expected, "{query}");
}

#[test]
fn a_matcher_is_set_in_every_selector() {
    set("up", "job", "=", "a", "up{job=\"a\"}");
    set("up{job!=\"b\",x=\"y\"}", "job", "=~", "a|b", "up{job=~\"a|b\",x=\"y\"}");
    set("up{job=\"a\",job!=\"b\"}", "job", "=", "c", "up{job=\"c\",job=\"c\"}");
    set("rate(a[5m]) / sum(b offset 1m)", "j", "!=", "", "rate(a{j!=\"\"}[5m]) / sum(b{j!=\"\"} offset 1m)");
    set("info(a, {b=\"c\"})", "x", "=", "y", "info(a{x=\"y\"}, {b=\"c\",x=\"y\"})");
    set("max_over_time((a)[5m:])", "x y", "!~", "z", "max_over_time((a{\"x y\"!~\"z\"})[5m:])");
    set("up", "__name__", "=", "b", "up{__name__=\"b\"}");
    set("{__name__=~\"a.*\"}", "__name__", "=", "b", "{__name__=\"b\"}");
    set("1 + 2", "job", "=", "a", "1 + 2");
}

#[test]
fn matchers_are_deleted_in_every_selector() {
    delete("up{job=\"a\",x=\"y\"} / b{job!=\"a\"}", "job", "up{x=\"y\"} / b");
    delete("up{job=\"a\",job!=\"b\",c=\"d\",job=~\"e\"}", "job", "up{c=\"d\"}");
    delete("rate(up{job=\"a\"}[5m] @ end())", "job", "rate(up[5m] @ end())");
    delete("up{job=\"a\"}", "__name__", "up{job=\"a\"}");
    delete("up", "job", "up");
}

#[test]
fn operators_are_known_by_their_text() {
    assert_eq!(match_op("=~"), Some(MatchOp::Regex));
    assert_eq!(match_op("=="), None);
}
