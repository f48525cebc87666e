//! Every query and series of Prometheus' test scripts parses, and queries print as what parses
//! to the same text again.

use std::fs;
use std::path::PathBuf;

use promql_syntax::series_notation::{parse_series, parse_start_offsets};
use promql_syntax::{ParseOptions, parse};

/// The folder of test scripts, if this machine has it.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn scripts(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NARTHEX_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let folder = root.join("promqltest");
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("NARTHEX_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|r| r.trim() == "conformance"),
        "{} is required and absent",
        folder.display()
    );
    eprintln!("skipped {test}: no {}", folder.display());
    None
}

/// The query of an `eval` line.
fn query(line: &str) -> Option<&str> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_start();
        let (word, tail) = rest.split_once(char::is_whitespace)?;
        rest = tail;
        Some(word)
    };
    if !word()?.starts_with("eval") {
        return None;
    }
    let words = match word()? {
        // `at <time>`
        "instant" => 2,
        // `from <start> to <end> step <step>`
        "range" => 6,
        _ => return None,
    };
    for _ in 0..words {
        word()?;
    }
    Some(rest.trim())
}

#[test]
fn every_line_parses() {
    let Some(folder) = scripts("every_line_parses") else { return };
    let options = ParseOptions::all();
    let (mut queries, mut series) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "test") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut in_load = false;
        for (number, line) in text.lines().map(str::trim).enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if line.is_empty() || line.starts_with('#') {
                in_load = false;
            } else if line.starts_with("load") {
                in_load = true;
            } else if in_load {
                check_series(line, &options, &place);
                series += 1;
            } else if let Some(query) = query(line) {
                let expr = parse(query, &options).unwrap_or_else(|e| panic!("{place}: {e}"));
                let printed = expr.to_string();
                let again = parse(&printed, &options).unwrap_or_else(|e| panic!("{place}: {printed}: {e}"));
                assert_eq!(again.to_string(), printed, "{place}");
                queries += 1;
            }
        }
    }
    assert!(queries > 1000 && series > 1000, "{queries} queries, {series} series");
}

fn check_series(line: &str, options: &ParseOptions, place: &str) {
    let (name, items) = line.split_once(' ').unwrap_or((line, ""));
    match name.strip_suffix("@st") {
        Some(name) => {
            parse_series(name, options).unwrap_or_else(|e| panic!("{place}: {e}"));
            parse_start_offsets(items).unwrap_or_else(|e| panic!("{place}: {e}"));
        }
        None => {
            parse_series(line, options).unwrap_or_else(|e| panic!("{place}: {e}"));
        }
    }
}
