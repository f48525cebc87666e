//! Blocks merged, deleted from, cleaned and dropped: against a map, and with a crash after every
//! single step that changes the disk.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use chunk::{Encoding, XorEncoder};
use common::steps::Steps;
use model::{Columns, Labels, MatchOp, Matcher, SeriesRef};
use proptest::prelude::*;
use storage::{Fs, Inline, ManualClock, MemFs, Queryable, SelectHints, StorageError};
use tsdb::block::{Block, BlockMeta, BlockWriter, ChunkData, Ulid};
use tsdb::compact::{Compactor, block_ranges_ms, plan};
use tsdb::{Db, DbOptions};

const RANGE_MS: i64 = 1000;

type Samples = BTreeMap<i64, f64>;
type Model = BTreeMap<Labels, Samples>;

fn data() -> &'static Path {
    Path::new("data")
}

fn series(i: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())])
}

fn everything() -> SelectHints {
    SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() }
}

/// Writes a block of the samples, `per_chunk` in a chunk.
fn write(
    fs: &Arc<dyn Fs>,
    number: u128,
    span: (i64, i64),
    model: &Model,
    per_chunk: usize,
) -> Option<BlockMeta> {
    let meta = BlockMeta::from_head(Ulid::new(1, number), span.0, span.1);
    let mut writer = BlockWriter::create(fs, data(), meta).unwrap();
    for (labels, samples) in model {
        let all: Vec<_> = samples.iter().map(|(t, v)| (*t, *v)).collect();
        let encoded: Vec<_> = all
            .chunks(per_chunk)
            .map(|part| {
                let mut e = XorEncoder::new();
                part.iter().for_each(|(t, v)| e.append(*t, *v));
                (part[0].0, part[part.len() - 1].0, e.into_bytes())
            })
            .collect();
        let encoding = Encoding::Xor;
        let chunks = encoded.iter().map(|(a, b, data)| ChunkData { min_ms: *a, max_ms: *b, encoding, data });
        writer.add_series(labels, &chunks.collect::<Vec<_>>()).unwrap();
    }
    writer.finish().unwrap()
}

fn read(store: &dyn Queryable) -> Model {
    let set = store.querier(i64::MIN, i64::MAX).unwrap().select(&everything(), &[]).unwrap();
    let mut out = Model::new();
    for i in 0..set.len() {
        let mut columns = Columns::default();
        set.read(i, &mut columns).unwrap();
        out.insert(set.labels(i), columns.t.into_iter().zip(columns.v).collect());
    }
    out.retain(|_, samples| !samples.is_empty());
    out
}

