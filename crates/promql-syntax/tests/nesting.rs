//! Hostile nesting: neither parsing nor anything done with a tree may exhaust the stack, here
//! that of a test's thread (2 MiB).

use promql_syntax::{DEPTH_MAX, ParseOptions, parse, parse_metric_selector, pretty, tree_json};

fn queries(n: usize) -> Vec<String> {
    vec![
        format!("{}a{}", "(".repeat(n), ")".repeat(n)),
        format!("{}a", "-".repeat(n)),
        format!("{}a{}", "abs(".repeat(n), ")".repeat(n)),
        format!("{}a{}", "sum(".repeat(n), ")".repeat(n)),
        format!("a{}", " + a".repeat(n)),
        format!("a{}", " ^ a".repeat(n)),
        format!("a{}", "[1h:]".repeat(n)),
        format!("a[{}1{}]", "(".repeat(n), ")".repeat(n)),
        format!("a[step(){}]", " + 1".repeat(n)),
        format!("a[2{}]", " ^ 1".repeat(n)),
        format!("a offset {}1{}", "max_of(1, ".repeat(n), ")".repeat(n)),
        format!("a offset {}1", "-".repeat(n)),
        format!("{}a{}", "(1 + ".repeat(n), ")".repeat(n)),
        format!("{}a{}", "(".repeat(n), " + 1)".repeat(n)),
    ]
}

#[test]
fn too_deep_is_an_error() {
    for query in queries(200_000) {
        let errors = parse(&query, &ParseOptions::all()).unwrap_err();
        let last = errors.as_slice().last().unwrap();
        let deep = format!("expression is nested more than {DEPTH_MAX} levels deep");
        // A subquery of a subquery is too deep before it is wrong.
        assert_eq!(last.message, deep, "{}", &query[..20]);
        let _ = parse_metric_selector(&query, &ParseOptions::all());
    }
}

#[test]
fn almost_too_deep_works() {
    for query in queries(DEPTH_MAX / 2 - 2) {
        match parse(&query, &ParseOptions::all()) {
            Ok(expr) => {
                assert!(!expr.to_string().is_empty());
                assert!(!pretty(&expr).is_empty());
                assert!(!tree_json(&expr).is_empty());
                assert_eq!(expr.clone(), expr);
            }
            // Subqueries are no instant vectors.
            Err(e) => assert!(query.contains("[1h:]"), "{e}"),
        }
    }
}
