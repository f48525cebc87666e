//! Queries over a fleet of node exporters in memory: parsing excluded, the JSON answer included
//! where the name says so.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use promql::{Cancel, QueryOptions, json};
use promql_syntax::{ParseOptions, parse};
use storage::{Inline, ManualClock, VecStore};
use testkit::series::node_cpu;

const STEP_MS: i64 = 15_000;
const SAMPLES: usize = 240;
const STEPS: i64 = 100;

fn bench(c: &mut Criterion) {
    let mut store = VecStore::new();
    let mut series = 0;
    for (labels, columns) in node_cpu(25, 5, 0, STEP_MS, SAMPLES) {
        store.extend(labels, &columns);
        series += 1;
    }
    let end_ms = STEP_MS * SAMPLES as i64;
    let start_ms = end_ms / 6;
    let step_ms = (end_ms - start_ms) / (STEPS - 1);
    let (clock, opts, cancel) = (ManualClock::new(0), QueryOptions::default(), Cancel::new());
    let mut group = c.benchmark_group(format!("query_{series}x{SAMPLES}_{STEPS}_steps"));
    group.throughput(Throughput::Elements((series * SAMPLES) as u64));
    for (name, query) in [
        ("select", "node_cpu_seconds_total"),
        ("sum_rate", "sum by (instance) (rate(node_cpu_seconds_total[5m]))"),
        ("avg_over_time", "avg_over_time(node_cpu_seconds_total[5m])"),
        ("max_max_over_time", "max(max_over_time(node_cpu_seconds_total[5m]))"),
        ("topk", "topk(5, rate(node_cpu_seconds_total[5m]))"),
        (
            "busy_share",
            "1 - sum by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) / sum by (instance) (rate(node_cpu_seconds_total[5m]))",
        ),
    ] {
        let expr = parse(query, &ParseOptions::all()).unwrap();
        let run = || {
            promql::range(&store, &Inline, &clock, &expr, start_ms, end_ms, step_ms, &opts, &cancel).unwrap()
        };
        group.bench_function(name, |b| b.iter(|| black_box(run())));
        if name == "select" {
            let result = run();
            let mut out = Vec::new();
            group.bench_function("select_json", |b| {
                b.iter(|| {
                    out.clear();
                    json::write_data(&result.value, &mut out);
                    black_box(out.len())
                });
            });
        }
    }
    group.finish();
}

/// What a function of a range vector costs for each series and step: `dense` slides 5 minutes by
/// every sample, `long` an hour by every fourth. The sum over series costs about a nanosecond of it.
fn windows(c: &mut Criterion) {
    const SERIES: usize = 64;
    let mut store = VecStore::new();
    let mut noise = testkit::series::Noise::new(1);
    for (labels, mut columns) in node_cpu(4, 2, 0, STEP_MS, 2100).take(SERIES) {
        store.extend(labels.clone(), &columns);
        columns.v.iter_mut().for_each(|v| *v = noise.next_unit() * 100.0);
        let mut gauge = labels.to_builder();
        store.extend(gauge.set("__name__", "gauge").build(), &columns);
    }
    let (clock, opts, cancel) = (ManualClock::new(0), QueryOptions::default(), Cancel::new());
    for (shape, window, step_ms) in [("dense", "5m", STEP_MS), ("long", "1h", 4 * STEP_MS)] {
        let start_ms = 4_000_000;
        let end_ms = start_ms + 459 * step_ms;
        let mut group = c.benchmark_group(shape);
        group.throughput(Throughput::Elements(SERIES as u64 * 460));
        for (name, call) in [
            ("rate", "rate(node_cpu_seconds_total[W])"),
            ("delta", "delta(gauge[W])"),
            ("irate", "irate(node_cpu_seconds_total[W])"),
            ("changes", "changes(gauge[W])"),
            ("resets", "resets(node_cpu_seconds_total[W])"),
            ("count_over_time", "count_over_time(gauge[W])"),
            ("last_over_time", "last_over_time(gauge[W])"),
            ("max_over_time", "max_over_time(gauge[W])"),
            ("sum_over_time", "sum_over_time(gauge[W])"),
            ("avg_over_time", "avg_over_time(gauge[W])"),
            ("stddev_over_time", "stddev_over_time(gauge[W])"),
            ("quantile_over_time", "quantile_over_time(0.9, gauge[W])"),
            ("deriv", "deriv(gauge[W])"),
            ("predict_linear", "predict_linear(gauge[W], 3600)"),
            ("look_back", "gauge"),
        ] {
            let query = format!("group({})", call.replace('W', window));
            let expr = parse(&query, &ParseOptions::all()).unwrap();
            let run = || {
                promql::range(&store, &Inline, &clock, &expr, start_ms, end_ms, step_ms, &opts, &cancel)
                    .unwrap()
            };
            group.bench_function(name, |b| b.iter(|| black_box(run())));
        }
        group.finish();
    }
}

criterion_group!(benches, bench, windows);
criterion_main!(benches);
