//! Blocks written and read over files in memory: against a model, and with bytes damaged.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chunk::{Encoding, XorEncoder};
use model::{Columns, Labels, MatchOp, Matcher};
use proptest::prelude::*;
use storage::{Fs, LabelHints, MemFs, Queryable, SelectHints, StorageError};
use tsdb::block::{Block, BlockMeta, BlockWriter, ChunkData, Ulid};

type Samples = BTreeMap<i64, f64>;
type Model = BTreeMap<Labels, Samples>;

const SAMPLES_PER_CHUNK: usize = 5;

fn chunks_of(samples: &Samples) -> Vec<(i64, i64, Vec<u8>)> {
    let all: Vec<_> = samples.iter().collect();
    let encode = |part: &[(&i64, &f64)]| {
        let mut e = XorEncoder::new();
        for (t, v) in part {
            e.append(**t, **v);
        }
        (*part[0].0, *part[part.len() - 1].0, e.into_bytes())
    };
    all.chunks(SAMPLES_PER_CHUNK).map(encode).collect()
}

fn write(fs: &Arc<dyn Fs>, model: &Model, segment_bytes: u64) -> Option<BlockMeta> {
    let meta = BlockMeta::from_head(Ulid::new(1_767_225_600_000, 7), 0, 1_000_000);
    let mut writer = BlockWriter::with_segment_bytes(fs, Path::new("data"), meta, segment_bytes).unwrap();
    for (labels, samples) in model {
        let chunks = chunks_of(samples);
        let data: Vec<_> = chunks
            .iter()
            .map(|(min_ms, max_ms, data)| ChunkData {
                min_ms: *min_ms,
                max_ms: *max_ms,
                encoding: Encoding::Xor,
                data,
            })
            .collect();
        writer.add_series(labels, &data).unwrap();
    }
    writer.finish().unwrap()
}

fn new_fs() -> Arc<dyn Fs> {
    let fs = MemFs::new();
    fs.create_dir_all(Path::new("data")).unwrap();
    Arc::new(fs)
}

fn open(fs: &Arc<dyn Fs>, meta: &BlockMeta) -> Result<Block, StorageError> {
    Block::open(fs.as_ref(), &Path::new("data").join(meta.ulid.to_string()))
}

/// Everything that can be asked, so that damage anywhere is met.
fn read_all(block: &Block, start_ms: i64, end_ms: i64, matchers: &[Matcher]) -> Result<Model, StorageError> {
    let querier = block.querier(start_ms, end_ms)?;
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = querier.select(&hints, matchers)?;
    let mut out = Model::new();
    for i in 0..set.len() {
        let mut columns = Columns::default();
        set.read(i, &mut columns)?;
        out.insert(set.labels(i), columns.t.iter().copied().zip(columns.v.iter().copied()).collect());
    }
    for name in querier.label_names(LabelHints::default(), matchers)? {
        querier.label_values(&name, LabelHints::default(), matchers)?;
    }
    Ok(out)
}

fn labels() -> impl Strategy<Value = Labels> {
    let name = prop::sample::select(vec!["up", "http_requests_total", "näme.with.dots"]);
    let value = || prop::sample::select(vec!["", "a", "ab", "b", "a.b", "ü", "x y"]);
    (name, value(), value(), 0..40u32).prop_map(|(name, job, zone, i)| {
        Labels::from_pairs([
            ("__name__", name),
            ("job", job),
            ("zone", zone),
            ("instance", &format!("host-{i}")),
        ])
    })
}

fn model() -> impl Strategy<Value = Model> {
    let samples = prop::collection::btree_map(0i64..1_000_000, (0..1000).prop_map(f64::from), 0..30);
    prop::collection::btree_map(labels(), samples, 0..120)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
    let name = vec!["__name__", "job", "zone", "instance", "none"];
    let value =
        vec!["", "up", "a", "a|b", "a.*", ".+", ".*", "host-1.*", "host-(3|5|17)", "ü|", "[^a]*", "zz"];
    (prop::sample::select(op), prop::sample::select(name), prop::sample::select(value))
        .prop_map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
}

