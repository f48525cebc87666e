//! Sending by remote write: 20,000 series, one sample each per round, from the log to finished bodies of 2,000 samples,
//! and the memory that queues take for each series.
#![allow(missing_docs, clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)]

use std::alloc::System;
use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cap::Cap;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::embed::SeriesBatch;
use engine::remote_send::{Poll, Protocol, Sender, SenderOptions};
use engine::{Engine, EngineError, EngineOptions, Host};
use model::Labels;
use storage::{Inline, ManualClock, MemFs};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const SERIES: usize = 20_000;
const T0: i64 = 1_767_225_600_000;

fn wait<T: Send + 'static>(start: impl FnOnce(Box<dyn FnOnce(Result<T, EngineError>) + Send>)) -> T {
    let (tx, rx) = mpsc::channel();
    start(Box::new(move |r| tx.send(r).unwrap()));
    rx.recv().unwrap().unwrap()
}

fn open_engine() -> Engine {
    let (clock, inline) = (Arc::new(ManualClock::new(T0)), Arc::new(Inline));
    let host = Host {
        fs: Arc::new(MemFs::new()),
        clock,
        ingest: inline.clone(),
        query: inline.clone(),
        watch: inline.clone(),
        background: inline.clone(),
        remote: inline,
    };
    Engine::open(EngineOptions::default(), host, 1, |_| {}).unwrap()
}

fn open_sender(engine: &Engine, key: &str, protocol: Protocol) -> Sender {
    let options = SenderOptions {
        key: key.to_owned(),
        name: key.to_owned(),
        external_labels: Labels::from_pairs([("cluster", "eu-west-1"), ("replica", "a")]),
        relabel: Vec::new(),
        type_and_unit_labels: false,
        protocol,
        send_exemplars: false,
        send_native_histograms: false,
        convert_nhcb_to_classic: false,
        samples_per_send_max: 2000,
        capacity: 10_000,
        batch_send_deadline_ms: 5000,
        sample_age_limit_ms: 0,
    };
    wait(|done| engine.open_sender(options, done))
}

fn labels(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", "http_request_duration_seconds_bucket"),
        ("handler", &format!("/api/v1/{}", i / 8 % 40)),
        ("instance", &format!("10.0.{}.{}:9100", i / 6400, i / 320 % 20)),
        ("job", "node"),
        ("le", &format!("0.{}", i % 8)),
        ("method", "GET"),
        ("n", &i.to_string()),
    ])
}

fn append(engine: &Engine, names: &[Labels], round: i64) {
    let one = |(i, labels): (usize, &Labels)| SeriesBatch {
        labels: labels.clone(),
        timestamps: vec![T0 + round],
        values: vec![i as f64 + round as f64 * 1.5],
    };
    wait(|done| engine.append(names.iter().enumerate().map(one).collect(), done));
}

/// Sends everything there is in one shard; the bytes of all bodies.
fn drain(sender: &Sender) -> usize {
    let (mut finished, mut bytes) = (Vec::new(), 0);
    loop {
        let ask = Poll { shards: 1, free: vec![0], finished: std::mem::take(&mut finished), flush: true };
        let report = wait(|done| sender.poll(ask, done));
        for batch in &report.batches {
            bytes += batch.body.bytes.len();
            finished.push(batch.id);
        }
        if report.is_idle {
            return bytes;
        }
    }
}

fn send(c: &mut Criterion) {
    let names: Vec<Labels> = (0..SERIES).map(labels).collect();
    for (name, protocol) in [("v1", Protocol::V1), ("v2", Protocol::V2)] {
        let engine = open_engine();
        let mut round = 0;
        append(&engine, &names, round);
        let mut queues = Vec::new();
        for key in ["a", "b"] {
            let sender = open_sender(&engine, key, protocol);
            let before = ALLOCATOR.allocated();
            // The first look reads the names of all series.
            drain(&sender);
            let bytes = ALLOCATOR.allocated().saturating_sub(before) as f64 / SERIES as f64;
            println!("{name}: queue {key} takes {bytes:.0} bytes for each series");
            queues.push(sender);
        }
        let mut g = c.benchmark_group("send_20k_series");
        g.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
        g.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut taken = Duration::ZERO;
                for _ in 0..rounds {
                    round += 1;
                    append(&engine, &names, round);
                    let begun = Instant::now();
                    black_box(drain(&queues[0]));
                    taken += begun.elapsed();
                    drain(&queues[1]);
                }
                taken
            });
        });
        g.finish();
    }
}

criterion_group!(benches, send);
criterion_main!(benches);
