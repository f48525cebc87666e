//! Time to walk a remote-write request like Prometheus' own: 2,000 series of eight labels with one
//! sample each. `walk` leaves labels as they are, which is what a request costs whose series are
//! all known; `resolve` makes the cache's keys of 2.0; `labels` decodes every label set.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::snappy::{BODY_BYTES_MAX, Compressor, decompress};
use wire::{EncodedLabels, SampleColumns, SymbolSpans, write_v1, write_v2};

const SERIES: usize = 2000;
const NOW_MS: i64 = 1_790_000_000_000;

fn labels(series: usize) -> Vec<(&'static str, String)> {
    vec![
        ("__name__", format!("http_request_duration_seconds_count_{}", series / 100)),
        ("cluster", "production-eu-west-1".to_owned()),
        ("handler", format!("/api/v1/resource/{}", series % 25)),
        ("instance", format!("10.12.{}.{}:9100", series / 250, series % 250)),
        ("job", "kubernetes-service-endpoints".to_owned()),
        ("method", ["GET", "POST", "PUT", "DELETE"][series % 4].to_owned()),
        ("namespace", "shop".to_owned()),
        ("status", ["200", "404", "500"][series % 3].to_owned()),
    ]
}

fn v1_body() -> Vec<u8> {
    let mut out = Vec::new();
    for series in 0..SERIES {
        let labels = labels(series);
        write_v1::put_series(&mut out, labels.iter().map(|(n, v)| (*n, v.as_str())), |w| {
            w.sample(NOW_MS + series as i64, series as f64 * 1.7);
        });
    }
    out
}

fn v2_body() -> Vec<u8> {
    let mut writer = write_v2::RequestWriter::default();
    for series in 0..SERIES {
        let labels = labels(series);
        let metadata = write_v2::Metadata { help: "Requests.".into(), ..Default::default() };
        writer.put_series(labels.iter().map(|(n, v)| (*n, v.as_str())), &metadata, |w| {
            w.sample(NOW_MS + series as i64, series as f64 * 1.7, NOW_MS - 60_000);
        });
    }
    let mut out = Vec::new();
    writer.finish(&mut out);
    out
}

fn walk_v1(body: &[u8], columns: &mut SampleColumns, mut each: impl FnMut(EncodedLabels<'_>)) -> usize {
    columns.clear();
    let mut request = write_v1::WriteRequest::new(body);
    while let Some(series) = request.next_series(columns).expect("the body is sound") {
        each(series.labels());
    }
    columns.len()
}

fn bench_v1(c: &mut Criterion) {
    let body = v1_body();
    let mut columns = SampleColumns::default();
    let mut group = c.benchmark_group("v1");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("walk", |b| {
        b.iter(|| {
            let mut bytes = 0;
            let n = walk_v1(black_box(&body), &mut columns, |labels| bytes += labels.as_bytes().len());
            black_box((n, bytes, columns.t.last().copied()))
        });
    });
    group.bench_function("labels", |b| {
        b.iter(|| {
            walk_v1(black_box(&body), &mut columns, |labels| {
                black_box(labels.decode().expect("the labels are sound"));
            })
        });
    });
    let (mut block, mut buffer) = (Vec::new(), Vec::new());
    Compressor::default().compress(&body, &mut block).expect("the body is small");
    group.bench_function("snappy", |b| {
        b.iter(|| {
            decompress(black_box(&block), BODY_BYTES_MAX, &mut buffer).expect("the block is sound").len()
        });
    });
    group.bench_function("write", |b| {
        let all: Vec<_> = (0..SERIES).map(labels).collect();
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            for (i, labels) in all.iter().enumerate() {
                write_v1::put_series(&mut out, labels.iter().map(|(n, v)| (*n, v.as_str())), |w| {
                    w.sample(NOW_MS, i as f64);
                });
            }
            out.len()
        });
    });
    group.finish();
}

fn bench_v2(c: &mut Criterion) {
    let body = v2_body();
    let (mut spans, mut columns) = (SymbolSpans::default(), SampleColumns::default());
    let (mut refs, mut key) = (Vec::new(), Vec::new());
    let mut group = c.benchmark_group("v2");
    group.throughput(Throughput::Elements(SERIES as u64));
    for resolve in [false, true] {
        group.bench_function(if resolve { "resolve" } else { "walk" }, |b| {
            b.iter(|| {
                columns.clear();
                let mut bytes = 0;
                let mut request =
                    write_v2::Request::new(black_box(&body), &mut spans).expect("the body is sound");
                let symbols = request.symbols();
                while request.next_series(&mut refs, &mut columns).expect("the body is sound").is_some() {
                    if resolve {
                        key.clear();
                        symbols.resolve(&refs, &mut key).expect("the references are sound");
                    }
                    bytes += key.len() + refs.len();
                }
                black_box((columns.len(), bytes))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench_v1, bench_v2);
criterion_main!(benches);