fn open_db(fs: Arc<dyn Fs>, options: impl FnOnce(&mut DbOptions)) -> Db {
    let mut o = DbOptions::new(data(), fs, Arc::new(ManualClock::new(1_000_000)), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    options(&mut o);
    Db::open(o).unwrap()
}

fn block_names(fs: &dyn Fs) -> Vec<String> {
    let known = ["wal", "chunks_head"];
    let entries = fs.read_dir(data()).unwrap();
    entries.into_iter().filter(|e| e.is_dir && !known.contains(&e.name.as_str())).map(|e| e.name).collect()
}

/// A block: its start and end in tenths of the range, samples as series, place in the span, value.
type GivenBlock = (i64, i64, Vec<(usize, i64, u8)>, usize);

fn given_block() -> impl Strategy<Value = GivenBlock> {
    let samples = prop::collection::vec((0..6usize, 0..10_000i64, any::<u8>()), 0..400);
    (0..60i64, 1..20i64, samples, 1..150usize)
}

fn samples_of((start, length, samples, _): &GivenBlock) -> ((i64, i64), Model) {
    let (min_ms, max_ms) = (start * RANGE_MS / 10, (start + length) * RANGE_MS / 10);
    let mut model = Model::new();
    for (i, place, _) in samples {
        let t = min_ms + place * (max_ms - min_ms) / 10_000;
        // Blocks that overlap agree about their values, so that the result is one.
        model.entry(series(*i)).or_default().insert(t, (t * 7 % 13) as f64);
    }
    ((min_ms, max_ms), model)
}

fn unite(into: &mut Model, more: Model) {
    for (labels, samples) in more {
        into.entry(labels).or_default().extend(samples);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Tick,
    Delete { series: Option<usize>, min_ms: i64, length_ms: i64 },
    Clean,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let delete = (prop::option::of(0..6usize), -100i64..6000, 0i64..5000)
        .prop_map(|(series, min_ms, length_ms)| Op::Delete { series, min_ms, length_ms });
    prop_oneof![3 => Just(Op::Tick), 3 => delete, 1 => Just(Op::Clean), 1 => Just(Op::Reopen)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is merged, deleted and cleaned in whatever order: queries see what the map has.
    #[test]
    fn as_a_map(
        blocks in prop::collection::vec(given_block(), 1..7),
        ops in prop::collection::vec(op(), 1..10),
    ) {
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        fs.create_dir_all(data()).unwrap();
        let mut model = Model::new();
        for (number, block) in (0..).zip(&blocks) {
            let (span, samples) = samples_of(block);
            write(&fs, number, span, &samples, block.3);
            unite(&mut model, samples);
        }
        let mut db = open_db(fs.clone(), |_| {});
        for op in ops {
            match op {
                Op::Tick => db.tick().unwrap(),
                Op::Clean => db.clean_tombstones().unwrap(),
                Op::Reopen => {
                    db.close().unwrap();
                    db = open_db(fs.clone(), |_| {});
                }
                Op::Delete { series: which, min_ms, length_ms } => {
                    let max_ms = min_ms + length_ms;
                    let matcher = match which {
                        Some(i) => Matcher::equal("i", i.to_string()),
                        None => Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap(),
                    };
                    db.delete(min_ms, max_ms, &[matcher]).unwrap();
                    for (labels, samples) in &mut model {
                        if which.is_none_or(|i| *labels == series(i)) {
                            samples.retain(|t, _| *t < min_ms || *t > max_ms);
                        }
                    }
                    model.retain(|_, samples| !samples.is_empty());
                }
            }
            prop_assert_eq!(read(&db), model.clone());
        }
        db.tick().unwrap();
        let metas = db.blocks();
        prop_assert!(metas.windows(2).all(|m| m[0].max_ms <= m[1].min_ms), "overlaps are gone: {metas:?}");
        let listed: Vec<_> = metas.iter().map(|m| m.ulid.to_string()).collect();
        let mut sorted = listed;
        sorted.sort();
        prop_assert_eq!(block_names(&*fs), sorted);
        for meta in metas {
            let block = Block::open(&*fs, &data().join(meta.ulid.to_string())).unwrap();
            prop_assert_eq!(block.meta(), &meta);
        }
    }

    /// The compactor alone on any blocks at once: a sample that only one of them has is kept, at a
    /// time that several have it is one of theirs.
    #[test]
    fn conflicts_have_one_winner(blocks in prop::collection::vec(given_block(), 1..5)) {
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        fs.create_dir_all(data()).unwrap();
        let mut candidates: BTreeMap<(Labels, i64), Vec<f64>> = BTreeMap::new();
        let mut opened = Vec::new();
        for (number, block) in (0..).zip(&blocks) {
            let (span, mut samples) = samples_of(block);
            for (labels, samples) in &mut samples {
                for (t, v) in samples {
                    *v += 100.0 * number as f64;
                    candidates.entry((labels.clone(), *t)).or_default().push(*v);
                }
            }
            if let Some(meta) = write(&fs, number, span, &samples, block.3) {
                opened.push(Block::open(&*fs, &data().join(meta.ulid.to_string())).unwrap());
            }
        }
        if opened.is_empty() {
            return Ok(());
        }
        opened.sort_by_key(|b| b.meta().min_ms);
        let meta = Compactor::new(fs.clone(), data()).merge(Ulid::new(2, 0), &opened).unwrap().unwrap();
        prop_assert_eq!(meta.stats.num_samples, candidates.len() as u64);
        prop_assert_eq!(meta.compaction.parents.len(), opened.len());
        let merged = read(&Block::open(&*fs, &data().join(meta.ulid.to_string())).unwrap());
        let got: BTreeMap<_, _> = merged
            .into_iter()
            .flat_map(|(l, samples)| samples.into_iter().map(move |(t, v)| ((l.clone(), t), v)))
            .collect();
        prop_assert!(got.keys().eq(candidates.keys()));
        for (key, v) in got {
            prop_assert!(candidates[&key].contains(&v), "{:?}: {v}", key);
        }
    }
}

/// Four blocks, of which the first three fill a range, and two that overlap.
fn four_blocks(fs: &Arc<dyn Fs>) -> Model {
    let mut model = Model::new();
    for (number, (start, end)) in
        [(0, 1000), (1000, 2000), (2000, 3000), (2500, 3000)].into_iter().enumerate()
    {
        let samples: Samples = (start..end).step_by(10 + number).map(|t| (t, (t % 17) as f64)).collect();
        let block: Model = (0..3).map(|i| (series(i), samples.clone())).collect();
        write(fs, number as u128, (start, end), &block, 40).unwrap();
        unite(&mut model, block);
    }
    let last: Model = BTreeMap::from([(series(0), BTreeMap::from([(3500, 1.0)]))]);
    write(fs, 9, (3000, 4000), &last, 1).unwrap();
    unite(&mut model, last);
    model
}

/// Runs `f`, and opens a database on what every step of it would have left behind in a crash.
fn crash_in(steps: &Steps, db: &Db, f: impl FnOnce(&Db), check: impl Fn(&Model, usize)) {
    steps.on.store(true, Ordering::SeqCst);
    f(db);
    steps.on.store(false, Ordering::SeqCst);
    let states = std::mem::take(&mut *steps.states.lock().unwrap());
    assert!(states.len() > 1);
    for (i, state) in states.into_iter().enumerate() {
        let again = open_db(Arc::new(state.clone()), |_| {});
        check(&read(&again), i);
        let left = block_names(&state);
        assert!(left.iter().all(|name| !name.contains("tmp")), "step {i}: {left:?}");
        // It goes on where it was.
        again.tick().unwrap();
        check(&read(&again), i);
        assert_eq!(again.blocks().len(), block_names(&state).len(), "step {i}");
    }
}

#[test]
fn nothing_is_lost_in_a_crash_while_merging() {
    let steps = Steps::new();
    let fs: Arc<dyn Fs> = Arc::new(steps.clone());
    let model = four_blocks(&fs);
    let db = open_db(fs, |_| {});
    crash_in(&steps, &db, |db| db.tick().unwrap(), |got, i| assert_eq!(*got, model, "step {i}"));
    assert_eq!(read(&db), model);
    let levels: Vec<_> = db.blocks().iter().map(|m| (m.min_ms, m.max_ms, m.compaction.level)).collect();
    assert_eq!(levels, [(0, 3000, 3), (3000, 4000, 1)]);
}

#[test]
fn nothing_is_lost_in_a_crash_while_cleaning() {
    let steps = Steps::new();
    let fs: Arc<dyn Fs> = Arc::new(steps.clone());
    let mut model = four_blocks(&fs);
    let db = open_db(fs, |_| {});
    db.tick().unwrap();
    let before = model.clone();
    for samples in model.values_mut() {
        samples.retain(|t, _| !(500..=1500).contains(t));
    }
    let delete = |db: &Db| db.delete(500, 1500, &[Matcher::equal("__name__", "m")]).unwrap();
    crash_in(&steps, &db, delete, |got, i| assert!(*got == model || *got == before, "step {i}"));
    assert_eq!(read(&db), model);
    let clean = |db: &Db| db.clean_tombstones().unwrap();
    crash_in(&steps, &db, clean, |got, i| assert_eq!(*got, model, "step {i}"));
    assert_eq!(read(&db), model);
    assert!(db.blocks().iter().all(|m| m.stats.num_tombstones == 0));
}

#[test]
fn a_crash_while_deleting_from_the_head() {
    let steps = Steps::new();
    let fs: Arc<dyn Fs> = Arc::new(steps.clone());
    let db = open_db(fs, |_| {});
    let mut appender = db.appender();
    let mut model = Model::new();
    for t in (0..2000).step_by(7) {
        for i in 0..3 {
            appender.append(SeriesRef::NONE, &series(i), t, 0, 1.0).unwrap();
            model.entry(series(i)).or_default().insert(t, 1.0);
        }
    }
    appender.commit().unwrap();
    let before = model.clone();
    for samples in model.values_mut() {
        samples.retain(|t, _| !(500..=1500).contains(t));
    }
    let delete = |db: &Db| db.delete(500, 1500, &[Matcher::equal("__name__", "m")]).unwrap();
    crash_in(&steps, &db, delete, |got, i| assert!(*got == model || *got == before, "step {i}"));
    // Cutting a block and the checkpoint behind it keep the deletion.
    crash_in(&steps, &db, |db| db.tick().unwrap(), |got, i| assert_eq!(*got, model, "step {i}"));
    assert_eq!(read(&db), model);
    assert_eq!(db.blocks().len(), 1);
}

#[test]
fn what_runs_keeps_what_it_saw() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    let model = four_blocks(&fs);
    let db = open_db(fs.clone(), |o| o.settings.retention_ms = 500);
    let set = db.querier(i64::MIN, i64::MAX).unwrap().select(&everything(), &[]).unwrap();
    db.tick().unwrap();
    // Time retention left the newest block alone.
    assert_eq!(read(&db).len(), 1);
    assert_eq!(block_names(&*fs).len(), 1);
    let mut columns = Columns::default();
    for i in 0..set.len() {
        columns.clear();
        set.read(i, &mut columns).unwrap();
        assert!(columns.t.iter().eq(model[&set.labels(i)].keys()));
    }
    let metric = |name| db.metrics().into_iter().find(|m| m.name == name).unwrap().value;
    assert_eq!(metric("prometheus_tsdb_time_retentions_total"), 1.0);
    assert_eq!(metric("prometheus_tsdb_blocks_loaded"), 1.0);
    assert_eq!(metric("prometheus_tsdb_vertical_compactions_total"), 1.0);
    assert_eq!(metric("prometheus_tsdb_compactions_total"), 1.0);
}

#[test]
fn size_retention_drops_the_oldest() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    four_blocks(&fs);
    let db = open_db(fs.clone(), |o| o.settings.retention_bytes = 1 << 20);
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 2);
    db.close().unwrap();
    let db = open_db(fs.clone(), |o| o.settings.retention_bytes = 2500);
    db.tick().unwrap();
    assert_eq!(db.blocks().iter().map(|m| m.min_ms).collect::<Vec<_>>(), [3000]);
    assert_eq!(block_names(&*fs).len(), 1);
}

