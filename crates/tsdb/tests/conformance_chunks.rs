//! What Prometheus 3.16 was sent, appended to our head: the chunks in its files and in the blocks cut
//! from it are Prometheus' own, byte for byte, and cut at the same samples.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use chunk::Encoding;
use common::head_files::head_chunks;
use common::log::{Sent, float, histogram, int, labels, list};
use common::{block_dirs, conformance, gz_lines, unpack};
use model::{Columns, Labels, SeriesRef};
use serde_json::Value;
use storage::{AppendError, Fs, HistogramValue, Inline, ManualClock, MemFs, Queryable, SelectHints};
use tsdb::block::Block;
use tsdb::index::PostingsIndex;
use tsdb::{Db, DbOptions};

const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;

/// Labels, first and last time, whether it came out of order, and encoding of a chunk.
type Key = (String, i64, i64, bool, u8);
/// The chunks of a directory: bytes by key.
type Chunks = BTreeMap<Key, Vec<u8>>;

/// A sample and its start timestamp.
enum Value2 {
    Float(f64),
    Histogram(Sent),
}

/// What one transaction brought: time, start timestamp, value by series.
#[derive(Default)]
struct Batch {
    samples: Vec<(Labels, i64, i64, Value2)>,
    /// Whether the program was started again before it: its log goes on in another segment then.
    restarted: bool,
}

/// The references in the log of a directory.
fn names(dir: &Path) -> HashMap<u64, Labels> {
    let mut names = HashMap::new();
    for line in gz_lines(&dir.join("wal.jsonl.gz")) {
        let record: Value = serde_json::from_str(&line).unwrap();
        for s in record["series"].as_array().into_iter().flatten() {
            names.insert(int(&s["ref"]) as u64, labels(&s["labels"]));
        }
    }
    names
}

/// The transactions in the log of a directory. Of its segments, `compacted` began with a compaction, the
/// others with a start of the program.
fn logged(dir: &Path, compacted: &str) -> Vec<Batch> {
    let names = names(dir);
    let mut out = Vec::new();
    let mut part = Value::Null;
    for line in gz_lines(&dir.join("wal.jsonl.gz")) {
        let record: Value = serde_json::from_str(&line).unwrap();
        if record["log"] != "wal" {
            continue; // Prometheus has late samples in both logs.
        }
        let samples = list(&record["samples"], |s| {
            let value = match &s[2] {
                Value::Object(_) => Value2::Histogram(histogram(&s[2])),
                // The one NaN besides the stale marker is Go's.
                v if v == "NaN" => Value2::Float(f64::from_bits(0x7ff8_0000_0000_0001)),
                v => Value2::Float(float(v)),
            };
            (names[&(int(&s[0]) as u64)].clone(), int(&s[1]), s[3].as_i64().unwrap_or(0), value)
        });
        if !samples.is_empty() {
            let restarted = part != record["part"] && !part.is_null() && record["part"] != compacted;
            part = record["part"].clone();
            out.push(Batch { samples, restarted });
        }
    }
    out
}

/// The floats of the blocks, a transaction for each time.
fn in_blocks(fs: &dyn Fs) -> Vec<Batch> {
    let mut out = BTreeMap::<i64, Batch>::new();
    for dir in block_dirs(fs) {
        // Deleted samples were in the head when the block was cut.
        fs.remove_file(&dir.join("tombstones")).unwrap();
        let block = Block::open(fs, &dir).unwrap();
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
        let set = block.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
        for i in 0..set.len() {
            let mut c = Columns::default();
            set.read(i, &mut c).unwrap();
            assert!(c.h.is_empty());
            for (t, v) in c.t.iter().zip(&c.v) {
                out.entry(*t).or_default().samples.push((set.labels(i), *t, 0, Value2::Float(*v)));
            }
        }
    }
    out.into_values().collect()
}

/// The chunks of the blocks below `data`.
fn chunks_of_blocks(fs: &dyn Fs, out: &mut Chunks) {
    for dir in block_dirs(fs) {
        let block = Block::open(fs, &dir).unwrap();
        if !block.meta().is_in_order() {
            // Prometheus cuts merged late samples by bytes, we by their number, as both do where blocks are
            // merged. The chunks that the head made of them are in its files.
            continue;
        }
        for id in block.index().all().unwrap().iter() {
            let mut metas = Vec::new();
            let labels = block.index().read_series(*id, &mut metas).unwrap().to_string();
            for c in &metas {
                let (encoding, data) = block.chunk(c).unwrap();
                out.insert((labels.clone(), c.min_ms, c.max_ms, false, encoding as u8), data.to_vec());
            }
        }
    }
}

/// The chunks of the files of the head.
fn chunks_of_head(fs: &dyn Fs, names: &HashMap<u64, String>, out: &mut Chunks) {
    // Prometheus' files end with zeros.
    for c in head_chunks(fs).into_iter().filter(|c| c.series != 0) {
        let late = c.encoding & 0x80 != 0;
        out.insert((names[&c.series].clone(), c.min_ms, c.max_ms, late, c.encoding & 0x7f), c.data);
    }
}