fn limited(values: BTreeSet<&str>, limit: usize) -> Vec<String> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    values.into_iter().take(limit).map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_what_was_written(
        model in model(),
        matchers in prop::collection::vec(matcher(), 0..4),
        segment_bytes in 60u64..2000,
        span in (-10i64..1_000_010, 0i64..1_000_000),
        limit in 0usize..5,
    ) {
        let fs = new_fs();
        let meta = write(&fs, &model, segment_bytes);
        let written: Model = model.into_iter().filter(|(_, s)| !s.is_empty()).collect();
        let Some(meta) = meta else {
            prop_assert!(written.is_empty());
            prop_assert!(fs.read_dir(Path::new("data")).unwrap().is_empty());
            return Ok(());
        };
        let block = open(&fs, &meta).unwrap();
        prop_assert_eq!(block.meta(), &meta);
        prop_assert_eq!(meta.stats.num_series, written.len() as u64);
        prop_assert_eq!(meta.stats.num_samples, written.values().map(|s| s.len() as u64).sum::<u64>());

        let wanted = |l: &Labels| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or("")));
        let matching: Model = written.into_iter().filter(|(l, _)| wanted(l)).collect();
        let querier = block.querier(0, i64::MAX).unwrap();
        let hints = LabelHints { limit };
        let names = matching.keys().flat_map(|l| l.iter().map(|(n, _)| n)).collect();
        prop_assert_eq!(querier.label_names(hints, &matchers).unwrap(), limited(names, limit));
        for name in ["__name__", "job", "instance", "none"] {
            let values = matching.keys().filter_map(|l| l.get(name)).collect();
            prop_assert_eq!(querier.label_values(name, hints, &matchers).unwrap(), limited(values, limit), "{}", name);
        }

        let (start_ms, end_ms) = (span.0, span.0 + span.1);
        let mut got = read_all(&block, start_ms, end_ms, &matchers).unwrap();
        got.retain(|_, samples| !samples.is_empty());
        let mut want = matching;
        for samples in want.values_mut() {
            samples.retain(|t, _| (start_ms..=end_ms).contains(t));
        }
        want.retain(|_, samples| !samples.is_empty());
        prop_assert_eq!(got, want);
    }
}

fn small_block() -> (Arc<dyn Fs>, BlockMeta) {
    let fs = new_fs();
    let mut model = Model::new();
    for i in 0..40i64 {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", &format!("host-{i}"))]);
        model.insert(labels, (0..7).map(|t| (t * 1000 + i, t as f64)).collect());
    }
    let meta = write(&fs, &model, u64::MAX).unwrap();
    (fs, meta)
}

fn damaged(fs: &Arc<dyn Fs>, meta: &BlockMeta, file: &str, bytes: &[u8]) -> Result<Model, StorageError> {
    let path = Path::new("data").join(meta.ulid.to_string()).join(file);
    fs.create(&path).unwrap().append(bytes).unwrap();
    let block = open(fs, meta)?;
    // These read the postings of every value.
    let every = |name| Matcher::new(MatchOp::NotEqual, name, "").unwrap();
    let all = [every("instance"), every("__name__")];
    let mut out = read_all(&block, i64::MIN, i64::MAX, &all)?;
    out.extend(read_all(&block, i64::MIN, i64::MAX, &[])?);
    Ok(out)
}

/// Each byte of each checksummed file changed in turn, and each file cut off everywhere: an error that names the
/// file, or, where the bytes mean nothing (padding, unused offsets), the same answer.
#[test]
fn damage_is_met_with_an_error() {
    let (fs, meta) = small_block();
    let intact = read_all(&open(&fs, &meta).unwrap(), i64::MIN, i64::MAX, &[]).unwrap();
    for file in ["index", "chunks/000001", "tombstones"] {
        let path = Path::new("data").join(meta.ulid.to_string()).join(file);
        let good = fs.read(&path).unwrap();
        let mut harmless = 0;
        let mut check = |bytes: &[u8], what: &str| match damaged(&fs, &meta, file, bytes) {
            Ok(answer) => {
                assert_eq!(answer, intact, "{file} {what}");
                harmless += 1;
            }
            Err(StorageError::Corrupt(text)) => assert!(text.contains(file), "{text}"),
            Err(e) => panic!("{file} {what}: {e}"),
        };
        for i in 0..good.len() {
            let mut bytes = good.clone();
            bytes[i] ^= 1 << (i % 8);
            check(&bytes, &format!("changed at {i}"));
        }
        for len in 0..good.len() {
            check(&good[..len], &format!("cut at {len}"));
        }
        // Padding behind series, three bytes behind a segment's version.
        assert!(harmless < good.len() / 5, "{file}: {harmless} changes went unnoticed");
        fs.create(&path).unwrap().append(&good).unwrap();
    }
}