#[test]
fn a_share_of_the_disk_goes_before_a_size() {
    let mem = MemFs::new();
    let fs: Arc<dyn Fs> = Arc::new(mem.clone());
    fs.create_dir_all(data()).unwrap();
    four_blocks(&fs);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let db = open_db(fs.clone(), |o| {
        o.settings.retention_bytes = 1 << 20;
        o.settings.retention_percentage = 25.0;
        o.log = Some(Arc::new(move |_, line| kept.lock().unwrap().push(line.to_owned())));
    });
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 2, "nobody knows the size of the disk");
    assert!(lines.lock().unwrap().iter().any(|l| l.starts_with("Unable to retrieve filesystem size")));
    db.close().unwrap();
    // A quarter is less than both blocks take; with the out-of-order log it is less than one.
    mem.set_disk_bytes(10_000);
    let settings = db.settings();
    let open = || open_db(fs.clone(), |o| o.settings = (*settings).clone());
    let db = open();
    db.tick().unwrap();
    assert_eq!(db.blocks().iter().map(|m| m.min_ms).collect::<Vec<_>>(), [3000]);
    db.close().unwrap();
    fs.create_dir_all(&data().join("wbl")).unwrap();
    fs.create(&data().join("wbl/00000000")).unwrap().append(&[0; 2400]).unwrap();
    let db = open();
    db.tick().unwrap();
    assert_eq!(db.blocks(), []);
}

