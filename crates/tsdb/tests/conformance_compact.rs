//! Blocks written by Prometheus 3.16, merged and cleaned here: the samples are as dumped, and where
//! Prometheus did the same, the files are the same.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::{Dump, block_dirs, conformance, dump_bits, read_dump, unpack};
use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, MatchOp, Matcher};
use storage::{Fs, Inline, ManualClock, Queryable, SelectHints};
use tsdb::block::{Block, Ulid};
use tsdb::compact::{Compactor, block_ranges_ms, plan};
use tsdb::{Db, DbOptions};

/// Length and CRC-32C of what Prometheus 3.16.0 wrote.
type File = (&'static str, (usize, u32));

const PROMETHEUS_MERGED: [File; 2] =
    [("index", (2947, 0xf27c_01cc)), ("chunks/000001", (34814, 0xf991_41b8))];

const PROMETHEUS_MERGED_COPIES: [(&str, [File; 2]); 3] = [
    ("a2-checkpoint", [("index", (8959, 0x59f7_70e4)), ("chunks/000001", (58797, 0x7e50_015c))]),
    ("b-histograms", [("index", (2038, 0xbf56_f071)), ("chunks/000001", (51560, 0xd239_e41b))]),
    ("d2-xor2-start-timestamps", [("index", (10736, 0x9b35_8036)), ("chunks/000001", (82195, 0xcd94_a1e0))]),
];

fn open_db(fs: Arc<dyn Fs>) -> Db {
    let clock = Arc::new(ManualClock::new(1_767_300_000_000));
    Db::open(DbOptions::new("data", fs, clock, Arc::new(Inline))).unwrap()
}

fn open_blocks(fs: &dyn Fs) -> Vec<Block> {
    let mut blocks: Vec<_> = block_dirs(fs).iter().map(|dir| Block::open(fs, dir).unwrap()).collect();
    blocks.sort_by_key(|b| (b.meta().min_ms, b.meta().ulid));
    blocks
}

fn dump(store: &dyn Queryable) -> Dump {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let all = [Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()];
    let set = store.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &all).unwrap();
    let mut out = Dump::new();
    for i in 0..set.len() {
        let mut columns = Columns::default();
        set.read(i, &mut columns).unwrap();
        let samples = columns.t.iter().zip(&columns.v).map(|(t, v)| (*t, dump_bits(*v)));
        out.insert(set.labels(i).to_string(), samples.collect());
    }
    out.retain(|_, samples| !samples.is_empty());
    out
}

/// The part of a dump that lies in a span.
fn within(mut dump: Dump, min_ms: i64, max_ms: i64) -> Dump {
    for samples in dump.values_mut() {
        samples.retain(|t, _| (min_ms..max_ms).contains(t));
    }
    dump.retain(|_, samples| !samples.is_empty());
    dump
}

/// Blocks that overlap, merged: all that their chunks hold is there, nothing else, and the files are
/// those that Prometheus 3.16 makes of these blocks.
#[test]
fn overlapping_blocks_are_merged() {
    let Some(dir) = conformance("overlapping_blocks_are_merged", "c-out-of-order") else { return };
    let fs = unpack(&dir);
    let blocks = open_blocks(&*fs);
    let metas: Vec<_> = blocks.iter().map(Block::meta).collect();
    let planned = plan(&metas, &block_ranges_ms(7_200_000, 31 * 86_400_000), true);
    assert_eq!(planned, [metas[0].ulid, metas[1].ulid]);
    let blocks = &blocks[..2];
    let before: Vec<Dump> = blocks.iter().map(|b| dump(b)).collect();
    let meta = Compactor::new(fs.clone(), "data").merge(Ulid::new(1, 1), blocks).unwrap().unwrap();
    assert!(meta.is_in_order());
    assert_eq!((meta.stats.num_samples, meta.stats.num_series, meta.stats.num_chunks), (13272, 28, 113));
    let merged = Block::open(&*fs, &Path::new("data").join(meta.ulid.to_string())).unwrap();
    let got = dump(&merged);
    for (labels, got) in &got {
        for (t, v) in got {
            let has = |b: &Dump| b.get(labels).is_some_and(|s| s.get(t) == Some(v));
            assert!(before.iter().any(has), "{labels} {t}");
        }
    }
    for (labels, t) in before.iter().flatten().flat_map(|(l, s)| s.keys().map(move |t| (l, t))) {
        assert!(got[labels].contains_key(t), "{labels} {t}");
    }
    for (file, want) in PROMETHEUS_MERGED {
        let bytes = fs.read(&merged.dir().join(file)).unwrap();
        assert_eq!((bytes.len(), crc32c::crc32c(&bytes)), want, "{file}");
    }
}

