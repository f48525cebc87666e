//! Every record that Prometheus wrote into the conformance directories, beside what Prometheus
//! reads in it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::log::{Sent, float, int, labels, list};
use model::{Metadata, MetricType};
use serde_json::Value;
use storage::Fs;

use super::*;
use crate::fuzz::put_record as encode;
use crate::histogram::OwnedHistogram;
use crate::wal::decompress;
use crate::wal::fragment::Records;

const FOLDERS: [&str; 13] = [
    "a-blocks-wal",
    "a2-checkpoint",
    "b-histograms",
    "c-out-of-order",
    "d-xor2",
    "d2-xor2-start-timestamps",
    "e-tombstones",
    "e-tombstones-cleaned",
    "f-torn-cut",
    "f-torn-flip",
    "f-torn-head-chunk",
    "f-torn-page-boundary",
    "f-torn-zero",
];

#[test]
fn every_record_reads_as_in_prometheus_and_is_written_alike() {
    let mut kinds = BTreeSet::new();
    let mut skipped = false;
    for folder in FOLDERS {
        let Some(dir) = common::conformance("every_record_reads_as_in_prometheus", folder) else {
            skipped = true;
            continue;
        };
        check(&dir, &mut kinds);
    }
    if !skipped {
        assert_eq!(kinds, (1..=14).collect());
    }
}

fn check(dir: &Path, kinds: &mut BTreeSet<u8>) {
    let fs = common::unpack(dir);
    let lines: Vec<Value> =
        common::gz_lines(&dir.join("wal.jsonl.gz")).map(|l| serde_json::from_str(&l).unwrap()).collect();
    let mut rest = &lines[..];
    while let Some(first) = rest.first() {
        let place =
            |l: &Value| (l["log"].as_str().unwrap().to_owned(), l["part"].as_str().unwrap().to_owned());
        let (log, part) = place(first);
        let n = rest.iter().take_while(|l| place(l) == (log.clone(), part.clone())).count();
        let (of_part, others) = rest.split_at(n);
        rest = others;
        check_part(&*fs, &Path::new("data").join(&log).join(&part), of_part, kinds);
    }
}

fn files(fs: &dyn Fs, part: &Path) -> Vec<PathBuf> {
    if !part.file_name().unwrap().to_str().unwrap().starts_with("checkpoint") {
        return vec![part.to_owned()];
    }
    let mut names: Vec<_> = fs.read_dir(part).unwrap().into_iter().map(|e| part.join(e.name)).collect();
    names.sort();
    names
}

fn check_part(fs: &dyn Fs, part: &Path, lines: &[Value], kinds: &mut BTreeSet<u8>) {
    let data: Vec<u8> = files(fs, part).iter().flat_map(|f| fs.read(f).unwrap()).collect();
    let mut records = Records::new(&data);
    let (mut raw, mut again) = (Vec::new(), Vec::new());
    for line in lines {
        let at = format!("{} record {}", part.display(), line["n"]);
        if line["corruption"].is_string() {
            assert!(records.next().is_err(), "{at}");
            return;
        }
        let found = records.next().unwrap().unwrap_or_else(|| panic!("{at} is missing"));
        decompress(found.bits, &found.data, &mut raw).unwrap();
        let kind = int(&line["type_byte"]) as u8;
        assert_eq!((raw.len() as i64, raw[0]), (int(&line["record_bytes"]), kind), "{at}");
        let decoded = decode(&raw).unwrap();
        let wanted = expected(line, kind);
        // Unlike ==, this takes one NaN for another; their bits are compared below.
        assert_eq!(format!("{decoded:?}"), format!("{wanted:?}"), "{at}");
        again.clear();
        encode(&mut again, kind, &decoded);
        assert!(again == raw, "{at} is written otherwise");
        kinds.insert(kind);
    }
    assert!(records.next().unwrap().is_none(), "{} has more records", part.display());
}

fn expected(line: &Value, kind: u8) -> Record {
    let reference = |v: &Value| int(v) as u64;
    match kind {
        kind::SERIES => {
            Record::Series(list(&line["series"], |s| (reference(&s["ref"]), labels(&s["labels"]))))
        }
        kind::SAMPLES | kind::SAMPLES_V2 => {
            let sample = |s: &Value| RefSample { series: reference(&s[0]), t: int(&s[1]), v: float(&s[2]) };
            let mut starts = list(&line["samples"], |s| s[3].as_i64().unwrap_or_default());
            if starts.iter().all(|s| *s == 0) {
                starts.clear();
            }
            Record::Samples(Samples { samples: list(&line["samples"], sample), starts })
        }
        kind::TOMBSTONES => {
            let of_series = |s: &Value| {
                let series = reference(&s["ref"]);
                list(&s["intervals"], |i| Stone { series, min_ms: int(&i[0]), max_ms: int(&i[1]) })
            };
            Record::Tombstones(list(&line["tombstones"], of_series).concat())
        }
        kind::METADATA => Record::Metadata(list(&line["metadata"], |m| RefMetadata {
            series: reference(&m["ref"]),
            metadata: Metadata {
                kind: metric_type(m["type"].as_str().unwrap()),
                unit: m["unit"].as_str().unwrap().to_owned(),
                help: m["help"].as_str().unwrap().to_owned(),
            },
        })),
        kind::EXEMPLARS => Record::Exemplars(list(&line["exemplars"], |e| RefExemplar {
            series: reference(&e["ref"]),
            t: int(&e["t"]),
            v: float(&e["v"]),
            labels: labels(&e["labels"]),
        })),
        kind::MMAP_MARKERS => Record::Markers(list(&line["markers"], |m| Marker {
            series: reference(&m["ref"]),
            chunk: (int(&m["chunk_file"]) as u64) << 32 | int(&m["chunk_offset"]) as u64,
        })),
        kind::MIN_VALID_TIME => Record::MinValidTime(int(&line["t"])),
        _ => Record::Histograms(list(&line["samples"], |s| RefHistogram {
            series: reference(&s[0]),
            t: int(&s[1]),
            st: int(&s[3]),
            h: histogram(&s[2]),
        })),
    }
}

fn metric_type(name: &str) -> MetricType {
    let all = [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::GaugeHistogram,
        MetricType::Summary,
        MetricType::Info,
        MetricType::StateSet,
        MetricType::Unknown,
    ];
    all.into_iter().find(|t| t.as_str() == name).unwrap()
}

fn histogram(v: &Value) -> OwnedHistogram {
    match common::log::histogram(v) {
        Sent::Integer(h) => OwnedHistogram::Integer(Arc::new(h)),
        Sent::Float(h) => OwnedHistogram::Float(Arc::new(h)),
    }
}