#[test]
fn overlapping_floats_become_what_the_settings_say() {
    for want in [Encoding::Xor, Encoding::Xor2] {
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        fs.create_dir_all(data()).unwrap();
        let of = |t: std::ops::Range<i64>| BTreeMap::from([(series(0), t.map(|t| (t, t as f64)).collect())]);
        write(&fs, 1, (0, 1000), &of(0..100), 120).unwrap();
        write(&fs, 2, (0, 1000), &of(50..150), 120).unwrap();
        // The settings of the moment count, not those of the opening.
        let db = open_db(fs.clone(), |_| {});
        let mut settings = (*db.settings()).clone();
        settings.float_encoding = want;
        db.apply(settings).unwrap();
        db.tick().unwrap();
        assert_eq!(read(&db), of(0..150));
        let [name] = &block_names(&*fs)[..] else { panic!("one block") };
        let block = Block::open(&*fs, &data().join(name)).unwrap();
        let set = block.chunk_querier(i64::MIN, i64::MAX).select_chunks(&everything(), &[]).unwrap();
        let mut chunks = Vec::new();
        set.chunks(0, &mut chunks).unwrap();
        assert_eq!(chunks.iter().map(|c| c.encoding).collect::<Vec<_>>(), [want; 2]);
    }
}

#[test]
fn a_cancelled_merge_leaves_nothing() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    four_blocks(&fs);
    let names = block_names(&*fs);
    let open = |n: &String| Block::open(&*fs, &data().join(n)).unwrap();
    let blocks: Vec<_> = names.iter().map(open).collect();
    let compactor = Compactor::new(fs.clone(), data());
    compactor.cancel.store(true, Ordering::SeqCst);
    let got = compactor.merge(Ulid::new(5, 5), &blocks);
    assert!(matches!(got, Err(StorageError::Closed)));
    assert_eq!(block_names(&*fs), names);
}

