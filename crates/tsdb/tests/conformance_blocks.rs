//! Blocks written by Prometheus 3.16, read here and written again, byte for byte.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chunk::{Encoding, XorEncoder};
use common::{Dump, block_dirs, conformance, dump_bits, gz_lines, read_dump, unpack};
use model::{Columns, MatchOp, Matcher};
use serde_json::Value;
use storage::{Fs, Queryable, SelectHints};
use tsdb::block::{Block, BlockWriter, ChunkData};
use tsdb::index::{ChunkMeta, PostingsIndex};

const FOLDERS: [&str; 8] = [
    "a-blocks-wal",
    "a2-checkpoint",
    "b-histograms",
    "c-out-of-order",
    "d-xor2",
    "d2-xor2-start-timestamps",
    "e-tombstones",
    "e-tombstones-cleaned",
];

fn for_each_block(test: &str, folders: &[&str], f: impl Fn(&Path, &Arc<dyn Fs>, &Block)) {
    for folder in folders {
        let Some(dir) = conformance(test, folder) else { return };
        let fs = unpack(&dir);
        let blocks = block_dirs(fs.as_ref());
        assert!(!blocks.is_empty(), "{folder}");
        for block in blocks {
            f(&dir, &fs, &Block::open(fs.as_ref(), &block).unwrap());
        }
    }
}

fn everything() -> (SelectHints, [Matcher; 1]) {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    (hints, [Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()])
}

fn describe_chunk(block: &Block, c: &ChunkMeta) -> Value {
    let (encoding, data) = block.chunk(c).unwrap();
    serde_json::json!({
        "bytes": data.len(), "encoding": encoding.as_str(), "mint": c.min_ms, "maxt": c.max_ms,
        "samples": chunk::num_samples(encoding, data).unwrap(),
        "segment": (c.reference >> 32) + 1, "offset": c.reference & 0xffff_ffff,
    })
}

/// Every series, label, chunk reference and tombstone as decoded by Prometheus itself.
#[test]
fn index_is_as_listed() {
    for_each_block("index_is_as_listed", &FOLDERS, |dir, _, block| {
        let ulid = block.meta().ulid.to_string();
        let lines: Vec<Value> = gz_lines(&dir.join("index.jsonl.gz"))
            .map(|l| serde_json::from_str(&l).unwrap())
            .filter(|l: &Value| l["block"] == ulid.as_str())
            .collect();
        let (heads, series): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l.get("stats").is_some());
        let index = block.index();
        assert_eq!(Value::from(index.num_symbols()), heads[0]["symbols"]);
        assert_eq!(serde_json::json!(index.label_names(0, &[]).unwrap()), heads[0]["label_names"]);
        let ids = index.all().unwrap();
        assert_eq!(ids.len(), series.len());
        for (id, want) in ids.iter().zip(series) {
            assert_eq!(Value::from(*id), want["ref"]);
            let mut chunks = Vec::new();
            let labels = index.read_series(*id, &mut chunks).unwrap();
            let pairs: BTreeMap<&str, &str> = labels.iter().collect();
            assert_eq!(serde_json::json!(pairs), want["labels"]);
            let chunks: Vec<_> = chunks.iter().map(|c| describe_chunk(block, c)).collect();
            assert_eq!(Value::from(chunks), want["chunks"], "{labels}");
            let deleted: Vec<_> =
                block.tombstones().get(u64::from(*id)).iter().map(|i| [i.min_ms, i.max_ms]).collect();
            let want = want.get("tombstones").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            assert_eq!(serde_json::json!(deleted), want, "{labels}");
        }
    });
}