fn chunks_of_prometheus(dir: &Path) -> Chunks {
    let fs = unpack(dir);
    let names = names(dir).into_iter().map(|(r, l)| (r, l.to_string())).collect();
    let mut out = Chunks::new();
    chunks_of_blocks(&*fs, &mut out);
    chunks_of_head(&*fs, &names, &mut out);
    out
}

/// Appends everything to an empty database, which is compacted whenever that is due, and returns its
/// chunks.
fn chunks_of_ours(batches: &[Batch], set_up: impl FnOnce(&mut DbOptions)) -> Chunks {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let clock = Arc::new(ManualClock::new(START_MS + 24 * HOUR_MS));
    let mut options = DbOptions::new("data", fs.clone(), clock, Arc::new(Inline));
    options.max_block_duration_ms = 2 * HOUR_MS;
    options.overlapping_compaction = false;
    set_up(&mut options);
    let mut db = Db::open(options.clone()).unwrap();
    let mut names = HashMap::new();
    let mut out = Chunks::new();
    for batch in batches {
        if batch.restarted {
            db.close().unwrap();
            drop(db);
            db = Db::open(options.clone()).unwrap();
        }
        let mut a = db.appender();
        for (labels, t, st, value) in &batch.samples {
            let appended = match value {
                Value2::Float(v) => a.append(SeriesRef::NONE, labels, *t, *st, *v),
                Value2::Histogram(Sent::Integer(h)) => {
                    a.append_histogram(SeriesRef::NONE, labels, *t, *st, HistogramValue::Integer(h))
                }
                Value2::Histogram(Sent::Float(h)) => {
                    a.append_histogram(SeriesRef::NONE, labels, *t, *st, HistogramValue::Float(h))
                }
            };
            match appended {
                Ok(id) => drop(names.insert(id.0, labels.to_string())),
                Err(AppendError::DuplicateTimestamp(_)) => {}
                Err(e) => panic!("{labels} {t}: {e}"),
            }
        }
        a.commit().unwrap();
        chunks_of_head(&*fs, &names, &mut out);
        db.tick().unwrap();
    }
    db.close().unwrap();
    chunks_of_blocks(&*fs, &mut out);
    chunks_of_head(&*fs, &names, &mut out);
    out
}

/// Every chunk of Prometheus is among ours; those we have besides begin where its files end.
fn compare(what: &str, want: &Chunks, got: &Chunks) {
    assert!(!want.is_empty(), "{what}");
    for (key, data) in want {
        let Some(mine) = got.get(key) else {
            let near: Vec<_> = got.keys().filter(|k| k.0 == key.0 && k.2 >= key.1 && k.1 <= key.2).collect();
            panic!("{what}: no chunk {key:?}, but {near:?}");
        };
        let at = mine.iter().zip(data).position(|(a, b)| a != b);
        assert!(mine == data, "{what}: {key:?}: {} and {} bytes, from {at:?}", mine.len(), data.len());
    }
}

fn check(
    folder: &str,
    (whole_log, compacted): (bool, &str),
    encodings: &[Encoding],
    set_up: impl FnOnce(&mut DbOptions),
) {
    let Some(dir) = conformance(folder, folder) else { return };
    let mut batches = if whole_log { Vec::new() } else { in_blocks(&*unpack(&dir)) };
    batches.extend(logged(&dir, compacted));
    let want = chunks_of_prometheus(&dir);
    let found: BTreeSet<u8> = want.keys().map(|k| k.4).collect();
    assert_eq!(found, encodings.iter().map(|e| *e as u8).collect(), "{folder}");
    let got = chunks_of_ours(&batches, set_up);
    compare(folder, &want, &got);
    // And the other way round: what we have besides lies behind the last chunk of Prometheus' files.
    let mut ends = BTreeMap::new();
    for (series, _, max_ms, ..) in want.keys() {
        let end = ends.entry(series).or_insert(*max_ms);
        *end = *max_ms.max(end);
    }
    for key in got.keys().filter(|k| !k.3 && !want.contains_key(*k)) {
        assert!(ends.get(&key.0).is_none_or(|end| key.1 > *end), "{folder}: {key:?} is ours alone");
    }
    eprintln!("{folder}: {} chunks, and {} of ours beyond them", want.len(), got.len() - want.len());
}

#[test]
fn floats() {
    for folder in ["a-blocks-wal", "a2-checkpoint", "e-tombstones"] {
        check(folder, (false, ""), &[Encoding::Xor], |_| ());
    }
}

#[test]
fn histograms() {
    let encodings = [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram];
    check("b-histograms", (true, ""), &encodings, |_| ());
}

#[test]
fn late_samples() {
    check("c-out-of-order", (true, "00000003"), &[Encoding::Xor], |o| {
        o.settings.out_of_order_window_ms = 3 * HOUR_MS;
    });
}

#[test]
fn xor2() {
    check("d-xor2", (true, ""), &[Encoding::Xor2], |o| o.settings.float_encoding = Encoding::Xor2);
}

#[test]
fn start_timestamps() {
    let encodings = [Encoding::Xor2, Encoding::HistogramSt, Encoding::FloatHistogramSt];
    check("d2-xor2-start-timestamps", (true, "00000003"), &encodings, |o| {
        o.settings.float_encoding = Encoding::Xor2;
        o.start_timestamps = true;
        o.histogram_start_encoding = true;
    });
}
