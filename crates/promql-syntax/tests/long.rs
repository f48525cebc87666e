//! Texts of a megabyte: whatever is done with them takes time as they are long.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::Instant;

use promql_syntax::edit::delete_label_matchers;
use promql_syntax::{ParseOptions, parse, pretty, tree_json};

/// Queries of `n` parts, right ones and wrong ones.
fn queries(n: usize) -> Vec<String> {
    vec![
        format!("\"{}\"", "x".repeat(n)),
        "x".repeat(n),
        "1".repeat(n),
        format!("x{{{}}}", "a=\"b\",".repeat(n)),
        format!("x{{{}}}", "a=~\"b|c\",".repeat(n)),
        format!("sum by ({}) (x)", "abc,".repeat(n)),
        format!("label_join(x, \"a\", \"b\"{})", ",\"c\"".repeat(n)),
        format!("{}label_join(x, \"a\", \"b\"{}){}", "-(".repeat(50), ",\"c\"".repeat(n), ")".repeat(50)),
        format!("x{}", " # comment\n".repeat(n)),
        format!("x{}", " ".repeat(n)),
        format!("x[{}1m]", " ".repeat(n)),
        format!("fill{} (x)", " ".repeat(n)),
        format!("x{}", " fill".repeat(n)),
        ",".repeat(n),
        "é".repeat(n),
        format!("\"{}", "\\x41".repeat(n)),
        format!("x{{{}", "a=\"b\",".repeat(n)),
        format!("rate({}", "x,".repeat(n)),
        format!("abs({}x)", "x,".repeat(n)),
        format!("x[{}]", "1m".repeat(n)),
    ]
}

fn use_all(query: &str) -> f64 {
    let started = Instant::now();
    match parse(query, &ParseOptions::all()) {
        Ok(mut expr) => {
            assert!(pretty(&expr).len() >= expr.to_string().len().min(100));
            assert!(!tree_json(&expr).is_empty());
            delete_label_matchers(&mut expr, "a");
        }
        Err(errors) => assert!(errors.to_string().contains("parse error: "), "{errors}"),
    }
    started.elapsed().as_secs_f64()
}

#[test]
fn time_follows_length() {
    // Quadratic would be 2,500 times; the machine may be busy.
    for (short, long) in queries(2_000).iter().zip(queries(100_000)) {
        let once = (0..5).map(|_| use_all(short)).fold(f64::MAX, f64::min);
        let many = use_all(&long);
        let what = short.chars().take(40).collect::<String>();
        assert!(many < 800.0 * once + 0.5, "{what}: {once} s, and {many} s for 50 times the length");
    }
}