/// The float samples of a block as a dump, and how many series cannot be decoded yet.
fn dump_block(block: &Block) -> Dump {
    let mut out = Dump::new();
    let (hints, matchers) = everything();
    let set = block.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &matchers).unwrap();
    let mut columns = Columns::default();
    let mut last = None;
    for i in 0..set.len() {
        let labels = set.labels(i);
        assert!(last.as_ref().is_none_or(|l| *l < labels), "series in order of labels");
        columns.clear();
        set.read(i, &mut columns).unwrap_or_else(|e| panic!("{labels}: {e}"));
        let histograms: BTreeSet<usize> = columns.h.iter().map(|(at, _)| *at as usize).collect();
        let samples = out.entry(labels.to_string()).or_default();
        for (at, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
            if !histograms.contains(&at) {
                samples.insert(*t, dump_bits(*v));
            }
        }
        last = Some(labels);
    }
    out.retain(|_, samples| !samples.is_empty());
    out
}

#[test]
fn samples_are_as_dumped() {
    let folders = ["a-blocks-wal", "a2-checkpoint", "e-tombstones", "e-tombstones-cleaned"];
    for_each_block("samples_are_as_dumped", &folders, |dir, _, block| {
        let got = dump_block(block);
        let (min_ms, max_ms) = (block.meta().min_ms, block.meta().max_ms);
        let mut want = read_dump(dir);
        for samples in want.values_mut() {
            samples.retain(|t, _| (min_ms..max_ms).contains(t));
        }
        want.retain(|_, samples| !samples.is_empty());
        assert_eq!(got.len(), want.len(), "{}", dir.display());
        for (labels, samples) in want {
            assert_eq!(got.get(&labels), Some(&samples), "{labels}");
        }
    });
}

/// Chunks handed out as they are, or written again where samples are deleted, hold the samples.
#[test]
fn chunks_hold_the_samples() {
    let folders = ["a-blocks-wal", "e-tombstones"];
    for_each_block("chunks_hold_the_samples", &folders, |_, _, block| {
        let (hints, matchers) = everything();
        let set = block.chunk_querier(i64::MIN, i64::MAX).select_chunks(&hints, &matchers).unwrap();
        let mut got = Dump::new();
        for i in 0..set.len() {
            let mut chunks = Vec::new();
            set.chunks(i, &mut chunks).unwrap();
            let samples = got.entry(set.labels(i).to_string()).or_default();
            for c in chunks {
                let mut columns = Columns::default();
                chunk::decode(c.encoding, &c.data, i64::MIN, i64::MAX, &mut columns).unwrap();
                assert_eq!((columns.t.first(), columns.t.last()), (Some(&c.min_ms), Some(&c.max_ms)));
                samples.extend(columns.t.iter().zip(&columns.v).map(|(t, v)| (*t, dump_bits(*v))));
            }
        }
        got.retain(|_, samples| !samples.is_empty());
        assert_eq!(got, dump_block(block));
    });
}

/// Overlapping blocks, and blocks with other encodings: the floats that are read are in the dump.
#[test]
fn samples_are_in_the_dump() {
    let folders = ["b-histograms", "c-out-of-order", "d-xor2"];
    for_each_block("samples_are_in_the_dump", &folders, |dir, _, block| {
        let got = dump_block(block);
        let dump = read_dump(dir);
        for (labels, samples) in got {
            let want = &dump[&labels];
            for (t, v) in samples {
                // Where blocks overlap, another one's value may have won.
                let found = want.get(&t).is_some_and(|w| *w == v || dir.ends_with("c-out-of-order"));
                assert!(found, "{labels} {t}");
            }
        }
    });
}

