//! The conformance vectors of Prometheus 3.16's parsers, but for OpenMetrics 2.0, which has no parser here. Skipped by
//! name where they are absent.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests read vectors and print counts"
)]

mod support;

use std::path::{Path, PathBuf};

use exposition::{
    ClassicConverter, Format, Parser, ParserOptions, ProtobufParser, negotiate, negotiate_text,
};
use serde_json::{Value, json};
use support::{decode_base64, entries_of};

/// The folder of the exposition vectors, or `None` (said aloud) where it is absent and not required.
fn vectors(test: &str) -> Option<PathBuf> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var_os("NARTHEX_CONFORMANCE").map_or(default, PathBuf::from);
    let dir = root.join("exposition");
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("NARTHEX_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r == "conformance"), "{} is required and absent", dir.display());
    println!("skipped {test}: no vectors at {}", dir.display());
    None
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn flag(case: &Value, name: &str) -> bool {
    case[name].as_bool().unwrap_or(false)
}

fn options(case: &Value) -> ParserOptions {
    ParserOptions {
        type_and_unit_labels: flag(case, "type_and_unit_labels"),
        skip_created_series: flag(case, "start_timestamps"),
        ignore_native_histograms: flag(case, "ignore_native_histograms"),
        keep_classic_histograms: flag(case, "always_scrape_classic_histograms"),
        convert_classic_histograms: flag(case, "convert_classic_histograms_to_nhcb"),
    }
}

/// What we make of a body, in the vectors' form.
fn outcome(body: &[u8], format: Format, case: &Value) -> Value {
    let options = options(case);
    let text = || Parser::new(body, format, options).unwrap();
    let (entries, error) = match format {
        Format::Protobuf => entries_of(&mut ProtobufParser::new(body, options)),
        _ if options.convert_classic_histograms => entries_of(&mut ClassicConverter::new(text(), options)),
        _ => entries_of(&mut text()),
    };
    let mut out = json!({ "accepts": error.is_none(), "entries": entries });
    if let Some(error) = error {
        out["error"] = json!(error.reason);
    }
    out
}

/// The vectors' form made comparable: no nulls, values as bits.
fn normalised(expected: &Value) -> Value {
    let mut out = expected.clone();
    if out["entries"].is_null() {
        out["entries"] = json!([]);
    }
    for entry in out["entries"].as_array_mut().unwrap() {
        support::normalise_values(entry);
    }
    out
}

struct Tally {
    name: &'static str,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    fn new(name: &'static str) -> Self {
        Self { name, passed: 0, failed: Vec::new(), skipped: Vec::new() }
    }

    fn check(&mut self, name: &str, got: &Value, want: &Value) {
        if got == want {
            self.passed += 1;
        } else {
            self.failed.push(format!("{name}\n  want {want}\n  got  {got}"));
        }
    }

    fn finish(self) {
        println!("{}: {}/{} passed", self.name, self.passed, self.passed + self.failed.len());
        if !self.skipped.is_empty() {
            println!("  out of scope ({}): {}", self.skipped.len(), self.skipped.join(" "));
        }
        assert!(self.failed.is_empty(), "{} failed:\n{}", self.failed.len(), self.failed.join("\n"));
    }
}

#[test]
fn parser_vectors() {
    let Some(dir) = vectors("parser_vectors") else { return };
    check_vectors(&dir, "parser-vectors.jsonl");
    check_vectors(&dir, "protobuf-vectors.jsonl");
}

fn check_vectors(dir: &Path, file: &'static str) {
    let mut tally = Tally::new(file);
    for case in lines(dir.join(file)) {
        let name = case["name"].as_str().unwrap();
        let body = match &case["body_b64"] {
            Value::String(s) => decode_base64(s),
            _ => case["body"].as_str().unwrap().as_bytes().to_vec(),
        };
        let content_type = case["content_type"].as_str().unwrap();
        let negotiated = negotiate(content_type, case["fallback"].as_str(), flag(&case, "openmetrics2"));
        if negotiated.format == Some(Format::OpenMetrics2) {
            tally.skipped.push(name.to_owned());
            continue;
        }
        let want = normalised(&case["expected"]);
        let mut got = match negotiated.format {
            Some(format) => outcome(&body, format, &case),
            None => json!({ "accepts": false, "entries": [] }),
        };
        if let Some(message) = negotiated.message {
            got["content_type_error"] = json!(message);
        }
        tally.check(name, &got, &want);
    }
    tally.finish();
}

#[test]
fn open_metrics_vectors() {
    let Some(dir) = vectors("open_metrics_vectors") else { return };
    let mut tally = Tally::new("openmetrics-1.0-parsers.jsonl");
    for case in lines(dir.join("openmetrics-1.0-parsers.jsonl")) {
        let body = case["body"].as_str().unwrap().as_bytes();
        let got = outcome(body, Format::OpenMetrics1, &case);
        tally.check(case["name"].as_str().unwrap(), &got, &normalised(&case["prometheus_3_16"]));
    }
    tally.finish();
}

#[test]
fn bodies() {
    let Some(dir) = vectors("bodies") else { return };
    for folder in ["textparse", "captures"] {
        let mut tally = Tally::new(folder);
        for case in lines(dir.join(folder).join("expected.jsonl")) {
            let file = case["file"].as_str().unwrap();
            let options = &case["options"];
            let name = format!("{file}{options}");
            let format = negotiate(case["content_type"].as_str().unwrap(), None, true).format.unwrap();
            if format == Format::OpenMetrics2 {
                tally.skipped.push(name);
                continue;
            }
            let mut body = std::fs::read(dir.join(folder).join(file)).unwrap();
            body.extend_from_slice(case["append"].as_str().unwrap_or("").as_bytes());
            let got = outcome(&body, format, options);
            let counts = support::counts(&got["entries"]);
            let summary = json!({ "accepts": got["accepts"], "error": got["error"], "counts": counts });
            let want =
                json!({ "accepts": case["accepts"], "error": case["error"], "counts": case["counts"] });
            tally.check(&name, &summary, &want);
            if case["entries"].is_array() {
                tally.check(&format!("{name} entries"), &got["entries"], &normalised(&case)["entries"]);
            }
        }
        tally.finish();
    }
}

#[test]
fn answers_to_accept() {
    let Some(dir) = vectors("answers_to_accept") else { return };
    let mut tally = Tally::new("negotiation.jsonl (text)");
    for case in lines(dir.join("captures/negotiation.jsonl")) {
        let (accept, answer) =
            (case["accept"].as_str().unwrap_or(""), case["content_type"].as_str().unwrap());
        if case["program"] == "prometheus" && answer.starts_with("text/plain") {
            tally.check(accept, &json!(negotiate_text(accept).1), &json!(answer));
        }
    }
    tally.finish();
}