/// Cleaning gives the files that Prometheus' cleaning gave, but for the name of the block.
#[test]
fn cleaned_as_by_prometheus() {
    let test = "cleaned_as_by_prometheus";
    let (Some(dir), Some(cleaned)) =
        (conformance(test, "e-tombstones"), conformance(test, "e-tombstones-cleaned"))
    else {
        return;
    };
    let (fs, want_fs) = (unpack(&dir), unpack(&cleaned));
    let db = open_db(fs.clone());
    db.clean_tombstones().unwrap();
    let (got, want) = (open_blocks(&*fs), open_blocks(&*want_fs));
    assert_eq!(got.len(), want.len());
    assert!(!got.is_empty());
    for (got, want) in got.iter().zip(&want) {
        let (mut a, b) = (got.meta().clone(), want.meta().clone());
        let own = a.ulid;
        a.ulid = b.ulid;
        for source in a.compaction.sources.iter_mut().filter(|s| **s == own) {
            *source = b.ulid;
        }
        assert_eq!(a, b);
        for file in ["index", "chunks/000001", "tombstones"] {
            let read = |fs: &dyn Fs, block: &Block| fs.read(&block.dir().join(file)).unwrap();
            assert!(read(&*fs, got) == read(&*want_fs, want), "{file}");
        }
        let (min_ms, max_ms) = (want.meta().min_ms, want.meta().max_ms);
        assert_eq!(dump(got), within(read_dump(&cleaned), min_ms, max_ms));
    }
}

/// Blocks that do not overlap, merged: their chunks are those of the parents to the byte, whatever
/// the encoding.
#[test]
fn chunks_are_copied() {
    for folder in ["a-blocks-wal", "a2-checkpoint", "b-histograms", "d-xor2", "d2-xor2-start-timestamps"] {
        let Some(dir) = conformance("chunks_are_copied", folder) else { return };
        let fs = unpack(&dir);
        let blocks = open_blocks(&*fs);
        let meta = Compactor::new(fs.clone(), "data").merge(Ulid::new(1, 1), &blocks).unwrap().unwrap();
        let sum = |f: fn(&Block) -> u64| blocks.iter().map(f).sum::<u64>();
        assert_eq!(meta.stats.num_samples, sum(|b| b.meta().stats.num_samples), "{folder}");
        assert_eq!(meta.stats.num_chunks, sum(|b| b.meta().stats.num_chunks), "{folder}");
        let merged = Block::open(&*fs, &Path::new("data").join(meta.ulid.to_string())).unwrap();
        if let [only] = &blocks[..] {
            for file in ["index", "chunks/000001"] {
                let read = |b: &Block| fs.read(&b.dir().join(file)).unwrap();
                assert!(read(only) == read(&merged), "{folder} {file}");
            }
        }
    }
}

/// Deletions in blocks and in the log, served: what is left is what Prometheus dumps; so it is
/// after the next start, and once the deletions have been carried out.
#[test]
fn deletions_hold_in_head_and_blocks() {
    for folder in ["e-tombstones", "e-tombstones-cleaned"] {
        let Some(dir) = conformance("deletions_hold_in_head_and_blocks", folder) else { return };
        let (fs, want) = (unpack(&dir), read_dump(&dir));
        for _ in 0..2 {
            let db = open_db(fs.clone());
            let got = dump(&db);
            assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
            assert!(got == want, "{folder}");
            db.clean_tombstones().unwrap();
            db.close().unwrap();
        }
    }
}

/// One sample: time, start time, bits of a float or a histogram without its hint.
type Sample = (i64, i64, Option<u64>, Option<FloatHistogram>);

fn samples(store: &dyn Queryable) -> BTreeMap<String, Vec<Sample>> {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = store.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    let mut out = BTreeMap::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        let mut histograms = c.h.iter().peekable();
        let of = |k: usize| {
            let h = histograms.next_if(|(at, _)| *at as usize == k).map(|(_, h)| FloatHistogram {
                counter_reset_hint: CounterResetHint::Unknown,
                // A stale marker is no number and equals nothing.
                sum: f64::from_bits(h.sum.to_bits() >> 1),
                ..(**h).clone()
            });
            let float = h.is_none().then(|| c.v[k].to_bits());
            (c.t[k], c.st.get(k).copied().unwrap_or(0), float, h)
        };
        out.insert(set.labels(i).to_string(), (0..c.len()).map(of).collect());
    }
    out
}

