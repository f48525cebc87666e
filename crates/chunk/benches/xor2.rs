//! Nanoseconds per sample of XOR2 chunks: 120 samples at 15 s, four kinds of series.

use std::hint::black_box;

use chunk::Xor2Encoder;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::{Columns, TimestampMs};

const SAMPLES: usize = 120;

/// A small generator with a fixed seed, so that every run sees the same series.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn series(kind: &str) -> Vec<(TimestampMs, f64)> {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut v = 1000.0;
    (0..SAMPLES)
        .map(|i| {
            let t = 1_767_225_600_000 + i as i64 * 15_000;
            let noise = random(&mut state);
            let jitter = (noise % 41) as i64 - 20;
            match kind {
                "constant" => (t, 1.0),
                "counter" => {
                    v += (noise % 100) as f64;
                    (t, v)
                }
                "counter_jitter" => {
                    v += (noise % 100) as f64;
                    (t + jitter, v)
                }
                _ => (t + jitter, (noise >> 11) as f64 / (1u64 << 53) as f64),
            }
        })
        .collect()
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("xor2_encode");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for kind in ["constant", "counter", "counter_jitter", "random_jitter"] {
        let samples = series(kind);
        let mut buf = Vec::with_capacity(2048);
        group.bench_function(BenchmarkId::from_parameter(kind), |b| {
            b.iter(|| {
                let mut e = Xor2Encoder::with_buffer(std::mem::take(&mut buf));
                for (t, v) in &samples {
                    e.append(*t, 0, *v);
                }
                buf = e.into_bytes();
                black_box(buf.len())
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("xor2_decode");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for kind in ["constant", "counter", "counter_jitter", "random_jitter"] {
        let mut e = Xor2Encoder::new();
        for (t, v) in series(kind) {
            e.append(t, 0, v);
        }
        let mut columns = Columns::default();
        group.bench_function(BenchmarkId::from_parameter(kind), |b| {
            b.iter(|| {
                columns.clear();
                chunk::xor2::decode(black_box(e.bytes()), i64::MIN, i64::MAX, &mut columns)
                    .expect("the encoder's own bytes");
                black_box(columns.v.last().copied())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
