//! The parser against any text.

use promql_syntax::{Expr, ParseOptions, parse as parse_with, pretty, tree_json};

/// Whatever the text: the parser ends and does not panic; what it refuses it explains; what it takes, printed in one
/// line or in several, is read again as the same tree. Two exceptions are the printer's, which is that of Prometheus:
/// `Inf ^ 2` becomes `+Inf ^ 2`, where the sign stands before the power, and matchers are sorted, also several of the name.
pub fn parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for options in [ParseOptions::default(), ParseOptions::all()] {
        match parse_with(&text, &options) {
            Err(why) => assert!(!why.to_string().is_empty(), "says why"),
            Ok(expr) => round_trip(&text, &expr, &options),
        }
    }
}

fn round_trip(text: &str, expr: &Expr, options: &ParseOptions) {
    let (tree, line) = (tree(expr), expr.to_string());
    let raises_infinity = line.contains("+Inf ^");
    let names_sorted = line.matches("__name__").count() > 1;
    for printed in [line.clone(), pretty(expr)] {
        let again = parse_with(&printed, options)
            .unwrap_or_else(|why| panic!("{text:?} is printed as {printed:?}: {why}"));
        if raises_infinity {
            continue;
        }
        assert_eq!(again.to_string(), line, "{text:?} is printed as {printed:?}, and that otherwise");
        if !names_sorted {
            assert_eq!(self::tree(&again), tree, "{text:?} is printed as {printed:?}");
        }
    }
}

fn tree(expr: &Expr) -> String {
    String::from_utf8_lossy(&tree_json(expr)).into_owned()
}