/// A block and its copy, different parts deleted from each so that chunks of every encoding overlap:
/// merged they are the block again, in the files that Prometheus 3.16 makes of the two.
#[test]
fn overlapping_chunks_of_every_encoding() {
    for (folder, files) in PROMETHEUS_MERGED_COPIES {
        let Some(dir) = conformance("overlapping_chunks_of_every_encoding", folder) else { return };
        let fs = unpack(&dir);
        let block = open_blocks(&*fs).remove(0);
        let want = samples(&block);
        let compactor = Compactor::new(fs.clone(), "data");
        let copy = compactor.rewrite(Ulid::new(1, 1), &block).unwrap().unwrap();
        let copy = Block::open(&*fs, &Path::new("data").join(copy.ulid.to_string())).unwrap();
        let (min_ms, max_ms) = (block.meta().min_ms, block.meta().max_ms);
        let third = (max_ms - min_ms) / 3;
        let all = [Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()];
        let block = block.delete(&*fs, min_ms + 2 * third, max_ms, &all).unwrap().unwrap();
        let copy = copy.delete(&*fs, min_ms, min_ms + third, &all).unwrap().unwrap();
        let merged = compactor.merge(Ulid::new(1, 2), &[copy, block]).unwrap().unwrap();
        let merged = Block::open(&*fs, &Path::new("data").join(merged.ulid.to_string())).unwrap();
        let got = samples(&merged);
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{folder}");
        for (labels, want) in want {
            assert_eq!(got[&labels], want, "{folder} {labels}");
        }
        for (file, want) in files {
            let bytes = fs.read(&merged.dir().join(file)).unwrap();
            assert_eq!((bytes.len(), crc32c::crc32c(&bytes)), want, "{folder} {file}");
        }
    }
}

/// Chunks that hold deleted samples are handed out without them, in their own encoding, whichever
/// that is.
#[test]
fn chunks_come_without_deleted_samples() {
    let mut seen = std::collections::BTreeSet::new();
    for name in ["a-blocks-wal", "b-histograms", "d-xor2", "d2-xor2-start-timestamps"] {
        let Some(dir) = conformance("chunks_come_without_deleted_samples", name) else { return };
        let fs = unpack(&dir);
        for block in open_blocks(&*fs) {
            let (min_ms, max_ms) = (block.meta().min_ms, block.meta().max_ms);
            let third_ms = (max_ms - min_ms) / 3;
            let deleted = block.delete(&*fs, min_ms + third_ms, max_ms - third_ms, &[]).unwrap().unwrap();
            let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
            let samples = deleted.querier(i64::MIN, i64::MAX).unwrap().select(&hints, &[]).unwrap();
            let chunks = deleted.chunk_querier(i64::MIN, i64::MAX).select_chunks(&hints, &[]).unwrap();
            assert_eq!(samples.len(), chunks.len());
            for i in 0..samples.len() {
                let (mut want, mut got, mut found) = (Columns::default(), Columns::default(), Vec::new());
                samples.read(i, &mut want).unwrap();
                chunks.chunks(i, &mut found).unwrap();
                for c in &found {
                    seen.insert(c.encoding.as_str());
                    let from = got.t.len();
                    chunk::decode(c.encoding, &c.data, i64::MIN, i64::MAX, &mut got).unwrap();
                    assert_eq!((got.t[from], got.t[got.t.len() - 1]), (c.min_ms, c.max_ms));
                }
                assert_eq!(got.t, want.t, "{name} {}", chunks.labels(i));
                assert!(got.t.iter().all(|t| *t < min_ms + third_ms || *t > max_ms - third_ms));
                // Whether a counter was reset across the gap is another matter.
                let shown = |c: &Columns| {
                    let forget = |h: &FloatHistogram| FloatHistogram {
                        counter_reset_hint: CounterResetHint::Unknown,
                        ..h.clone()
                    };
                    let h: Vec<_> = c.h.iter().map(|(at, h)| (*at, forget(h))).collect();
                    let st: Vec<_> = (0..c.t.len()).map(|i| c.st.get(i).copied().unwrap_or(0)).collect();
                    let v: Vec<_> = c.v.iter().map(|v| v.to_bits()).collect();
                    format!("{v:?} {st:?} {h:?}")
                };
                assert_eq!(shown(&got), shown(&want), "{name} {}", chunks.labels(i));
            }
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}
