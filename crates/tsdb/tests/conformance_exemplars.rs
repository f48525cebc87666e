//! The exemplars of a data directory of Prometheus 3.16, beside what Prometheus answers for them.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use model::{Labels, Matcher};
use serde_json::Value;
use storage::{ExemplarQuerier, Inline, ManualClock};
use tsdb::{Db, DbOptions};

fn labels(v: &Value) -> Labels {
    Labels::from_pairs(v.as_object().unwrap().iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())))
}

#[test]
fn exemplars_come_back_from_the_log() {
    let Some(dir) = common::conformance("exemplars_come_back_from_the_log", "b-histograms") else { return };
    let clock = Arc::new(ManualClock::new(1_767_260_000_000));
    let mut options = DbOptions::new("data", common::unpack(&dir), clock, Arc::new(Inline));
    options.settings.exemplars_max = 100_000;
    let db = Db::open(options).unwrap();
    let mut compared = 0;
    for line in std::fs::read_to_string(dir.join("queries.jsonl")).unwrap().lines() {
        let q: Value = serde_json::from_str(line).unwrap();
        let name = q["params"]["query"].as_str().unwrap_or_default();
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if q["path"] != "/api/v1/query_exemplars" || !plain || q["status"] != 200 {
            continue;
        }
        let ms = |key: &str| (q["params"][key].as_str().unwrap().parse::<f64>().unwrap() * 1000.0) as i64;
        let matchers = [vec![Matcher::equal("__name__", name)]];
        let got: Vec<_> = db
            .exemplars(ms("start"), ms("end"), &matchers)
            .unwrap()
            .into_iter()
            .flat_map(|s| s.exemplars.into_iter().map(move |e| (s.series.clone(), e)))
            .map(|(s, e)| (s, e.labels, e.value, e.timestamp_ms.unwrap()))
            .collect();
        let mut want = Vec::new();
        for series in q["response"]["data"].as_array().unwrap() {
            for e in series["exemplars"].as_array().unwrap() {
                let t = (e["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
                let v: f64 = e["value"].as_str().unwrap().parse().unwrap();
                want.push((labels(&series["seriesLabels"]), labels(&e["labels"]), v, t));
            }
        }
        assert_eq!(got, want, "{name}");
        compared += want.len();
    }
    assert!(compared > 0, "no query to compare with");
}
