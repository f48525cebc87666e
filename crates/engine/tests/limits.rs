//! Texts that would take the server's memory or time are refused.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, T0, wait};
use engine::query::QueryTimes;
use engine::{EngineError, ErrorCode};

fn check_selectors(b: &Bench, selectors: Vec<String>) -> Result<(), EngineError> {
    wait(|done| b.engine.check_selectors(selectors, done))
}

#[test]
fn regular_expressions_share_a_bound() {
    let b = Bench::new();
    let many = |n: usize| (0..n).map(|i| format!("a=~\"{i}.{{999}}\""));
    let query = format!("{{{}}}", many(1).collect::<Vec<_>>().join(","));
    b.ask(&query, QueryTimes::Instant(T0)).unwrap();
    let query = format!("{{{}}}", many(100).collect::<Vec<_>>().join(","));
    let e = b.ask(&query, QueryTimes::Instant(T0)).unwrap_err();
    assert_eq!(e.code, ErrorCode::QueryParse);
    assert!(e.message.ends_with("parse error: regular expressions need more than 64 MiB"), "{e}");

    let selectors: Vec<String> = many(100).map(|m| format!("{{{m}}}")).collect();
    let e = check_selectors(&b, selectors.clone()).unwrap_err();
    assert_eq!(e.to_string(), "QUERY_PARSE: the selectors' regular expressions need more than 64 MiB");
    check_selectors(&b, vec![selectors[0].clone(); 10_000]).unwrap();
}

#[test]
fn a_selector_must_select_something() {
    let b = Bench::new();
    check_selectors(&b, Vec::new()).unwrap();
    check_selectors(&b, vec!["up".to_owned(), "{a!=\"\"}".to_owned()]).unwrap();
    for selector in ["{}", "{a=~\".*\"}", "{a=\"\"}"] {
        let e = check_selectors(&b, vec!["up".to_owned(), selector.to_owned()]).unwrap_err();
        assert_eq!(e.to_string(), "QUERY_PARSE: match[] must contain at least one non-empty matcher");
    }
    let e = check_selectors(&b, vec!["up[5m]".to_owned()]).unwrap_err();
    assert_eq!(e.code, ErrorCode::QueryParse);
}
