//! Appending: 50,000 series known by reference, one sample each per transaction, the log on a real
//! directory; and the same without snappy.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{Labels, SeriesRef};
use storage::{OsFs, OsSpawn, SystemClock};
use tsdb::{Db, DbOptions, WalCompression};

const SERIES: usize = 50_000;
const STEP_MS: i64 = 15_000;

fn labels(i: usize) -> Labels {
    let instance = format!("10.0.{}.{}:9100", i / 6400, i / 640 % 10);
    Labels::from_pairs([
        ("__name__", "node_cpu_seconds_total"),
        ("cpu", &(i / 8 % 80).to_string()),
        ("instance", &instance),
        ("job", "node"),
        ("mode", &format!("mode{}", i % 8)),
        ("n", &i.to_string()),
    ])
}

/// A counter that rises by about the same each time, as most series do.
fn value(i: usize, round: i64) -> f64 {
    (i as f64) + round as f64 * (15.0 + (i % 7) as f64 * 0.25)
}

fn append(c: &mut Criterion) {
    for (name, compression) in [("snappy", WalCompression::Snappy), ("none", WalCompression::None)] {
        let dir = tempfile::tempdir().unwrap();
        let spawn = Arc::new(OsSpawn::new("bench", 2).unwrap());
        let mut o = DbOptions::new(dir.path(), Arc::new(OsFs), Arc::new(SystemClock::default()), spawn);
        o.wal_compression = compression;
        let db = Db::open(o).unwrap();
        let mut t = 1_767_225_600_000;
        let mut refs = Vec::new();
        let mut a = db.appender();
        for i in 0..SERIES {
            refs.push(a.append(SeriesRef::NONE, &labels(i), t, 0, value(i, 0)).unwrap());
        }
        a.commit().unwrap();
        let mut round = 0;
        let mut g = c.benchmark_group("append_known_50k_series");
        g.throughput(Throughput::Elements(SERIES as u64)).sample_size(20);
        g.bench_function(name, |b| {
            b.iter(|| {
                t += STEP_MS;
                round += 1;
                let mut a = db.appender();
                for (i, r) in refs.iter().enumerate() {
                    a.append_known(*r, t, value(i, round)).unwrap();
                }
                a.commit().unwrap();
                black_box(&db);
            });
        });
        g.finish();
        db.tick().unwrap();
        db.close().unwrap();
    }
}

criterion_group!(benches, append);
criterion_main!(benches);
