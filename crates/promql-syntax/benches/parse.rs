//! Parsing and printing queries of everyday size.

use criterion::{Criterion, criterion_group, criterion_main};
use promql_syntax::{ParseOptions, parse};
use std::hint::black_box;

const QUERIES: [(&str, &str); 4] = [
    ("selector", r#"up{job="node"}"#),
    ("rate", r#"sum by (instance) (rate(http_requests_total{job="api",code!="200"}[5m]))"#),
    (
        "ratio",
        r#"sum(rate(errors_total{job="api"}[5m] offset 1h)) by (job) / on (job) group_left sum(rate(requests_total{job="api"}[5m])) by (job) > 0.05"#,
    ),
    (
        "quantile",
        r#"histogram_quantile(0.99, sum by (le, job) (rate(latency_seconds_bucket{job="api", cluster="eu"}[1m]))) * 1000"#,
    ),
];

fn benches(c: &mut Criterion) {
    let options = ParseOptions::default();
    for (name, query) in QUERIES {
        c.bench_function(&format!("parse/{name}"), |b| {
            b.iter(|| black_box(parse(black_box(query), &options)).is_ok());
        });
        let expr = parse(query, &options).expect("the benched queries are correct");
        c.bench_function(&format!("print/{name}"), |b| b.iter(|| black_box(&expr).to_string()));
    }
}

criterion_group!(parse_benches, benches);
criterion_main!(parse_benches);