#[test]
fn a_merge_that_fails_is_marked_and_not_tried_at_once() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    let model: Model = BTreeMap::from([(series(0), (0..100).map(|t| (t, 1.0)).collect())]);
    for number in 0..2 {
        let shifted: Model = model
            .iter()
            .map(|(l, s)| (l.clone(), s.iter().map(|(t, v)| (t + number, *v)).collect()))
            .collect();
        write(&fs, number as u128, (0, 1000), &shifted, 50).unwrap();
    }
    let path = data().join(Ulid::new(1, 0).to_string()).join("chunks/000001");
    let mut bytes = fs.read(&path).unwrap();
    bytes[20] ^= 1;
    fs.create(&path).unwrap().append(&bytes).unwrap();
    let db = open_db(fs.clone(), |_| {});
    let err = db.tick().unwrap_err().to_string();
    assert!(err.contains("chunks/000001: wrong checksum"), "{err}");
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 2);
    for name in block_names(&*fs) {
        assert!(BlockMeta::read(&*fs, &data().join(name)).unwrap().compaction.failed);
    }
}

#[test]
fn a_broken_block_from_outside_holds_up_merging_and_nothing_else() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    let model = four_blocks(&fs);
    let db = open_db(fs.clone(), |_| {});
    let names = block_names(&*fs);
    let broken = data().join(Ulid::new(3, 3).to_string());
    fs.create_dir_all(&broken).unwrap();
    let meta = BlockMeta::from_head(Ulid::new(3, 3), 0, 1);
    fs.create(&broken.join("meta.json")).unwrap().append(&meta.to_json()).unwrap();
    let err = db.tick().unwrap_err().to_string();
    assert!(err.starts_with(&format!("corrupted block {}: ", meta.ulid)), "{err}");
    assert_eq!(read(&db), model);
    assert_eq!(block_names(&*fs).len(), names.len() + 1);
    assert_eq!(db.blocks().len(), names.len());
    db.close().unwrap();
    fs.remove_dir_all(&broken).unwrap();
    let db = open_db(fs.clone(), |_| {});
    db.tick().unwrap();
    assert_eq!(read(&db), model);
    assert_eq!(db.blocks().len(), 2);
}

#[test]
fn a_copy_opens() {
    let steps = Steps::new();
    let fs: Arc<dyn Fs> = Arc::new(steps.clone());
    let model = four_blocks(&fs);
    let db = open_db(fs.clone(), |_| {});
    for path in ["data", "01M81ZHRY277S4V0P2N6YWKFGF"] {
        assert!(matches!(db.snapshot(Path::new(path), true), Err(StorageError::Invalid(_))), "{path}");
    }
    db.snapshot(Path::new("copy"), true).unwrap();
    // What happens to the original does not reach the copy.
    db.delete(i64::MIN, i64::MAX, &[Matcher::equal("__name__", "m")]).unwrap();
    db.clean_tombstones().unwrap();
    assert!(read(&db).is_empty() && db.blocks().is_empty());
    let mut o = DbOptions::new("copy", fs, Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    assert_eq!(read(&Db::open(o).unwrap()), model);
}

#[test]
fn blocks_from_outside_are_found() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    let clock = Arc::new(ManualClock::new(0));
    let mut o = DbOptions::new(data(), fs.clone(), clock.clone(), Arc::new(Inline));
    o.min_block_duration_ms = RANGE_MS;
    let db = Db::open(o).unwrap();
    db.tick().unwrap();
    let model: Model = BTreeMap::from([(series(0), BTreeMap::from([(5, 1.0)]))]);
    write(&fs, 1, (0, 1000), &model, 10).unwrap();
    db.tick().unwrap();
    assert!(read(&db).is_empty());
    clock.advance_ms(60_000);
    db.tick().unwrap();
    assert_eq!(read(&db), model);
}