#[test]
fn spans_cut_samples() {
    for_each_block("spans_cut_samples", &["a-blocks-wal", "e-tombstones"], |_, _, block| {
        let whole = dump_block(block);
        let (hints, matchers) = everything();
        let (min_ms, max_ms) = (block.meta().min_ms, block.meta().max_ms);
        for (start_ms, end_ms) in [
            (min_ms, min_ms),
            (min_ms + 100_000, min_ms + 2_000_000),
            (min_ms + 3_600_000, max_ms + 1_000_000),
            (max_ms, max_ms + 5),
        ] {
            let hints = SelectHints { start_ms, ..hints.clone() };
            let set = block.querier(i64::MIN, end_ms).unwrap().select(&hints, &matchers).unwrap();
            let mut got = Dump::new();
            for i in 0..set.len() {
                let mut columns = Columns::default();
                set.read(i, &mut columns).unwrap();
                let samples = columns.t.iter().zip(&columns.v).map(|(t, v)| (*t, dump_bits(*v)));
                got.insert(set.labels(i).to_string(), samples.collect());
            }
            got.retain(|_, samples: &mut BTreeMap<_, _>| !samples.is_empty());
            let mut want = whole.clone();
            for samples in want.values_mut() {
                samples.retain(|t, _| (start_ms..=end_ms).contains(t));
            }
            want.retain(|_, samples| !samples.is_empty());
            assert_eq!(got, want, "{start_ms} {end_ms}");
        }
    });
}

/// What a block is written with, from another's contents.
fn write_again(fs: &Arc<dyn Fs>, block: &Block, parent: &Path) -> Block {
    fs.create_dir_all(parent).unwrap();
    let mut writer = BlockWriter::create(fs, parent, block.meta().clone()).unwrap();
    for id in block.index().all().unwrap().iter() {
        let mut metas = Vec::new();
        let labels = block.index().read_series(*id, &mut metas).unwrap();
        let chunks = metas.iter().map(|c| {
            let (encoding, data) = block.chunk(c).unwrap();
            ChunkData { min_ms: c.min_ms, max_ms: c.max_ms, encoding, data }
        });
        writer.add_series(&labels, &chunks.collect::<Vec<_>>()).unwrap();
    }
    let meta = writer.finish().unwrap().unwrap();
    let mut want = block.meta().clone();
    want.stats.num_tombstones = 0;
    assert_eq!(meta, want);
    let left_over = fs.read_dir(parent).unwrap().into_iter().filter(|e| e.name.contains("tmp")).count();
    assert_eq!(left_over, 0);
    Block::open(fs.as_ref(), &parent.join(meta.ulid.to_string())).unwrap()
}

/// A block written from another's contents is the same to the byte. Where Prometheus' head put
/// symbols of other series into the index, that file is left out.
#[test]
fn written_again_is_the_same() {
    for_each_block("written_again_is_the_same", &FOLDERS, |_, fs, block| {
        let again = write_again(fs, block, Path::new("again"));
        let mut files = vec!["chunks/000001"];
        if block.index().num_symbols() == again.index().num_symbols() {
            files.push("index");
        }
        if block.tombstones().is_empty() {
            files.extend(["meta.json", "tombstones"]);
        }
        assert!(files.len() > 1, "{}", block.dir().display());
        for file in files {
            let (a, b) =
                (fs.read(&block.dir().join(file)).unwrap(), fs.read(&again.dir().join(file)).unwrap());
            assert!(a == b, "{file} of {}: {} and {} bytes", block.dir().display(), a.len(), b.len());
        }
    });
}

/// Decoding an XOR chunk and encoding its samples gives the chunk, to the bit.
#[test]
fn xor_chunks_encoded_again_are_the_same() {
    for_each_block("xor_chunks_encoded_again_are_the_same", &FOLDERS, |_, _, block| {
        let mut metas = Vec::new();
        for id in block.index().all().unwrap().iter() {
            block.index().read_series(*id, &mut metas).unwrap();
        }
        let mut columns = Columns::default();
        for c in &metas {
            let (encoding, data) = block.chunk(c).unwrap();
            if encoding != Encoding::Xor {
                continue;
            }
            columns.clear();
            chunk::decode(encoding, data, i64::MIN, i64::MAX, &mut columns).unwrap();
            assert_eq!((columns.t.first(), columns.t.last()), (Some(&c.min_ms), Some(&c.max_ms)));
            let mut encoder = XorEncoder::new();
            for (t, v) in columns.t.iter().zip(&columns.v) {
                encoder.append(*t, *v);
            }
            assert_eq!(encoder.bytes(), data);
            assert_eq!(XorEncoder::resume(data).unwrap().bytes(), data);
        }
    });
}
