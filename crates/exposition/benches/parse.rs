//! Time to parse a body like a node exporter's: 2,000 samples, cold and with the series known from the scrape before,
//! in each format.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exposition::{Entry, Format, Parser, ParserOptions, ProtobufParser, Source};
use protobuf::writer::{put_double, put_message, put_string, put_varint};

const LINES: usize = 2000;

fn body() -> Vec<u8> {
    let mut out = String::new();
    let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
    for family in 0..LINES / 80 {
        out.push_str(&format!(
            "# HELP node_cpu_seconds_{family}_total Seconds the CPUs spent in each mode.\n# TYPE node_cpu_seconds_{family}_total counter\n"
        ));
        for cpu in 0..10 {
            for (m, mode) in modes.iter().enumerate() {
                let value = (family * 8191 + cpu * 127 + m) as f64 * 0.37;
                out.push_str(&format!(
                    "node_cpu_seconds_{family}_total{{cpu=\"{cpu}\",mode=\"{mode}\"}} {value:.2}\n"
                ));
            }
        }
    }
    out.into_bytes()
}

/// The same samples.
fn protobuf_body() -> Vec<u8> {
    let mut out = Vec::new();
    let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
    for family in 0..LINES / 80 {
        let mut message = Vec::new();
        put_string(&mut message, 1, &format!("node_cpu_seconds_{family}_total"));
        put_string(&mut message, 2, "Seconds the CPUs spent in each mode.");
        for cpu in 0..10 {
            for (m, mode) in modes.iter().enumerate() {
                put_message(&mut message, 4, |out| {
                    for (name, value) in [("cpu", &*cpu.to_string()), ("mode", mode)] {
                        put_message(out, 1, |out| {
                            put_string(out, 1, name);
                            put_string(out, 2, value);
                        });
                    }
                    let value = (family * 8191 + cpu * 127 + m) as f64 * 0.37;
                    put_message(out, 3, |out| put_double(out, 1, value));
                });
            }
        }
        put_varint(&mut out, message.len() as u64);
        out.extend(message);
    }
    out
}

fn run_protobuf(body: &[u8], expected: &[Vec<u8>]) -> (usize, f64) {
    let mut parser = ProtobufParser::new(body, ParserOptions::default());
    let (mut n, mut sum) = (0, 0.0);
    while let Ok(Some(entry)) = parser.next_entry_expecting(expected.get(n).map_or(&b""[..], |key| key)) {
        if let Entry::Sample(s) = entry {
            n += 1;
            sum += s.value;
        }
    }
    (n, sum)
}

fn protobuf_series(body: &[u8]) -> Vec<Vec<u8>> {
    let mut parser = ProtobufParser::new(body, ParserOptions::default());
    let mut out = Vec::new();
    while let Ok(Some(entry)) = parser.next_entry_expecting(b"") {
        if let Entry::Sample(s) = entry {
            out.push(s.series.to_vec());
        }
    }
    out
}

fn run(body: &[u8], format: Format, expected: &[&[u8]]) -> (usize, f64) {
    let mut parser = Parser::new(body, format, ParserOptions::default()).expect("the format has a parser");
    let (mut n, mut sum) = (0, 0.0);
    while let Ok(Some(entry)) = parser.next_entry_expecting(expected.get(n).unwrap_or(&&b""[..])) {
        if let Entry::Sample(s) = entry {
            n += 1;
            sum += s.value;
        }
    }
    (n, sum)
}

fn series(body: &[u8]) -> Vec<&[u8]> {
    let mut parser =
        Parser::new(body, Format::Text, ParserOptions::default()).expect("the format has a parser");
    let mut out = Vec::new();
    while let Ok(Some(entry)) = parser.next_entry() {
        if let Entry::Sample(s) = entry {
            out.push(s.series);
        }
    }
    out
}

fn bench(c: &mut Criterion) {
    let text = body();
    let mut open_metrics = text.clone();
    open_metrics.extend_from_slice(b"# EOF\n");
    let known = series(&text);
    assert_eq!(known.len(), LINES);
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("text", |b| b.iter(|| black_box(run(black_box(&text), Format::Text, &[]))));
    group.bench_function("text, series known", |b| {
        b.iter(|| black_box(run(black_box(&text), Format::Text, &known)))
    });
    group.bench_function("open metrics", |b| {
        b.iter(|| black_box(run(black_box(&open_metrics), Format::OpenMetrics1, &[])));
    });
    let packed = protobuf_body();
    let known = protobuf_series(&packed);
    assert_eq!(known.len(), LINES);
    group.bench_function("protobuf", |b| b.iter(|| black_box(run_protobuf(black_box(&packed), &[]))));
    group.bench_function("protobuf, series known", |b| {
        b.iter(|| black_box(run_protobuf(black_box(&packed), &known)));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