#[test]
fn a_plan_for_real_blocks() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.create_dir_all(data()).unwrap();
    four_blocks(&fs);
    let metas: Vec<_> =
        block_names(&*fs).iter().map(|n| BlockMeta::read(&*fs, &data().join(n)).unwrap()).collect();
    let planned = plan(&metas.iter().collect::<Vec<_>>(), &block_ranges_ms(RANGE_MS, 9 * RANGE_MS), true);
    assert_eq!(planned, [Ulid::new(1, 2), Ulid::new(1, 3)]);
}

/// Deleted from the head: gone for queries, after a restart, and from the block that is cut.
#[test]
fn deleted_from_the_head() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let db = open_db(fs.clone(), |_| {});
    let mut model = Model::new();
    let append = |db: &Db, model: &mut Model, range: std::ops::Range<i64>| {
        let mut appender = db.appender();
        for t in range.step_by(5) {
            for i in 0..3 {
                appender.append(SeriesRef::NONE, &series(i), t, 0, t as f64).unwrap();
                model.entry(series(i)).or_default().insert(t, t as f64);
            }
        }
        appender.commit().unwrap();
    };
    append(&db, &mut model, 0..800);
    let running = db.querier(i64::MIN, i64::MAX).unwrap().select(&everything(), &[]).unwrap();
    db.delete(100, 300, &[Matcher::equal("i", "1")]).unwrap();
    db.delete(700, i64::MAX, &[Matcher::equal("i", "2")]).unwrap();
    db.delete(i64::MIN, i64::MAX, &[Matcher::equal("i", "7")]).unwrap();
    let mut columns = Columns::default();
    running.read(1, &mut columns).unwrap();
    assert_eq!(columns.len(), 160);
    model.get_mut(&series(1)).unwrap().retain(|t, _| !(100..=300).contains(t));
    model.get_mut(&series(2)).unwrap().retain(|t, _| *t < 700);
    assert_eq!(read(&db), model);
    // What comes later is not deleted, however far the deletion was to reach.
    append(&db, &mut model, 800..1200);
    db.delete(i64::MIN, i64::MAX, &[Matcher::equal("i", "0")]).unwrap();
    model.remove(&series(0));
    assert_eq!(read(&db), model);
    db.close().unwrap();

    let db = open_db(fs.clone(), |_| {});
    assert_eq!(db.replay_report().tombstones, 3);
    assert_eq!(read(&db), model);
    append(&db, &mut model, 1200..2300);
    db.tick().unwrap();
    assert_eq!(db.blocks().len(), 1);
    assert_eq!(read(&db), model);
    let block = Block::open(&*fs, &data().join(db.blocks()[0].ulid.to_string())).unwrap();
    assert!(block.tombstones().is_empty());
    let before = |samples: &Samples| samples.range(..1000).map(|(t, v)| (*t, *v)).collect::<Samples>();
    let mut want: Model = model.iter().map(|(l, samples)| (l.clone(), before(samples))).collect();
    want.retain(|_, samples| !samples.is_empty());
    assert_eq!(read(&block), want);
    db.close().unwrap();
    assert_eq!(read(&open_db(fs, |_| {})), model);
}

/// The longest block and the merging of overlaps are the operator's choice.
#[test]
fn what_is_merged_follows_the_options() {
    type Spans = &'static [(i64, i64)];
    let cases: [(i64, bool, Spans); 4] = [
        (0, true, &[(0, 3000), (3000, 4000)]),
        (3 * RANGE_MS, true, &[(0, 3000), (3000, 4000)]),
        (RANGE_MS, true, &[(0, 1000), (1000, 2000), (2000, 3000), (3000, 4000)]),
        (RANGE_MS, false, &[(0, 1000), (1000, 2000), (2000, 3000), (2500, 3000), (3000, 4000)]),
    ];
    for (longest_ms, overlaps, expected) in cases {
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        let model = four_blocks(&fs);
        let db = open_db(fs, |o| {
            o.max_block_duration_ms = longest_ms;
            o.overlapping_compaction = overlaps;
        });
        db.tick().unwrap();
        let spans: Vec<_> = db.blocks().iter().map(|m| (m.min_ms, m.max_ms)).collect();
        assert_eq!(spans, expected, "{longest_ms} {overlaps}");
        assert!(read(&db) == model, "{longest_ms} {overlaps}");
    }
}