/// The bodies of an index that a checksum of four bytes follows.
fn summed_parts(index: &[u8]) -> Vec<std::ops::Range<usize>> {
    let be32 = |at: usize| u32::from_be_bytes(index[at..at + 4].try_into().unwrap()) as usize;
    let toc = index.len() - 52;
    let offset = |i: usize| be32(toc + 8 * i + 4);
    let (symbols, series, series_end, postings, table) =
        (offset(0), offset(1), offset(2), offset(4), offset(5));
    let section = |at: usize| at + 4..at + 4 + be32(at);
    let mut parts = vec![section(symbols), section(table), toc..toc + 48];
    let mut at = series.next_multiple_of(16);
    while at < series_end {
        // Entries here are shorter than 128 bytes: one byte of length.
        let body = at + 1..at + 1 + usize::from(index[at]);
        at = (body.end + 4).next_multiple_of(16);
        parts.push(body);
    }
    let mut at = postings.next_multiple_of(4);
    while at < table {
        let body = section(at);
        at = (body.end + 4).next_multiple_of(4);
        parts.push(body);
    }
    parts
}

/// Bytes that make no sense behind checksums that are right: whatever the answer, no panic.
#[test]
fn hostile_bytes_with_right_checksums() {
    let (fs, meta) = small_block();
    let path = Path::new("data").join(meta.ulid.to_string()).join("index");
    let good = fs.read(&path).unwrap();
    let parts = summed_parts(&good);
    assert_eq!(parts.len(), 3 + 40 + 42);
    let (mut refused, mut all) = (0, 0);
    for part in parts {
        for i in part.clone() {
            for byte in [good[i] ^ 1, good[i] | 0x80, 0xff, 0] {
                let mut bytes = good.clone();
                bytes[i] = byte;
                let crc = crc32c::crc32c(&bytes[part.clone()]);
                bytes[part.end..part.end + 4].copy_from_slice(&crc.to_be_bytes());
                all += 1;
                match damaged(&fs, &meta, "index", &bytes) {
                    Ok(_) => {}
                    Err(StorageError::Corrupt(_)) => refused += 1,
                    Err(e) => panic!("{i} = {byte}: {e}"),
                }
            }
        }
    }
    assert!(refused > all / 4, "{refused} of {all} refused");
}

#[test]
fn an_error_in_a_chunk_names_its_place() {
    let (fs, meta) = small_block();
    let path = Path::new("data").join(meta.ulid.to_string()).join("chunks/000001");
    let mut bytes = fs.read(&path).unwrap();
    bytes[12] ^= 1;
    fs.create(&path).unwrap().append(&bytes).unwrap();
    let block = open(&fs, &meta).unwrap();
    let querier = block.querier(i64::MIN, i64::MAX).unwrap();
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = querier.select(&hints, &[]).unwrap();
    let mut columns = Columns::default();
    columns.push(1, 1.0);
    let err = set.read(0, &mut columns).unwrap_err().to_string();
    assert!(err.ends_with("/chunks/000001: wrong checksum at offset 9"), "{err}");
    assert_eq!(columns.t, [1]);
    set.read(1, &mut columns).unwrap();
    assert_eq!(columns.len(), 8);
}

#[test]
fn order_is_checked_and_nothing_left_behind() {
    let fs = new_fs();
    let e = |t: i64| {
        let mut e = XorEncoder::new();
        e.append(t, 1.0);
        e.into_bytes()
    };
    let chunk = |t: i64, data| ChunkData { min_ms: t, max_ms: t, encoding: Encoding::Xor, data };
    let (one, two) = (e(1), e(2));
    let label = |v: &str| Labels::from_pairs([("a", v)]);
    let cases = [
        (vec![("y", vec![chunk(1, &one)]), ("x", vec![chunk(1, &one)])], "out-of-order series added"),
        (vec![("x", vec![chunk(1, &one)]), ("x", vec![chunk(1, &one)])], "out-of-order series added"),
        (
            vec![("x", vec![chunk(2, &two), chunk(1, &one)])],
            "chunk minT 1 is not higher than previous chunk maxT 2",
        ),
        (vec![("x", vec![ChunkData { max_ms: 0, ..chunk(1, &one) }])], "chunk maxT 0 is less than minT 1"),
    ];
    for (series, want) in cases {
        let meta = BlockMeta::from_head(Ulid::new(1, 7), 0, 10);
        let mut writer = BlockWriter::create(&fs, Path::new("data"), meta).unwrap();
        for (value, chunks) in series {
            writer.add_series(&label(value), &chunks).unwrap();
        }
        let err = writer.finish().unwrap_err().to_string();
        assert!(err.contains(want), "{err}");
        assert!(fs.read_dir(Path::new("data")).unwrap().is_empty());
    }
}
